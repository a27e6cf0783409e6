"""How fast the rasterizer draws: ``python -m benchmarks.raster``.

The scene is the one that its peers were measured on: splats around (0, 0, 4) with a standard deviation of
1 m, of 0 to 2 cm along each axis, of any opacity and colour, seen through 400 px of focal length for 480
pixels of width. Wall time is what a user waits; processor time is what other work on the machine disturbs
less, and tells how well the threads were used.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass

import torch
from torch import Tensor

from fourd import native
from fourd.types import SH_C0, Splats

SIZES = ((100_000, (270, 480)), (100_000, (540, 960)), (500_000, (540, 960)))
"""Splats, and the picture's (height, width)."""


@dataclass(frozen=True)
class Timing:
    """Medians over all drawings of one scene."""

    wall_ms: float
    cpu_ms: float


def scene(n: int) -> Splats:
    """The synthetic scene, from seed 0."""
    g = torch.Generator().manual_seed(0)
    quat = torch.randn(n, 4, generator=g)
    return Splats(
        mean_m=torch.randn(n, 3, generator=g) + torch.tensor([0.0, 0.0, 4.0]),
        quat_wxyz=quat / quat.norm(dim=1, keepdim=True),
        scale_m=(torch.rand(n, 3, generator=g) * 0.02).clamp(min=1e-6),
        opacity=torch.rand(n, generator=g),
        colour=(torch.rand(n, 1, 3, generator=g) - 0.5) / SH_C0,
        velocity_mps=torch.zeros(n, 3),
        time_s=torch.zeros(n),
        duration_s=torch.full((n,), torch.inf),
        source=torch.zeros(n, dtype=torch.uint8),
    )


def intrinsics(hw: tuple[int, int]) -> Tensor:
    """The scene's camera for a picture of any size."""
    focal = 400 * hw[1] / 480
    return torch.tensor([[focal, 0, hw[1] / 2], [0, focal, hw[0] / 2], [0, 0, 1]])


def measure(n: int, hw: tuple[int, int], repeats: int = 20) -> Timing:
    """Draw the scene ``repeats`` times, after once to warm up."""
    splats, K, pose = scene(n), intrinsics(hw), torch.eye(4)
    wall, cpu = [], []
    for _ in range(repeats + 1):
        start = time.perf_counter(), time.process_time()
        native.rasterize(splats, K, pose, hw, 0.0)
        wall.append(time.perf_counter() - start[0])
        cpu.append(time.process_time() - start[1])
    return Timing(1e3 * statistics.median(wall[1:]), 1e3 * statistics.median(cpu[1:]))


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"median of {options.repeats}, {options.threads} threads")
    print(f"{'splats':>8} {'picture':>9} {'wall ms':>8} {'CPU ms':>8}")
    for n, hw in SIZES:
        timing = measure(n, hw, options.repeats)
        print(f"{n:8d} {hw[1]:5d}x{hw[0]} {timing.wall_ms:8.1f} {timing.cpu_ms:8.1f}")


if __name__ == "__main__":
    main()
