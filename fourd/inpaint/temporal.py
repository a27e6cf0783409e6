"""What other moments and views saw there, as it is; the nearest background where they saw nothing."""

from __future__ import annotations

import torch

from fourd.events import Steps
from fourd.inpaint.nouns import Holes, Pictures
from fourd.inpaint.stretch import Stretch


class Copy(Stretch):
    """The backend."""

    def __init__(self, least: float) -> None:
        self._least = least

    def fill(self, holes: Holes, seed: int) -> Steps[Pictures]:
        """See ``fourd.inpaint.Inpainter``. Nothing is drawn at random."""
        return (yield from super().fill(with_evidence(holes, self._least), seed))


def with_evidence(holes: Holes, least: float) -> Holes:
    """The holes that are left once evidence of at least this trust is laid into them."""
    seen = holes.hole & holes.evidence.known & (holes.trust >= least)
    had, told = holes.pictures, holes.evidence
    pictures = Pictures(
        rgb=torch.where(seen[..., None], told.rgb, had.rgb),
        inverse_depth=torch.where(seen, torch.minimum(told.inverse_depth, holes.behind), had.inverse_depth),
        known=had.known | seen,
    )
    return holes.replace(pictures=pictures, hole=holes.hole & ~seen)


def load(name: str, least: float = 0.0) -> Copy:
    """The backend ``"copy"``.

    Args:
        name: Of the backend.
        least: Trust that evidence must have to be copied, 0 to 1.
    """
    return Copy(least)
