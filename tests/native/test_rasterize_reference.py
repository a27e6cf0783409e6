"""The kernel against its twin in plain torch, on every instruction set, on any number of threads."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from fourd.native import loader, reference
from tests.native.splats import arguments, beside, pinhole, scatter, splats

pytestmark = pytest.mark.needs("native")

NAMES = ("rgb", "alpha", "depth_m", "median_m")


def agree(actual: tuple[Tensor, ...], expected: tuple[Tensor, ...], *, mean: float = 1e-6) -> None:
    """The pictures are the same but for rounding.

    A pixel closes when its transmittance falls below 1e-4: whether one splat more counts there may hang on
    the last bit, so single pixels may differ by that much. On average nothing does. Depths are around 4.
    """
    for name, a, e in zip(NAMES, actual, expected, strict=False):
        assert not a.isnan().any(), name
        error = (a.double() - e.double()).abs()
        assert error.max() < 4e-4 if "depth" in name else error.max() < 1e-4, f"{name}: {error.max():.2g}"
        assert error.mean() < 4 * mean, f"{name}: {error.mean():.2g} on average"
    assert torch.equal(actual[4], expected[4].int())


def double(args: list[Any]) -> list[Any]:
    return [x.double() if isinstance(x, Tensor) else x for x in args]


def native(args: list[Any], *, threads: int = 1, isa: int = -1) -> tuple[Tensor, ...]:
    """The extension's own function, whose threads and instruction set can be chosen."""
    h, w = args[10:12]
    out = torch.empty(h, w, 3), *(torch.empty(h, w) for _ in range(3)), torch.empty(h, w, dtype=torch.int32)
    inputs = [x.contiguous().numpy() if isinstance(x, Tensor) else x for x in [*args[:10], *args[12:]]]
    loader.cpu().rasterize(*inputs, *(x.numpy() for x in out), threads, isa)
    return out


@pytest.mark.parametrize("pose", [torch.eye(4), beside()], ids=["straight", "beside"])
@pytest.mark.parametrize(
    ("n", "k", "scale_m"),
    [(300, 1, 0.3), (200, 4, 0.1), (1000, 9, 0.02), (500, 16, 0.05), (50, 1, 3.0), (1, 1, 1.0), (0, 4, 1.0)],
)
def test_kernel_agrees_with_reference(n: int, k: int, scale_m: float, pose: Tensor) -> None:
    hw = (45, 61)  # Not whole tiles.
    args = arguments(scatter(n, k=k, scale_m=scale_m), pinhole(hw, 50.0), pose, hw, 0.37)
    agree(torch.ops.fourd.rasterize(*args), reference.rasterize(*double(args)))


@pytest.mark.parametrize(
    "K",
    [
        [[50.0, 12, 30], [0, 70, 20], [0, 0, 1]],  # Skew, oblong pixels.
        [[50.0, 0, -20], [0, 50, 70], [0, 0, 1]],  # The optical axis beyond the picture.
        [[4.0, 0, 30], [0, 4, 22], [0, 0, 1]],  # 165 degrees across.
        [[900.0, 0, 30], [0, 900, 22], [0, 0, 1]],
    ],
    ids=["skew", "off-centre", "wide", "long"],
)
def test_any_pinhole(K: list[list[float]]) -> None:
    args = arguments(scatter(200), torch.tensor(K), beside(), (45, 61))
    agree(torch.ops.fourd.rasterize(*args), reference.rasterize(*double(args)))


def test_needles_stay_exact() -> None:
    # Ten thousand times as long as wide, across the diagonal: the usual conic loses three digits here.
    quat = torch.tensor([0.9239, 0.0, 0.0, 0.3827])
    needles = splats([[0, 0, 2.0], [0.3, -0.1, 3.0]], quat_wxyz=quat / quat.norm(), scale_m=[50.0, 0.005, 0.005])
    args = arguments(needles, pinhole((64, 64), 200.0), torch.eye(4), (64, 64))
    agree(torch.ops.fourd.rasterize(*args), reference.rasterize(*double(args)))


@pytest.mark.parametrize("isa", [0, 1, 2], ids=["baseline", "avx2", "avx512"])
def test_every_instruction_set_agrees_with_reference(isa: int) -> None:
    if isa > loader.cpu().best_isa():
        pytest.skip("this processor lacks it")
    args = arguments(scatter(400, k=4), pinhole((45, 61), 50.0), beside(), (45, 61), -0.2)
    agree(native(args, isa=isa), reference.rasterize(*double(args)))


def test_an_instruction_set_that_is_not_there_is_refused() -> None:
    args = arguments(scatter(1), pinhole((4, 4), 4.0), torch.eye(4), (4, 4))
    with pytest.raises(ValueError, match="lacks that instruction set"):
        native(args, isa=3)


def test_threads_change_nothing() -> None:
    args = arguments(scatter(6000, scale_m=0.1), pinhole((90, 130), 120.0), beside(), (90, 130))
    one = native(args, threads=1)
    for threads in (2, 3, 8):
        assert all(torch.equal(a, b) for a, b in zip(one, native(args, threads=threads), strict=True))


def test_drawing_again_changes_nothing() -> None:
    args = arguments(scatter(2000), pinhole((45, 61), 50.0), beside(), (45, 61))
    first, second = (torch.ops.fourd.rasterize(*args) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_lists_too_long_for_the_memory_are_cut() -> None:
    # 5000 splats in each of 8160 tiles are more than are kept at a time; the first few close every pixel.
    n, hw = 5000, (1080, 1920)
    mean_m = torch.tensor([0, 0, 1.0]) + torch.linspace(0, 1, n)[:, None] * torch.tensor([0, 0, 1.0])
    args = arguments(splats(mean_m, scale_m=[1e4] * 3), pinhole(hw, 1000.0), torch.eye(4), hw)
    rgb, alpha, depth_m, _, index = native(args, threads=2)
    assert alpha.min() > 0.9998 and rgb.min() > 0.9998
    assert (index == 0).all() and (depth_m - 1).abs().max() < 1e-3


def test_operator_is_well_formed() -> None:
    args = arguments(scatter(20, k=4), pinhole((9, 7), 9.0), torch.eye(4), (9, 7))
    torch.library.opcheck(torch.ops.fourd.rasterize.default, tuple(args))


def test_reference_knows_the_spherical_harmonics() -> None:
    # Orthonormal over the sphere: Gauss-Legendre in z and even steps around are exact for degree 6.
    z, weight = torch.tensor(
        [(0.9491079123, 0.1294849662), (0.7415311856, 0.2797053915), (0.4058451514, 0.3818300505)], dtype=torch.float64
    ).unbind(1)
    z, weight = torch.cat([z, -z, torch.zeros(1)]), torch.cat([weight, weight, torch.tensor([0.4179591837])])
    angle = torch.arange(8).double() * (2 * torch.pi / 8)
    side = (1 - z * z).sqrt()[:, None]
    direction = torch.stack([side * angle.cos(), side * angle.sin(), z[:, None].expand(-1, 8)], -1)
    basis = reference.sh_basis(direction.reshape(-1, 3)).unflatten(0, (7, 8))
    gram = torch.einsum("zak,zal,z->kl", basis, basis, weight) * (2 * torch.pi / 8)
    torch.testing.assert_close(gram, torch.eye(16, dtype=torch.float64), rtol=0, atol=1e-8)


@pytest.mark.needs("gsplat")
def test_reference_projects_like_gsplat() -> None:
    from gsplat.cuda import _torch_impl  # Its own twin of its kernels: it runs on a CPU.

    s, pose, hw = scatter(500), beside(), (45, 61)
    K = pinhole(hw, 50.0)
    covariance, _ = _torch_impl._quat_scale_to_covar_preci(s.quat_wxyz, s.scale_m, compute_preci=False)
    _, centre, depth, conic, factor = _torch_impl._fully_fused_projection(
        s.mean_m, covariance, pose.inverse()[None], K[None], hw[1], hw[0], eps2d=0.1, calc_compensations=True
    )
    ours = reference.project(s.mean_m, s.quat_wxyz, s.scale_m, K, pose, hw, 0.1)
    front = depth[0] > 0.2
    torch.testing.assert_close(ours[0][front], centre[0][front], rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(ours[2][front], depth[0][front], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(ours[3][front], factor[0][front], rtol=1e-2, atol=1e-3)
    inverse = torch.linalg.inv(ours[1])[:, [0, 0, 1], [0, 1, 1]]
    torch.testing.assert_close(inverse[front], conic[0][front], rtol=1e-2, atol=1e-3)
