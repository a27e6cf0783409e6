"""How fast depth is fused: ``python -m benchmarks.fusion``.

A corridor is filmed with exact depth at 640 x 480 while the camera walks and looks around. What is timed is all
that makes splats of still frames: their planes, agreement, the pixels that are new, their discs, and the colours
that all frames together give them. Not timed are drawing (sharpening, closing) and what moves. Beside it, where
it can be imported, Open3D's VoxelBlockGrid integrates the same frames into voxels of 2 cm; it makes no surface
yet and no colours from more than one frame.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from benchmarks import gate
from fourd.files import replacing
from fourd.fuse.cloud import Cloud
from fourd.fuse.keyframes import Keyframes
from fourd.fuse.static import lift
from fourd.fuse.views import View, Views
from fourd.geometry import pinhole, rigid
from fourd.types import Cameras, Clip, DepthMaps, Motion

HW, FRAMES = (480, 640), 24
ROOM_M = torch.tensor([2.0, 1.3, 6.0])
"""Half the size of the corridor."""
TOLERANCE = 0.012


def film(hw: tuple[int, int] = HW, frames: int = FRAMES) -> tuple[Clip, DepthMaps, Cameras, Motion]:
    """Walk 1.5 m along a corridor of patterned walls, looking up to 15 degrees to both sides."""
    share = torch.linspace(0, 1, frames)
    zero = torch.zeros(frames)
    pose = torch.eye(4).repeat(frames, 1, 1)
    pose[:, :3, :3] = rigid.matrix_from_rotvec(torch.stack([zero, 0.26 * torch.sin(6.28 * share), zero], -1))
    pose[:, :3, 3] = torch.stack([0.3 * torch.cos(6.28 * share), zero, 1.5 * share - 3], -1)
    K = pinhole.intrinsics(hw, 70.0)
    seen = [_draw(K, pose[i], hw) for i in range(frames)]
    cameras = Cameras(K.repeat(frames, 1, 1), pose, hw, torch.arange(frames, dtype=torch.float64) / 10)
    depth = torch.stack([d for _, d in seen])
    still = torch.zeros(frames, *hw)
    nothing = torch.zeros(frames, *hw, 2).half()
    motion = Motion(nothing, nothing, still.bool(), still.bool(), still.half())
    clip = Clip(torch.stack([rgb for rgb, _ in seen]), cameras.time_s)
    return clip, DepthMaps(depth, torch.ones_like(depth), cameras.K), cameras, motion


def _draw(K: Tensor, pose: Tensor, hw: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The picture and the depth of a box seen from within."""
    ray = pinhole.rays(K, hw) @ pose[:3, :3].T
    depth = ((ray.sign() * ROOM_M - pose[:3, 3]) / ray).amin(-1)  # Rays have z = 1 in the camera: this is depth.
    at = pose[:3, 3] + ray * depth[..., None]
    waves = torch.sin(at * torch.tensor([5.0, 7.0, 6.0])) * torch.cos(2 * at.roll(1, -1))
    return ((0.5 + 0.4 * waves) * 255).to(torch.uint8), depth


def fuse(taken: list[View]) -> tuple[Cloud, float, float]:
    """Fuse still frames; the discs, and the seconds it took by the clock and of the processor."""
    begin, before = time.perf_counter(), time.process_time()
    keys = Keyframes.of(taken).agreed(TOLERANCE)
    parts = [lift(v, keys.fresh(k, TOLERANCE), keys.place_m(k)) for k, v in enumerate(taken)]
    cloud = Cloud.concat(parts)
    cloud = cloud.painted(keys.ask(cloud, TOLERANCE).rgb)
    return cloud, time.perf_counter() - begin, time.process_time() - before


def off_surface_m(cloud: Cloud) -> float:
    """Median distance of the discs from the walls."""
    return float((cloud.mean_m.abs() - ROOM_M).abs().amin(-1).median())


def peer(clip: Clip, maps: DepthMaps, cameras: Cameras) -> Callable[[], float]:
    """Open3D's integration of the same frames; the function gives its seconds."""
    import numpy as np
    import open3d as o3d  # pyright: ignore[reportMissingImports]

    core = o3d.core
    K = core.Tensor(cameras.K[0].double().numpy())
    poses = [core.Tensor(x.double().numpy()) for x in cameras.cam_from_world]
    depth = [o3d.t.geometry.Image(core.Tensor(x.numpy())) for x in maps.depth_m]
    colour = [o3d.t.geometry.Image(core.Tensor(x.float().numpy().astype(np.float32) / 255)) for x in clip.frames]

    def integrate() -> float:
        grid = o3d.t.geometry.VoxelBlockGrid(
            ("tsdf", "weight", "color"), (core.float32, core.float32, core.float32), ((1,), (1,), (3,)), 0.02, 16, 30000
        )
        begin = time.perf_counter()
        for d, c, pose in zip(depth, colour, poses, strict=True):
            blocks = grid.compute_unique_block_coordinates(d, K, pose, 1.0, 10.0)
            grid.integrate(blocks, d, c, K, K, pose, 1.0, 10.0)
        return time.perf_counter() - begin

    return integrate


def measure(repeats: int = 5) -> dict[str, float | str]:
    """Figures by name."""
    clip, maps, cameras, motion = film()
    views = Views(clip, maps, cameras, motion)
    taken = [views[i] for i in range(len(views))]
    cloud, _, _ = fuse(taken)
    seconds, cpu = zip(*(fuse(taken)[1:] for _ in range(repeats)), strict=True)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    alone = min(fuse(taken)[2] for _ in range(repeats))
    torch.set_num_threads(threads)
    figures: dict[str, float | str] = {
        "fusion_ms_per_vga_frame": 1e3 * statistics.median(seconds) / len(clip),
        "fusion_cpu_ms_per_vga_frame": 1e3 * min(cpu) / len(clip),
        "fusion_cpu_ms_on_one_thread": 1e3 * alone / len(clip),
        "fusion_splats_per_pixel_of_a_frame": len(cloud) / (HW[0] * HW[1]),
        "fusion_off_surface_mm": 1e3 * off_surface_m(cloud),
    }
    if importlib.util.find_spec("open3d") is None:
        figures["open3d"] = "skipped: the package open3d is not installed (pip install open3d, 900 MB)"
        return figures
    try:
        integrate = peer(clip, maps, cameras)
    except (ImportError, OSError) as error:
        figures["open3d"] = f"skipped: {error}"
        return figures
    integrate()
    times = [integrate() for _ in range(repeats)]
    figures["open3d_ms_per_vga_frame"] = 1e3 * statistics.median(times) / len(clip)
    return figures


WATCHED = {
    "fusion_cpu_ms_per_vga_frame": ("ms", 0.4),
    "fusion_cpu_ms_on_one_thread": ("ms", 0.4),
    "fusion_splats_per_pixel_of_a_frame": ("", 0.05),
}
"""Figures that the baseline watches: their unit, and the share by which they may grow."""


def main() -> int:
    """Print the figures, compare them with the baseline, and write them if asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    parser.add_argument("--update", action="store_true", help="make these figures the baseline")
    options = parser.parse_args()
    yardstick = gate.yardstick_ms()
    figures = measure()
    yardstick = min(yardstick, gate.yardstick_ms())
    for name, value in figures.items():
        print(f"{name:36} {value:.2f}" if isinstance(value, float) else f"{name:36} {value}")
    if options.json:
        with replacing(options.json) as fresh:
            fresh.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    watched = [gate.Metric(name, float(figures[name]), *limits) for name, limits in WATCHED.items()]
    return gate.settle("fusion", watched, yardstick, options.update)


if __name__ == "__main__":
    sys.exit(main())
