"""How much estimated depth changes where nothing changes: along tracks of points that stand still.

A pixel of a thing that stands is lifted by its true depth and carried into a later frame by the true cameras. If that
frame sees the point, the estimated depths at both places may differ only as the point's true depths there do. What
they differ beyond that is flicker. The truth's own depth enters only through the place at which the later frame is
asked, and its noise hardly does; no scale enters at all.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from benchmarks.errors import at_size
from fourd import poses
from fourd.checked import checked
from fourd.errors import InputError
from fourd.geometry import pinhole
from fourd.types import Cameras, DepthMaps

SAME = 0.025
"""Relative difference between a point's depth and the true map's at which the later frame still sees that point."""


@checked
def flicker(
    cameras: Cameras, truth: DepthMaps, ours: DepthMaps, moving: Bool[Tensor, "t h w"] | None = None, ahead: int = 1
) -> float:
    """Mean absolute relative change of estimated depth along true tracks of what stands still.

    With z and z' the true depths of a point in frames i and i + ahead, and d and d' what is estimated there:
    the mean of ``|(d' / d) / (z' / z) - 1|``, at most 1 each, over all points of all pairs of frames. Between
    pixels, inverse depth is interpolated, which is exact on planes; a later frame sees a point where its true map,
    interpolated likewise, holds the point's depth within ``SAME``.

    Args:
        cameras: The true ones.
        truth: The true maps.
        ours: Maps of any size, up to any scale.
        moving: Pixels of things that move, at the truth's size; they are left out.
        ahead: How many frames later the point is looked at.

    Returns:
        NaN where no point is seen twice.
    """
    if not len(cameras) == len(truth) == len(ours):
        raise InputError(
            f"There are {len(cameras)} cameras, {len(truth)} true depth maps and {len(ours)} of the scene;"
            " each frame needs all three."
        )
    if ahead < 1:
        raise InputError(f"flicker looks {ahead} frames ahead; it must be at least 1.")
    ours = at_size(ours, truth.hw)
    still = (truth.confidence > 0) & truth.depth_m.isfinite()
    if moving is not None:
        still &= ~moving
    total, count = 0.0, 0
    for i in range(len(truth) - ahead):
        j = i + ahead
        j_from_i = poses.inverse(cameras.world_from_cam[j].double()) @ cameras.world_from_cam[i].double()
        here = still[i] & (ours.confidence[i] > 0)
        points = pinhole.unproject(truth.depth_m[i].double(), truth.K[i].double())[here]
        xy, z = pinhole.project(pinhole.transform(j_from_i, points), truth.K[j].double())
        maps = torch.stack([_inverse(truth, j, still[j]), _inverse(ours, j, ours.confidence[j] > 0)])
        true, guess = _between(maps, xy)
        seen = (z > 0) & ((true * z - 1).abs() < SAME) & (guess >= 0)
        before = ours.depth_m[i].double()[here] / truth.depth_m[i].double()[here]
        # Inverse depths: the sky's is 0, so a point that turns into sky or out of it counts as 1.
        change = (1 / (before * guess * z) - 1).abs().clamp(max=1)
        change = torch.where(before.isinf() & (guess == 0), 0, change)[seen]
        total, count = total + float(change.sum()), count + len(change)
    return total / count if count else float("nan")


def _inverse(maps: DepthMaps, i: int, known: Bool[Tensor, "h w"]) -> Float[Tensor, "h w"]:
    """Inverse depth of a frame; NaN, which spreads to all that touches it, where it is not known."""
    return torch.where(known, 1 / maps.depth_m[i].double(), torch.nan)


def _between(maps: Float[Tensor, "c h w"], xy: Float[Tensor, "n 2"]) -> Float[Tensor, "c n"]:
    """Maps at places between pixels; NaN outside of the picture."""
    h, w = maps.shape[1:]
    at = 2 * xy / torch.tensor([w, h], dtype=xy.dtype) - 1
    inside = (at.abs() <= 1).all(-1)
    found = F.grid_sample(maps[None], at[None, None], mode="bilinear", padding_mode="border", align_corners=False)
    return torch.where(inside, found[0, :, 0], torch.nan)
