"""What was made up becomes splats: marked as invented, and never where a camera would see it."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float32, UInt8
from torch import Tensor

from fourd import native
from fourd.checked import checked
from fourd.events import Progress, Steps
from fourd.fuse.cloud import OPACITY, Cloud
from fourd.fuse.harm import worst
from fourd.fuse.sharpen import REACH
from fourd.fuse.static import lift
from fourd.fuse.views import View
from fourd.geometry import clock
from fourd.native.fusion import Planes
from fourd.types import INVENTED, SH_C0, Cameras, Splats

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

_COMPARED = 24
"""At most so many pictures are compared, evenly spread."""

_THIN = 0.985
"""Where a filmed picture is covered less, what lies behind would show."""

_BEHIND = 4.0
"""So far behind what they keep dark are blinds, in its longest axes."""

_DARK_DB = 62.0
"""Blinds that filmed things stand behind darken these; pictures change by less than this for them."""

_IDLE = 0.02
"""Blinds that together bring less than this share of what all bring go."""

_FAINT = 0.1
"""By so much of their opacity splats that were made up hide each other where it is asked which of them may show."""

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
    little of a ground shines through the same ground does no harm, and stays. Through outlines shines what is not
    alike; these get blinds.

    Args:
        splats: What was filmed.
        invented: What is to be added.
        cameras: Those that filmed.
        filmed: What they filmed.

    Returns:
        What is left of ``invented``, and after it the blinds.
    """
    if len(invented) == 0:
        return invented
    picked = clock.spread(len(cameras), _COMPARED)
    shots = [_Shot(splats, cameras[k : k + 1], filmed[k]) for k in picked.tolist()]
    pixels, count = sum(shot.pixels for shot in shots), len(invented)
    budget, bearable, dark = (3 * pixels * 10 ** (-db / 10) for db in (UNCHANGED_DB, _BEARABLE_DB, _DARK_DB))
    made = Splats.concat([invented, *_blinds(splats, shots)])
    blinds = torch.arange(len(made)) >= count
    for shot in shots:
        shot.meet(splats, made)
    stays = ~blinds
    if len(made) > count:
        harm = torch.stack([shot.harm(splats, made, blinds) for shot in shots]).sum(0).clamp(min=0)
        gone = worst(harm[count:], dark / max(float(harm.sum()), 1e-12))
        stays = torch.ones_like(blinds).index_fill(0, count + gone, False)
    for k in range(_ROUNDS):
        harm = torch.zeros(len(made))
        for i, shot in enumerate(shots):
            if k == 0 or shot.change > budget / len(shots) / 2:  # Pictures that hardly change are not drawn again.
                harm += shot.harm(splats, made, stays)
            yield Progress("inpaint", k * len(shots) + i + 1, _ROUNDS * len(shots))
        if k == 0 and len(made) > count:
            useful = worst(-harm[count:].clamp(max=0), _IDLE)
            stays[count:] &= torch.zeros_like(stays[count:]).index_fill(0, useful, True)
        change, left = sum(shot.change for shot in shots), torch.nonzero(stays & ~blinds)[:, 0]
        enough = bearable if len(left) <= (1 - _GONE) * count else budget
        if change <= enough or len(left) == 0:
            yield Progress("inpaint", 1, 1)
            break
        most = math.ceil(_GONE * count) if change <= bearable else None
        stays[left[worst(harm[left].clamp(min=0), _MORE * budget / change, most)]] = False
    return made[stays]


def _blinds(splats: Splats, shots: list[_Shot]) -> list[Splats]:
    """Black copies, a little behind, of the still splats at outlines through which light would shine.

    Before nothing they change no picture; where something is made up behind an outline they keep it from shining
    through.
    """
    taken, parts = torch.isfinite(splats.duration_s), []
    for shot in shots:
        new = shot.thin[~taken[shot.thin]]
        taken[new] = True
        edge = splats[new]
        ray = torch.nn.functional.normalize(edge.mean_m - shot.centre_m, dim=1)
        black = torch.zeros_like(edge.colour)
        black[:, 0] = -0.5 / SH_C0
        parts.append(
            edge.replace(
                mean_m=edge.mean_m + _BEHIND * edge.scale_m.amax(1, keepdim=True) * ray,
                opacity=torch.full_like(edge.opacity, OPACITY),
                colour=black,
                source=torch.full_like(edge.source, INVENTED),
            )
        )
    return parts


class _Shot:
    """A filmed picture as it was drawn before anything was made up, and which splats may show in it."""

    def __init__(self, splats: Splats, camera: Cameras, film: Tensor) -> None:
        self._camera = camera
        self._at = camera.K[0], camera.world_from_cam[0], camera.hw, float(camera.time_s[0])
        there = torch.nonzero(_lives(splats, self._at[3]) & _near_view(splats, camera))[:, 0]
        # What is hidden already takes no part, whatever is laid before it, and the picture keeps its bits.
        self.filmed = there[native.contribution(splats[there], *self._at).weight > 0]
        around = splats[self.filmed]
        drawn = native.rasterize(around, *self._at)
        self._before, self._seen = drawn.rgb, drawn.alpha > COVERED
        self._truth = film[self._seen].float() / 255
        self.thin = self.filmed[drawn.index[self._seen & (drawn.alpha < _THIN)].long().unique()]
        self.made, self.change = self.filmed[:0], 0.0

    def meet(self, splats: Splats, made: Splats) -> None:
        """Find out which of the splats that were made up may show in the picture."""
        near = torch.nonzero(_near_view(made, self._camera))[:, 0]
        # What is made up before it may go; so whatever it does not hide wholly counts.
        faint = made[near].replace(opacity=_FAINT * made.opacity[near])
        weight = native.contribution(Splats.concat([splats[self.filmed], faint]), *self._at).weight
        self.made = near[weight[len(self.filmed) :] > 0]

    @property
    def pixels(self) -> int:
        """How many of its pixels were filmed."""
        return len(self._truth)

    @property
    def centre_m(self) -> Tensor:
        """Where the camera stands."""
        return self._camera.centre_m[0]

    def harm(self, splats: Splats, made: Splats, stays: Tensor) -> Tensor:
        """How much of the picture's change, summed squares, goes with each splat that was made up if that goes.

        Args:
            splats: What was filmed.
            made: What was made up.
            stays: Which of that is there.

        Returns:
            One for each splat of ``made``; less than 0 if the picture changed more without it, 0 if it is not there.
        """
        at = self.made[stays[self.made]]
        new = made[at]
        opacity = new.opacity.clone().requires_grad_(True)
        after = native.draw(Splats.concat([splats[self.filmed], new.replace(opacity=opacity)]), *self._at).rgb
        worse = (after.detach()[self._seen] - self._truth).square() - (self._before[self._seen] - self._truth).square()
        change = (after - self._before)[self._seen].square()
        (slope,) = torch.autograd.grad((change * torch.where(worse > 0, 1.0, _CLOSER)).sum(), opacity)
        self.change = float(change.detach().sum())
        return torch.zeros(len(made)).index_add(0, at, slope * new.opacity)


def _lives(splats: Splats, time_s: float) -> Bool[Tensor, " n"]:
    """Which can be seen at a moment: most that move live at others."""
    age = (time_s - splats.time_s) / splats.duration_s
    return splats.opacity * torch.exp(-age.square() / 2) > FAINTEST


def _near_view(splats: Splats, camera: Cameras) -> Bool[Tensor, " n"]:
    """Which splats may reach into the picture of one camera; those that do not are not drawn."""
    pose, K, (h, w) = camera.world_from_cam[0], camera.K[0], camera.hw
    moved = splats.mean_m + splats.velocity_mps * (float(camera.time_s[0]) - splats.time_s)[:, None]
    place = (moved - pose[:3, 3]) @ pose[:3, :3]
    # A pixel more to each side: what is drawn is widened by a fraction of one.
    corners = torch.tensor([[-1.0, -1.0], [w + 1.0, -1.0], [w + 1.0, h + 1.0], [-1.0, h + 1.0]])
    y = (corners[:, 1] - K[1, 2]) / K[1, 1]
    x = (corners[:, 0] - K[0, 2] - K[0, 1] * y) / K[0, 0]
    ray = torch.stack([x, y, torch.ones(4)], 1)
    inwards = torch.nn.functional.normalize(torch.linalg.cross(ray, ray.roll(-1, 0)), dim=1)
    return ((place @ inwards.mT).amin(1) > -REACH_SIGMA * splats.scale_m.amax(1)) & (place[:, 2] > 0)
