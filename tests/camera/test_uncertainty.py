"""How sure cameras are: what is said of exact tracks, of noisy ones, and of parts that disagree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fourd.camera.bundle import Task, adjust
from fourd.camera.model import Model, Seen
from fourd.camera.uncertainty import _change, jackknife
from fourd.errors import InputError
from fourd.types import Uncertainty
from tests.camera.models import exact

pytestmark = pytest.mark.needs("native")


def noisy(seen: Seen, noise_px: float, seed: int = 0) -> Seen:
    return replace(seen, xy=seen.xy + np.random.default_rng(seed).normal(0, noise_px, seen.xy.shape))


def fitted(seen: Seen, model: Model, travels: bool = True) -> Model:
    return adjust(seen, model, Task(1.0, 60, translation=travels, tolerance=1e-9))


def told(seen: Seen, model: Model, *, travels: bool = True, focal: bool = True) -> Uncertainty:
    found = jackknife(seen, model, 1.0, travels=travels, focal=focal)
    assert found is not None and (found.focal is not None) == focal
    return found


def test_exact_tracks_leave_nothing_unsure(world):
    seen, model = exact(world, frames=8, points=200)
    found = told(seen, model)
    assert found.position < 1e-4 and found.rotation_deg < 1e-2
    # No tracks are believed to be better than a tenth of a pixel.
    assert found.focal is not None and found.focal < 5e-3


def test_the_errors_are_about_as_large_as_is_said(world):
    seen, model = exact(world, frames=8, points=200)
    errors, said = [], []
    for seed in range(6):
        place, turn, log_focal = _change(model, found := fitted(part := noisy(seen, 0.4, seed), model))
        errors.append([(place**2).sum(1).mean(), (turn**2).sum(1).mean(), log_focal[0, 0] ** 2])
        sure = told(part, found)
        said.append([sure.position, np.radians(sure.rotation_deg), sure.focal])
    ratio = np.sqrt(np.mean(errors, 0)) / np.sqrt(np.mean(np.square(said), 0))
    assert (ratio > 0.3).all() and (ratio < 2.0).all(), ratio


def test_a_part_that_disagrees_is_noticed(world):
    seen, model = exact(world, frames=8, points=200)
    calm = noisy(seen, 0.02)
    # One quarter of the picture drifts: were all errors independent, the cameras would seem as sure as before.
    corner = (seen.per_point(seen.xy[:, 0]) > 0) & (seen.per_point(seen.xy[:, 1]) > 0)
    drift = np.where(corner[seen.point, None], seen.frame[:, None] * np.array([0.15, -0.1]), 0)
    torn = replace(calm, xy=calm.xy + drift)
    assert told(torn, fitted(torn, model)).position > 5 * told(calm, fitted(calm, model)).position


def test_a_camera_that_only_turns(world):
    seen, model = exact(world, path="turn", frames=8, points=200)
    part = noisy(seen, 0.3)
    found = told(part, fitted(part, model, travels=False), travels=False)
    assert found.position == 0 and 1e-4 < found.rotation_deg < 0.2
    assert told(part, model, travels=False, focal=False).rotation_deg > 0


def test_too_few_points_say_nothing(world):
    seen, model = exact(world, frames=8, points=200)
    assert jackknife(seen.pick(seen.point < 12), model, 1.0, travels=True, focal=True) is None
    assert jackknife(seen.pick(seen.point < 0), model, 1.0, travels=True, focal=True) is None


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_an_uncertainty_is_a_finite_number(value: float) -> None:
    with pytest.raises(InputError, match=r"Uncertainty.focal is .*; it must be finite, and 0 or more."):
        Uncertainty(0.0, 0.0, value)
