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
from fourd.fuse.harm import without_worst
from fourd.fuse.sharpen import REACH
from fourd.fuse.static import lift
from fourd.fuse.views import View
from fourd.geometry import clock
from fourd.native.fusion import Planes
from fourd.types import INVENTED, Cameras, Splats

UNCHANGED_DB = 55.5
"""It is enough if filmed pixels change by less than this, over all pictures together."""

_ROUNDS = 10
"""At most so often splats go, and the pictures are compared again: behind what goes, something else may show."""

_BEARABLE_DB = 50.0
"""By less than this is enough once ``_GONE`` of the splats went. In small pictures, and where depth is poor, outlines
are a large part of all pixels, and what is behind shines through them, which was black."""

_GONE = 0.03
"""Share of the splats."""

_CLOSER = 0.15
"""Weight of a change that brings a pixel closer to what was filmed. Outlines fade to black where nothing is behind."""

_COMPARED = 48
"""At most so many pictures are compared, evenly spread."""

_MORE = 0.6
"""To bring the change down to a share, what causes all but so much of that share goes."""

COVERED = 0.5
"""Pixels covered more were filmed; as ``Frames.hole``."""

FAINTEST = 0.9 / 255
"""Splats of less opacity than 1/255 are not drawn; a little less, so that rounding decides nothing."""

REACH_SIGMA = 4.0
"""A splat is fainter than 1/255 from 3.33 standard deviations on."""

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
    """Let go of the invented splats that change filmed pixels, those that change them most first.

    How much a splat changes pictures is the derivative of their squared change by its opacity, times its opacity. What
    little of a ground shines through the same ground does no harm, and stays.

    Args:
        splats: What was filmed.
        invented: What is to be added.
        cameras: Those that filmed.
        filmed: What they filmed.
    """
    picked = clock.spread(len(cameras), _COMPARED)
    cameras, film = cameras[picked], filmed[picked]
    lasts = torch.isinf(splats.duration_s)
    still, passing = splats[lasts], splats[~lasts]
    alive = [torch.nonzero(_lives(passing, float(t)))[:, 0] for t in cameras.time_s]
    before = [_draw(Splats.concat([still, passing[alive[i]]]), cameras, i) for i in range(len(cameras))]
    pixels = sum(int((had.alpha > COVERED).sum()) for had in before)
    budget, bearable = (3 * pixels * 10 ** (-limit / 10) for limit in (UNCHANGED_DB, _BEARABLE_DB))
    count, changes = len(invented), [math.inf] * len(before)
    for k in range(_ROUNDS):
        harm = torch.zeros(len(invented))
        for i, had in enumerate(before):
            if changes[i] > budget / len(before) / 2:  # Pictures that hardly change are not drawn again.
                at = torch.nonzero(_near_view(invented, cameras, i))[:, 0]
                around = Splats.concat([still, passing[alive[i]]])
                changes[i], by_splat = _harm(around, invented[at], cameras, i, had, film[i])
                harm[at] += by_splat
            yield Progress("inpaint", k * len(cameras) + i + 1, _ROUNDS * len(cameras))
        change = sum(changes)
        enough = bearable if len(invented) <= (1 - _GONE) * count else budget
        if change <= enough:
            yield Progress("inpaint", 1, 1)
            break
        most = math.ceil(_GONE * count) if change <= bearable else None
        invented = without_worst(invented, harm, _MORE * budget / change, most)
    return invented


def _harm(
    splats: Splats, invented: Splats, cameras: Cameras, i: int, before: native.Picture, film: Tensor
) -> tuple[float, Tensor]:
    """How much one filmed picture changes, summed squares, and how much of it goes with each splat if it goes."""
    opacity = invented.opacity.clone().requires_grad_(True)
    both = Splats.concat([splats, invented.replace(opacity=opacity)])
    after = _draw(both, cameras, i).rgb
    there = before.alpha > COVERED
    truth = film[there].float() / 255
    worse = (after.detach()[there] - truth).square() - (before.rgb[there] - truth).square()
    change = (after - before.rgb)[there].square()
    (by_opacity,) = torch.autograd.grad((change * torch.where(worse > 0, 1.0, _CLOSER)).sum(), opacity)
    return float(change.detach().sum()), (by_opacity * invented.opacity).clamp(min=0)


def _lives(splats: Splats, time_s: float) -> Bool[Tensor, " n"]:
    """Which can be seen at a moment: most that move live at others."""
    age = (time_s - splats.time_s) / splats.duration_s
    return splats.opacity * torch.exp(-age.square() / 2) > FAINTEST


def _near_view(splats: Splats, cameras: Cameras, i: int) -> Bool[Tensor, " n"]:
    """Which still splats may reach into a picture; those that do not are not drawn."""
    pose, K, (h, w) = cameras.world_from_cam[i], cameras.K[i], cameras.hw
    place = (splats.mean_m - pose[:3, 3]) @ pose[:3, :3]
    # A pixel more to each side: what is drawn is widened by a fraction of one.
    corners = torch.tensor([[-1.0, -1.0], [w + 1.0, -1.0], [w + 1.0, h + 1.0], [-1.0, h + 1.0]])
    y = (corners[:, 1] - K[1, 2]) / K[1, 1]
    x = (corners[:, 0] - K[0, 2] - K[0, 1] * y) / K[0, 0]
    ray = torch.stack([x, y, torch.ones(4)], 1)
    inwards = torch.nn.functional.normalize(torch.linalg.cross(ray, ray.roll(-1, 0)), dim=1)
    return ((place @ inwards.mT).amin(1) > -REACH_SIGMA * splats.scale_m.amax(1)) & (place[:, 2] > 0)


def _draw(splats: Splats, cameras: Cameras, i: int) -> native.Picture:
    return native.draw(splats, cameras.K[i], cameras.world_from_cam[i], cameras.hw, float(cameras.time_s[i]))
