"""What stands before the still world, told by its colour: the backdrop is what other frames show there.

Flow tells motion badly where the picture is plain, and ends somewhere beside the outlines of things. But the still
world has been measured: other frames, carried to this one, say what it would look like were there nothing in front of
it. Where the picture is brighter than that, or of another colour, something is in front. Where it is only darker, by
much the same in all colours, that may be a shadow, which is no thing. And where it looks the same in all frames that
show the place, it stands: chance seldom repeats itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8
from numpy import ndarray as Array

from fourd.depth.common import Rig, lengths, shrink

_AWAY = (-30, -20, -12, -5, 5, 12, 20, 30)
"""Frames that are asked: nearby ones see what is there, far ones what is uncovered by then."""
_FAINTEST = 12.0
"""Brightness (of 255) that is added before logarithms are taken, so that noise in the dark counts little."""
_SLACK = 0.25
"""Relative difference in inverse depth up to which another frame shows the same part of the still world."""
_SHADOW = 1.26
"""A shadow darkens one colour at most so many times as much as the middle one, in logarithms, and as little."""
_DARKEST = 1.2
"""And this by no more."""
_RANK = 0.4
"""Of the differences from the frames that were asked, the one at this rank counts."""
_EVEN, _STEP = 0.06, 0.04
"""Difference of logarithms that says nothing, and what adds one to the log-odds."""
_AGAINST, _FOR = -2.0, 4.0
"""Log-odds that colour may add."""
_SAME, _MOST = 0.05, 4.0
"""Mean difference of logarithms from which frames say nothing for rest, and the most log-odds that they may say for it:
one for every frame but the first."""
_DIM = 0.6
"""A shadow of a thing that passes darkens by no more than this, in logarithms: what is darker may be a thing."""
_CLIPPED = 0.3
"""Differences count no more than this in the mean."""


class Told(NamedTuple):
    """What the other frames say of one."""

    moves: Float32[Array, "h w"]
    """Log-odds that a pixel shows a thing that moves; 0 where nobody can say."""
    stands: Float32[Array, "h w"]
    """Log-odds for rest beside these, from how many frames show the very same in the same light; not below 0."""
    shaded: Float32[Array, "h w"]
    """The same for what is at most in the shadow of a thing."""

    @staticmethod
    def nothing(hw: tuple[int, int]) -> Told:
        """Nobody can say."""
        return Told(*(np.zeros(hw, np.float32) for _ in Told._fields))


class Backdrop:
    """Compares the frames of a clip with the still world behind them."""

    def __init__(
        self,
        rig: Rig,
        picture: Callable[[int], UInt8[Array, "h2 w2 3"]],
        still: list[Float32[Array, "h w"]],
        moving: list[Bool[Array, "h w"]],
    ) -> None:
        """Get ready.

        Args:
            rig: Cameras at the working size.
            picture: Gives a frame at full size.
            still: Inverse depth of the still world in each frame, also behind what moves.
            moving: What is not to be taken for a part of the still world.
        """
        self._rig, self._picture, self._still = rig, picture, still
        block = np.ones((3, 3), np.uint8)
        self._open = [1 - cv2.dilate(mask.astype(np.float32), block) for mask in moving]
        self._seen: dict[int, tuple[Array, Array, Array]] = {}

    def _colours(self, i: int) -> tuple[Array, Array, Array]:
        """Logarithms of the colours of a frame, and their least and largest within a pixel around."""
        if i not in self._seen:
            for far in [j for j in self._seen if abs(j - i) > 2 * max(_AWAY)]:
                del self._seen[far]
            logs = np.log(shrink(self._picture(i), self._rig.hw).astype(np.float32) + _FAINTEST)
            block = np.ones((3, 3), np.uint8)
            self._seen[i] = logs, cv2.erode(logs, block), cv2.dilate(logs, block)
        return self._seen[i]

    def told(self, i: int) -> Told:
        """What the frames around say of frame ``i``."""
        differing, means, count = self._compared(i)
        moves = np.where(differing < 0, 0, np.clip((differing - _EVEN) / _STEP, _AGAINST, _FOR)).astype(np.float32)
        stands, shaded = (
            (np.clip(1 - mean / _SAME, 0, 1) * np.clip(count - 1, 0, _MOST)).astype(np.float32) for mean in means
        )
        return Told(moves, stands, np.maximum(shaded, stands))

    def difference(self, i: int) -> Float32[Array, "h w"]:
        """How much frame ``i`` differs from the still world, in logarithms of colours; -1 where nobody can say."""
        return self._compared(i)[0]

    def _compared(self, i: int) -> tuple[Float32[Array, "h w"], Float32[Array, "2 h w"], Float32[Array, "h w"]]:
        """See ``difference``; the mean ones in the same light and in a shadow; how many frames show the place."""
        own, logs = self._still[i], self._colours(i)[0]
        found: list[Array] = []
        total, count = np.zeros((2, *own.shape), np.float32), np.zeros_like(own)
        for j in sorted({i + away for away in _AWAY if 0 <= i + away < len(self._rig)}):
            x, y, z = self._rig.places(i, j, self._still[i])
            rho = cv2.remap(self._still[j], x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=-1)
            free = cv2.remap(self._open[j], x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
            told = (z > 1e-3) & (rho >= 0) & (free > 0.9) & (np.abs(rho * z - own) < _SLACK * own + 0.02)
            low, high = (cv2.remap(c, x, y, cv2.INTER_LINEAR) for c in self._colours(j)[1:])
            plain = _outside(logs, low, high)
            # Is it the still world, or is there a shade that makes the still world look like this?
            shade = np.clip(_middle((low + high) / 2 - logs), 0, _DARKEST)[..., None]
            shaded = _outside(logs, low - shade * _SHADOW, high - shade / _SHADOW)
            found.append(np.where(told, np.minimum(plain, shaded), np.inf))
            shadow = np.where(shade[..., 0] < _DIM, np.minimum(plain, shaded), plain)
            for mean, other in zip(total, (plain, shadow), strict=True):
                mean += np.where(told, np.minimum(other, _CLIPPED), 0)
            count += told
        if not found:
            return np.full(self._rig.hw, -1, np.float32), total, count
        ranked = np.sort(np.stack(found), axis=0)
        rank = (_RANK * np.maximum(count - 1, 0)).astype(np.int64)
        chosen = np.take_along_axis(ranked, rank[None], 0)[0]
        return np.where(count >= 2, chosen, -1).astype(np.float32), total / np.maximum(count, 1), count


def _middle(three: Float32[Array, "h w 3"]) -> Float32[Array, "h w"]:
    """The median of three numbers each."""
    a, b, c = three[..., 0], three[..., 1], three[..., 2]
    return np.maximum(np.minimum(a, b), np.minimum(np.maximum(a, b), c))


def _outside(values: Float32[Array, "h w 3"], low: Array, high: Array) -> Float32[Array, "h w"]:
    """How far colours lie outside of a range."""
    return lengths(np.maximum(values - high, 0) + np.maximum(low - values, 0))
