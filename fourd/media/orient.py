"""Turning stored pictures upright."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from jaxtyping import Shaped


@dataclass(frozen=True)
class Turn:
    """One of the eight ways to lay a picture down: first transpose, then flip."""

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    def __call__(self, picture: Shaped[np.ndarray, "h w c"]) -> Shaped[np.ndarray, "h2 w2 c"]:
        """Lay ``picture`` down this way; a view, not a copy."""
        if self.transpose:
            picture = picture.swapaxes(0, 1)
        return picture[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1]

    def hw(self, hw: tuple[int, int]) -> tuple[int, int]:
        """The size of a turned picture; turning twice gives the first size back."""
        return (hw[1], hw[0]) if self.transpose else hw


def from_matrix(raw: bytes) -> Turn:
    """Read a display matrix as libavutil hands it on, from ISO/IEC 14496-12 section 6.2.2.

    The nine numbers a b u c d v x y w take a stored point to a shown one by
    ``x' = a x + c y + tx, y' = b x + d y + ty``. Turns by other than quarters are taken as the
    nearest quarter, as players do; shears and scales are ignored.
    """
    if len(raw) != 36:
        return Turn()
    a, b, _, c, d = struct.unpack("=9i", raw)[:5]
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Turn(False, flip_x=a < 0, flip_y=d < 0)
    return Turn(True, flip_x=c < 0, flip_y=b < 0)
