"""Sky: told from ceilings and white walls only where everything speaks for it."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8
from numpy import ndarray as Array

CONFIDENCE = 0.5
_SMALLEST = 1 / 100
"""Share of the picture that the sky must fill."""


def find(
    picture: UInt8[Array, "h w 3"], rho: Float32[Array, "h w"], sure: Float32[Array, "h w"], far: float
) -> Bool[Array, "h w"]:
    """Which pixels are sky.

    It is bright, blue or without colour, smooth, touches the upper border, and nothing in it away from its borders
    (where the depth of trees and roofs spills over) was measured to be near.

    Args:
        picture: The frame at the working size.
        rho: Inverse depths.
        sure: How sure each is.
        far: Inverse depth below which a thing may be sky, for all that was measured.
    """
    h, w = rho.shape
    red, blue = picture[..., 0].astype(np.int16), picture[..., 2].astype(np.int16)
    low, high = picture.min(-1).astype(np.int16), picture.max(-1)
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    slope = cv2.magnitude(cv2.Sobel(grey, cv2.CV_32F, 1, 0, scale=0.25), cv2.Sobel(grey, cv2.CV_32F, 0, 1, scale=0.25))
    bright = (high > 200) & (high - low < 40) | (blue > red + 15) & (blue >= picture[..., 1]) & (high > 110)
    smooth = (cv2.GaussianBlur(slope, (0, 0), 1) < 4) & bright
    count, label = cv2.connectedComponents(smooth.astype(np.uint8), connectivity=4)
    sky = np.zeros((h, w), bool)
    for k in range(1, count):
        region = label == k
        if not region[0].any() or region.sum() < _SMALLEST * h * w:
            continue
        inner = cv2.erode(region.astype(np.uint8), np.ones((9, 9), np.uint8), borderValue=1) > 0
        near = inner & (sure > 0.5) & (rho > far)
        if near.sum() <= 0.15 * max(inner.sum(), 1):
            sky |= region
    if not sky.any():
        return sky
    # The soft rim between sky and roof is still sky's colour: take it in as far as it is bright.
    return cv2.dilate(sky.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool) & (bright | sky)
