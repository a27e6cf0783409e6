"""Depth as colour: even in lightness, fixed in scale, black where nothing is seen."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fourd.types import Frames
from fourd.view.colour import Range, depth_picture, depth_range, quantised, ramp


def frames(depth_m: torch.Tensor, alpha: torch.Tensor | None = None) -> Frames:
    alpha = torch.ones_like(depth_m) if alpha is None else alpha
    return Frames(torch.zeros(*depth_m.shape, 3), alpha, depth_m, torch.arange(len(depth_m), dtype=torch.float64))


def luma(rgb: torch.Tensor) -> torch.Tensor:
    linear = torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return linear @ rgb.new_tensor([0.2126, 0.7152, 0.0722])


def test_lightness_rises_and_never_leaves_the_colours_there_are() -> None:
    rgb = ramp(torch.linspace(0, 1, 257, dtype=torch.float64))
    assert bool((luma(rgb).diff() > 0).all())
    # Nothing was clamped: a clamped colour would have a channel of exactly 0 or 1.
    assert 0 < float(rgb.min()) and float(rgb.max()) < 1


def test_steps_of_the_ramp_look_equally_large() -> None:
    # CIE lightness, which the ramp was not made with, is nearly a straight line along it.
    y = luma(ramp(torch.linspace(0, 1, 65, dtype=torch.float64)))
    steps = (116 * y ** (1 / 3) - 16).diff()
    assert float(steps.max() / steps.min()) < 1.8


def test_the_ends_are_dark_violet_and_pale_yellow() -> None:
    far, near = ramp(torch.tensor([0.0, 1.0]))
    assert float(far.max()) < 0.35 and int(far.argmin()) == 1
    assert float(near[:2].min()) > 0.85 and int(near.argmin()) == 2


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_values_outside_are_clamped(value: float) -> None:
    expected = ramp(torch.tensor([min(max(value, 0.0), 1.0)]))
    torch.testing.assert_close(ramp(torch.tensor([value])), expected, rtol=0, atol=0)


def test_near_is_light_far_is_dark_and_holes_are_black() -> None:
    depth = torch.tensor([[[1.0, 2.0, 4.0, 1.0, math.inf]]])
    alpha = torch.tensor([[[1.0, 1.0, 1.0, 0.3, 1.0]]])
    picture = depth_picture(frames(depth, alpha), Range(1.0, 4.0))[0, 0].int()
    assert picture[0].sum() > picture[1].sum() > picture[2].sum() > 0
    assert picture[3].tolist() == [0, 0, 0]
    assert picture[4].tolist() == picture[2].tolist()  # The sky is as far as the scale goes.


@pytest.mark.parametrize("power", [-10, 0, 7])
def test_a_larger_world_looks_the_same(power: int) -> None:
    s = 2.0**power
    depth = torch.rand(2, 9, 9) + 0.5
    small, large = frames(depth), frames(depth * s)
    assert torch.equal(depth_picture(small, depth_range(small)), depth_picture(large, depth_range(large)))


def test_the_range_leaves_out_strays_and_holes() -> None:
    depth = torch.full((1, 40, 40), 2.0)
    depth[:, 20:] = 8.0
    depth[0, 0, 0], depth[0, 0, 1] = 1e-3, 1e6  # Strays.
    alpha = torch.ones_like(depth)
    depth[0, 30, :], alpha[0, 30, :] = 1e-4, 0.2  # Holes.
    scale = depth_range(frames(depth, alpha))
    assert scale.near_m == pytest.approx(2) and scale.far_m == pytest.approx(8)


def test_a_flat_wall_an_open_sky_and_nothing_at_all_have_a_scale() -> None:
    flat = depth_range(frames(torch.full((1, 4, 4), 3.0)))
    assert flat.near_m < 3 < flat.far_m
    sky = torch.full((1, 4, 4), math.inf)
    sky[0, :2] = 2.0
    assert depth_range(frames(sky)).far_m == math.inf
    assert depth_range(frames(sky)).near_m == pytest.approx(2)
    for depth in (torch.zeros(1, 4, 4), torch.full((1, 4, 4), math.inf)):
        scale = depth_range(frames(depth))
        assert 0 < scale.near_m < scale.far_m
        assert depth_picture(frames(depth), scale).shape == (1, 4, 4, 3)


def test_quantised_rounds_to_the_nearest_and_clamps() -> None:
    assert quantised(torch.tensor([-1.0, 0.0, 0.4 / 255, 0.6 / 255, 1.0, 9.0])).tolist() == [0, 0, 0, 1, 255, 255]
