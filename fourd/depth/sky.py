"""Sky: told from ceilings and white walls only where everything speaks for it."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8
from numpy import ndarray as Array

CONFIDENCE = 0.5
"""Of blue sky, at infinity."""
PALE_CONFIDENCE = 0.3
"""Of what may be an overcast sky or a white ceiling, put as far away as anything in the clip."""
_SMALLEST = 1 / 300
"""Share of the picture that the sky must fill."""
_FLAT = 4.0
"""Largest slope of brightness within the sky, in levels a pixel."""


def find(
    picture: UInt8[Array, "h w 3"], rho: Float32[Array, "h w"], sure: Float32[Array, "h w"], far: float
) -> tuple[Bool[Array, "h w"], Bool[Array, "h w"]]:
    """Which pixels are sky, and which are pale and may be.

    Sky is bright, blue (or as bright as white gets), smooth, touches the upper border, and nothing textured in it
    was measured to be near. What was measured without texture is the depth of trees and roofs, spilt over.

    Args:
        picture: The frame at the working size.
        rho: Inverse depths.
        sure: How sure each is.
        far: Inverse depth above which a thing is too near to be sky.

    Returns:
        Blue sky, and pale regions.
    """
    red, green, blue = (picture[..., k].astype(np.int16) for k in range(3))
    low, high = picture.min(-1).astype(np.int16), picture.max(-1).astype(np.int16)
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    slope = cv2.magnitude(
        cv2.Sobel(grey, cv2.CV_32F, 1, 0, scale=1 / 8), cv2.Sobel(grey, cv2.CV_32F, 0, 1, scale=1 / 8)
    )
    near = (sure > 0.5) & (rho > far) & (cv2.GaussianBlur(slope, (0, 0), 2) > 0.4)
    of_blue = _regions((blue > red + 15) & (blue >= green) & (high > 110), slope, near)
    of_white = _regions((high > 225) & (high - low < 40), slope, near)
    return of_blue, of_white & ~of_blue


def _regions(
    coloured: Bool[Array, "h w"], slope: Float32[Array, "h w"], near: Bool[Array, "h w"]
) -> Bool[Array, "h w"]:
    smooth = coloured & (slope < _FLAT)
    count, label = cv2.connectedComponents(smooth.astype(np.uint8), connectivity=4)
    # Away from its borders: there the depth of trees and roofs spills over.
    inner = cv2.erode(smooth.astype(np.uint8), np.ones((5, 5), np.uint8), borderValue=1) > 0
    found = np.zeros_like(coloured)
    for k in range(1, count):
        region = label == k
        core = inner & region
        core = core if core.any() else region
        large = region.sum() >= _SMALLEST * region.size
        if large and region[0].any() and (near & core).sum() <= 0.1 * core.sum():
            found |= region
    # The soft rim between sky and roof has the sky's colour still.
    return cv2.dilate(found.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool) & coloured
