"""From what single pixels say to whole things that move.

Pixels are judged one by one and are wrong here and there: at the rims of things, where nothing can
be followed, and in plain surfaces. Things are whole, and they last. So neighbours in time are asked,
gaps are closed, and regions without any clear sign of motion are dropped.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

_SURE, _LIKELY = 0.85, 0.5
_LEAST_SHARE = 5e-4
"""Share of the picture that a thing covers at least, and its sure pixels a quarter of that."""
_HOLE_SHARE = 0.1
"""A hole is filled if it is smaller than this share of the thing around it."""
_DROPPED = 0.3
"""The largest probability left to what belongs to no thing."""


def whole(p: Float32[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
    """Make the likely regions around sure pixels whole, and lower what lies outside of them."""
    h, w = p.shape
    smooth = cv2.medianBlur((np.clip(p, 0, 1) * 255).astype(np.uint8), 5).astype(np.float32) / 255
    least = max(4.0, _LEAST_SHARE * h * w)
    likely = (smooth > _LIKELY).astype(np.uint8)
    count, label, area = _components(likely, 4)
    sure = np.bincount(label.ravel(), (smooth > _SURE).ravel(), minlength=count)
    keep = (sure >= least / 4) & (area >= least)
    keep[0] = False
    things = keep[label].astype(np.uint8)
    things = cv2.morphologyEx(things, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5)))
    things = _filled(things)
    inside = np.maximum(smooth, np.float32(_LIKELY) + np.float32(0.1))
    return np.where(things > 0, inside, np.minimum(smooth, np.float32(_DROPPED)))


def _filled(things: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
    """Fill the holes that are small beside the thing they are in."""
    _, thing, thing_area = _components(things, 8)
    count, hole, hole_area = _components(1 - things, 4)
    rim = np.unique(np.concatenate([hole[0], hole[-1], hole[:, 0], hole[:, -1]]))
    # What lies left of the first pixel of a hole, row by row, is the thing around it.
    first = np.full(count, -1)
    first[hole.ravel()[::-1]] = np.arange(hole.size)[::-1]
    filled = things.copy()
    for k in np.setdiff1d(np.arange(1, count), rim):
        owner = thing.ravel()[first[k] - 1]
        if hole_area[k] < _HOLE_SHARE * thing_area[owner]:
            filled[hole == k] = 1
    return filled


def _components(mask: UInt8[np.ndarray, "h w"], connectivity: int) -> tuple[int, np.ndarray, np.ndarray]:
    """How many connected regions there are, 0 being what lies outside; their labels, and their areas."""
    count, label = cv2.connectedComponents(mask, connectivity=connectivity)[:2]
    label = np.asarray(label)
    return count, label, np.bincount(label.ravel(), minlength=count)
