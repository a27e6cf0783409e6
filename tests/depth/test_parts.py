"""The parts of the depth stage, each by itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fourd import depth
from fourd.depth import fill, neighbours, prior, sky, triangulate
from fourd.depth.common import Rig, matching_hw, working_hw
from fourd.events import result
from fourd.geometry.rigid import matrix_from_rotvec
from fourd.types import Cameras
from tests.depth import planes


def rig_of(world: planes.World) -> Rig:
    return Rig.of(world.cameras, world.cameras.hw)


def test_working_size_is_half_within_limits() -> None:
    assert working_hw((216, 384)) == (108, 192)
    assert working_hw((240, 320)) == (144, 192)
    assert working_hw((1080, 1920)) == (180, 320)
    assert working_hw((90, 60)) == (90, 60)
    assert working_hw((1, 4000)) == (1, 320)


def test_frames_are_matched_at_their_own_size_within_limits() -> None:
    assert matching_hw((216, 384)) == (216, 384)
    assert matching_hw((1920, 1080)) == (480, 270)
    assert matching_hw((1, 4000)) == (1, 480)


def test_warps_take_pixels_to_where_the_point_is_seen() -> None:
    world = planes.floor(count=4)
    rig = rig_of(world)
    turn, shift = rig.warp(0, 3)
    p = turn @ np.array([30.5, 60.5, 1.0]) + shift / world.depth_m[0, 60, 30]
    flowed = np.array([30.5, 60.5])
    u, v = world.cameras.K[0, :2, 2].numpy(), world.cameras.K[0].diagonal()[:2].numpy()
    point = (flowed - u) / v * world.depth_m[0, 60, 30] - np.array([0.18, 0])
    np.testing.assert_allclose(p[:2] / p[2], point / world.depth_m[0, 60, 30] * v + u, rtol=1e-5)


def test_triangulation_recovers_exact_points() -> None:
    world = planes.wall(depth=3.0)
    evidence = triangulate.gather(rig_of(world), world.motion)
    assert evidence.travels()
    # Flow is stored in half precision: a thousandth of a few pixels.
    assert np.quantile(np.abs(evidence.rho * 3 - 1), 0.95) < 0.01
    low, high, middle = evidence.span()
    assert low < middle < high
    assert middle == pytest.approx(1 / 3, rel=0.01)


def test_outliers_do_not_move_the_range() -> None:
    world = planes.wall(depth=3.0)
    flow = world.motion.flow_forward.clone()
    wrong = torch.rand(flow.shape[:3], generator=torch.Generator().manual_seed(0)) < 0.1
    flow[wrong] += 6
    evidence = triangulate.gather(rig_of(world), world.motion.replace(flow_forward=flow))
    assert evidence.span()[2] == pytest.approx(1 / 3, rel=0.03)


def test_neighbours_are_chosen_by_shift_and_not_by_number() -> None:
    for step in (0.02, 0.06):
        world = planes.planes(planes.sideways(60, step), [(np.array([0.0, 0, 1]), 3.0, planes.EVERYWHERE)], hw=(9, 96))
        rig = rig_of(world)
        chosen = neighbours.choose(rig, 1 / 3, 30)
        shift_px, _ = neighbours.shifts(rig, 1 / 3, 30, chosen)
        wanted = np.array([*neighbours.targets_px(rig.hw)[::-1], *neighbours.targets_px(rig.hw)])
        np.testing.assert_allclose(shift_px, wanted, rtol=0.25)
        at_the_end = neighbours.choose(rig, 1 / 3, 0)
        assert len(at_the_end) == 4
        assert min(at_the_end) > 0


def test_a_still_camera_has_no_neighbours() -> None:
    world = planes.planes(planes.sideways(5, 0.0), [(np.array([0.0, 0, 1]), 3.0, planes.EVERYWHERE)], hw=(9, 12))
    assert neighbours.choose(rig_of(world), 1 / 3, 2) == []


def test_the_prior_is_one_surface_for_a_camera_that_turns() -> None:
    hw = (40, 60)
    K = torch.tensor([[50.0, 0, 30], [0, 50, 20], [0, 0, 1]])
    pose = torch.eye(4).repeat(2, 1, 1)
    pose[1, :3, :3] = matrix_from_rotvec(torch.tensor([0.1, 0.3, 0.05]))
    rig = Rig.of(Cameras(K=K.repeat(2, 1, 1), world_from_cam=pose, hw=hw, time_s=torch.tensor([0.0, 1.0]).double()), hw)
    # Each point of the second map, seen by the first camera, lies on the first map.
    points = (rig.rays(1) / prior.surface(rig, 1)[..., None]) @ pose[1, :3, :3].double().numpy().T
    place = points @ rig.K[0].T
    x, y = place[..., 0] / place[..., 2] - 0.5, place[..., 1] / place[..., 2] - 0.5
    inside = (x > 1) & (y > 1) & (x < 58) & (y < 38)
    assert inside.sum() > 500
    first = 1 / prior.surface(rig, 0)
    found = first[y[inside].round().astype(int), x[inside].round().astype(int)]
    np.testing.assert_allclose(found, points[inside][:, 2], rtol=0.05)  # Nearest pixel.


def test_the_prior_rises_with_the_row_and_stays_the_same_over_time() -> None:
    clip, motion = planes.quiet(np.zeros((3, 30, 40, 3), np.uint8))
    cameras = planes.planes(planes.sideways(3, 0), [], hw=(30, 40)).cameras
    maps = result(depth.load("prior")(clip, cameras, motion))
    assert bool((maps.depth_m[:, 1:] <= maps.depth_m[:, :-1]).all())
    assert torch.equal(maps.depth_m[0], maps.depth_m[2])
    assert float(maps.confidence.max()) == pytest.approx(prior.CONFIDENCE)
    assert 0.5 < float(maps.depth_m.median()) < 2


def test_completion_keeps_what_is_sure_and_stops_at_edges() -> None:
    picture = np.zeros((20, 30, 3), np.uint8)
    picture[:, 15:] = 255
    rho = np.full((20, 30), 0.5, np.float32)
    rho[:, 15:] = 2
    sure = np.zeros((20, 30), np.float32)
    sure[10, 3] = sure[10, 26] = 1
    filled, reached = fill.complete(rho * sure, sure, np.ones_like(rho), picture)
    assert filled[10, 3] == 0.5
    assert filled[10, 26] == 2
    np.testing.assert_allclose(filled, rho, rtol=0.05)
    assert reached[10, 4] > reached[0, 14]


def test_completion_of_nothing_is_the_prior() -> None:
    guess = np.linspace(0.5, 2, 600, dtype=np.float32).reshape(20, 30)
    filled, reached = fill.complete(np.ones_like(guess), np.zeros_like(guess), guess, np.zeros((20, 30, 3), np.uint8))
    np.testing.assert_allclose(filled, guess, rtol=1e-3)
    assert reached.max() == 0


def test_enlarging_makes_no_depth_between() -> None:
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[:, 31:] = 255  # Not on the grid of the small map.
    small = np.zeros((20, 30, 3), np.uint8)
    small[:, 16:], small[:, 15] = 255, 128
    rho = np.where(np.arange(30) < 16, 0.5, 2.0).astype(np.float32) * np.ones((20, 1), np.float32)
    large = fill.enlarge(rho, small, picture)
    assert set(np.unique(large)) == {0.5, 2.0}
    assert (large[:, :30] == 0.5).all()
    assert (large[:, 33:] == 2).all()


def outdoors() -> tuple[np.ndarray, np.ndarray]:
    """A blue sky over textured ground, and inverse depths."""
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 120, (60, 80, 3), dtype=np.uint8)
    picture[:25] = (90, 140, 220)
    rho = np.full((60, 80), 1.0, np.float32)
    return picture, rho


def test_a_smooth_blue_top_without_near_texture_is_sky() -> None:
    picture, rho = outdoors()
    blue, pale = sky.find(picture, rho, np.zeros_like(rho), 0.2)
    assert blue[:24].all()
    assert not blue[27:].any()
    assert not pale.any()


def test_a_blue_wall_with_marks_that_were_measured_near_is_none() -> None:
    picture, rho = outdoors()
    picture[::6, ::6] = (70, 120, 200)
    blue, _ = sky.find(picture, rho, np.ones_like(rho), 0.2)
    assert not blue.any()


def test_white_is_only_pale_and_blue_at_the_bottom_is_none() -> None:
    picture, rho = outdoors()
    picture[:25] = 250
    blue, pale = sky.find(picture, rho, np.zeros_like(rho), 0.2)
    assert not blue.any()
    assert pale[:24].all()
    upside_down = np.ascontiguousarray(outdoors()[0][::-1])
    assert not any(found.any() for found in sky.find(upside_down, rho, np.zeros_like(rho), 0.2))
