"""How well the depth of different frames agrees, which decides what counts as one surface."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fourd import poses
from fourd.fuse.views import View, Views, pick
from fourd.geometry import pinhole

FINEST, WIDEST = 0.01, 0.06
"""Bounds of the tolerance: rounding and slopes even where depth is exact; more would weld things together."""

SPREAD = 3.0
"""Differences within so many medians of each other count as noise of one surface."""


def disagreement(views: Views, frames: Sequence[int], pairs: int = 8) -> float:
    """Relative difference in depth below which two frames are taken to see one surface.

    Some pairs of neighbouring frames are compared pixel by pixel, where neither sees anything move; the
    median difference, times ``SPREAD``, is the answer.

    Args:
        views: All frames.
        frames: Those that will be fused.
        pairs: How many pairs to compare.
    """
    if len(frames) < 2:
        return FINEST
    starts = torch.linspace(0, len(frames) - 2, min(pairs, len(frames) - 1)).long().tolist()
    off = torch.cat([_differences(views[frames[k]], views[frames[k + 1]]) for k in starts])
    return min(WIDEST, FINEST + SPREAD * float(off.median())) if len(off) else WIDEST


def _differences(one: View, other: View) -> Tensor:
    """Relative differences of the depth that one view predicts for another, where both see what stands still."""
    world = one.to_world(one.point_m[~one.moving])
    xy, z = pinhole.project(pinhole.transform(poses.inverse(other.world_from_cam), world), other.K)
    h, w = other.hw
    inside = (z > 0) & (xy >= 0).all(-1) & (xy[:, 0] < w) & (xy[:, 1] < h)
    xy, z = xy[inside], z[inside]
    off = (z / pick(other.depth_m, xy) - 1).abs()
    return off[~pick(other.moving, xy) & (off < 2 * WIDEST)]
