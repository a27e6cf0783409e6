"""What each splat adds to a picture, against the pictures themselves."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from fourd.errors import InputError
from fourd.native import contribution, loader, rasterize, reference
from fourd.types import SH_C0
from tests.native.splats import arguments, beside, pinhole, scatter, splats

pytestmark = pytest.mark.needs("native")

HW = (45, 61)
K, EYE = pinhole(HW, 50.0), torch.eye(4)


def test_weights_are_what_the_colours_are_weighted_with() -> None:
    # The sum of a picture's red moves with a splat's red by the splat's weight.
    args = arguments(scatter(300), K, beside(), HW, 0.3)
    colour = args[4].double().abs().requires_grad_()
    inputs = [x.double() if isinstance(x, Tensor) else x for x in args]
    red = reference.rasterize(*inputs[:4], colour, *inputs[5:])[0][..., 0].sum()
    (by_colour,) = torch.autograd.grad(red, colour)
    found = contribution(scatter(300), K, beside(), HW, 0.3)
    torch.testing.assert_close(found.weight.double(), by_colour[:, 0, 0] / SH_C0, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("threshold", [0.0, 1 / 255, 0.1])
def test_peak_and_pixels_are_those_of_the_splat_drawn_in_white(threshold: float) -> None:
    s = scatter(40, scale_m=0.6)
    found = contribution(s, K, beside(), HW, 0.1, threshold=threshold)
    for i in range(0, 40, 3):
        rgb = torch.zeros(40, 3)
        rgb[i] = 1.0
        weight = rasterize(s.replace(colour=((rgb - 0.5) / SH_C0)[:, None]), K, beside(), HW, 0.1).rgb[..., 0]
        weight = torch.where(weight < 1e-7, 0, weight)  # What rounds to a colour just above black.
        assert float(found.peak[i]) == pytest.approx(float(weight.max()), abs=1e-6)
        assert int(found.pixels[i]) == int((weight > threshold).sum())


@pytest.mark.parametrize("hw", [(1, 1), (45, 61), (200, 300)], ids=str)
def test_weights_sum_up_to_what_is_covered(hw: tuple[int, int]) -> None:
    s, camera = scatter(500), pinhole(hw, hw[1] * 0.8)
    found, seen = contribution(s, camera, EYE, hw, 0.0), rasterize(s, camera, EYE, hw, 0.0)
    assert float(found.weight.double().sum()) == pytest.approx(float(seen.alpha.double().sum()), rel=1e-5)
    assert set(seen.index.unique().tolist()) - {-1} <= set(found.weight.nonzero()[:, 0].tolist())
    assert bool((found.peak <= found.weight * (1 + 1e-6)).all()) and bool((found.peak < 1).all())


def test_what_is_hidden_adds_nothing() -> None:
    wall = splats([[0, 0, z] for z in (3.0, 1.0, 2.0, -1.0)], scale_m=[50.0, 50.0, 1e-6])
    found = contribution(wall, K, EYE, HW, 0.0)
    assert found.weight[0] == 0 and found.weight[3] == 0 and found.pixels.tolist() == [0, HW[0] * HW[1], 0, 0]
    assert float(found.peak[1]) == pytest.approx(0.999)


def test_threads_and_instruction_sets_change_nothing_but_rounding() -> None:
    args = arguments(scatter(3000, scale_m=0.1), K, beside(), HW)

    def run(threads: int, isa: int) -> tuple[Tensor, ...]:
        out = torch.zeros(3000), torch.zeros(3000), torch.zeros(3000, dtype=torch.int32)
        inputs = [x.contiguous().numpy() if isinstance(x, Tensor) else x for x in args]
        loader.cpu().contribution(*inputs, 1 / 255, *(x.numpy() for x in out), threads, isa)
        return out

    one = run(1, -1)
    assert all(torch.equal(a, b) for threads in (2, 5) for a, b in zip(one, run(threads, -1), strict=True))
    for isa in range(loader.cpu().best_isa()):
        torch.testing.assert_close(run(1, isa)[0], one[0], rtol=1e-4, atol=1e-3)


def test_operator_is_well_formed() -> None:
    args = arguments(scatter(20, k=4), pinhole((9, 7), 9.0), EYE, (9, 7))
    torch.library.opcheck(torch.ops.fourd.contribution.default, (*args, 0.1))


def test_no_splats_add_nothing() -> None:
    found = contribution(scatter(0), K, EYE, HW, 0.0)
    assert [tuple(x.shape) for x in found] == [(0,), (0,), (0,)]


@pytest.mark.parametrize("threshold", [-0.1, float("nan")])
def test_thresholds_below_zero_are_refused(threshold: float) -> None:
    with pytest.raises(InputError, match=r"native.contribution: threshold is .*; it must be at least 0"):
        contribution(scatter(2), K, EYE, HW, 0.0, threshold=threshold)


def test_what_rasterize_refuses_is_refused() -> None:
    with pytest.raises(InputError, match=r"native.contribution: hw is \(0, 5\)"):
        contribution(scatter(2), K, EYE, (0, 5), 0.0)
