"""Which other frames are asked about a frame."""

from __future__ import annotations

from collections.abc import Sequence


def around(i: int, steps: Sequence[int], count: int) -> list[int]:
    """The frames so many steps before and after frame ``i``, those of ``count`` that there are, in order.

    Example:
        >>> around(1, (1, 2), 3)
        [0, 2]
    """
    return sorted({j for step in steps for j in (i - step, i + step) if 0 <= j < count})
