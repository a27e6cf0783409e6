"""Which splats go where some of them do harm."""

from __future__ import annotations

import torch
from jaxtyping import Float32
from torch import Tensor

from fourd.types import Splats


def without_worst(splats: Splats, harm: Float32[Tensor, " n"], share: float, most: int | None = None) -> Splats:
    """Let go of those that do most harm, until a share of all of it is left; of one at least.

    Args:
        splats: At least one.
        harm: What each does.
        share: Of the harm, that may stay.
        most: No more than so many go.
    """
    worst, order = harm.sort(descending=True)
    left = harm.sum() - worst.cumsum(0)
    go = int((left > share * harm.sum()).sum()) + 1
    go = go if most is None else min(go, most)
    return splats[torch.ones(len(splats), dtype=torch.bool).index_fill(0, order[:go], False)]
