"""Tracks of known points before known cameras: what the solver says can be checked against the truth."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fourd import camera
from fourd.camera.solve import UNIT, Solved, solve
from fourd.camera.tracks import Tracks
from fourd.errors import InputError
from fourd.events import Event, Progress, Steps, Warned, result
from fourd.geometry import rigid
from fourd.motion import estimate
from fourd.types import Cameras, Clip
from tests.fuse import worlds

pytestmark = pytest.mark.needs("native")

HW = (216, 384)
FOCAL = 350.0


def run(tracks: Tracks) -> Solved:
    return result(solve(tracks))


def filmed(R: np.ndarray, centre: np.ndarray, *, noise_px: float = 0.1, wrong: float = 0.0, seed: int = 0) -> Tracks:
    """Tracks of a few hundred points, seen by cameras with these rotations (cam from world) and centres."""
    rng = np.random.default_rng(seed)
    X = rng.uniform([-3, -2, 2.5], [3, 2, 7], (700, 3))
    own = np.where(rng.random(700) < wrong, 1.0, 0.0)[:, None] * rng.normal(0, 0.05, (700, 3))  # Some move, evenly.
    points, frames, places = [], [], []
    for t in range(len(R)):
        p = (X + own * t - centre[t]) @ R[t].T
        xy = FOCAL * p[:, :2] / p[:, 2:] + np.array([HW[1] / 2, HW[0] / 2]) + rng.normal(0, noise_px, (700, 2))
        inside = (p[:, 2] > 0.1) & (xy > 2).all(1) & (xy[:, 0] < HW[1] - 2) & (xy[:, 1] < HW[0] - 2)
        points.append(np.flatnonzero(inside))
        frames.append(np.full(inside.sum(), t))
        places.append(xy[inside])
    point, frame, xy = np.concatenate(points), np.concatenate(frames), np.concatenate(places)
    order = np.lexsort((frame, point))
    _, point = np.unique(point[order], return_inverse=True)
    return Tracks(point.astype(np.int64), frame[order].astype(np.int64), xy[order], HW, len(R))


def arc(frames: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Cameras on an arc of 20 degrees about a point four metres ahead."""
    angle = np.linspace(0, np.radians(20), frames)
    R = rigid.matrix_from_rotvec(torch.tensor(np.stack([0 * angle, angle, 0 * angle], 1))).numpy()
    focus = np.array([0, 0, 4.0])
    centre = focus - np.einsum("tji,j->ti", R, focus)
    return R, centre


def compare(found: Solved, R: np.ndarray, centre: np.ndarray) -> tuple[float, float, float]:
    """Largest rotation error in degrees, position error as a share of the path, relative focal error."""
    turn = found.R @ np.swapaxes(R, 1, 2) @ R[0] @ found.R[0].T
    angle = np.degrees(np.arccos(np.clip((np.trace(turn, axis1=1, axis2=2) - 1) / 2, -1, 1))).max()
    ours = -np.einsum("tji,tj->ti", found.R, found.t)
    a = (ours - ours[0]) @ (found.R[0].T @ R[0])
    b = centre - centre[0]
    scale = (a * b).sum() / (a * a).sum()
    off = np.sqrt(((scale * a - b) ** 2).sum(1).mean()) / np.linalg.norm(np.diff(centre, axis=0), axis=1).sum()
    return float(angle), float(off), found.focal * HW[1] / UNIT / FOCAL - 1


def test_an_arc_is_solved_with_its_focal_length() -> None:
    R, centre = arc()
    found = run(filmed(R, centre))
    assert found.kind == "travelling"
    angle, off, focal = compare(found, R, centre)
    # Measured 0.02 degrees, 0.1 % and 0.3 % with a tenth of a pixel of noise.
    assert angle < 0.15 and off < 0.01 and abs(focal) < 0.03


def test_points_that_move_on_their_own_do_not_pull_the_cameras() -> None:
    R, centre = arc()
    angle, off, focal = compare(run(filmed(R, centre, wrong=0.25)), R, centre)
    assert angle < 0.3 and off < 0.02 and abs(focal) < 0.05


def test_a_turning_camera_is_no_travelling_one() -> None:
    angle = np.linspace(0, np.radians(15), 14)
    R = rigid.matrix_from_rotvec(torch.tensor(np.stack([0 * angle, angle, 0 * angle], 1))).numpy()
    found = run(filmed(R, np.zeros((14, 3))))
    assert found.kind == "turning"
    assert np.abs(found.t).max() < 1e-9
    turn = np.degrees(np.arccos((np.trace(found.R[-1] @ found.R[0].T) - 1) / 2))
    assert turn == pytest.approx(15, rel=0.1)


def test_a_standing_camera_stands() -> None:
    found = run(filmed(np.tile(np.eye(3), (12, 1, 1)), np.zeros((12, 3)), noise_px=0.05))
    assert found.kind == "still" and not found.warnings


def test_too_few_points_say_so() -> None:
    R, centre = arc()
    few = filmed(R, centre).pick(filmed(R, centre).point < 20)
    found = run(few)
    assert found.kind == "still"
    assert "points could be followed" in found.warnings[0]


def all_events(steps: Steps[Cameras]) -> tuple[Cameras, list[str]]:
    said: list[Event] = []
    cameras = result(steps, said.append)
    assert all(isinstance(event, (Progress, Warned)) for event in said)
    return cameras, [event.message for event in said if isinstance(event, Warned)]


@pytest.mark.parametrize("kind", ["black", "noise", "one", "strobe"])
def test_hopeless_clips_get_finite_cameras(kind: str) -> None:
    t = 1 if kind == "one" else 8
    frames = torch.randint(0, 256, (t, 48, 64, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    if kind == "black":
        frames = torch.zeros_like(frames)
    if kind == "strobe":
        frames = frames[:1].repeat(t, 1, 1, 1)
        frames[::2] = 255 - frames[::2]
    clip = Clip(frames, torch.arange(t, dtype=torch.float64) / 10)
    cameras, _ = all_events(camera.load("flow")(clip, result(estimate(clip))))
    assert len(cameras) == t and cameras.hw == (48, 64)
    assert torch.isfinite(cameras.world_from_cam).all()


def test_the_still_backend_gives_one_pose() -> None:
    clip, _, motion = worlds.film(worlds.cameras())
    cameras = result(camera.load("still")(clip, motion))
    torch.testing.assert_close(cameras.world_from_cam, torch.eye(4).expand(8, 4, 4))
    torch.testing.assert_close(cameras.K[0, :2, 2], torch.tensor([32.0, 24.0]))


def test_an_unknown_backend_is_named_with_those_that_exist() -> None:
    with pytest.raises(InputError, match=r"no camera backend 'slam'. Use one of: 'flow', 'still', 'colmap'\."):
        camera.load("slam")


@pytest.mark.parametrize("factor", [0.2, 1.0, 7.0])
def test_rescale_brings_cameras_to_the_unit_of_given_depth(factor: float) -> None:
    cameras = worlds.cameras()
    _, maps, motion = worlds.film(cameras)
    found = camera.rescale(cameras.scaled(factor), maps, motion)
    torch.testing.assert_close(found.centre_m, cameras.centre_m, rtol=0.02, atol=1e-3)


def test_rescale_leaves_a_still_camera_alone() -> None:
    cameras = worlds.cameras(travel_m=0.0)
    _, maps, motion = worlds.film(cameras)
    assert torch.equal(camera.rescale(cameras, maps, motion).world_from_cam, cameras.world_from_cam)
