"""The rasterizer's gradients: against its twin's, against finite differences, and by what symmetries demand."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from fourd.errors import InputError
from fourd.native import Raster, loader, rasterize, reference
from fourd.types import Splats
from tests.native.splats import arguments, beside, pinhole, scatter, splats

pytestmark = pytest.mark.needs("native")

NAMES = "mean_m quat_wxyz scale_m opacity colour velocity_mps time_s duration_s K world_from_cam".split()
HW = (45, 61)  # Not whole tiles.


def weights(hw: tuple[int, int], seed: int = 1) -> list[Tensor]:
    """What a loss says of rgb, alpha and depth_m."""
    g = torch.Generator().manual_seed(seed)
    return [torch.randn(*hw, 3, generator=g), torch.randn(hw, generator=g), torch.randn(hw, generator=g)]


def gradients(
    function: Callable[..., tuple[Tensor, ...]], args: list[Any], by: list[Tensor], dtype: torch.dtype = torch.float32
) -> dict[str, Tensor]:
    """Derivatives of the weighted sum of the pictures by all ten tensors."""
    inputs = [x.to(dtype).clone().requires_grad_() if isinstance(x, Tensor) else x for x in args]
    out = function(*inputs)
    loss = sum(((x * w.to(dtype)).sum() for x, w in zip(out, by, strict=False)), torch.zeros(()))
    found = torch.autograd.grad(loss, inputs[:10], allow_unused=True)
    return {name: torch.zeros(()) if x is None else x for name, x in zip(NAMES, found, strict=True)}


def kernel(args: list[Any], by: list[Tensor], *, threads: int = 1, isa: int = -1) -> list[Tensor]:
    """The extension's own functions, whose threads and instruction set can be chosen."""
    h, w = args[10:12]
    out = torch.empty(h, w, 3), *(torch.empty(h, w) for _ in range(3)), torch.empty(h, w, dtype=torch.int32)
    inputs = [x.contiguous().numpy() if isinstance(x, Tensor) else x for x in [*args[:10], *args[12:]]]
    loader.cpu().rasterize(*inputs, *(x.numpy() for x in out), threads, isa)
    found = [torch.zeros(x.shape) for x in args[:10]]
    pictures = [x.numpy() for x in [*out[:3], *by]]
    loader.cpu().rasterize_backward(*inputs, *pictures, *(x.numpy() for x in found), threads, isa)
    return found


def agree(actual: dict[str, Tensor], expected: dict[str, Tensor], rtol: float = 5e-5) -> None:
    """Each gradient as a whole is right to ``rtol``: measured 1.2e-5 at most, as the twin in single precision."""
    for name in NAMES:
        a, e = actual[name].double(), expected[name].double()
        assert bool(a.isfinite().all()), name
        assert float((a - e).norm()) <= rtol * float(e.norm()) + 1e-9, name


@pytest.mark.parametrize("pose", [torch.eye(4), beside()], ids=["straight", "beside"])
@pytest.mark.parametrize(
    ("n", "k", "scale_m"), [(300, 1, 0.3), (200, 4, 0.1), (1000, 9, 0.02), (500, 16, 0.05), (50, 1, 3.0), (1, 1, 1.0)]
)
def test_kernel_agrees_with_reference(n: int, k: int, scale_m: float, pose: Tensor) -> None:
    args = arguments(scatter(n, k=k, scale_m=scale_m), pinhole(HW, 50.0), pose, HW, 0.37)
    expected = gradients(reference.rasterize, args, weights(HW), torch.float64)
    agree(gradients(torch.ops.fourd.rasterize, args, weights(HW)), expected)


@pytest.mark.parametrize("picture", [0, 1, 2], ids=["rgb", "alpha", "depth_m"])
def test_each_picture_alone(picture: int) -> None:
    args = arguments(scatter(200, k=4), pinhole(HW, 50.0), beside(), HW)
    by = [w if i == picture else torch.zeros_like(w) for i, w in enumerate(weights(HW))]
    expected = gradients(reference.rasterize, args, by, torch.float64)
    agree(gradients(torch.ops.fourd.rasterize, args, by), expected)
    assert float(expected["mean_m"].norm()) > 1


@pytest.mark.parametrize(
    "K",
    [
        [[50.0, 12, 30], [0, 70, 20], [0, 0, 1]],  # Skew, oblong pixels.
        [[50.0, 0, -20], [0, 50, 70], [0, 0, 1]],  # The optical axis beyond the picture.
        [[4.0, 0, 30], [0, 4, 22], [0, 0, 1]],  # 165 degrees across: the Jacobian is clamped, and K moves the clamp.
        [[900.0, 0, 30], [0, 900, 22], [0, 0, 1]],
    ],
    ids=["skew", "off-centre", "wide", "long"],
)
def test_any_pinhole(K: list[list[float]]) -> None:
    args = arguments(scatter(200), torch.tensor(K), beside(), HW)
    expected = gradients(reference.rasterize, args, weights(HW), torch.float64)
    agree(gradients(torch.ops.fourd.rasterize, args, weights(HW)), expected)


def test_needles_stay_exact() -> None:
    # A thousand times as long as wide, across the diagonal. Sums over pixels cancel to a few per cent of their terms.
    quat = torch.tensor([0.9239, 0.0, 0.0, 0.3827])
    needles = splats(
        [[0, 0, 2.0], [0.1, -0.1, 3.0]], quat_wxyz=quat / quat.norm(), scale_m=[5.0, 0.005, 0.005], opacity=0.8
    )
    args = arguments(needles, pinhole((64, 64), 200.0), torch.eye(4), (64, 64))
    expected = gradients(reference.rasterize, args, weights((64, 64)), torch.float64)
    agree(gradients(torch.ops.fourd.rasterize, args, weights((64, 64))), expected, rtol=1e-3)


@pytest.mark.parametrize("isa", [0, 1, 2], ids=["baseline", "avx2", "avx512"])
def test_every_instruction_set_agrees_with_reference(isa: int) -> None:
    if isa > loader.cpu().best_isa():
        pytest.skip("this processor lacks it")
    args = arguments(scatter(400, k=4), pinhole(HW, 50.0), beside(), HW, -0.2)
    expected = gradients(reference.rasterize, args, weights(HW), torch.float64)
    agree(dict(zip(NAMES, kernel(args, weights(HW), isa=isa), strict=True)), expected)


def smooth(n: int, k: int, *, seed: int = 5) -> Splats:
    """Broad splats of middling opacity: no pixel comes near a threshold, where the picture jumps."""
    g, s = torch.Generator().manual_seed(3), scatter(n, k=k, seed=seed)
    return s.replace(
        mean_m=torch.randn(n, 3, generator=g) * 0.2 + torch.tensor([0.0, 0, 4]),
        scale_m=torch.rand(n, 3, generator=g) * 2 + 2,
        opacity=torch.rand(n, generator=g) * 0.3 + 0.3,
        duration_s=torch.rand(n, generator=g) + 2,
        colour=s.colour * 0.1,
    )


def test_reference_agrees_with_finite_differences() -> None:
    s = smooth(3, 16)
    args = arguments(s, pinhole((3, 4), 5.0, skew=0.4), beside(), (3, 4), 0.2)
    inputs = [x.double().requires_grad_() for x in args[:10]]
    assert torch.autograd.gradcheck(lambda *x: reference.rasterize(*x, *args[10:])[:3], inputs, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_kernel_agrees_with_its_own_finite_differences(name: str) -> None:
    # Whatever the twin says: the pictures that the kernel draws change as the kernel's gradient says they do.
    i, by = NAMES.index(name), weights(HW)
    args = arguments(smooth(8, 4), pinhole(HW, 50.0), beside(), HW, 0.1)
    direction = torch.randn(args[i].shape, generator=torch.Generator().manual_seed(4))
    if name in ("K", "world_from_cam"):
        direction[-1] = 0
    direction /= direction.norm()
    slope = float((gradients(torch.ops.fourd.rasterize, args, by)[name] * direction).sum())

    def loss(step: float) -> float:
        moved = [*args[:i], args[i] + step * direction, *args[i + 1 :]]
        out = torch.ops.fourd.rasterize(*moved)
        return sum(float((x.double() * w).sum()) for x, w in zip(out, by, strict=False))

    step = 0.5 if name == "K" else 1e-2
    measured = (loss(step) - loss(-step)) / (2 * step)
    assert slope == pytest.approx(measured, rel=0.03, abs=2e-3)  # Single precision over a finite step.
    assert abs(slope) > 0.02


def test_threads_change_nothing() -> None:
    args = arguments(scatter(6000, k=4, scale_m=0.1), pinhole((90, 130), 120.0), beside(), (90, 130))
    one = kernel(args, weights((90, 130)), threads=1)
    for threads in (2, 3, 8):
        again = kernel(args, weights((90, 130)), threads=threads)
        assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))


def test_lists_too_long_for_the_memory_are_cut() -> None:
    # 2000 splats in each of 1200 tiles are more than are kept at a time; the first twenty close every pixel.
    hw, n = (480, 640), 2000
    mean_m = torch.tensor([0, 0, 1.0]) * (1 + torch.linspace(0, 1, n)[:, None])
    many = splats(mean_m, scale_m=[1e3] * 3, opacity=0.5)
    args, few = (arguments(s, pinhole(hw, 500.0), torch.eye(4), hw) for s in (many, many[:20]))
    found, expected = kernel(args, weights(hw), threads=2), kernel(few, weights(hw), threads=2)
    for a, e in zip(found[:8], expected[:8], strict=True):
        assert torch.equal(a[:20], e) and not a[20:].any()
    assert float(expected[3][:3].abs().min()) > 0


def test_what_is_not_seen_gets_no_gradient() -> None:
    s = splats([[0, 0, 3.0], [0, 0, -3.0], [90.0, 0, 3.0], [0, 0, 5.0]], opacity=[0.9, 0.9, 0.9, 0.001])
    found = gradients(torch.ops.fourd.rasterize, arguments(s, pinhole(HW, 50.0), torch.eye(4), HW), weights(HW))
    for name in NAMES[:8]:
        assert not found[name][1:].any(), name
    assert bool(found["mean_m"][0].all())


def test_moving_world_and_camera_together_moves_nothing() -> None:
    args = arguments(scatter(200, k=9), pinhole(HW, 50.0), beside(), HW, 0.3)
    found = gradients(torch.ops.fourd.rasterize, args, weights(HW))
    away = found["mean_m"].double().sum(0) + found["world_from_cam"][:3, 3].double()
    assert float(away.abs().max()) < 1e-4 * float(found["mean_m"].norm())
    assert not found["world_from_cam"][3].any()


def test_growing_world_and_distance_together_changes_nothing() -> None:
    args = arguments(scatter(200, k=9), pinhole(HW, 50.0), beside(), HW, 0.3)
    by = weights(HW)[:2]  # The depth does grow.
    found = gradients(torch.ops.fourd.rasterize, args, by)
    parts = [(found[name].double() * args[NAMES.index(name)]).sum() for name in ("mean_m", "scale_m", "velocity_mps")]
    parts.append((found["world_from_cam"][:3, 3].double() * args[9][:3, 3]).sum())
    assert abs(float(sum(parts))) < 1e-3 * max(abs(float(part)) for part in parts)


def test_a_splat_without_end_has_no_gradient_by_its_time() -> None:
    args = arguments(splats([[0, 0, 3.0]], opacity=0.7), pinhole(HW, 50.0), torch.eye(4), HW, 2.0)
    found = gradients(torch.ops.fourd.rasterize, args, weights(HW))
    assert float(found["duration_s"]) == 0 and float(found["time_s"]) == 0
    assert float(found["opacity"]) != 0


def test_gradients_flow_through_the_nouns() -> None:
    s, goal = scatter(60, scale_m=0.6), rasterize(scatter(60, scale_m=0.6), pinhole(HW, 50.0), beside(), HW, 0.0)
    mean_m = (s.mean_m + 0.05).requires_grad_()
    pose = beside().requires_grad_()

    def loss() -> Tensor:
        seen = rasterize(s.replace(mean_m=mean_m), pinhole(HW, 50.0), pose, HW, 0.0)
        assert seen.rgb.requires_grad and not seen.median_m.requires_grad and not seen.index.requires_grad
        return (seen.rgb - goal.rgb).abs().mean()

    first = loss()
    first.backward()
    assert mean_m.grad is not None and pose.grad is not None and bool(pose.grad[:3].any())
    with torch.no_grad():
        mean_m -= 1.0 * mean_m.grad
    assert float(loss().detach()) < 0.9 * float(first.detach())


def test_only_what_asks_gets_a_gradient() -> None:
    s = scatter(5)
    opacity = s.opacity.clone().requires_grad_()
    seen = rasterize(s.replace(opacity=opacity), pinhole(HW, 50.0), beside(), HW, 0.0)
    seen.alpha.sum().backward()  # The gradient that comes in is one number, expanded.
    assert opacity.grad is not None and bool((opacity.grad > 0).any())
    plain = rasterize(s, pinhole(HW, 50.0), beside(), HW, 0.0)
    assert not any(x.requires_grad for x in plain)


def test_a_picture_that_the_loss_ignores_says_nothing() -> None:
    args = arguments(scatter(50), pinhole(HW, 50.0), beside(), HW)
    pictures, by = torch.ops.fourd.rasterize(*args)[:3], weights(HW)
    some = torch.ops.fourd.rasterize_backward(*args[:10], *args[12:], *pictures, by[0], None, None)
    by[1:] = [torch.zeros(HW), torch.zeros(HW)]
    all_three = torch.ops.fourd.rasterize_backward(*args[:10], *args[12:], *pictures, *by)
    assert all(torch.equal(a, b) for a, b in zip(some, all_three, strict=True))


def test_median_and_index_have_no_gradient() -> None:
    s = scatter(5)
    seen = rasterize(s.replace(opacity=s.opacity.clone().requires_grad_()), pinhole(HW, 50.0), beside(), HW, 0.0)
    with pytest.raises(RuntimeError, match="does not require grad"):
        seen.median_m.sum().backward()


def test_operators_are_well_formed() -> None:
    hw = (9, 7)
    args = arguments(scatter(20, k=4), pinhole(hw, 9.0), torch.eye(4), hw)
    wanted = [x.clone().requires_grad_() if isinstance(x, Tensor) else x for x in args]
    torch.library.opcheck(torch.ops.fourd.rasterize.default, tuple(wanted))
    pictures = torch.ops.fourd.rasterize(*args)[:3]
    backward = (*args[:10], *args[12:], *pictures, *weights(hw))
    torch.library.opcheck(torch.ops.fourd.rasterize_backward.default, backward)


HUGE, TINY, DENORMAL = 3e38, 1e-37, 1e-42


def finite(s: Splats, *, at_s: float = 0.0, pose: Tensor | None = None) -> dict[str, Tensor]:
    args = arguments(s, pinhole((20, 30), 25.0), torch.eye(4) if pose is None else pose, (20, 30), at_s)
    found = gradients(torch.ops.fourd.rasterize, args, weights((20, 30)))
    for name, gradient in found.items():
        assert bool(gradient.isfinite().all()), name
    return found


@pytest.mark.parametrize("value", [HUGE, 1e20, 1e6, TINY, DENORMAL])
@pytest.mark.parametrize("axes", [[0], [2], [0, 1], [0, 1, 2]], ids=str)
def test_any_scale(value: float, axes: list[int]) -> None:
    scale = torch.full((3,), 0.2)
    scale[axes] = value
    for pose in (torch.eye(4), beside()):
        finite(splats([[0.1, -0.2, 3.0], [0, 0, 5.0]], scale_m=scale, opacity=0.8), pose=pose)


@pytest.mark.parametrize("value", [HUGE, -HUGE, 1e20, 1e9, DENORMAL, 0.0])
@pytest.mark.parametrize("name", ["mean_m", "velocity_mps", "colour"])
def test_any_place_and_colour(name: str, value: float) -> None:
    for axis in range(3):
        s = scatter(20, k=4)
        field = getattr(s, name).clone()
        field[::2, ..., axis] = value
        for at_s in (0.0, 1e6):
            finite(s.replace(**{name: field}), at_s=at_s, pose=beside())


@pytest.mark.parametrize("field", [{"duration_s": DENORMAL}, {"duration_s": HUGE}, {"time_s": HUGE}], ids=str)
@pytest.mark.parametrize("at_s", [0.0, 1.0, -1e300])
def test_any_time(field: dict[str, float], at_s: float) -> None:
    finite(splats([[0, 0, 3.0]], **field), at_s=at_s)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0.0, -1.0, 2.0])
def test_the_operator_survives_what_the_noun_refuses(value: float) -> None:
    # Two splats side by side, one of them broken: no gradient breaks, and the other's is what it is alone.
    hw = (20, 30)
    for i, name in enumerate(NAMES[:8]):
        args = arguments(splats([[-0.8, 0, 3.0], [0.8, 0, 3.0]], opacity=0.7), pinhole(hw, 25.0), torch.eye(4), hw)
        alone = [x[1:] if j < 8 else x for j, x in enumerate(args)]
        args[i] = args[i].clone()
        args[i][0] = value
        found = gradients(torch.ops.fourd.rasterize, args, weights(hw))
        assert all(bool(x.isfinite().all()) for x in found.values()), name
        if math.isnan(value) and name != "colour":
            expected = gradients(torch.ops.fourd.rasterize, alone, weights(hw))
            assert all(torch.equal(found[field][1:], expected[field]) for field in NAMES[:8]), name


def test_a_camera_inside_a_splat() -> None:
    finite(splats([[0, 0, 0.011], [0, 0, 0.05], [0, 0, 2.0]], scale_m=[1.0] * 3, opacity=0.6))


@pytest.mark.parametrize("hw", [(1, 1), (1, 40), (17, 15)], ids=str)
@pytest.mark.parametrize("n", [0, 1, 50])
def test_any_size(hw: tuple[int, int], n: int) -> None:
    args = arguments(scatter(n), pinhole(hw, 20.0), torch.eye(4), hw)
    found = gradients(torch.ops.fourd.rasterize, args, weights(hw))
    assert all(bool(x.isfinite().all()) for x in found.values())


def test_very_many_in_one_tile() -> None:
    g = torch.Generator().manual_seed(0)
    n = 100_000
    s = splats(torch.randn(n, 3, generator=g) * 0.01 + torch.tensor([0, 0, 4.0]), scale_m=[0.2] * 3, opacity=0.02)
    found = finite(s)
    assert int(found["opacity"].count_nonzero()) > 100


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_broke_is_not_hidden(value: float) -> None:
    by = weights(HW)
    by[0][20, 30, 1] = value
    found = gradients(torch.ops.fourd.rasterize, arguments(scatter(50), pinhole(HW, 50.0), beside(), HW), by)
    assert not found["mean_m"].isfinite().all() and not found["K"].isfinite().all()


def test_memory_layout_does_not_matter() -> None:
    args = arguments(scatter(40, k=4), pinhole(HW, 50.0), beside(), HW)
    strided = [torch.stack([x, x], -1)[..., 0] if isinstance(x, Tensor) else x for x in args]
    by = [w.transpose(0, 1).contiguous().transpose(0, 1) for w in weights(HW)]
    plain, other = (gradients(torch.ops.fourd.rasterize, a, w) for a, w in ((args, weights(HW)), (strided, by)))
    assert all(torch.equal(plain[name], other[name]) for name in NAMES)


def test_gradients_of_other_dtypes_are_refused() -> None:
    args = arguments(scatter(2), pinhole(HW, 50.0), beside(), HW)
    pictures = torch.ops.fourd.rasterize(*args)[:3]
    by = weights(HW)
    with pytest.raises(InputError, match=r"by_alpha has dtype torch.float64; it must be torch.float32"):
        torch.ops.fourd.rasterize_backward(*args[:10], *args[12:], *pictures, by[0], by[1].double(), by[2])
    assert isinstance(rasterize(scatter(2), pinhole(HW, 50.0), beside(), HW, 0.0), Raster)
