"""From the skeleton back to full size, without the foreground's colours running into what lies behind it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float32
from torch import Tensor

FRONT = 0.12
"""Difference of coded inverse depth over one pixel of the skeleton that parts foreground from background."""


def background(values: Float32[Tensor, "n 4 h w"], hole: Float32[Tensor, "n 1 h w"]) -> Float32[Tensor, "n 1 h w"]:
    """1 in the hole and on what goes on in it; 0 on the foreground beside it.

    Args:
        values: Skeletons, the holes filled.
        hole: 1 or 0.
    """
    depth = values[:, 3:]
    far = -F.max_pool2d(torch.where(hole > 0, -depth, -torch.inf), 3, 1, 1)
    return ((hole > 0) | ~(depth > far + FRONT)).float()


def upsampled(values: Tensor, weight: Tensor, hw: tuple[int, int]) -> Tensor:
    """Bilinear, by weight; where no weight is near, without it.

    Args:
        values: [n, c, h, w].
        weight: [n, 1, h, w].
        hw: The size wanted.
    """
    maps = torch.cat([values * weight, weight, values], 1)
    maps = F.interpolate(maps, hw, mode="bilinear", align_corners=False)
    c = values.shape[1]
    mass = maps[:, c : c + 1]
    return torch.where(mass > 1e-3, maps[:, :c] / mass.clamp(min=1e-3), maps[:, c + 1 :])
