"""Fusion: pictures, depth, cameras and motion become splats.

frames ──> static.fuse ──> one still surface ──> sight.cleared ──┐
   └─────> what it does not explain ──> rims.unmixed ──> moving.at ──> short-lived splats ──> Splats
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from fourd import native
from fourd.events import Progress, Steps
from fourd.fuse import moving, rims, sight, static
from fourd.fuse.agreement import disagreement
from fourd.fuse.views import View, Views
from fourd.geometry import clock
from fourd.geometry.masks import grown
from fourd.types import Cameras, Clip, DepthMaps, Motion, Splats

_SEEN = 0.03
"""Difference of colour (0 to 1) from which what lies behind a rim is shown in its own light."""


@dataclass(frozen=True)
class FuseConfig:
    """How finely to fuse."""

    keyframes: int = 32
    """At most so many frames build the still surface, evenly spread."""
    moving_splats: int = 1_000_000
    """At most about so many short-lived splats; beyond that fewer keyframes give them."""
    unexplained: float = 0.08
    """Difference of colour (0 to 1), over a few pixels, from which a still pixel is shown in its own light."""


def fuse(
    clip: Clip, maps: DepthMaps, cameras: Cameras, motion: Motion, config: FuseConfig = FuseConfig()
) -> Steps[Splats]:
    """Fuse a clip to splats.

    Args:
        clip: The pictures.
        maps: Depth for each, of any size; what is unknown is completed from its surroundings.
        cameras: One for each picture.
        motion: What moves on its own, and how.
        config: How finely.

    Returns:
        Still splats (``duration_s`` infinite) and moving ones, in the world of ``cameras``.
    """
    views = Views(clip, maps, cameras, motion)
    keys = clock.spread(len(clip), config.keyframes).tolist()
    tolerance = disagreement(views, keys)
    views.settle(tolerance)
    cloud = yield from static.fuse(views, keys, tolerance)
    still = cloud.coated().splats()
    if len(clip) == 1:
        return still
    still = yield from sight.cleared(still, views, keys, tolerance, config.unexplained)
    return Splats.concat([still, *(yield from _momentary(views, still, clip, tolerance, config))])


def _momentary(views: Views, still: Splats, clip: Clip, tolerance: float, config: FuseConfig) -> Steps[list[Splats]]:
    """Keyframes of short-lived splats, as many as the budget allows."""
    probed = {i: _unexplained(views[i], still, tolerance, config) for i in clock.spread(len(clip), 8).tolist()}
    share = sum(int(left.wanted.sum()) for left in probed.values()) / len(probed)
    stride = max(1, -(-int(share * len(clip)) // config.moving_splats))
    frames = clock.spread(len(clip), -(-len(clip) // stride)).tolist()
    gap_s = float(clip.time_s[-1] - clip.time_s[0]) / max(1, len(frames) - 1)
    parts = []
    for done, i in enumerate(frames):
        left = probed[i] if i in probed else _unexplained(views[i], still, tolerance, config)
        if bool(left.wanted.any()):
            parts.append(moving.at(views, left, gap_s))
        yield Progress("fuse", done + 1, len(frames))
    return parts


def _unexplained(view: View, still: Splats, tolerance: float, config: FuseConfig) -> moving.Left:
    """What of a frame the still surface does not show as it was filmed."""
    raster = native.rasterize(still, view.K, view.world_from_cam, view.hw, view.time_s)
    # The mean over a few pixels: a texture half a pixel aside is no other light.
    off = torch.nn.functional.avg_pool2d((raster.rgb - view.rgb).permute(2, 0, 1), 5, 1, 2, count_include_pad=False)
    wanted = grown(view.moving, 2) | (raster.alpha < 0.6) | (off.abs().mean(0) > config.unexplained)
    there = (raster.alpha > 0.6) & ((raster.median_m / view.depth_m - 1).abs() < 2 * tolerance)
    pure, mixed = rims.unmixed(view, there)
    view = view._replace(frame_rgb=pure)
    wanted &= ~mixed | ((raster.rgb - view.rgb).abs().mean(-1) > _SEEN)
    return moving.Left(view, wanted, wanted & there & (mixed | ~view.moving))
