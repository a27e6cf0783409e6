"""What stands still: one surface from all frames, and not a stack of sheets.

Frames are taken one after the other. Each adds only those of its pixels that the surface so far does
not explain, takes the place of discs that it sees more finely, and removes discs that it sees through.
At the end all frames are asked about all discs (``evidence``), and what they contradict goes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from jaxtyping import Bool
from torch import Tensor

from fourd import native
from fourd.events import Progress, Steps
from fourd.fuse.cloud import SIGMA_PX, Cloud
from fourd.fuse.evidence import Witnesses
from fourd.fuse.surface import discs
from fourd.fuse.views import View, Views, dilate
from fourd.native import Raster

COARSE = 1.6
"""A disc this many times as wide as the pixel that sees it again is replaced by finer ones."""

ALIKE = 0.05
"""Difference of colour (0 to 1) below which a pixel is drawn as it was filmed."""

BARE = 1.25
"""How much wider discs are beside an edge, where an undercoat would stick out and so there is none."""

BEHIND = 3.0
"""Distance from a disc to its undercoat, in its own longer axes: behind all discs of the same patch."""


def lift(view: View, wanted: Bool[Tensor, "h w"]) -> Cloud:
    """Turn the wanted pixels of a frame into discs in the world."""
    s = view.surface
    R = view.world_from_cam[:3, :3]
    near_edge = dilate(s.edge, 1)
    quat, scale = discs(s.step_x_m[wanted] @ R.T, s.step_y_m[wanted] @ R.T, SIGMA_PX)
    scale = torch.where(near_edge[wanted][:, None], BARE * scale, scale)
    ray = torch.nn.functional.normalize(s.point_m[wanted], dim=-1) @ R.T
    soft = torch.nn.functional.avg_pool2d(view.rgb.permute(2, 0, 1)[None], 3, 1, 1, count_include_pad=False)
    backs = ~near_edge
    backs[1::2] = backs[:, 1::2] = False
    return Cloud(
        mean_m=view.to_world(s.point_m[wanted]),
        quat_wxyz=quat,
        scale_m=scale,
        rgb=view.rgb[wanted],
        confidence=view.confidence[wanted],
        soft_rgb=soft[0].permute(1, 2, 0)[wanted],
        backs=backs[wanted],
        behind_m=ray * BEHIND * scale[:, :1],
    )


def fuse(views: Views, frames: Sequence[int], tolerance: float) -> Steps[Cloud]:
    """Fuse the still parts of some frames to one surface.

    Args:
        views: All frames of the clip.
        frames: The frames to use, in order.
        tolerance: Relative difference in depth below which two frames see the same surface,
            where both are sure.
    """
    cloud: Cloud | None = None
    witnesses = Witnesses()
    for done, i in enumerate(frames):
        view = views[i]
        cloud = _add(cloud, view, tolerance)
        witnesses.add(view)
        yield Progress("fuse", done + 1, 2 * len(frames))
    assert cloud is not None  # The caller gives at least one frame.
    # Each disc goes to where all frames see it in the mean, and only then is it judged.
    cloud = dataclasses.replace(cloud, mean_m=cloud.mean_m + witnesses.ask(cloud, tolerance).shift_m)
    verdict = witnesses.ask(cloud, tolerance)
    cloud = cloud.painted(verdict.rgb)[verdict.contradiction <= 0.5 * verdict.support + 0.5]
    for view in witnesses.views:  # What was hidden by discs that went is open now.
        cloud = _close(cloud, view)
    return (yield from witnesses.sharpen(cloud, tolerance))


def _close(cloud: Cloud, view: View) -> Cloud:
    """Add the still pixels of a frame that no disc covers."""
    raster = native.rasterize(cloud.coated().splats(), view.K, view.world_from_cam, view.hw, view.time_s)
    return Cloud.concat([cloud, lift(view, (raster.alpha < 0.5) & ~dilate(view.moving, 2))])


def _add(cloud: Cloud | None, view: View, tolerance: float) -> Cloud:
    still = ~dilate(view.moving, 2)
    if cloud is None or len(cloud) == 0:
        return lift(view, still)
    raster = native.rasterize(cloud.coated().splats(), view.K, view.world_from_cam, view.hw, view.time_s)
    front = cloud.disc_of(raster.index)
    explained, wrong = _compare(cloud, raster, front, view, tolerance)
    fresh = lift(view, still & ~explained)
    gone = torch.zeros(len(cloud), dtype=torch.bool)
    gone[front[wrong & still]] = True
    return Cloud.concat([cloud[~gone], fresh])


def _compare(cloud: Cloud, raster: Raster, front: Tensor, view: View, tolerance: float) -> tuple[Tensor, Tensor]:
    """Which pixels the surface so far explains, and at which of them its front disc has to go."""
    covered = (raster.alpha > 0.7) & (raster.median_m > 0)
    model_sure = cloud.confidence[front]
    allowed = tolerance * (2 - torch.minimum(view.confidence, model_sure))
    away = raster.median_m / view.depth_m - 1
    # An outline may lie a pixel further in: what stands in front agrees if it does so one pixel aside. What
    # stands behind must agree itself, or the slivers that come into view frame by frame would never be added.
    nearest, farthest = -_highest(-raster.median_m), _highest(raster.median_m)
    outline = (away > 0) & ((nearest / view.depth_m - 1).abs() < allowed)
    agrees = covered & ((away.abs() < allowed) | outline)
    seen_through = covered & (farthest / view.depth_m - 1 < -1.5 * allowed) & (view.confidence > 0.8 * model_sure)
    # Who is much less sure gives way. Where neither is sure, the first one stays: one surface, not two.
    unsure = (view.confidence < 0.5) & (view.confidence <= 1.25 * model_sure) & (away.abs() < 3 * allowed)
    # And where the picture is right already, a second sheet would only be in the way.
    right = ((raster.rgb - view.rgb).abs().mean(-1) < ALIKE) & (view.confidence <= 1.25 * model_sure)
    defers = covered & ~agrees & (unsure | right | (view.confidence < 0.5 * model_sure))
    radius = cloud.scale_m[:, :2].prod(1).sqrt()[front]
    coarse = agrees & (radius * view.K[0, 0] / view.depth_m > COARSE * SIGMA_PX * _lean(view))
    return (agrees & ~coarse) | defers, coarse | (seen_through & ~defers)


def _highest(image: Tensor) -> Tensor:
    """The greatest value at or beside each pixel."""
    return torch.nn.functional.max_pool2d(image[None, None], 3, 1, 1)[0, 0]


def _lean(view: View) -> Tensor:
    """How much larger the patch of surface in a pixel is than if it faced the camera, [h, w]."""
    area = torch.linalg.cross(view.surface.step_x_m, view.surface.step_y_m).norm(dim=-1)
    return (area.sqrt() * view.K[0, 0] / view.depth_m).clamp(min=1)
