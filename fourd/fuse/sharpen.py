"""Colours with which the filmed pictures come back as they were filmed."""

from __future__ import annotations

import dataclasses

import torch

from fourd import native
from fourd.events import Progress, Steps
from fourd.fuse.cloud import Cloud
from fourd.fuse.keyframes import Keyframes

REACH = 0.15
"""How far sharpening may take a colour from the one that was filmed."""

ENOUGH = 16
"""Frames that are drawn again in each round; more see nothing that these do not."""


def sharpen(cloud: Cloud, keys: Keyframes, tolerance: float, rounds: int = 2) -> Steps[Cloud]:
    """Give the discs the colours with which the frames, drawn again, come out as they were filmed.

    Discs overlap, so a disc drawn in the colour of its own pixel comes out blurred. Each round draws frames
    and adds to each disc what its pixels lack (iterative back-projection: Irani and Peleg, 1991).

    Args:
        cloud: The discs.
        keys: The frames they come from.
        tolerance: Relative difference in depth below which a frame sees a disc.
        rounds: How often.
    """
    filmed = cloud.rgb
    some = keys.every(-(-len(keys.views) // ENOUGH))
    for done in range(rounds):
        splats = cloud.coated().splats()
        lacks, sure = [], []
        for k, view in enumerate(some.views):
            raster = native.rasterize(splats, view.K, view.world_from_cam, view.hw, view.time_s)
            lacks.append(((view.rgb - raster.rgb).clamp(-1, 1) * 127 + 128.5).to(torch.uint8))
            whole = (raster.alpha > 0.9) & ((raster.median_m / view.depth_m - 1).abs() < 2 * tolerance)
            sure.append(some.planes.sure[k] * whole)
        nothing = dataclasses.replace(cloud, rgb=torch.full_like(cloud.rgb, 128 / 255))
        lack = some.saying(torch.stack(lacks), torch.stack(sure)).ask(nothing, tolerance).rgb
        better = cloud.rgb + (lack * 255 - 128) / 127
        # Where discs hide each other no colour of theirs makes up for it, and none may run away trying.
        cloud = cloud.painted(torch.minimum(torch.maximum(better, filmed - REACH), filmed + REACH).clamp(0, 1))
        yield Progress("fuse", (3 * rounds + done + 1) * len(keys.views) // rounds, 4 * len(keys.views))
    return cloud
