"""Dense optical flow between neighbouring frames, and whether it can be believed.

The flow is dense inverse search (Kroeger et al., "Fast Optical Flow using Dense Inverse Search",
2016) as OpenCV has it: no learned weights, a few tens of milliseconds a pair.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

LONGEST_PX = 640
"""Longer side of the maps at most: beyond it flow costs much and gains little."""

_SMALLEST_PX = 16  # DIS refuses sides under 12 pixels.


def map_size(hw: tuple[int, int]) -> tuple[int, int]:
    """Size of the maps for pictures of size ``hw``: the same shape, at most ``LONGEST_PX`` long.

    Example:
        >>> map_size((1568, 882)), map_size((240, 320))
        ((640, 360), (240, 320))
    """
    scale = min(1.0, LONGEST_PX / max(hw))
    return max(1, round(hw[0] * scale)), max(1, round(hw[1] * scale))


def grey(frame: UInt8[np.ndarray, "h w 3"], hw: tuple[int, int]) -> UInt8[np.ndarray, "h2 w2"]:
    """The brightness of a picture, shrunk to ``hw``."""
    picture = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    if picture.shape != hw:
        picture = cv2.resize(picture, (hw[1], hw[0]), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(picture)


class Dis:
    """The flow between two grey pictures; holds the buffers, so make one and call it often."""

    def __init__(self) -> None:
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def __call__(self, a: UInt8[np.ndarray, "h w"], b: UInt8[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w 2"]:
        """Pixels (x, y) that each pixel of ``a`` moves to reach its place in ``b``."""
        h, w = a.shape
        down, right = max(0, _SMALLEST_PX - h), max(0, _SMALLEST_PX - w)
        if down or right:
            a, b = (cv2.copyMakeBorder(x, 0, down, 0, right, cv2.BORDER_REPLICATE) for x in (a, b))
        flow = self._dis.calc(a, b, np.zeros((*a.shape, 2), np.float32))[:h, :w]
        # Where nothing can be matched DIS may run away; no pixel moves further than the picture is long.
        longest = float(max(h, w))
        return np.clip(np.nan_to_num(flow, nan=0.0), -longest, longest).astype(np.float32)


def sample(field: np.ndarray, at_px: Float32[np.ndarray, "h w 2"]) -> np.ndarray:
    """Read a map between its pixels, bilinearly; beyond its border the border is repeated.

    Args:
        field: A map of one or more channels.
        at_px: Where to read (x, y); the centre of the first pixel is (0.5, 0.5).
    """
    x, y = (np.ascontiguousarray(at_px[..., k] - np.float32(0.5)) for k in (0, 1))  # OpenCV counts centres from 0.
    return cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def grid(hw: tuple[int, int]) -> Float32[np.ndarray, "h w 2"]:
    """The pixel centres (x, y) of a picture."""
    y, x = np.mgrid[: hw[0], : hw[1]].astype(np.float32) + np.float32(0.5)
    return np.stack([x, y], -1)


def consistent(there: Float32[np.ndarray, "h w 2"], back: Float32[np.ndarray, "h w 2"]) -> Bool[np.ndarray, "h w"]:
    """Where going there and back again ends where it began, inside the picture.

    The tolerance is that of Sundaram, Brox and Keutzer ("Dense point trajectories", 2010):
    ``|there + back|^2 < 0.01 (|there|^2 + |back|^2) + 0.5``.
    """
    h, w = there.shape[:2]
    across, down = there[..., 0], there[..., 1]
    x, y = (np.arange(w, dtype=np.float32) + np.float32(0.5)) + across, down.copy()
    y += np.arange(h, dtype=np.float32)[:, None] + np.float32(0.5)
    inside = (x > 0) & (x < w) & (y > 0) & (y < h)
    returned = sample(back, np.stack([x, y], -1))
    ahead, beside = returned[..., 0], returned[..., 1]
    gap = (across + ahead) ** 2 + (down + beside) ** 2
    lengths = (across**2 + down**2) + (ahead**2 + beside**2)
    return inside & (gap < 0.01 * lengths + 0.5)
