"""How well flow can be known, from the picture: in plain surfaces it is made up from what is around."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

_NOISE = 8.0
"""Differences of brightness that do not come from motion, of 255: noise, compression, shading. Large,
because matching windows fail in more ways than by noise; measured on scenes with true masks."""
_WINDOW_PX = 9


def flow_error_px(picture: UInt8[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
    """Standard deviation of flow along the direction in which the picture tells least, in pixels.

    It is the noise over the root of the smaller eigenvalue of the structure tensor of a window (the
    covariance of a least-squares fit of a shift).
    """
    grey = picture.astype(np.float32)
    across = cv2.Sobel(grey, cv2.CV_32F, 1, 0, ksize=3) / 8
    down = cv2.Sobel(grey, cv2.CV_32F, 0, 1, ksize=3) / 8
    window = (_WINDOW_PX, _WINDOW_PX)
    xx, xy, yy = (cv2.blur(v, window) * _WINDOW_PX**2 for v in (across * across, across * down, down * down))
    least = (xx + yy) / 2 - np.sqrt(((xx - yy) / 2) ** 2 + xy * xy)
    return _NOISE / np.sqrt(np.maximum(least, 1e-3))
