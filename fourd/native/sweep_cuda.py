"""The operators of ``sweep.py`` on CUDA; see cuda_ext/cuda/sweep.cu."""

from __future__ import annotations

import torch
from torch import Tensor

from fourd.errors import LimitError
from fourd.native import cuda_launch

MAX_VIEWS, MAX_PLANES = 64, 4096
"""What the kernels have room for."""

_WARP = 32


def plane_sweep(
    reference: Tensor, others: Tensor, turn: Tensor, shift: Tensor, rho: Tensor, truncation: float
) -> Tensor:
    """The arguments and the result of the operator."""
    if len(others) > MAX_VIEWS:
        raise LimitError(
            f"fourd::plane_sweep takes at most {MAX_VIEWS} views on CUDA, not {len(others)}; leave some out."
        )
    arrays = cuda_launch.arrays(
        "fourd::plane_sweep", torch.float32, reference=reference, others=others, turn=turn, shift=shift, rho=rho
    )
    h, w, d = *reference.shape[:2], len(rho)
    cost, out = (reference.new_empty((h, w, d), dtype=torch.uint8) for _ in range(2))
    arguments = (*arrays, len(others), h, w, d, truncation, cost)
    cuda_launch.launch("sweep", "sweep_match", h * w * d, arguments)
    cuda_launch.launch("sweep", "sweep_mean", h * w * d, (cost, h, w, d, out))
    return out


def semi_global(cost: Tensor, across: Tensor, down: Tensor, p1: int) -> tuple[Tensor, Tensor, Tensor]:
    """The arguments and the results of the operator."""
    h, w, d = cost.shape
    if d > MAX_PLANES:
        raise LimitError(f"fourd::semi_global takes at most {MAX_PLANES} planes on CUDA, not {d}; sweep fewer.")
    (cost,) = cuda_launch.arrays("fourd::semi_global", torch.uint8, cost=cost)
    across, down = cuda_launch.arrays("fourd::semi_global", torch.int16, across=across, down=down)
    total = torch.zeros_like(cost, dtype=torch.int16)  # The kernels take its bits for unsigned.
    # Number and length of the paths, their first pixel and the steps to the next path and pixel, the same of penalties.
    directions = (
        (h, w, across, 0, w, 1, 0, w - 1, 1),  # To the right.
        (h, w, across, w - 1, w, -1, w - 2, w - 1, -1),  # To the left.
        (w, h, down, 0, 1, w, 0, 1, w),  # Down.
        (w, h, down, (h - 1) * w, 1, -w, (h - 2) * w, 1, -w),  # Up.
    )
    for paths, length, penalty, *steps in directions:
        arguments = (cost, penalty, *steps, length, d, p1, total)
        cuda_launch.launch("sweep", "sweep_paths", _WARP * paths if d else 0, arguments, block=_WARP)
    plane, lead, residual = (cost.new_empty((h, w), dtype=torch.float32) for _ in range(3))
    cuda_launch.launch("sweep", "sweep_choose", h * w if d else 0, (total, cost, h * w, d, plane, lead, residual))
    return plane, lead, residual


def smooth_along_edges(maps: Tensor, across: Tensor, down: Tensor, strength: float, rounds: int) -> Tensor:
    """The arguments and the result of the operator."""
    maps, across, down = cuda_launch.arrays(
        "fourd::smooth_along_edges", torch.float32, maps=maps, across=across, down=down
    )
    out, upper = maps.clone(), torch.empty_like(maps)
    n, h, w = maps.shape
    for i in range(rounds):
        # Each round is gentler than the one before; see the CPU's kernel.
        share = 3 * 4.0 ** (rounds - 1 - i) / (4.0**rounds - 1)
        rows, columns = (h, w, 1, w, w - 1, 1), (w, 1, w, h, 1, w)
        for alike, (lines, beside, along, length, *alike_steps) in ((across, rows), (down, columns)):
            arguments = (out, alike, n, h * w, lines, beside, along, length, *alike_steps, strength * share, upper)
            cuda_launch.launch("sweep", "sweep_smooth", n * lines, arguments)
    return out
