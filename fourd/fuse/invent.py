"""What was made up becomes splats: marked as invented, and never where a camera would see it."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float32
from torch import Tensor

from fourd import native
from fourd.checked import checked
from fourd.events import Progress, Steps
from fourd.fuse.static import lift
from fourd.fuse.views import View
from fourd.native.fusion import Planes
from fourd.types import INVENTED, Cameras, Splats

SHOWS = 0.05
"""Greatest share of a filmed pixel that something invented may take before it goes."""

ROUNDS = 2
"""How often they are looked for: what goes may have hidden more of its kind, its undercoat above all."""


@checked
def invented(
    rgb: Float32[Tensor, "h w 3"], inverse_depth: Float32[Tensor, "h w"], wanted: Bool[Tensor, "h w"], camera: Cameras
) -> Splats:
    """Turn the wanted pixels of a picture into still splats, marked ``INVENTED``.

    Args:
        rgb: The picture, 0 to 1; what surrounds the wanted pixels counts for the undercoat's colours.
        inverse_depth: 1/m along the optical axis; positive at the wanted pixels. Discs take their slopes from it.
        wanted: Which pixels.
        camera: The one that sees them.
    """
    depth_m = 1 / inverse_depth.clamp(min=1e-9)
    planes = Planes.empty(camera.K, camera.world_from_cam, camera.hw)
    sure = torch.ones_like(depth_m)
    planes.fill(0, depth_m, sure, torch.ones(camera.hw, dtype=torch.uint8))
    view = View(
        frame=0,
        time_s=float(camera.time_s[0]),
        frame_rgb=(rgb.clamp(0, 1) * 255 + 0.5).to(torch.uint8),
        depth_m=depth_m,
        confidence=sure,
        moving=torch.zeros_like(wanted),
        K=camera.K[0],
        world_from_cam=camera.world_from_cam[0],
        edge=planes.edge[0],
    )
    splats = lift(view, wanted).coated().splats()
    return splats.replace(source=torch.full_like(splats.source, INVENTED))


def unobtrusive(splats: Splats, invented: Splats, cameras: Cameras) -> Steps[Splats]:
    """Keep the invented splats that no source camera sees before, or through, what it filmed.

    Args:
        splats: What was filmed.
        invented: What is to be added.
        cameras: Some of the cameras that filmed.
    """
    for round_ in range(ROUNDS):
        shows = torch.zeros(len(invented), dtype=torch.bool)
        both = Splats.concat([splats, invented])
        for i in range(len(cameras)):
            K, pose, time_s = cameras.K[i], cameras.world_from_cam[i], float(cameras.time_s[i])
            peak = native.contribution(both, K, pose, cameras.hw, time_s).peak[len(splats) :]
            shows |= peak > SHOWS
            yield Progress("inpaint", round_ * len(cameras) + i + 1, ROUNDS * len(cameras))
        invented = invented[~shows]
    return invented
