"""Flicker, calibration and masks: figures that can be counted on the fingers."""

from __future__ import annotations

import math

import pytest
import torch

from benchmarks import errors
from benchmarks.flicker import flicker
from fourd.errors import InputError

from . import worlds

WORLD = worlds.world([0.0, 0.5, 1.0], [0.0, 0.0, 0.0])
assert WORLD.depth is not None and WORLD.moving is not None
TRUE, CAMERAS, STILL = WORLD.depth, WORLD.cameras, WORLD.moving


def test_the_truth_does_not_flicker_in_any_unit() -> None:
    assert flicker(CAMERAS, TRUE, TRUE, STILL) == pytest.approx(0, abs=1e-7)
    assert flicker(CAMERAS, TRUE, TRUE.scaled(7.0), STILL, ahead=2) == pytest.approx(0, abs=1e-6)


def test_a_frame_that_is_a_tenth_too_deep_changes_twice() -> None:
    factor = torch.tensor([1.0, 1.1, 1.0])[:, None, None]
    ours = TRUE.replace(depth_m=TRUE.depth_m * factor)
    assert flicker(CAMERAS, TRUE, ours, STILL) == pytest.approx((0.1 + (1 - 1 / 1.1)) / 2, rel=0.02)
    assert flicker(CAMERAS, TRUE, ours, STILL, ahead=2) == pytest.approx(0, abs=1e-6)


def test_an_error_that_stays_with_its_surface_is_no_flicker() -> None:
    wall = TRUE.depth_m > 5
    ours = TRUE.replace(depth_m=torch.where(wall, 2 * TRUE.depth_m, TRUE.depth_m))
    assert flicker(CAMERAS, TRUE, ours, STILL) == pytest.approx(0, abs=1e-6)


def test_what_turns_into_sky_counts_as_one_and_what_moves_not_at_all() -> None:
    ours = TRUE.replace(depth_m=torch.where(torch.tensor([False, True, False])[:, None, None], torch.inf, TRUE.depth_m))
    assert flicker(CAMERAS, TRUE, ours) == 1
    assert math.isnan(flicker(CAMERAS, TRUE, ours, torch.ones_like(STILL)))


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(InputError, match="There are 3 cameras, 3 true depth maps and 2 of the scene"):
        flicker(CAMERAS, TRUE, TRUE[slice(0, 2)])
    with pytest.raises(InputError, match="looks 0 frames ahead"):
        flicker(CAMERAS, TRUE, TRUE, ahead=0)


def test_confidence_that_says_what_it_is_has_no_error() -> None:
    sure = torch.full_like(TRUE.confidence, 0.75)
    off = torch.ones_like(TRUE.depth_m)
    off[..., ::4] = 3.0  # One in four is wrong.
    ours = TRUE.replace(depth_m=TRUE.depth_m * off, confidence=sure)
    bins = errors.reliability(TRUE, ours)
    assert bins.shape == (errors.BINS, 3)
    assert bins[7].tolist() == pytest.approx([0.75, 0.75, 1.0])
    assert bool(bins[:7].isnan()[:, :2].all()) and float(bins[:7, 2].sum()) == 0
    assert errors.calibration_error(bins) == pytest.approx(0, abs=1e-6)
    boast = errors.reliability(TRUE, ours.replace(confidence=torch.ones_like(sure)))
    assert errors.calibration_error(boast) == pytest.approx(0.25)


def test_where_nothing_is_known_there_is_no_figure() -> None:
    unknown = TRUE.replace(confidence=torch.zeros_like(TRUE.confidence))
    assert math.isnan(errors.calibration_error(errors.reliability(TRUE, unknown)))


def test_masks_overlap_as_far_as_they_do() -> None:
    one, other = torch.zeros(2, 4, 8, dtype=torch.bool), torch.zeros(2, 2, 4, dtype=torch.bool)
    one[0, :, :4] = True
    other[0, :, 1:3] = True
    assert errors.mask_iou(one, other) == pytest.approx(1 / 3)
    assert math.isnan(errors.mask_iou(torch.zeros_like(one), torch.zeros_like(other)))
