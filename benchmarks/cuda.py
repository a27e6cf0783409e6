"""What a GPU makes of a long scene, of the sweep and of fusion: ``python -m benchmarks.cuda``.

A scene of which a share is alive at any moment is cut, drawn and fitted; gsplat alone draws what was cut out before, so
that the difference is what cutting costs. With ``--device cpu`` the same runs on the CPU, where there is no gsplat.
The figures are medians of wall time, from a device at rest to a device at rest.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from benchmarks import raster
from fourd import files, native
from fourd.native import fusion as native_fusion
from fourd.native import slice as slice_
from fourd.native import sweep
from fourd.native.evidence import evidence
from fourd.types import Splats

Device = Literal["cpu", "cuda"]

SHARES = (1.0, 0.1, 0.01)
"""How much of the scene is alive at a moment."""


class Row(NamedTuple):
    """One thing measured."""

    what: str
    size: str
    ms: float


def long_scene(n: int, share: float) -> Splats:
    """``raster.scene``, of which a share lives at 0 s, in places that are all over the list."""
    s = raster.scene(n)
    alive = torch.rand(n, generator=torch.Generator().manual_seed(1)) < share
    return s.replace(time_s=torch.where(alive, 0.0, 100.0), duration_s=torch.full((n,), 0.5))


def median_ms(work: Callable[[], object], device: Device, repeats: int) -> float:
    """Wall time of ``work``, after two runs to warm up."""
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    taken = []
    for _ in range(repeats + 2):
        wait()
        start = time.perf_counter()
        work()
        wait()
        taken.append(time.perf_counter() - start)
    return 1e3 * statistics.median(taken[2:])


def drawing(device: Device, n: int, hw: tuple[int, int], repeats: int) -> Iterator[Row]:
    """Cutting, drawing and fitting, for each share that is alive."""
    K, pose = raster.intrinsics(hw).to(device), torch.eye(4, device=device)
    for share in SHARES:
        splats = long_scene(n, share).to(device)
        size = f"{n} splats, {share:.0%} alive, {hw[1]}x{hw[0]}"

        def cut(splats: Splats = splats) -> slice_.Slice:
            return slice_.cut(splats, K, pose, hw, 0.0)

        def draw(splats: Splats = splats) -> native.Picture:
            return native.draw(splats, K, pose, hw, 0.0)

        def fit(splats: Splats = splats) -> None:
            tensors = {
                name: getattr(splats, name).detach().requires_grad_() for name in ("mean_m", "scale_m", "colour")
            }
            native.draw(splats.replace(**tensors), K, pose, hw, 0.0).rgb.square().sum().backward()

        if device == "cuda":  # The CPU's rasterizer cuts on its way.
            yield Row("cut", size, median_ms(cut, device, repeats))
            yield Row("gsplat alone, on what was cut", size, median_ms(_gsplat(cut(), K, pose, hw), device, repeats))
        yield Row("draw", size, median_ms(draw, device, repeats))
        yield Row("draw, and gradients", size, median_ms(fit, device, repeats))


def _gsplat(cut: slice_.Slice, K: Tensor, pose: Tensor, hw: tuple[int, int]) -> Callable[[], object]:
    from gsplat import rasterization  # pyright: ignore[reportMissingImports]  # Of the extra `gpu`.

    def draw() -> object:
        return rasterization(
            means=cut.mean_m, quats=cut.quat_wxyz, scales=cut.scale_m, opacities=cut.opacity, colors=cut.rgb,
            viewmats=torch.linalg.inv(pose)[None], Ks=K[None], width=hw[1], height=hw[0], packed=False,
            eps2d=native.EPS2D_PX, render_mode="RGB+ED", rasterize_mode="antialiased",
        )  # fmt: skip

    return draw


def stereo(device: Device, hw: tuple[int, int], planes: int, repeats: int) -> Iterator[Row]:
    """The steps of depth by parallax, on noise."""
    (h, w), g = hw, torch.Generator().manual_seed(0)
    views = torch.rand(5, h, w, 4, generator=g)
    views[..., 3] = 1
    turn, shift = torch.eye(3).repeat(4, 1, 1), torch.randn(4, 3, generator=g) * torch.tensor([1.0, 1.0, 1e-4])
    reference, others, turn, shift = (x.to(device) for x in (views[0], views[1:], turn, shift))
    rho = torch.linspace(0, 20, planes, device=device)
    cost = sweep.plane_sweep(reference, others, turn, shift, rho, 0.5)
    across, down = (torch.full(s, 40, dtype=torch.int16, device=device) for s in ((h, w - 1), (h - 1, w)))
    maps = torch.rand(2, h, w, generator=g).to(device)
    alike = across.float() / 40, down.float() / 40
    size = f"{w}x{h}, {planes} planes"
    work: dict[str, Callable[[], object]] = {
        "plane sweep, 4 views": lambda: sweep.plane_sweep(reference, others, turn, shift, rho, 0.5),
        "semi-global matching": lambda: sweep.semi_global(cost, across, down, 8),
        "smoothing, 2 maps": lambda: sweep.smooth_along_edges(maps, *alike, 50.0),
    }
    for what, do in work.items():
        yield Row(what, size, median_ms(do, device, repeats))


def fusion(device: Device, hw: tuple[int, int], repeats: int) -> Iterator[Row]:
    """The kernels of fusion, on five noisy frames of a slope."""
    (h, w), m, g = hw, 5, torch.Generator().manual_seed(0)
    y, x = torch.meshgrid(torch.arange(h) / h, torch.arange(w) / w, indexing="ij")
    depth_m = ((3 + x + 0.5 * y) * (1 + 0.003 * torch.randn(m, h, w, generator=g))).to(device)
    sure = torch.rand(m, h, w, generator=g).to(device)
    rgb = torch.randint(0, 256, (m, h, w, 3), generator=g, dtype=torch.uint8).to(device)
    pose = torch.eye(4).repeat(m, 1, 1)
    pose[:, :3, 3] = 0.05 * torch.randn(m, 3, generator=g)
    planes = native_fusion.Planes.empty(raster.intrinsics(hw).repeat(m, 1, 1).to(device), pose.to(device), hw)
    still = torch.ones(h, w, dtype=torch.bool, device=device)
    for k in range(m):
        planes.fill(k, depth_m[k], sure[k], still)
    K, eye, edge = planes.K[0], planes.world_from_cam[0], planes.edge[0]

    def discs() -> native_fusion.Discs:
        return native_fusion.discs(depth_m[0], depth_m[0], still, edge, rgb[0], K, eye, 0.5, 1.5, 2.0)

    d = discs()
    work: dict[str, Callable[[], object]] = {
        "planes": lambda: planes.fill(0, depth_m[0], sure[0], still),
        "consistency with 4 frames": lambda: native_fusion.consistency(planes, 0, [1, 2, 3, 4], 0.02),
        "redundancy with 4 frames": lambda: native_fusion.redundant(planes, rgb, 4, [3, 2, 1, 0], 0.02, 1.6, 0.05),
        "discs": discs,
        "evidence of 5 frames on the discs": lambda: evidence(
            d.mean_m, d.scale_m[:, 0].contiguous(), d.rgb, planes, rgb, 0.02, 0.5, 0.12
        ),
    }
    for what, do in work.items():
        yield Row(what, f"{w}x{h}", median_ms(do, device, repeats))


def main() -> None:
    """Print a table and write the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--splats", type=int, default=2_000_000)
    parser.add_argument("--hw", type=int, nargs=2, default=(540, 960), metavar=("H", "W"))
    parser.add_argument("--planes", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path("out/cuda/cuda.json"))
    options = parser.parse_args()
    device: Device = options.device
    if device == "cuda":
        native.require_cuda("--device is cuda")
    name = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"{name}, PyTorch {torch.__version__}, median of {options.repeats}")
    rows, hw = [], (options.hw[0], options.hw[1])
    for part in (
        drawing(device, options.splats, hw, options.repeats),
        stereo(device, hw, options.planes, options.repeats),
        fusion(device, hw, options.repeats),
    ):
        for row in part:
            print(f"{row.what:32} {row.size:40} {row.ms:9.3f} ms", flush=True)
            rows.append(row._asdict())
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with files.replacing(options.out) as fresh:
        fresh.write_text(json.dumps({"device": name, "torch": torch.__version__, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
