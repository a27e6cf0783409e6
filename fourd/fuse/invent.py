"""What was made up becomes splats: marked as invented, and never where a camera would see it."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float32, UInt8
from torch import Tensor

from fourd import native
from fourd.checked import checked
from fourd.events import Progress, Steps
from fourd.fuse.cloud import Cloud
from fourd.fuse.sharpen import REACH
from fourd.fuse.static import lift
from fourd.fuse.views import View
from fourd.geometry import clock, survey
from fourd.native.fusion import Planes
from fourd.types import INVENTED, Cameras, Splats

PLAIN = 3e-3
"""What takes more of a filmed picture than this goes at once. Counted in pixels: greatest share times sum of shares."""

FAINT = (1e-3, 7e-4, 5e-4, 3e-4, 2e-4, 1e-4, 5e-5, 2e-5, 1e-5, 3e-6)
"""Then what takes more than the first of these; if filmed pixels still change too much, more than the next."""

UNCHANGED_DB = 56.0
"""It is enough if filmed pixels change by less than this over all pictures that are compared, or if they come no less
close to what was filmed. Where depth is poor, splats let what is behind them shine through, and that was black."""

_COMPARED = 6
"""Pictures that are compared."""

_RIM = 2
"""Width in pixels of the rim of a filmed picture, where its splats end."""

_SHARPENED = 2
"""How often a filled picture is drawn again to sharpen its discs."""


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
    splats = _sharp(lift(view, wanted), rgb, wanted, camera).coated().splats()
    return splats.replace(source=torch.full_like(splats.source, INVENTED))


def _sharp(cloud: Cloud, rgb: Tensor, wanted: Tensor, camera: Cameras) -> Cloud:
    """The discs of the wanted pixels in the colours with which the picture comes back as it is (see ``sharpen``)."""
    had = cloud.rgb
    for _ in range(_SHARPENED if len(cloud) else 0):
        drawn = native.rasterize(
            cloud.coated().splats(), camera.K[0], camera.world_from_cam[0], camera.hw, float(camera.time_s[0])
        )
        lack = torch.where((drawn.alpha > 0.9)[..., None], rgb - drawn.rgb, 0.0)[wanted]
        better = cloud.rgb + lack
        cloud = cloud.painted(torch.minimum(torch.maximum(better, had - REACH), had + REACH).clamp(0, 1))
    return cloud


def unobtrusive(splats: Splats, invented: Splats, cameras: Cameras, filmed: UInt8[Tensor, "t h w 3"]) -> Steps[Splats]:
    """Keep the invented splats that no source camera sees before, or through, what it filmed.

    Args:
        splats: What was filmed.
        invented: What is to be added.
        cameras: Some of the cameras that filmed.
        filmed: What they filmed.
    """
    takes = yield from _takes(splats, invented, cameras, 0)
    invented = invented[takes < PLAIN]
    # What went hid more of its kind, its undercoat above all.
    takes = yield from _takes(splats, invented, cameras, 1)
    picked = clock.spread(len(cameras), _COMPARED)
    compared, truth = cameras[picked], list(filmed[picked].float() / 255)
    before = [_draw(splats, compared, i) for i in range(len(compared))]
    covered = [had.alpha > 0.5 for had in before]
    close_db = _alike_db([had.rgb for had in before], truth, covered)
    kept = invented
    for limit in FAINT:
        kept = invented[takes < limit]
        both = Splats.concat([splats, kept])
        after = [_draw(both, compared, i).rgb for i in range(len(compared))]
        if _alike_db(after, truth, covered) >= close_db:
            break
        if _alike_db(after, [had.rgb for had in before], covered) > UNCHANGED_DB:
            break
    return kept


def _takes(splats: Splats, invented: Splats, cameras: Cameras, round_: int) -> Steps[Tensor]:
    """How much of the pictures, without their rims, each invented splat takes where it takes most.

    Filmed splats end with the picture, so that at its rim half a pixel of black shines in from outside. What was made
    up there belongs there.
    """
    takes = torch.zeros(len(invented))
    both = Splats.concat([splats, invented])
    cameras = _inner(cameras)
    for i in range(len(cameras)):
        K, pose, time_s = cameras.K[i], cameras.world_from_cam[i], float(cameras.time_s[i])
        said = native.contribution(both, K, pose, cameras.hw, time_s)
        takes = torch.maximum(takes, (said.peak * said.weight)[len(splats) :])
        yield Progress("inpaint", round_ * len(cameras) + i + 1, 2 * len(cameras))
    return takes


def _inner(cameras: Cameras) -> Cameras:
    """The same cameras without the outermost ``_RIM`` pixels, where that leaves any."""
    return survey.wider(cameras, -_RIM) if min(cameras.hw) > 2 * _RIM else cameras


def _draw(splats: Splats, cameras: Cameras, i: int) -> native.Picture:
    return native.draw(splats, cameras.K[i], cameras.world_from_cam[i], cameras.hw, float(cameras.time_s[i]))


def _alike_db(some: list[Tensor], others: list[Tensor], parts: list[Tensor]) -> float:
    """Peak signal-to-noise ratio over parts of all pictures together."""
    error = torch.cat([(a - b)[part] for a, b, part in zip(some, others, parts, strict=True)]).double().square()
    return -10 * math.log10(max(float(error.mean()), 1e-12)) if len(error) else math.inf
