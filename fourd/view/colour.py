"""Depth as colour: one fixed scale for a whole video, along which lightness rises evenly."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from fourd.checked import checked
from fourd.types import Frames

_LIGHTNESS = (0.22, 0.95)
_HUE_DEG = (280.0, 465.0)
"""Violet for what is far, over red and orange, to pale yellow for what is near."""
_CHROMA = 0.13
"""The most that sRGB can show at every lightness and hue of the scale is 0.133."""

# Oklab to linear sRGB: Björn Ottosson, "A perceptual color space for image processing", 2020.
_CONES_FROM_OKLAB = (
    (1.0, 0.3963377774, 0.2158037573),
    (1.0, -0.1055613458, -0.0638541728),
    (1.0, -0.0894841775, -1.2914855480),
)
_LINEAR_FROM_CONES = (
    (4.0767416621, -3.3077115913, 0.2309699292),
    (-1.2684380046, 2.6097574011, -0.3413193965),
    (-0.0041960863, -0.7034186147, 1.7076147010),
)


@dataclass(frozen=True)
class Range:
    """The depths at the two ends of the scale, in metres or scene units."""

    near_m: float
    far_m: float


@checked
def ramp(value: Float[Tensor, "*s"]) -> Float[Tensor, "*s 3"]:
    """Colours for numbers from 0 (dark violet) to 1 (pale yellow), as sRGB; values outside are clamped.

    Lightness and hue of Oklab change linearly with the value and the chroma stays, so that equal
    steps look equally large, and the picture still reads in grey.
    """
    x = value.clamp(0, 1).double()
    lightness = _LIGHTNESS[0] + (_LIGHTNESS[1] - _LIGHTNESS[0]) * x
    hue = torch.deg2rad(_HUE_DEG[0] + (_HUE_DEG[1] - _HUE_DEG[0]) * x)
    lab = torch.stack([lightness, _CHROMA * torch.cos(hue), _CHROMA * torch.sin(hue)], dim=-1)
    cones = (lab @ lab.new_tensor(_CONES_FROM_OKLAB).mT) ** 3
    linear = (cones @ lab.new_tensor(_LINEAR_FROM_CONES).mT).clamp(0, 1)
    # The transfer function of sRGB, IEC 61966-2-1.
    rgb = torch.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return rgb.to(value.dtype)


@checked
def depth_range(frames: Frames) -> Range:
    """A scale that holds all but the nearest and farthest hundredth of what ``frames`` show.

    It is found in inverse depth, as depth is shown. Where nothing but sky is seen, it is 1 to 2.
    """
    seen = frames.depth_m[~frames.hole & (frames.depth_m > 0)]
    if not bool(torch.isfinite(seen).any()):
        return Range(1.0, 2.0)
    # An infinite depth (sky) has the inverse 0, and is a fair far end.
    inverse = (1 / seen.double()).sort().values
    low, high = float(inverse[len(inverse) // 100]), float(inverse[-1 - len(inverse) // 100])
    if high <= low * 1.001:  # A flat wall: give it the middle of a scale instead of noise over the whole.
        low, high = low / 1.5, high * 1.5
    return Range(1 / high, 1 / low if low > 0 else math.inf)


@checked
def depth_picture(frames: Frames, scale: Range) -> UInt8[Tensor, "t h w 3"]:
    """Depth by colour: inverse depth from ``scale.far_m`` (dark) to ``scale.near_m`` (light), holes black."""
    low, high = 1 / scale.far_m, 1 / scale.near_m
    seen = ~frames.hole & (frames.depth_m > 0)
    inverse = torch.where(seen, 1 / torch.where(seen, frames.depth_m, 1.0), low)
    colour = ramp((inverse - low) / (high - low))
    return quantised(torch.where(seen[..., None], colour, 0.0))


@checked
def quantised(rgb: Float[Tensor, "*s"]) -> UInt8[Tensor, "*s"]:
    """Numbers from 0 to 1 as the nearest of 0 to 255, on the CPU."""
    return (rgb.clamp(0, 1) * 255 + 0.5).to(torch.uint8).cpu()
