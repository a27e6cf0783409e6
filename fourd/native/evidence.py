"""Ask all frames about all points of a surface: the operator ``fourd::evidence``."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from fourd.checked import checked
from fourd.native import loader

STILL, FLAT = 1, 2
"""Bits of ``flags``: nothing moves there or close by; no jump in depth close by."""


class Evidence(NamedTuple):
    """What the frames say of each point. Sums are weighted by the confidence of each frame's depth."""

    support: Float32[Tensor, " n"]
    """Frames that see a surface just there."""
    contradiction: Float32[Tensor, " n"]
    """Frames that see through it, to something behind."""
    rgb: Float32[Tensor, "n 3"]
    shift_m: Float32[Tensor, "n 3"]
    """From each point to where the supporting frames see it in the mean, each moving it along its own ray."""


_SCHEMA = (
    "(Tensor mean_m, Tensor radius_m, Tensor own_rgb, Tensor K, Tensor cam_from_world, Tensor rgb, Tensor depth_m,"
    " Tensor confidence, Tensor flags, float tolerance, float sigma_px, float same_colour)"
    " -> (Tensor, Tensor, Tensor, Tensor)"
)


@torch.library.custom_op("fourd::evidence", mutates_args=(), device_types="cpu", schema=_SCHEMA)
def _evidence(
    mean_m: Tensor,
    radius_m: Tensor,
    own_rgb: Tensor,
    K: Tensor,
    cam_from_world: Tensor,
    rgb: Tensor,
    depth_m: Tensor,
    confidence: Tensor,
    flags: Tensor,
    tolerance: float,
    sigma_px: float,
    same_colour: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    out = (torch.empty_like(radius_m), torch.empty_like(radius_m), torch.empty_like(own_rgb), torch.empty_like(mean_m))
    inputs = (mean_m, radius_m, own_rgb, K, cam_from_world, rgb, depth_m, confidence, flags)
    loader.cpu().evidence(
        *(x.contiguous().numpy() for x in inputs),
        tolerance,
        sigma_px,
        same_colour,
        *(x.numpy() for x in out),
        torch.get_num_threads(),
    )
    return out


@_evidence.register_fake
def _(
    mean_m: Tensor,
    radius_m: Tensor,
    own_rgb: Tensor,
    K: Tensor,
    cam_from_world: Tensor,
    rgb: Tensor,
    depth_m: Tensor,
    confidence: Tensor,
    flags: Tensor,
    tolerance: float,
    sigma_px: float,
    same_colour: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return torch.empty_like(radius_m), torch.empty_like(radius_m), torch.empty_like(own_rgb), torch.empty_like(mean_m)


@checked
def evidence(
    mean_m: Float32[Tensor, "n 3"],
    radius_m: Float32[Tensor, " n"],
    own_rgb: Float32[Tensor, "n 3"],
    K: Float32[Tensor, "v 3 3"],
    cam_from_world: Float32[Tensor, "v 4 4"],
    rgb: UInt8[Tensor, "v h w 3"],
    depth_m: Float32[Tensor, "v h w"],
    confidence: Float32[Tensor, "v h w"],
    flags: UInt8[Tensor, "v h w"],
    tolerance: float,
    sigma_px: float,
    same_colour: float,
) -> Evidence:
    """Ask every frame about every point.

    A frame supports a point whose depth agrees with its own within ``tolerance * (2 - confidence)``,
    relative; it contradicts a point that stands clearly in front of what it sees, unless a jump in depth is
    close by; it says nothing of a point behind what it sees. The colour is a mean over the supporting frames,
    in which frames that see the point finely count most, and colours far from the weighted median hardly.

    Args:
        mean_m: Points of the world.
        radius_m: How large a patch each stands for: the standard deviation of its disc.
        own_rgb: Colours, 0 to 1, of points that no frame supports.
        K: Intrinsics of the frames, in pixels.
        cam_from_world: Poses of the frames.
        rgb: Their pictures.
        depth_m: Their depth, positive and finite.
        confidence: Of the depth, 0 to 1.
        flags: ``STILL`` and ``FLAT``, or-ed.
        tolerance: Relative difference in depth below which two sure frames see one surface.
        sigma_px: Standard deviation of a disc in pixels of the frame that made it.
        same_colour: Distance in colour at which a sample's weight has fallen to 0.6.
    """
    return Evidence(
        *torch.ops.fourd.evidence(
            mean_m, radius_m, own_rgb, K, cam_from_world, rgb, depth_m, confidence, flags, tolerance, sigma_px,
            same_colour,
        )
    )  # fmt: skip
