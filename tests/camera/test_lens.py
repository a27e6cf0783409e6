"""Lenses that bend: the model, how clearly tracks ask for one, and pictures made straight again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from fourd import camera
from fourd.camera.bundle import Task, adjust, bend_score, preference
from fourd.camera.lens import LIMITS, bent, straight, straighten
from fourd.camera.solve import Solved, solve
from fourd.camera.tracks import Tracks
from fourd.errors import InputError
from fourd.events import result
from fourd.types import Cameras, Clip
from tests.camera.models import exact, slopes_agree

pytestmark = pytest.mark.needs("native")

BENDS = (-0.4, -0.1, -0.01, 0.02, 0.1)


def through(tracks: Tracks, bend: float) -> Tracks:
    """The same tracks as a lens that bends shows them; what leaves the picture is lost."""
    h, w = tracks.hw
    middle = np.array([w / 2, h / 2])
    xy_px = bent(tracks.xy_px - middle, bend, max(h, w) / 2) + middle
    inside = (xy_px > 0).all(1) & (xy_px < (w, h)).all(1)
    return replace(tracks, xy_px=np.where(inside[:, None], xy_px, 1.0)).pick(inside)


def run(tracks: Tracks, may_bend: bool = True) -> Solved:
    return result(solve(tracks, may_bend=may_bend))


@pytest.mark.parametrize("bend", [0.0, *BENDS])
def test_straight_is_the_inverse_of_bent(bend):
    xy = np.random.default_rng(0).uniform(-1, 1, (200, 2)) * (160, 90)
    np.testing.assert_allclose(straight(bent(xy, bend, 160.0), bend, 160.0), xy, atol=1e-9)
    assert (bent(xy, 0.0, 160.0) == xy).all()


def test_the_middle_stays_and_a_barrel_draws_the_rim_in():
    np.testing.assert_allclose(bent(np.array([[1e-3, 0.0]]), -0.3, 100.0), [[1e-3, 0]], rtol=1e-9)
    # d / (1 - 0.25 d^2) = 4 / 3 for d = 1.
    np.testing.assert_allclose(bent(np.array([[0.0, 400 / 3]]), -0.25, 100.0), [[0, 100]], rtol=1e-12)


def test_a_cushion_stays_finite_beyond_its_last_circle():
    assert np.isfinite(bent(np.array([[1e4, 1e4]]), LIMITS[1], 100.0)).all()


@pytest.mark.parametrize("bend", [-0.2, 0.05])
def test_slopes_of_a_lens_that_bends_agree_with_finite_differences(world, bend):
    seen, model = exact(world, bend, frames=4, points=60)
    model = replace(model, bend=bend + 0.01, focal=model.focal * 1.02)
    slopes_agree(seen, model)


@pytest.mark.parametrize("bend", [-0.2, 0.05])
def test_exact_places_give_the_exact_bend(world, bend):
    seen, model = exact(world, bend)
    pinhole = adjust(seen, model, Task(5.0, 30))
    assert pinhole.bend == 0 and bend_score(seen, pinhole, 5.0) > 2
    found = adjust(seen, model, Task(5.0, 60, bend=True, tolerance=1e-12))
    assert found.bend == pytest.approx(bend, abs=1e-5)
    assert found.focal == pytest.approx(model.focal, rel=1e-4)
    assert preference(seen, pinhole, found, 0.4) > 5 > preference(seen, found, pinhole, 0.4) == 0


def test_nothing_seen_asks_for_nothing(world):
    seen, model = exact(world, -0.2)
    none = seen.pick(seen.frame < 0)
    assert bend_score(none, model, 0.4) == 0 and preference(none, model, model, 0.4) == 0


@pytest.mark.parametrize("bend", [-0.25, -0.05, 0.05])
def test_a_lens_that_bends_is_found_from_noisy_tracks(world, error, bend):
    truth = world("orbit", noise_px=0.2, moving=0.2, outliers=0.02, points=600)
    found = run(through(truth.tracks, bend))
    off, degrees = error(found.R, found.t, truth)
    assert found.kind == "travelling" and found.bend == pytest.approx(bend, abs=0.01)
    assert off < 0.01 and degrees < 0.3
    assert found.focal == pytest.approx(truth.focal, rel=0.04)


def test_a_straight_lens_is_left_straight(world):
    truth = world("orbit", noise_px=0.2, moving=0.2, outliers=0.02, points=600)
    assert run(truth.tracks).bend == 0
    assert run(through(truth.tracks, -0.1), may_bend=False).bend == 0


def pictured(bend: float, hw: tuple[int, int] = (96, 128)) -> tuple[np.ndarray, np.ndarray]:
    """Smooth waves as a pinhole camera sees them, and the same through a lens that bends."""
    h, w = hw
    rows, columns = np.mgrid[0.5:h, 0.5:w]
    xy = np.stack([columns.ravel() - w / 2, rows.ravel() - h / 2], 1)

    def waves(xy: np.ndarray) -> np.ndarray:
        grey = 127 + 60 * np.sin(xy[:, 0] / 9) + 60 * np.cos(xy[:, 1] / 7)
        return np.repeat(np.round(grey).astype(np.uint8).reshape(h, w, 1), 3, 2)

    return waves(xy), waves(straight(xy, bend, max(h, w) / 2))


def filmed(picture: np.ndarray, bend: float) -> tuple[Clip, Cameras]:
    h, w = picture.shape[:2]
    clip = Clip(torch.from_numpy(picture)[None], torch.zeros(1, dtype=torch.float64))
    K = torch.tensor([[[100.0, 0, w / 2], [0, 100, h / 2], [0, 0, 1]]])
    return clip, Cameras(K, torch.eye(4)[None], (h, w), clip.time_s, bend)


def test_pictures_are_made_straight():
    wanted, seen = pictured(-0.15)
    clip, cameras = straighten(*filmed(seen, -0.15))
    # Waves of seven pixels, interpolated, in whole steps of brightness.
    assert np.abs(clip.frames[0].numpy().astype(int) - wanted).max() <= 4
    assert cameras.bend == 0 and float(cameras.K[0, 0, 0]) == 100


def test_a_cushion_fills_the_picture_and_its_focal_length_grows_with_it():
    _, seen = pictured(0.08)
    clip, cameras = straighten(*filmed(seen, 0.08))
    zoom = 1 + 0.08 * (96**2 + 128**2) / 128**2
    assert cameras.K[0, 0, 0] == cameras.K[0, 1, 1] == pytest.approx(100 * zoom)
    assert float(cameras.K[0, 0, 2]) == 64
    assert abs(int(clip.frames[0, 0, 0, 0]) - int(seen[0, 0, 0])) <= 4  # Corners stay corners.


def test_a_straight_clip_is_not_touched():
    clip, cameras = filmed(pictured(0.0)[0], 0.0)
    assert straighten(clip, cameras) == (clip, cameras)


def test_a_bend_must_be_one():
    with pytest.raises(InputError, match=r"Cameras\.bend is 1\.5; it must lie between -1 and 1\."):
        filmed(pictured(0.0)[0], 1.5)


def test_the_backend_can_be_told_that_the_lens_is_straight():
    assert not camera.load("flow", may_bend=False).may_bend  # type: ignore[attr-defined]
    with pytest.raises(InputError, match=r"Camera backend 'still' has no option 'may_bend'\. It takes: none\."):
        camera.load("still", may_bend=False)
