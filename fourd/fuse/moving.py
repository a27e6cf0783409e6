"""What moves, or what no still surface explains: splats that live for a moment and fly along.

Each keyframe gives its pixels as splats with a velocity and a short life. Neighbouring keyframes
cross-fade: half way between two of them both have faded to 0.6, and together they cover.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fourd.fuse.static import lift
from fourd.fuse.views import View, Views, pick
from fourd.geometry import pinhole
from fourd.types import Splats

LIFE = 0.5
"""Standard deviation of a life in time, in gaps between keyframes."""

SMOOTH_PX = 4.0
"""Velocities are averaged over this many pixels of the same thing: flow is sharper than depth is steady."""


class Left(NamedTuple):
    """What of a frame no still surface explains."""

    view: View
    wanted: Bool[Tensor, "h w"]
    """Which pixels."""
    glaze: Bool[Tensor, "h w"]
    """Which of those differ only in their light."""


def at(views: Views, left: Left, gap_s: float) -> Splats:
    """Turn what is left of a keyframe into splats that live about ``gap_s``.

    What differs from the still surface only in its light stands still and is laid on it like a glaze: a little nearer
    to the camera, so that it and not the surface is seen while it lives.

    Args:
        views: All frames.
        left: The pixels.
        gap_s: Seconds from keyframe to keyframe.
    """
    view, wanted, glaze = left
    cloud = lift(view, wanted)
    laid = glaze[wanted][:, None]
    cloud = dataclasses.replace(cloud, mean_m=cloud.mean_m - cloud.behind_m * laid)
    velocity = torch.where(laid, 0.0, _velocity(views, view, wanted)[wanted])
    velocity = torch.cat([velocity, velocity[cloud.backs]])
    cloud = cloud.coated()
    return cloud.splats(velocity, torch.full((len(cloud),), view.time_s), LIFE * gap_s)


def _velocity(views: Views, view: View, wanted: Tensor) -> Float[Tensor, "h w 3"]:
    """Metres a second in the world, from flow and the depth at both of its ends."""
    here = view.to_world(view.point_m)
    total, weight = torch.zeros_like(here), torch.zeros(view.hw)
    for j in (view.frame + 1, view.frame - 1):
        if not 0 <= j < len(views):
            continue
        flow, visible = views.flow(view.frame, forward=j > view.frame)
        velocity, usable = _towards(view, views[j], here, flow, visible & wanted)
        total += velocity * usable[..., None]
        weight += usable
    # What moves is averaged with what moves, and its surroundings with each other.
    moves = view.moving
    return torch.where(moves[..., None], _mean(total, weight * moves), _mean(total, weight * ~moves))


def _mean(total: Tensor, weight: Tensor) -> Tensor:
    """Mean over the pixels around, of those with a weight; zero where there is none."""
    share = _blur(weight)
    smooth = _blur(total * (weight > 0)[..., None])
    return torch.where((share > 1e-3)[..., None], smooth / share.clamp(min=1e-3)[..., None], 0.0)


def _towards(view: View, there: View, here: Tensor, flow: Tensor, usable: Tensor) -> tuple[Tensor, Tensor]:
    xy = (pinhole.pixel_grid(view.hw) + flow).reshape(-1, 2)
    h, w = view.hw
    inside = (xy >= 0).all(-1) & (xy[:, 0] < w) & (xy[:, 1] < h)
    depth = pick(there.depth_m, xy)
    y = (xy[:, 1] - there.K[1, 2]) / there.K[1, 1]
    x = (xy[:, 0] - there.K[0, 2]) / there.K[0, 0]
    landed = there.to_world(torch.stack([x, y, torch.ones_like(x)], -1) * depth[:, None]).reshape(h, w, 3)
    step = landed - here
    # Nothing crosses a tenth of its distance from frame to frame: that is flow that slipped off an edge.
    usable = usable & inside.reshape(h, w) & (step.norm(dim=-1) < 0.1 * view.depth_m)
    return step / (there.time_s - view.time_s), usable.float()


def _blur(image: Tensor) -> Tensor:
    """Two box filters, nearly a Gaussian of ``SMOOTH_PX``, of an image [h, w] or [h, w, c] with nothing around it."""
    import cv2

    side, smooth = 2 * round(SMOOTH_PX * 0.85) + 1, image.contiguous().numpy()
    for _ in range(2):
        smooth = cv2.boxFilter(smooth, -1, (side, side), borderType=cv2.BORDER_CONSTANT)
    return torch.from_numpy(smooth)
