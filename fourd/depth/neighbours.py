"""Which frames to match a frame with: chosen by how far the scene shifts between them, not by their number."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64
from numpy import ndarray as Array

from fourd.depth.common import Rig

_TARGETS = (0.021, 0.042)
"""Wanted shifts, in lengths of the map's longer side, on either side in time."""
_SHORTEST_PX = (5.0, 10.0)
"""In small maps they are at least so long, for a shift is measured to a part of a pixel."""
_LEAST_PX = 2.0
"""Below this a frame tells too little."""
_OVERLAP = 0.6
"""Share of the picture that must be seen in the other frame."""
_AWAY = sorted({round(1.18**k) for k in range(28)})
"""How many frames away a neighbour may be: every number up to 8, then ever fewer, up to 87."""


def targets_px(hw: tuple[int, int]) -> list[float]:
    """Wanted shifts in maps of a size, in pixels."""
    return [max(share * max(hw), px) for share, px in zip(_TARGETS, _SHORTEST_PX, strict=True)]


def shifts(rig: Rig, rho: float, i: int, others: list[int]) -> tuple[Float64[Array, " n"], Float64[Array, " n"]]:
    """How far points at inverse depth ``rho`` shift between frames because the camera travels, and the overlap.

    Returns:
        Median shift in pixels against points at infinity, and the share of frame i that other frames show.
    """
    h, w = rig.hw
    y, x = np.meshgrid((np.arange(6) + 0.5) * h / 6, (np.arange(6) + 0.5) * w / 6, indexing="ij")
    grid = np.stack([x.ravel(), y.ravel(), np.ones(36)], -1)
    shift_px, overlap = [], []
    for j in others:
        turn, shift = rig.warp(i, j)
        far = grid @ turn.T
        near = far + rho * shift
        ahead = (far[:, 2] > 0.1) & (near[:, 2] > 0.1)
        a = near[:, :2] / np.maximum(near[:, 2:], 0.1)
        b = far[:, :2] / np.maximum(far[:, 2:], 0.1)
        inside = ahead & (a >= 0).all(1) & (a[:, 0] < w) & (a[:, 1] < h)
        shift_px.append(float(np.median(np.linalg.norm(a - b, axis=1)[inside])) if inside.any() else 0.0)
        overlap.append(float(inside.mean()))
    return np.array(shift_px), np.array(overlap)


def choose(rig: Rig, rho: float, i: int) -> list[int]:
    """Up to four frames that see what frame i sees, from elsewhere.

    Args:
        rig: Cameras at the working size.
        rho: Inverse depth of the middle of the scene.
        i: The frame.

    Returns:
        Frame numbers: for each target shift the frame nearest to it, before and after frame i; where one side has
        none, from the other side. Empty if the camera does not travel near frame i.
    """
    targets = targets_px(rig.hw)
    sides = []
    for way in (-1, 1):
        others = [i + way * away for away in _AWAY if 0 <= i + way * away < len(rig)]
        shift_px, overlap = shifts(rig, rho, i, others)
        usable = [k for k in range(len(others)) if shift_px[k] >= _LEAST_PX and overlap[k] >= _OVERLAP]
        sides.append([(float(shift_px[k]), others[k]) for k in usable])
    chosen: list[int] = []
    for side, other in (sides, sides[::-1]):
        reach = max((shift for shift, _ in other), default=0.0)
        # Where the other side does not reach far enough, at the ends of the clip, this side stands in.
        wanted = [*targets, *(1.45 * t for t in targets if reach < 0.5 * t)]
        for target in wanted:
            left = [(abs(np.log(shift / target)), j) for shift, j in side if j not in chosen]
            if left and min(left)[0] < np.log(2):
                chosen.append(min(left)[1])
    return sorted(chosen)
