"""How fast the rasterizer draws, and fits: ``python -m benchmarks.raster``.

The scene is the one that its peers were measured on: splats around (0, 0, 4) with a standard deviation of
1 m, of 0 to 2 cm along each axis, of any opacity and colour, seen through 400 px of focal length for 480
pixels of width. Wall time is what a user waits; processor time is what other work on the machine disturbs
less, and tells how well the threads were used. The baseline is compared by the least processor time.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from benchmarks import gate
from fourd import native
from fourd.files import replacing
from fourd.types import SH_C0, Splats

SMALL, LARGE = (270, 480), (540, 960)
TARGETS = ((100_000, SMALL), (100_000, LARGE), (500_000, LARGE))
"""Splats, and the picture's (height, width): what the baseline watches."""

FIELDS = "mean_m quat_wxyz scale_m opacity colour velocity_mps time_s duration_s".split()


@dataclass(frozen=True)
class Case:
    """Something to draw."""

    splats: int
    hw: tuple[int, int]
    threads: int
    alive: float = 1.0
    """Share of the splats that are alive at the moment that is drawn."""


@dataclass(frozen=True)
class Timing:
    """Of one case, over all drawings of it."""

    case: Case
    forward_wall_ms: float
    """Median, as for the next."""
    both_wall_ms: float
    """Forward and backward."""
    forward_best_ms: float
    """Least wall time."""
    both_best_ms: float
    forward_cpu_ms: float
    """Least processor time of all threads together."""
    both_cpu_ms: float


def scene(n: int, alive: float = 1.0) -> Splats:
    """The synthetic scene, from seed 0; what is not alive lived long ago."""
    g = torch.Generator().manual_seed(0)
    quat = torch.randn(n, 4, generator=g)
    s = Splats(
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
    if alive >= 1:
        return s
    gone = torch.rand(n, generator=g) >= alive
    return s.replace(time_s=torch.where(gone, -100.0, 0.0), duration_s=torch.where(gone, 1.0, torch.inf))


def intrinsics(hw: tuple[int, int]) -> Tensor:
    """The scene's camera for a picture of any size."""
    focal = 400 * hw[1] / 480
    return torch.tensor([[focal, 0, hw[1] / 2], [0, focal, hw[0] / 2], [0, 0, 1]])


def measure(case: Case, repeats: int = 20) -> Timing:
    """Draw a case ``repeats`` times, after once to warm up; then the same with gradients by all of the splats."""
    splats, K, pose = scene(case.splats, case.alive), intrinsics(case.hw), torch.eye(4)
    wanted = [getattr(splats, name).clone().requires_grad_() for name in FIELDS]
    by = [torch.ones(*case.hw, 3), torch.ones(case.hw), torch.ones(case.hw)]

    def forward() -> None:
        native.rasterize(splats, K, pose, case.hw, 0.0)

    def both() -> None:
        # The operator itself, as a fit calls it: checking the nouns anew is no part of drawing them.
        pictures = torch.ops.fourd.rasterize(*wanted, K, pose, *case.hw, 0.0, native.EPS2D_PX, 0.01)
        torch.autograd.grad(pictures[:3], wanted, by)

    before = torch.get_num_threads()
    torch.set_num_threads(case.threads)
    try:
        (wall, cpu), (both_wall, both_cpu) = (_timed(work, repeats) for work in (forward, both))
    finally:
        torch.set_num_threads(before)
    middle = statistics.median
    return Timing(case, middle(wall), middle(both_wall), min(wall), min(both_wall), min(cpu), min(both_cpu))


def fused(path: Path, threads: int, repeats: int) -> str:
    """Draw a lifted scene as its source cameras saw it, and say how long that takes."""
    from fourd.scene import Scene

    scene = Scene.open(path)
    cameras, splats = scene.cameras, scene.splats
    picked = torch.linspace(0, len(cameras) - 1, repeats).round().long().tolist()
    upcoming = iter(picked[:1] + picked)

    def forward() -> None:
        i = next(upcoming)
        native.rasterize(splats, cameras.K[i], cameras.world_from_cam[i], cameras.hw, float(cameras.time_s[i]))

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        wall, cpu = _timed(forward, repeats)
    finally:
        torch.set_num_threads(before)
    h, w = cameras.hw
    return (
        f"fused   {len(splats):8d} {w:5d}x{h:<4d}{threads:5d}        {statistics.median(wall):8.1f} {min(wall):6.1f}"
        f" {min(cpu):6.1f}     {path.name}"
    )


def _timed(work: Callable[[], None], repeats: int) -> tuple[list[float], list[float]]:
    """Milliseconds by the clock and of the processor."""
    wall, cpu = [], []
    for _ in range(repeats + 1):
        start = time.perf_counter(), time.process_time()
        work()
        wall.append(1e3 * (time.perf_counter() - start[0]))
        cpu.append(1e3 * (time.process_time() - start[1]))
    return wall[1:], cpu[1:]


def cases(threads: int, quick: bool) -> Iterator[tuple[str, Case]]:
    """Each case with what it shows: the targets, then what grows with splats, pixels, threads and the share alive."""
    for n, hw in TARGETS:
        yield "targets", Case(n, hw, threads)
    if quick:
        return
    for n in (12_500, 25_000, 50_000, 100_000, 200_000, 400_000, 800_000):
        yield "splats", Case(n, SMALL, 1)
    for factor in (0.5, 0.71, 1.0, 1.41, 2.0, 2.83, 4.0):
        yield "pixels", Case(100_000, (round(270 * factor), round(480 * factor)), 1)
    for count in range(1, (os.cpu_count() or 1) + 1):
        yield "threads", Case(500_000, LARGE, count)
    for alive in (1.0, 0.3, 0.1, 0.03, 0.01, 0.003):
        yield "alive", Case(500_000, SMALL, 1, alive)


def metrics(timings: list[tuple[str, Timing]]) -> list[gate.Metric]:
    """What the baseline watches: the targets."""
    found = []
    for shows, t in timings:
        if shows == "targets":
            name = f"{t.case.splats // 1000}k splats at {t.case.hw[1]}x{t.case.hw[0]}"
            found.append(gate.Metric(f"{name}, forward", t.forward_cpu_ms, "ms", 0.3))
            found.append(gate.Metric(f"{name}, forward and backward", t.both_cpu_ms, "ms", 0.3))
            found.append(gate.Metric(f"{name}, both over forward", t.both_cpu_ms / t.forward_cpu_ms, "", 0.3))
    return found


def main() -> int:
    """Print a table, write the figures, compare with the baseline."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=20, help="drawings of each case")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--scene", type=Path, nargs="*", default=[], help="scene files to draw as well")
    parser.add_argument("--quick", action="store_true", help="only what the baseline watches")
    parser.add_argument("--out", type=Path, default=Path("out/bench"), help="where raster.json is written")
    parser.add_argument("--chart", type=Path, help="draw how the times grow, as a PNG")
    parser.add_argument("--update", action="store_true", help="make these figures the baseline")
    options = parser.parse_args()
    print(f"{gate.machine()}, load {os.getloadavg()[0]:.1f}; {options.repeats} drawings of each case")
    print("                                                forward ms            forward and backward ms")
    print("shows      splats   picture threads alive   median  best    CPU       median   best    CPU")
    timings = []
    # Before and after, the lesser: other work on the machine slows it.
    yardstick = gate.yardstick_ms()
    for shows, case in cases(options.threads, options.quick):
        t = measure(case, options.repeats)
        timings.append((shows, t))
        print(
            f"{shows:8} {case.splats:8d} {case.hw[1]:5d}x{case.hw[0]:<4d}{case.threads:5d} {case.alive:6.3g}"
            f" {t.forward_wall_ms:8.1f} {t.forward_best_ms:6.1f} {t.forward_cpu_ms:6.1f}"
            f"     {t.both_wall_ms:8.1f} {t.both_best_ms:6.1f} {t.both_cpu_ms:6.1f}",
            flush=True,
        )
    for path in options.scene:
        print(fused(path, options.threads, options.repeats), flush=True)
    yardstick = min(yardstick, gate.yardstick_ms())
    found = metrics(timings)
    write(options.out / "raster.json", timings, yardstick)
    if options.chart:
        from benchmarks import raster_chart

        raster_chart.draw(timings, options.chart)
    return gate.settle("raster", found, yardstick, options.update)


def write(path: Path, timings: list[tuple[str, Timing]], yardstick: float) -> None:
    """All figures, as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"shows": shows, **dataclasses.asdict(timing)} for shows, timing in timings]
    with replacing(path) as fresh:
        text = json.dumps({"machine": gate.machine(), "yardstick_ms": yardstick, "rows": rows}, indent=2)
        fresh.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
