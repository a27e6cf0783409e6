"""The sweep's CUDA kernels against the CPU's, which their plain twins judge in test_sweep.py."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from fourd.errors import InputError, LimitError
from fourd.native import sweep_cuda
from tests.native.cuda_shim import Shim
from tests.native.test_sweep import MATCHES, OPS, SMOOTHS, SWEEPS, match_case, smooth_case, sweep_case


def assert_equal(actual: tuple[torch.Tensor, ...], expected: tuple[torch.Tensor, ...]) -> None:
    for a, b in zip(actual, expected, strict=True):
        assert a.dtype == b.dtype and torch.equal(a, b)


# Both sides include cuda_ext/include/sweep.h, and neither contracts to fused multiply-add: they agree to the bit.


@pytest.mark.needs("native")
@pytest.mark.parametrize("size", SWEEPS, ids=str)
def test_the_plane_sweep_is_that_of_the_cpu(size: tuple[int, ...], shim: Shim) -> None:
    case = sweep_case(*size)
    assert_equal((sweep_cuda.plane_sweep(*case),), (OPS.plane_sweep(*case),))
    assert shim.launched == ["sweep_match", "sweep_mean"]


@pytest.mark.needs("native")
@pytest.mark.parametrize("size", [*MATCHES, (3, 4, 130)], ids=str)
def test_semi_global_matching_is_that_of_the_cpu(size: tuple[int, ...], shim: Shim) -> None:
    case = match_case(*size)
    assert_equal(sweep_cuda.semi_global(*case), OPS.semi_global(*case))
    assert shim.launched == ["sweep_paths"] * 4 + ["sweep_choose"]


@pytest.mark.needs("native")
@pytest.mark.parametrize("size", SMOOTHS, ids=str)
def test_smoothing_is_that_of_the_cpu(size: tuple[int, ...], shim: Shim) -> None:
    case = smooth_case(*size)
    before = case[0].clone()
    # The strength of a round is computed in double precision here and in single there: an ulp of it, a few of u.
    torch.testing.assert_close(
        sweep_cuda.smooth_along_edges(*case), OPS.smooth_along_edges(*case), rtol=2e-6, atol=1e-6
    )
    assert torch.equal(case[0], before), "the input is left alone"
    assert shim.launched == ["sweep_smooth"] * 6


def test_empty_pictures_give_empty_results(shim: Shim) -> None:
    assert sweep_cuda.plane_sweep(*sweep_case(0, 5, 2, 4)).shape == (0, 5, 4)
    assert sweep_cuda.plane_sweep(*sweep_case(5, 6, 2, 0)).shape == (5, 6, 0)
    assert [x.shape for x in sweep_cuda.semi_global(*match_case(0, 5, 4))] == [(0, 5)] * 3
    assert sweep_cuda.smooth_along_edges(*smooth_case(2, 0, 5)).shape == (2, 0, 5)


def test_what_the_kernels_have_no_room_for_is_refused(shim: Shim) -> None:
    with pytest.raises(LimitError, match="plane_sweep takes at most 64 views on CUDA, not 65; leave some out"):
        sweep_cuda.plane_sweep(*sweep_case(2, 2, 65, 1))
    with pytest.raises(LimitError, match="semi_global takes at most 4096 planes on CUDA, not 4097; sweep fewer"):
        sweep_cuda.semi_global(*match_case(1, 1, 4097))
    assert sweep_cuda.plane_sweep(*sweep_case(2, 2, 64, 1)).shape == (2, 2, 1)
    assert sweep_cuda.semi_global(*match_case(1, 1, 4096))[0].shape == (1, 1)


def test_dtypes_are_checked(shim: Shim) -> None:
    cost, across, down, p1 = match_case(3, 4, 5)
    with pytest.raises(InputError, match=r"semi_global: down has dtype torch\.int32; it must be torch\.int16"):
        sweep_cuda.semi_global(cost, across, down.int(), p1)
    assert not shim.launched


def there(case: tuple[Any, ...]) -> list[Any]:
    return [x.cuda() if isinstance(x, torch.Tensor) else x for x in case]


@pytest.mark.needs("native", "cuda")
def test_cuda_finds_what_the_cpu_finds() -> None:
    sweep, match, smooth = sweep_case(48, 64, 4, 96), match_case(48, 64, 96), smooth_case(2, 48, 64)
    assert_equal((OPS.plane_sweep(*there(sweep)).cpu(),), (OPS.plane_sweep(*sweep),))
    assert_equal(tuple(x.cpu() for x in OPS.semi_global(*there(match))), OPS.semi_global(*match))
    torch.testing.assert_close(
        OPS.smooth_along_edges(*there(smooth)).cpu(), OPS.smooth_along_edges(*smooth), rtol=2e-6, atol=1e-6
    )
