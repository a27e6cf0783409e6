"""Figures of likeness: by hand, by the properties they must have, and by the libraries that are known for them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import pytorch_msssim
import torch
from jaxtyping import TypeCheckError
from torch import Tensor

from benchmarks import metrics
from fourd.errors import InputError

FIGURES = {"psnr": metrics.psnr, "ssim": metrics.ssim, "ms_ssim": metrics.ms_ssim}


def picture(hw: tuple[int, int], seed: int = 0) -> Tensor:
    """Soft random texture."""
    g = torch.Generator().manual_seed(seed)
    rough = torch.rand(1, 3, hw[0] + 6, hw[1] + 6, generator=g)
    return torch.nn.functional.avg_pool2d(rough, 7, 1)[0].movedim(0, -1).contiguous()


def noisy(clean: Tensor, amount: float = 0.05, seed: int = 1) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return (clean + amount * torch.randn(clean.shape, generator=g)).clamp(0, 1)


def test_a_picture_is_like_itself() -> None:
    a = picture((64, 80))
    judged = metrics.judge(a, a, {"whole": None})["whole"]
    assert judged["psnr"] == math.inf
    assert judged["ssim"] == pytest.approx(1, abs=1e-9)
    assert judged["ms_ssim"] == pytest.approx(1, abs=1e-9)
    assert judged["flip"] == 0


def test_psnr_by_hand() -> None:
    black = torch.zeros(2, 2, 3)
    ours = black.clone()
    ours[0, 0, 0] = 0.6  # A mean squared error of 0.36 / 12 = 0.03.
    assert metrics.psnr(black, ours) == pytest.approx(-10 * math.log10(0.03), abs=1e-4)
    assert metrics.psnr(black, torch.ones(2, 2, 3)) == pytest.approx(0)


def test_a_mask_counts_its_own_pixels_only() -> None:
    a = picture((40, 40))
    b = a.clone()
    b[:, 20:] = 0
    left = torch.zeros(40, 40, dtype=torch.bool)
    left[:, :20] = True
    assert metrics.psnr(a, b, left) == math.inf
    assert metrics.psnr(a, b, ~left) == pytest.approx(metrics.psnr(a[:, 20:], b[:, 20:]), abs=1e-5)
    # SSIM looks five pixels around: only columns away from the border are untouched.
    near = torch.zeros(40, 40, dtype=torch.bool)
    near[:, :15] = True
    assert metrics.ssim(a, b, near) == pytest.approx(1, abs=1e-9)
    assert metrics.ssim(a, b, ~left) < 0.2


@pytest.mark.parametrize("name", FIGURES)
def test_the_mask_of_everything_is_the_whole_picture(name: str) -> None:
    a = picture((90, 130))
    b = noisy(a)
    assert FIGURES[name](a, b, torch.ones(90, 130, dtype=torch.bool)) == pytest.approx(FIGURES[name](a, b), abs=1e-9)


@pytest.mark.parametrize("name", FIGURES)
def test_an_empty_mask_has_no_figure(name: str) -> None:
    a = picture((30, 30))
    assert math.isnan(FIGURES[name](a, noisy(a), torch.zeros(30, 30, dtype=torch.bool)))


@pytest.mark.parametrize("name", FIGURES)
def test_more_noise_is_worse(name: str) -> None:
    a = picture((64, 64))
    values = [FIGURES[name](a, noisy(a, amount)) for amount in (0.01, 0.05, 0.2)]
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("name", FIGURES)
def test_the_order_of_the_two_does_not_matter(name: str) -> None:
    a = picture((50, 60))
    b = noisy(a)
    assert FIGURES[name](a, b) == pytest.approx(FIGURES[name](b, a), abs=1e-9)


# The library's window is held in single precision: its weights sum to 1 - 6e-8, which its variances feel.
@pytest.mark.parametrize("hw", [(176, 200), (177, 201), (181, 166)])
def test_ssim_and_ms_ssim_agree_with_pytorch_msssim(hw: tuple[int, int]) -> None:
    a = picture(hw)
    b = noisy(a)
    x, y = (p.movedim(-1, 0)[None].double() for p in (a, b))
    assert metrics.ssim(a, b) == pytest.approx(float(pytorch_msssim.ssim(x, y, data_range=1)), abs=1e-5)
    assert metrics.ms_ssim(a, b) == pytest.approx(float(pytorch_msssim.ms_ssim(x, y, data_range=1)), abs=1e-5)


@pytest.mark.parametrize(("side", "count"), [(5, 1), (20, 1), (21, 2), (80, 3), (81, 4), (160, 4), (161, 5), (999, 5)])
def test_small_pictures_have_fewer_scales(side: int, count: int) -> None:
    assert metrics.scales((side, 2000)) == metrics.scales((2000, side)) == count


def test_of_one_scale_ms_ssim_is_ssim() -> None:
    a = picture((18, 40))
    b = noisy(a)
    # Channels are averaged after the power and before it; with the power 1 it is the same.
    assert metrics.ms_ssim(a, b) == pytest.approx(metrics.ssim(a, b), abs=1e-9)


def test_pictures_smaller_than_the_window_are_judged_by_a_smaller_one() -> None:
    a = picture((4, 6))
    assert metrics.ssim(a, a) == pytest.approx(1)
    assert metrics.ssim(a, 1 - a) < 0.5


def test_a_thin_mask_is_judged_at_the_scales_that_see_it() -> None:
    a = picture((180, 180))
    b = noisy(a)
    line = torch.zeros(180, 180, dtype=torch.bool)
    line[90, 20:160] = True
    assert 0 < metrics.ms_ssim(a, b, line) < 1


def test_flip_is_local_and_bounded() -> None:
    a = picture((48, 48))
    b = a.clone()
    b[20:28, 20:28] = 1 - b[20:28, 20:28]
    error = metrics.flip_map(a, b)
    assert float(error.min()) >= 0 and float(error.max()) <= 1
    assert float(error[20:28, 20:28].mean()) > 20 * float(error[:8].mean() + 1e-4)


def test_flip_of_black_and_white_is_the_largest_there_is() -> None:
    black, white = torch.zeros(16, 16, 3), torch.ones(16, 16, 3)
    # White against black is the largest difference of lightness; only saturated colours differ more.
    assert float(metrics.flip_map(black, white).mean()) > 0.9


def test_judge_says_what_the_single_figures_say() -> None:
    a = picture((40, 50))
    b = noisy(a)
    part = torch.zeros(40, 50, dtype=torch.bool)
    part[10:30, 15:40] = True
    judged = metrics.judge(a, b, {"whole": None, "part": part})
    for name, figure in FIGURES.items():
        assert judged["whole"][name] == figure(a, b)
        assert judged["part"][name] == figure(a, b, part)
    assert judged["part"]["flip"] == pytest.approx(float(metrics.flip_map(a, b)[part].mean()), abs=1e-6)


def test_sizes_must_agree() -> None:
    with pytest.raises(TypeCheckError):
        metrics.psnr(torch.zeros(4, 4, 3), torch.zeros(4, 5, 3))


def test_nan_is_refused_and_not_averaged() -> None:
    b = torch.zeros(4, 4, 3)
    b[0, 0, 0] = np.nan
    with pytest.raises(InputError, match="NaN or infinity"):
        metrics.ssim(torch.zeros(4, 4, 3), b)
