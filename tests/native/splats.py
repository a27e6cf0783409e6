"""Splats and cameras that the tests of the rasterizer and of rendering draw."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from fourd.geometry.rigid import look_at
from fourd.native import EPS2D_PX
from fourd.types import SH_C0, Splats


def splats(mean_m: Any, **fields: Any) -> Splats:
    """Splats at ``mean_m`` [n, 3]: static, opaque, white balls of 0.1 m unless ``fields`` say otherwise.

    A field is given for all splats, or once for each. ``rgb`` stands for a constant colour.
    """
    mean_m = torch.as_tensor(mean_m, dtype=torch.float32)
    n = len(mean_m)
    if "rgb" in fields:
        fields["colour"] = ((torch.as_tensor(fields.pop("rgb"), dtype=torch.float32) - 0.5) / SH_C0)[..., None, :]
    defaults: dict[str, Any] = dict(quat_wxyz=[1.0, 0, 0, 0], scale_m=[0.1] * 3, opacity=1.0)
    defaults |= dict(colour=[[0.5 / SH_C0] * 3], velocity_mps=[0.0] * 3, time_s=0.0, duration_s=math.inf)
    ranks = dict(quat_wxyz=2, scale_m=2, opacity=1, colour=3, velocity_mps=2, time_s=1, duration_s=1)
    full = {}
    for name, value in (defaults | fields).items():
        tensor = torch.as_tensor(value, dtype=torch.float32)
        full[name] = tensor if tensor.ndim == ranks[name] else tensor.expand(n, *tensor.shape)
    return Splats(mean_m=mean_m, source=torch.zeros(n, dtype=torch.uint8), **full)


def scatter(n: int, *, k: int = 1, seed: int = 0, scale_m: float = 0.3) -> Splats:
    """Splats of all shapes and colours in a ball of 1 m around (0, 0, 4), that move and fade around 0 s."""
    g = torch.Generator().manual_seed(seed)
    quat = torch.randn(n, 4, generator=g)
    return splats(
        torch.randn(n, 3, generator=g) + torch.tensor([0, 0, 4.0]),
        quat_wxyz=quat / quat.norm(dim=1, keepdim=True),
        scale_m=torch.rand(n, 3, generator=g) * scale_m + 1e-4,
        opacity=torch.rand(n, generator=g),
        colour=torch.randn(n, k, 3, generator=g) * 0.7,
        velocity_mps=torch.randn(n, 3, generator=g) * 0.2,
        time_s=torch.randn(n, generator=g),
        duration_s=torch.rand(n, generator=g) * 3 + 0.1,
    )


def pinhole(hw: tuple[int, int], focal_px: float, skew: float = 0.0) -> Tensor:
    """Intrinsics with the optical axis through the middle of the picture."""
    return torch.tensor([[focal_px, skew, hw[1] / 2], [0, focal_px, hw[0] / 2], [0, 0, 1]])


def beside() -> Tensor:
    """A camera off the axes that looks at (0, 0, 4)."""
    eye, target, up = torch.tensor([0.8, -0.5, 0.3]), torch.tensor([0.0, 0.0, 4.0]), torch.tensor([0.1, -1.0, 0.0])
    return look_at(eye, target, up)


def arguments(s: Splats, K: Tensor, world_from_cam: Tensor, hw: tuple[int, int], at_s: float = 0.0) -> list[Any]:
    """What the operator ``fourd::rasterize`` and its reference take, in order."""
    tensors = [s.mean_m, s.quat_wxyz, s.scale_m, s.opacity, s.colour, s.velocity_mps, s.time_s, s.duration_s]
    return [*tensors, K, world_from_cam, *hw, at_s, EPS2D_PX, 0.01]
