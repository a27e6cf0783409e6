"""Which splats go where some of them do harm."""

from __future__ import annotations

from jaxtyping import Float32, Int64
from torch import Tensor


def worst(harm: Float32[Tensor, " n"], share: float, most: int | None = None) -> Int64[Tensor, " k"]:
    """Which do most harm: so many that a share of all of it is left without them; one at least.

    Args:
        harm: What each does; there is at least one.
        share: Of the harm, that may stay.
        most: No more than so many.
    """
    size, order = harm.sort(descending=True)
    left = harm.sum() - size.cumsum(0)
    count = int((left > share * harm.sum()).sum()) + 1
    return order[: count if most is None else min(count, most)]
