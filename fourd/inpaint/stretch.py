"""The nearest background, drawn out into the hole."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float32
from numpy import ndarray as Array
from torch import Tensor

from fourd.events import Progress, Steps
from fourd.inpaint import background
from fourd.inpaint.background import Background
from fourd.inpaint.nouns import STAGE, Holes, Pictures


class Stretch:
    """The backend."""

    def learn(self, clip: Pictures, masks: Bool[Tensor, "m h w"], seed: int) -> Steps[None]:
        """Nothing to learn."""
        yield from ()

    def fill(self, holes: Holes, seed: int) -> Steps[Pictures]:
        """See ``fourd.inpaint.Inpainter``. Nothing is drawn at random."""
        rgb, inverse_depth = torch.empty_like(holes.pictures.rgb), torch.empty_like(holes.pictures.inverse_depth)
        for i in range(len(holes)):
            near = background.stretched(holes, i)
            rgb[i] = torch.from_numpy(self.drawn(near, holes.pictures.known[i].cpu().numpy()))
            inverse_depth[i] = torch.from_numpy(near.inverse_depth)
            yield Progress(STAGE, i + 1, len(holes))
        return holes.filled(rgb, inverse_depth)

    def drawn(self, near: Background, known: Bool[Array, "h w"]) -> Float32[Array, "h w 3"]:
        """The picture whose colours fill the hole; its depth is that of the background."""
        return near.rgb


def load(name: str) -> Stretch:
    """The backend ``"stretch"``."""
    return Stretch()
