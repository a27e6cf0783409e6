"""The colours of things, and of what is beside them: histograms over the frames around."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int16
from numpy import ndarray as Array

_BINS = 12, 16, 16
"""Bins of L, a and b."""
_LOW, _HIGH = (0, 64, 64), (256, 192, 192)
"""Colours outside are rare, and count as those at the border."""
_FLOOR = 1e-4
"""Share of a colour that was never seen."""
_MOST = 3.0
"""Largest logarithm."""


def index(colour: Float32[Array, "h w 3"]) -> Int16[Array, "h w"]:
    """The bin of each pixel.

    Args:
        colour: CIE Lab, each of 0 to 255.
    """
    bins, low, high = (np.array(x, np.float32) for x in (_BINS, _LOW, _HIGH))
    at = np.clip((colour - low) * (bins / (high - low)), 0, bins - 1).astype(np.int16)
    return np.asarray((at[..., 0] * _BINS[1] + at[..., 1]) * _BINS[2] + at[..., 2], np.int16)


def likelier(
    bins: list[Int16[Array, "h w"]],
    things: list[Bool[Array, "h w"]],
    unsure: list[Bool[Array, "h w"]],
    window: int,
    around: float,
) -> Callable[[int], Float32[Array, "h w"]]:
    """Learn colours, and tell how much likelier each pixel's is on things than beside them.

    Args:
        bins: The bin of each pixel of each frame.
        things: Where things are.
        unsure: What is not to be taken for what is beside them.
        window: Frames before and after whose colours count.
        around: How far beside things to look: twice this, in roots of the area that they cover.

    Returns:
        Gives the logarithms for a frame; 0 where neither colour was seen around it.
    """
    size = int(np.prod(_BINS))
    on, beside = (np.zeros((len(bins), size), np.float32) for _ in range(2))
    for i, (of, mask, not_beside) in enumerate(zip(bins, things, unsure, strict=True)):
        if mask.any():
            away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 3)
            ring = (away > 2) & (away < 2 * around * np.sqrt(mask.sum())) & ~not_beside
            on[i], beside[i] = (np.bincount(of[part], minlength=size) for part in (mask, ring))
    tables: dict[int, Float32[Array, " n"]] = {}

    def told(i: int) -> Float32[Array, "h w"]:
        if i not in tables:
            near = slice(max(i - window, 0), i + window + 1)
            tables[i] = _logarithms(on[near].sum(0), beside[near].sum(0))
        return tables[i][bins[i]]

    return told


def _logarithms(on: Array, beside: Array) -> Float32[Array, " n"]:
    if on.sum() == 0 or beside.sum() == 0:
        return np.zeros(len(on), np.float32)
    share = [_smooth(x.reshape(_BINS)).ravel() / x.sum() + _FLOOR for x in (on, beside)]
    return np.clip(np.log(share[0] / share[1]), -_MOST, _MOST).astype(np.float32)


def _smooth(cube: Array) -> Array:
    """Binomial, over three bins each way."""
    for axis in range(3):
        padded = np.pad(cube, [(1, 1) if a == axis else (0, 0) for a in range(3)])
        near = [np.take(padded, range(k, k + cube.shape[axis]), axis) for k in range(3)]
        cube = 0.25 * near[0] + 0.5 * near[1] + 0.25 * near[2]
    return cube
