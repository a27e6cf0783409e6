"""``fourd::slice`` on CUDA: mark, add up, take; see cuda_ext/cuda/slice.cu."""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from fourd.native import cuda_launch


def slice(
    mean_m: Tensor, quat_wxyz: Tensor, scale_m: Tensor, opacity: Tensor, colour: Tensor, velocity_mps: Tensor,
    time_s: Tensor, duration_s: Tensor, K: Tensor, world_from_cam: Tensor,
    h: int, w: int, at_s: float, eps2d_px: float, near_m: float,
) -> tuple[Tensor, ...]:  # fmt: skip
    """The arguments and the results of the operator."""
    mean_m, quat_wxyz, scale_m, opacity, colour, velocity_mps, time_s, duration_s, K, world_from_cam = (
        cuda_launch.arrays(
            "fourd::slice", torch.float32, mean_m=mean_m, quat_wxyz=quat_wxyz, scale_m=scale_m, opacity=opacity,
            colour=colour, velocity_mps=velocity_mps, time_s=time_s, duration_s=duration_s, K=K,
            world_from_cam=world_from_cam,
        )
    )  # fmt: skip
    n, k, moment = len(mean_m), colour.shape[1], ctypes.c_double(at_s)
    kept = mean_m.new_empty(n, dtype=torch.int32)
    cuda_launch.launch("slice", "slice_mark", n, (
        mean_m, quat_wxyz, scale_m, opacity, velocity_mps, time_s, duration_s, K, world_from_cam,
        n, h, w, moment, eps2d_px, near_m, kept,
    ))  # fmt: skip
    place = kept.cumsum(0, dtype=torch.int32)
    m = int(place[-1]) if n else 0  # Waits for the device: how much to allocate is known only there.
    out = [mean_m.new_empty(shape) for shape in ((m, 3), (m, 4), (m, 3), (m,), (m, 3))]
    index = mean_m.new_empty(m, dtype=torch.int64)
    if m:
        cuda_launch.launch("slice", "slice_take", n, (
            mean_m, quat_wxyz, scale_m, opacity, colour, velocity_mps, time_s, duration_s, world_from_cam,
            n, k, moment, place, *out, index,
        ))  # fmt: skip
    return *out, index
