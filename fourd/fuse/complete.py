"""A depth for every pixel: what is unknown takes the depth of what surrounds it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from fourd.checked import checked

CONTRAST = 0.08
"""Difference of colour (0 to 1) across which depth hardly spreads."""


SPECKLE = 0.003
"""Patches of depth smaller than this share of the picture are not believed, unless they are sure."""

SPECKLE_STEP = 0.06
"""Relative change of depth between neighbouring pixels that parts one patch from the next."""

SURE = 0.9
"""Confidence from which a pixel is never taken for a speckle."""


@checked
def without_speckles(depth_m: Float[Tensor, "h w"], confidence: Float[Tensor, "h w"]) -> Float[Tensor, "h w"]:
    """The confidence, set to 0 in small patches whose depth agrees with nothing around them.

    A speckle of wrong depth is invisible from the source camera and tears a hole from everywhere else.

    Args:
        depth_m: Positive and finite where ``confidence`` is above 0.
        confidence: 0 to 1; pixels of at least ``SURE`` keep theirs.
    """
    import cv2

    if bool((confidence >= SURE).all()):
        return confidence
    steps = 1000.0  # Depth is compared on a logarithmic scale, in thousandths.
    levels = (depth_m.clamp(min=1e-6).log() * steps).clamp(-16000, 16000).to(torch.int16).numpy().copy()
    lost = 32767
    cv2.filterSpeckles(levels, lost, int(SPECKLE * levels.size), round(SPECKLE_STEP * steps))
    speckle = torch.from_numpy(levels == lost)
    return torch.where(speckle & (confidence < SURE), 0.0, confidence)


@checked
def complete(
    depth_m: Float[Tensor, "h w"], confidence: Float[Tensor, "h w"], rgb: UInt8[Tensor, "h w 3"], far_m: float
) -> Float[Tensor, "h w"]:
    """Fill the pixels of confidence 0 from their surroundings, in inverse depth.

    A pyramid carries known values into the holes, coarse to fine (pull-push: Gortler and others, 1996),
    and smooths them a little at each level; then sweeps of diffusion that are held back where the colour
    changes draw the borders along the picture's own edges. Known pixels stay exactly as they are.

    Args:
        depth_m: Positive and finite where ``confidence`` is above 0.
        confidence: 0 where the depth is unknown.
        rgb: The picture that guides the filling.
        far_m: The depth of everything, if nothing at all is known.
    """
    known = confidence > 0
    if bool(known.all()):
        return depth_m
    if not bool(known.any()):
        return torch.full_like(depth_m, far_m)
    inverse = torch.where(known, 1 / depth_m.clamp(min=1e-6), 0.0)
    filled = torch.where(known, inverse, _pull_push(inverse, known.float()))
    return torch.where(known, depth_m, 1 / _diffuse(filled, known, rgb.float() / 255, 40).clamp(min=1 / far_m))


def _pull_push(values: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean over ever larger squares, each hole filled from the finest level that knows it."""
    if bool((weight > 0).all()) or min(values.shape) < 2:
        return values / weight.clamp(min=1e-12)
    small = F.avg_pool2d((values * weight)[None, None], 2, ceil_mode=True)[0, 0]
    small_weight = F.avg_pool2d(weight[None, None], 2, ceil_mode=True)[0, 0]
    mean = torch.where(small_weight > 0, small / small_weight.clamp(min=1e-12), 0.0)
    coarse = _pull_push(mean, (small_weight > 0).float())
    up = F.interpolate(coarse[None, None], values.shape, mode="bilinear", align_corners=False)[0, 0]
    return _diffuse(torch.where(weight > 0, values, up), weight > 0, None, 16)


def _diffuse(values: Tensor, known: Tensor, rgb: Tensor | None, sweeps: int) -> Tensor:
    """Let the unknown pixels settle between their neighbours; with a picture, hardly across edges of colour."""
    right, down = torch.ones_like(values[:, 1:]), torch.ones_like(values[1:])
    if rgb is not None:
        right = torch.exp(-(rgb[:, 1:] - rgb[:, :-1]).norm(dim=-1) / CONTRAST) + 1e-3
        down = torch.exp(-(rgb[1:] - rgb[:-1]).norm(dim=-1) / CONTRAST) + 1e-3
    weight = F.pad(right, (0, 1)) + F.pad(right, (1, 0)) + F.pad(down, (0, 0, 0, 1)) + F.pad(down, (0, 0, 1, 0))
    for _ in range(sweeps):
        flow = F.pad(right * values[:, 1:], (0, 1)) + F.pad(right * values[:, :-1], (1, 0))
        flow = flow + F.pad(down * values[1:], (0, 0, 0, 1)) + F.pad(down * values[:-1], (0, 0, 1, 0))
        values = torch.where(known, values, flow / weight)
    return values
