"""Cutting a moment out of a scene: the CUDA kernel against the plain twin, and the twin against the rasterizer."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from fourd.errors import InputError
from fourd.native import rasterize, slice_cuda
from fourd.native.slice import Slice, cut
from fourd.types import Splats
from tests.native.cuda_shim import Shim
from tests.native.splats import arguments, beside, pinhole, scatter, splats

HW = (40, 60)
K = pinhole(HW, 50.0)


def given(s: Splats, at_s: float = 0.3) -> list[Any]:
    return arguments(s, K, beside(), HW, at_s)


def assert_same(actual: tuple[torch.Tensor, ...], expected: tuple[torch.Tensor, ...]) -> None:
    """The same splats, in the same order, with the same values to a few ulp; none but borderline cases differ."""
    assert torch.equal(actual[-1], expected[-1])
    for a, b in zip(actual[:-1], expected[:-1], strict=True):
        assert a.isfinite().all() and a.dtype == b.dtype
        torch.testing.assert_close(a, b, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("k", [1, 4, 9, 16])
@pytest.mark.parametrize("n", [0, 1, 255, 257, 3000])
def test_kernel_agrees_with_twin(n: int, k: int, shim: Shim) -> None:
    case = given(scatter(n, k=k, seed=n))
    assert_same(slice_cuda.slice(*case), torch.ops.fourd.slice(*case))
    assert shim.launched == (["slice_mark", "slice_take"] if n > 1 else shim.launched)


@pytest.mark.parametrize("at_s", [-4.0, 0.0, 2.5, 1e4])
def test_kernel_agrees_with_twin_at_any_moment(at_s: float, shim: Shim) -> None:
    case = given(scatter(2000), at_s)
    kept = slice_cuda.slice(*case)
    assert_same(kept, torch.ops.fourd.slice(*case))
    assert at_s < 1e4 or len(kept[0]) == 0


@pytest.mark.needs("native")
@pytest.mark.parametrize("k", [1, 16])
def test_what_is_kept_draws_the_same_picture(k: int) -> None:
    s = scatter(400, k=k)
    whole = rasterize(s, K, beside(), HW, 0.3)
    part = cut(s, K, beside(), HW, 0.3)
    assert 0 < len(part.index) < len(s)
    still = splats(part.mean_m, quat_wxyz=part.quat_wxyz, scale_m=part.scale_m, opacity=part.opacity, rgb=part.rgb)
    drawn = rasterize(still, K, beside(), HW, 17.0)  # It stands still: any moment is the same.
    for name in ("rgb", "alpha", "depth_m"):
        torch.testing.assert_close(getattr(drawn, name), getattr(whole, name), rtol=1e-5, atol=1e-5)
    # What was left out is seen nowhere, and what was kept by whom it says.
    seen = whole.index[whole.index >= 0].long().unique()
    assert torch.isin(seen, part.index).all()
    assert torch.equal(torch.where(drawn.index >= 0, part.index[drawn.index.long()], -1), whole.index.long())


def test_only_what_is_alive_and_in_view_is_kept() -> None:
    s = splats(
        [[0, 0, 2.0], [0, 0, -2.0], [9, 0, 2.0], [-1, 0, 2.0], [0, 0, 2.0]],
        velocity_mps=[[0, 0, 0.0], [0, 0, 0], [0, 0, 0], [1, 0, 0], [0, 0, 0]],
        duration_s=[math.inf, math.inf, math.inf, math.inf, 0.1],
    )
    found = cut(s, K, torch.eye(4), HW, 1.0)
    assert found.index.tolist() == [0, 3]
    torch.testing.assert_close(found.mean_m, torch.tensor([[0, 0, 2.0], [0, 0, 2.0]]))
    assert cut(s, K, torch.eye(4), HW, 0.0).index.tolist() == [0, 3, 4]  # Splat 3: 25 px beside the middle.


def test_the_operator_is_well_formed() -> None:
    torch.library.opcheck(torch.ops.fourd.slice, tuple(_asking(given(scatter(60, k=4)), range(8))))


def test_gradients_are_those_of_finite_differences() -> None:
    case = [x.double() if isinstance(x, torch.Tensor) else x for x in given(scatter(6, k=4))]
    case[7] = case[7].clamp(min=0.5)
    asked = _asking(case, [*range(8), 9])
    assert len(torch.ops.fourd.slice(*asked)[0]) > 3

    def outputs(*tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return torch.ops.fourd.slice(*tensors, *asked[10:])[:-1]

    torch.autograd.gradcheck(outputs, asked[:10], eps=1e-6, atol=1e-6)


def test_only_wanted_gradients_are_made() -> None:
    for which in range(10):
        asked = _asking(given(scatter(50, k=4)), [which])
        found = torch.ops.fourd.slice(*asked)
        sum(x.sum() for x in found[:-1]).backward()
        gradient = asked[which].grad
        assert gradient is None if which == 8 else gradient is not None and gradient.isfinite().all()


def test_what_is_not_kept_has_no_gradient() -> None:
    s = scatter(300)
    asked = _asking(given(s), [0])
    found = Slice(*torch.ops.fourd.slice(*asked))
    found.mean_m.sum().backward()
    kept = torch.zeros(len(s), dtype=torch.bool).index_fill(0, found.index, True)
    assert torch.equal(asked[0].grad, kept[:, None].float().expand(-1, 3))


def test_hostile_values_are_left_out(shim: Shim) -> None:
    case = given(scatter(64))
    for column, poison in ((0, math.nan), (0, math.inf), (1, math.nan), (2, math.nan), (3, math.nan), (5, math.inf)):
        poisoned = [x.clone() if isinstance(x, torch.Tensor) else x for x in case]
        poisoned[column].view(64, -1)[5] = poison
        for kept in (slice_cuda.slice(*poisoned), torch.ops.fourd.slice(*poisoned)):
            assert 5 not in kept[-1].tolist()
            assert all(x.isfinite().all() for x in kept)


def test_the_kernel_reads_single_precision_only(shim: Shim) -> None:
    case = given(scatter(4))
    case[2] = case[2].double()
    with pytest.raises(InputError, match=r"fourd::slice: scale_m has dtype torch\.float64; it must be torch\.float32"):
        slice_cuda.slice(*case)
    assert not shim.launched


def test_sizes_and_places_are_checked() -> None:
    s = scatter(2)
    with pytest.raises(InputError, match=r"hw is \(0, 5\); each side must be 1 to 32767 pixels"):
        cut(s, K, torch.eye(4), (0, 5), 0.0)
    with pytest.raises(InputError, match="time_s is nan; it must be finite"):
        cut(s, K, torch.eye(4), HW, math.nan)
    with pytest.raises(InputError, match="K is on meta and the splats are on cpu"):
        cut(s, K.to("meta"), torch.eye(4), HW, 0.0)


@pytest.mark.needs("cuda")
@pytest.mark.parametrize("n", [0, 1, 257, 100_000])
def test_cuda_keeps_what_the_cpu_keeps(n: int) -> None:
    case = given(scatter(n, k=16))
    there = [x.cuda() if isinstance(x, torch.Tensor) else x for x in case]
    found = torch.ops.fourd.slice(*there)
    assert all(torch.equal(a, b) for a, b in zip(found, torch.ops.fourd.slice(*there), strict=True))
    expected = torch.ops.fourd.slice(*case)
    index, m = found[-1].cpu(), len(expected[0])
    both = torch.isin(index, expected[-1]), torch.isin(expected[-1], index)
    assert len(index) - int(both[0].sum()) + m - int(both[1].sum()) <= 1e-4 * m + 1e-9  # Borderline cases.
    for a, b in zip(found[:-1], expected[:-1], strict=True):
        torch.testing.assert_close(a.cpu()[both[0]], b[both[1]], rtol=1e-5, atol=1e-5)


def _asking(case: list[Any], which: Any) -> list[Any]:
    copies = [x.detach().clone() if isinstance(x, torch.Tensor) else x for x in case]
    for i in which:
        copies[i].requires_grad_()
    return copies
