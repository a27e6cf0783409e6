"""From a depth map to the little discs that tile its surface: points, tangents, covariance."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from fourd.checked import checked
from fourd.geometry import pinhole, rigid

STEEPEST = 5.0
"""Steepest slope that a disc follows, as the tangent of the angle between surface and picture plane."""

THICKNESS = 0.1
"""Thickness of a disc along its normal, as a share of its smaller radius."""


class Surface(NamedTuple):
    """What one frame saw, in the frame of its camera."""

    point_m: Float[Tensor, "h w 3"]
    step_x_m: Float[Tensor, "h w 3"]
    """From a pixel's point to where the surface is one pixel further right."""
    step_y_m: Float[Tensor, "h w 3"]
    edge: Bool[Tensor, "h w"]
    """True where the depth jumps beside the pixel."""


@checked
def surface(depth_m: Float[Tensor, "h w"], K: Float[Tensor, "3 3"], jump: float = 0.05) -> Surface:
    """Lift a depth map and find how its surface leans, without ever leaning across a jump.

    The slope of a pixel is that towards whichever of its two neighbours lies nearer in depth, so that
    at an occlusion boundary it follows its own side. Where both neighbours jump away (a thread, a
    wire) the disc faces the camera.

    Args:
        depth_m: Positive and finite everywhere.
        K: Intrinsics in pixels of the map.
        jump: Relative change of depth from pixel to pixel that is a boundary and not a slope,
            unless the surface leans that much already.
    """
    h, w = depth_m.shape
    ray = pinhole.rays(K, (h, w))
    slope_x, edge_x = _slope(depth_m, 1, jump, float(K[0, 0]))
    slope_y, edge_y = _slope(depth_m, 0, jump, float(K[1, 1]))
    step_x = ray * slope_x[..., None]
    step_x[..., 0] += depth_m / K[0, 0]
    step_y = ray * slope_y[..., None]
    step_y[..., 1] += depth_m / K[1, 1]
    return Surface(ray * depth_m[..., None], step_x, step_y, edge_x | edge_y)


def _slope(z: Tensor, axis: int, jump: float, focal_px: float) -> tuple[Tensor, Tensor]:
    """Change of depth a pixel along an axis, one-sided, and where the depth jumps.

    Differences are taken of inverse depth, which is linear on a plane, so that a plane's slope is exact.
    """
    if z.shape[axis] == 1:
        return torch.zeros_like(z), torch.zeros_like(z, dtype=torch.bool)
    step = (1 / z).diff(dim=axis)
    first, last = step.narrow(axis, 0, 1), step.narrow(axis, step.shape[axis] - 1, 1)
    before = torch.cat([first, step], axis) * z
    after = torch.cat([step, last], axis) * z
    share = torch.where(before.abs() < after.abs(), before, after)
    # A leaning surface changes by a similar amount on both sides; a boundary only on one.
    widest = torch.maximum(before.abs(), after.abs())
    edge = (widest > jump) & (widest > 2.5 * share.abs())
    limit = STEEPEST / focal_px
    lost = share.abs() > max(limit, jump)
    return torch.where(lost, 0.0, -z * share.clamp(-limit, limit)), edge | lost


@checked
def flat(depth_m: Float[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
    """Where the depth does not jump within two pixels, so that half a pixel of error is no contradiction."""
    z = depth_m[None, None]
    low, high = -F.max_pool2d(-z, 5, 1, 2), F.max_pool2d(z, 5, 1, 2)
    return (high < 1.15 * low)[0, 0]


@checked
def discs(
    step_x_m: Float[Tensor, "n 3"], step_y_m: Float[Tensor, "n 3"], sigma_px: float
) -> tuple[Float[Tensor, "n 4"], Float[Tensor, "n 3"]]:
    """Gaussians that cover one pixel's patch of surface: rotation (wxyz) and scale.

    The covariance is ``sigma_px**2 (a a^T + b b^T)`` with the steps a and b, plus a thin normal. Its
    axes come in closed form: those of the 2x2 Gram matrix of a and b, carried to space.

    Args:
        step_x_m: Surface step per pixel to the right.
        step_y_m: Surface step per pixel downwards.
        sigma_px: Standard deviation in pixels of the source picture.
    """
    aa, bb = (step_x_m**2).sum(-1), (step_y_m**2).sum(-1)
    ab = (step_x_m * step_y_m).sum(-1)
    angle = 0.5 * torch.atan2(2 * ab, aa - bb)
    c, s = torch.cos(angle)[:, None], torch.sin(angle)[:, None]
    first, second = c * step_x_m + s * step_y_m, c * step_y_m - s * step_x_m
    long = first.norm(dim=-1, keepdim=True).clamp(min=1e-12)
    short = second.norm(dim=-1, keepdim=True).clamp(min=1e-12)
    e1, e2 = first / long, second / short
    R = torch.stack([e1, e2, torch.linalg.cross(e1, e2)], -1)
    scale = sigma_px * torch.cat([long, short, THICKNESS * short], -1)
    return rigid.quat_from_matrix(R), scale
