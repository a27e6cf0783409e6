"""Cameras from tracks whose answer is known exactly."""

from __future__ import annotations

import numpy as np
import pytest

from fourd.camera import solve as solving
from fourd.camera.model import orthonormal
from fourd.camera.solve import UNIT, Solved, focal_px, solve
from fourd.camera.tracks import Tracks
from fourd.events import result

pytestmark = pytest.mark.needs("native")


def run(tracks: Tracks) -> Solved:
    shares: list[float] = []
    solved = result(solve(tracks), shares.append)
    assert all(0 <= share <= 1 for share in shares)
    return solved


def test_exact_tracks_give_the_exact_camera(world, error):
    truth = world("orbit")
    solved = run(truth.tracks)
    off, degrees = error(solved.R, solved.t, truth)
    assert solved.kind == "travelling" and not solved.warnings
    # The last adjustments stop at steps of 1e-5 of the cost: far below any noise, yet not zero.
    assert off < 1e-4
    assert degrees < 0.01
    assert solved.focal == pytest.approx(truth.focal, rel=1e-3)


@pytest.mark.parametrize("path", ["orbit", "forward"])
def test_noise_outliers_and_moving_things_are_survived(path, world, error):
    truth = world(path, noise_px=0.2, moving=0.3, outliers=0.03, points=600)
    solved = run(truth.tracks)
    off, degrees = error(solved.R, solved.t, truth)
    assert solved.kind == "travelling"
    assert off < 0.01
    assert degrees < 0.3
    assert solved.focal == pytest.approx(truth.focal, rel=0.04)


def test_the_unit_is_the_median_depth_of_the_first_frame(world):
    truth = world("orbit")
    solved = run(truth.tracks)
    # The depth of every point of the first frame, from the true geometry, in units of the solved path.
    rng = np.random.default_rng(7)
    X = rng.uniform([-6, -3, 3], [6, 3, 10], (400, 3))
    h, w = truth.tracks.hw
    xy = truth.focal * X[:, :2] / X[:, 2:] + (w / 2, h / 2)
    inside = (xy > 2).all(1) & (xy < (w - 2, h - 2)).all(1)
    true_path = np.linalg.norm(truth.centre[-1] - truth.centre[0])
    path = np.linalg.norm(solved.R[-1].T @ solved.t[-1] - solved.R[0].T @ solved.t[0])
    assert path == pytest.approx(true_path / np.median(X[inside, 2]), rel=0.02)


@pytest.mark.parametrize("noise_px", [0.0, 0.15])
def test_a_camera_that_stands_is_found_standing(noise_px, world):
    solved = run(world("still", noise_px=noise_px, moving=0.3).tracks)
    assert solved.kind == "still"
    assert np.array_equal(solved.R, np.tile(np.eye(3), (16, 1, 1)))
    assert not solved.t.any()
    assert solved.focal == focal_px(60)


def test_a_camera_that_turns_is_found_turning(world, error):
    truth = world("turn", noise_px=0.1, moving=0.2)
    solved = run(truth.tracks)
    assert solved.kind == "turning" and not solved.t.any() and not solved.warnings
    assert error(solved.R, solved.t, truth)[1] < 0.1
    assert solved.focal == pytest.approx(truth.focal, rel=0.03)


def test_a_small_turn_does_not_pretend_to_know_the_focal_length(world):
    solved = run(world("shake", frames=8, points=200, noise_px=0.4).tracks)
    assert solved.kind == "turning"
    assert solved.focal == focal_px(60)
    assert solved.warnings == ("The camera turns too little to tell its focal length; 60 degrees are taken.",)


def test_too_few_tracks_are_a_still_camera_and_a_warning(world):
    solved = run(world("orbit", points=45).tracks)
    assert solved.kind == "still"
    assert solved.warnings[0].startswith("The camera is taken to stand still: only ")
    assert "could be followed through several frames, too few to tell how it moves." in solved.warnings[0]


def test_nonsense_is_called_doubtful(world):
    truth = world("orbit", points=150)
    rng = np.random.default_rng(1)
    xy = rng.uniform((0, 0), (384, 216), truth.tracks.xy_px.shape)
    solved = run(Tracks(truth.tracks.point, truth.tracks.frame, xy, truth.tracks.hw, 16))
    assert any("doubtful" in text for text in solved.warnings)
    assert np.isfinite(solved.R).all() and np.isfinite(solved.t).all() and np.isfinite(solved.focal)
    assert np.abs(orthonormal(solved.R) - solved.R).max() < 1e-6


def test_the_same_tracks_give_the_same_bits(world):
    truth = world("orbit", noise_px=0.2, moving=0.2)
    one, two = run(truth.tracks), run(truth.tracks)
    assert np.array_equal(one.R, two.R) and np.array_equal(one.t, two.t) and one.focal == two.focal


def test_the_size_of_the_picture_does_not_matter(world):
    truth = world("orbit", noise_px=0.2)
    tracks = truth.tracks
    # A power of two, so that the arithmetic is exact.
    twice = Tracks(tracks.point, tracks.frame, tracks.xy_px * 2, (432, 768), tracks.length)
    one, two = run(tracks), run(twice)
    assert np.array_equal(one.t, two.t) and one.focal == two.focal


def test_many_frames_go_by_way_of_keyframes(world, error):
    truth = world("orbit", frames=150, noise_px=0.2, moving=0.2, points=300)
    solved = run(truth.tracks)
    off, degrees = error(solved.R, solved.t, truth)
    assert solved.kind == "travelling" and off < 0.01 and degrees < 0.2
    assert len(solved.R) == 150


def test_a_mirrored_world_gives_the_mirrored_path(world):
    truth = world("orbit")
    tracks = truth.tracks
    mirrored = Tracks(tracks.point, tracks.frame, tracks.xy_px * (-1, 1) + (384, 0), tracks.hw, tracks.length)
    one, two = run(tracks), run(mirrored)
    flip = np.diag([-1.0, 1, 1])
    np.testing.assert_allclose(flip @ one.R @ flip, two.R, atol=1e-4)
    assert one.focal == pytest.approx(two.focal, rel=1e-3)
    assert UNIT == 384


@pytest.mark.parametrize(
    ("shares", "tried", "kept"), [((0.7,), 1, 0), ((0.3, 0.7), 2, 1), ((0.3, 0.5, 0.2), 3, 1), ((0.5, 0.4, 0.3), 3, 0)]
)
def test_models_grow_from_other_fields_of_view_until_one_explains_enough(world, monkeypatch, shares, tried, kept):
    """On outdoor_dolly the commonest start ends with the camera going backwards, and explains 0.40; the next 0.63."""
    told, grown, finished = list(shares), [], []
    monkeypatch.setattr(solving, "explained", lambda *_: told.pop(0))
    monkeypatch.setattr(solving.Growth, "solve", lambda self, pair: (grown.append(self), iter(()))[1])
    monkeypatch.setattr(solving.Growth, "finish", lambda self: (finished.append(self), iter(()))[1])
    tracks = world("forward").tracks
    none = tracks.pick(np.zeros(len(tracks.point), bool))
    seen, links = (solving._seen(part, 1.0) for part in (tracks, none))
    steps = solving._grow(seen, np.ones(tracks.points, bool), links, True)
    with pytest.raises(StopIteration) as end:
        while True:
            next(steps)
    assert len(grown) == tried and finished == [end.value.value] == [grown[kept]]
    assert len({g.model.focal for g in grown}) == tried
