"""What stands still: one surface from all frames, and not a stack of sheets.

Every pixel is first moved to where the frames around see its point in the mean. Then frames are taken one
after the other, and each adds only those of its pixels that no frame before it shows: whether one does is read
in that frame's depth, where the pixel's point falls. Nothing is drawn for it, and no space is cut into cells.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fourd import native
from fourd.events import Progress, Steps
from fourd.fuse.cloud import SIGMA_PX, Cloud
from fourd.fuse.keyframes import LOST, gather
from fourd.fuse.sharpen import sharpen
from fourd.fuse.views import View, Views
from fourd.geometry.masks import grown
from fourd.native.evidence import Evidence
from fourd.native.fusion import discs

BARE = 1.25
"""How much wider discs are beside an edge, where an undercoat would stick out and so there is none."""

WORN = 2.5
"""A disc this many times as wide as the pixels that see it again goes."""

BEHIND = 3.0
"""Distance from a disc to its undercoat, in its own longer axes: behind all discs of the same patch."""


def lift(view: View, wanted: Bool[Tensor, "h w"], place_m: Float[Tensor, "h w"] | None = None) -> Cloud:
    """Turn the wanted pixels of a frame into discs in the world.

    Args:
        view: The frame.
        wanted: Which pixels.
        place_m: The depth at which they stand; that of the frame, if not given.
    """
    made = discs(
        view.depth_m, view.depth_m if place_m is None else place_m, wanted, view.edge, view.frame_rgb, view.K,
        view.world_from_cam, SIGMA_PX, BARE, BEHIND,
    )  # fmt: skip
    return Cloud(
        mean_m=made.mean_m,
        quat_wxyz=made.quat_wxyz,
        scale_m=made.scale_m,
        rgb=made.rgb,
        soft_rgb=made.soft_rgb,
        backs=made.backs.view(torch.bool),
        behind_m=made.behind_m,
    )


def fuse(views: Views, frames: Sequence[int], tolerance: float) -> Steps[Cloud]:
    """Fuse the still parts of some frames to one surface.

    Args:
        views: All frames of the clip.
        frames: The frames to use, in order.
        tolerance: Relative difference in depth below which two frames see the same surface,
            where both are sure.
    """
    keys = yield from gather(views, frames)
    total = 4 * len(frames)
    keys = keys.agreed(tolerance)
    parts = []
    for k, view in enumerate(keys.views):
        parts.append(lift(view, keys.fresh(k, tolerance), keys.place_m(k)))
        yield Progress("fuse", len(frames) + k + 1, total)
    cloud = Cloud.concat(parts)
    verdict = keys.ask(cloud, tolerance)
    cloud = cloud.painted(verdict.rgb)[_holds(cloud, verdict)]
    for done, view in enumerate(keys.views):  # What was hidden by discs that went is open now.
        cloud = _close(cloud, view)
        yield Progress("fuse", 2 * len(frames) + done + 1, total)
    return (yield from sharpen(cloud, keys, tolerance))


def _holds(cloud: Cloud, verdict: Evidence) -> Bool[Tensor, " n"]:
    """Which discs stay: those that are not looked through, and that nobody has better."""
    own_m = cloud.scale_m[:, :2].prod(1).sqrt() / SIGMA_PX
    # Who sees a disc much more finely has discs of its own there.
    return (verdict.contradiction <= LOST * verdict.support + 0.5) & (own_m < WORN * verdict.finest_m)


def _close(cloud: Cloud, view: View) -> Cloud:
    """Add the still pixels of a frame that no disc covers."""
    raster = native.rasterize(cloud.coated().splats(), view.K, view.world_from_cam, view.hw, view.time_s)
    open_ = (raster.alpha < 0.5) & ~grown(view.moving, 2)
    return Cloud.concat([cloud, lift(view, open_)]) if bool(open_.any()) else cloud
