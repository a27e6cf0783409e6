"""Depth, flow, visibility and what moves, against geometry that can be solved by hand."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fourd.generate import Prop, Stage, meshes, motions, rigs, scene, shoot, textures
from fourd.geometry.pinhole import pixel_grid, project, transform, unproject
from tests.generate.conftest import FOCAL, HW, cameras, wall

HALF = 2.0**-11
"""Relative rounding of half floats, in which flow is kept."""


def grey() -> np.ndarray:
    return textures.plain((0.5, 0.5, 0.5), np.random.default_rng(0), size=16)


def test_depth_of_a_wall_is_its_distance_along_the_axis() -> None:
    take = shoot(Stage([wall(-5.0)]), cameras((0, 0, 0), (0, 0, -1)))
    torch.testing.assert_close(take.depth.depth_m[0], torch.full(HW, 5.0), rtol=1e-6, atol=0)
    torch.testing.assert_close(take.depth.depth_m[1], torch.full(HW, 4.0), rtol=1e-6, atol=0)
    assert take.depth.metric and bool((take.depth.confidence == 1).all())


def test_depth_of_a_ball_is_that_of_the_sphere() -> None:
    ball = Prop("ball", meshes.sphere(1.0, 160), grey(), motions.placed((0.3, -0.2, -4)))
    take = shoot(Stage([ball]), cameras((0, 0, 0)), samples=1, rays=1)
    x = (pixel_grid(HW)[..., 0].numpy() - HW[1] / 2) / FOCAL
    y = -(pixel_grid(HW)[..., 1].numpy() - HW[0] / 2) / FOCAL
    ray = np.stack([x, y, -np.ones_like(x)], -1)
    centre = np.array([0.3, -0.2, -4])
    a, b, c = (ray * ray).sum(-1), ray @ centre, centre @ centre - 1
    inside = b * b - a * c
    surely = inside > 0.05 * a * c  # Not the rim, where facets matter.
    expected = (b - np.sqrt(np.maximum(inside, 0))) / a
    # Facets of a circle in 160 pieces lie up to 2e-4 of the radius inside it, seen at up to 75 degrees.
    np.testing.assert_allclose(take.depth.depth_m[0].numpy()[surely], expected[surely], rtol=0, atol=2e-3)
    assert surely.sum() > 150
    assert np.isinf(take.depth.depth_m[0].numpy()[inside < -0.05 * a * c]).all()


def test_the_sky_is_infinitely_far_and_nobody_s() -> None:
    post = Prop("post", meshes.box((0.2, 10, 0.2)).moved((0, -5, -3)), grey())
    take = shoot(Stage([post]), cameras((0, 0, 0), (0.5, 0, 0)))
    sky = take.prop < 0
    assert torch.equal(torch.isinf(take.depth.depth_m), sky)
    assert 0.8 < sky.float().mean() < 1
    # A camera that only moves sees no motion of what is infinitely far away.
    assert float(take.motion.flow_forward[0][sky[0]].abs().max()) < 1e-4
    assert float(take.motion.moving.max()) == 0


def test_flow_of_a_moving_camera_is_parallax() -> None:
    take = shoot(Stage([wall(-4.0)]), cameras((0, 0, 0), (0.25, 0.1, 0)))
    expected = torch.tensor([-FOCAL * 0.25 / 4, FOCAL * 0.1 / 4]).expand(*HW, 2)
    torch.testing.assert_close(take.motion.flow_forward[0].float(), expected.float(), rtol=HALF, atol=1e-4)
    torch.testing.assert_close(take.motion.flow_backward[1].float(), -expected.float(), rtol=HALF, atol=1e-4)
    assert float(take.motion.moving.max()) == 0


@settings(max_examples=8, deadline=None)
@given(st.floats(-2, 2), st.floats(-2, 2), st.floats(-3, 3))
def test_flow_of_a_moving_thing_is_its_velocity_projected(vx: float, vy: float, vz: float) -> None:
    plate = wall(0.0, 20.0, "plate", pose=lambda t: motions.placed((vx * t, vy * t, -6 + vz * t)))
    take = shoot(Stage([plate]), cameras((0, 0, 0), (0, 0, 0)), samples=1, rays=1)
    xy = pixel_grid(HW)
    offset = (xy - torch.tensor([HW[1] / 2, HW[0] / 2])) * 6  # Times the depth now,
    later = offset + FOCAL * torch.tensor([vx, -vy]) * 0.1
    expected = later / (6 - vz * 0.1) - offset / 6  # over the depth then.
    difference = (take.motion.flow_forward[0].float() - expected).abs()
    assert float((difference - HALF * expected.abs()).max()) < 1e-2 / 4  # A quarter of a hundredth of a pixel.
    assert bool((take.motion.moving == 1).all()) == ((vx, vy, vz) != (0, 0, 0)) or abs(vx) + abs(vy) + abs(vz) < 1e-3


def test_flow_of_a_turning_camera_is_the_same_at_all_depths() -> None:
    ahead = torch.zeros(2, 3).double()
    target = torch.tensor([[0, 0, -1], [0.1, 0, -1]]).double()
    cams = rigs.looking(ahead, target, rigs.times(2, 10), HW, 60.0)
    near = shoot(Stage([wall(-2.0)]), cams).motion.flow_forward
    far = shoot(Stage([Prop("dot", meshes.box((0.1, 0.1, 0.1)).moved((0, 0, 9)), grey())]), cams).motion.flow_forward
    torch.testing.assert_close(near.float(), far.float(), rtol=2 * HALF, atol=1e-3)
    assert float(far[0, ..., 0].abs().min()) > 5


def test_what_gets_covered_is_not_visible_in_the_next_frame(even: Callable[..., Stage]) -> None:
    # A plate 1 m wide, 3 m away, moves right by half its width over a wall.
    plate = wall(0.0, 1.0, "plate", pose=lambda t: motions.placed((5 * t, 0, -3)))
    take = shoot(even(wall(-6.0), plate), cameras((0, 0, 0), (0, 0, 0)))
    column = (np.arange(HW[1]) + 0.5 - HW[1] / 2) / FOCAL * 3
    row = (np.arange(HW[0]) + 0.5 - HW[0] / 2) / FOCAL * 3
    on_row = np.abs(row) < 0.5
    plate_now, plate_then = np.abs(column) < 0.5, np.abs(column - 0.5) < 0.5
    covered = on_row[:, None] & (plate_then & ~plate_now)[None]
    uncovered = on_row[:, None] & (plate_now & ~plate_then)[None]
    assert np.array_equal(take.motion.visible_forward[0].numpy(), ~covered)
    assert np.array_equal(take.motion.visible_backward[1].numpy(), ~uncovered)
    assert np.array_equal(take.motion.moving[0].numpy() == 1, on_row[:, None] & plate_now[None])
    assert not take.motion.visible_forward[1].any() and not take.motion.visible_backward[0].any()


def test_what_turns_away_or_leaves_the_picture_is_not_visible() -> None:
    quarter = motions.spinning((0, 0, -4), (0, 1, 0), 2.5)  # A quarter of a turn a frame.
    ball = Prop("ball", meshes.sphere(1.0, 64), grey(), quarter)
    take = shoot(Stage([ball]), cameras((0, 0, 0), (0, 0, 0)))
    on = take.prop[0] == 0
    left = (pixel_grid(HW)[..., 0] < HW[1] / 2 - 9) & on
    right = (pixel_grid(HW)[..., 0] > HW[1] / 2 + 2) & on
    # It turns to the left seen from above: its left side comes to the front, the right one goes behind.
    assert bool(take.motion.visible_forward[0][left].all())
    assert not bool(take.motion.visible_forward[0][right].any())
    gone = shoot(Stage([wall(-4.0)]), cameras((0, 0, 0), (100, 0, 0)))
    assert not bool(gone.motion.visible_forward[0].any())
    behind = shoot(Stage([wall(-4.0)]), cameras((0, 0, 0), (0, 0, -8)))
    assert not bool(behind.motion.visible_forward[0].any())
    assert float(behind.motion.flow_forward[0].abs().max()) == 0


def test_moving_is_per_prop_and_per_moment() -> None:
    late = wall(-3.0, 1.0, "late", pose=lambda t: motions.placed((max(0.0, t - 0.15), 0, 0)))
    take = shoot(Stage([late, wall(-6.0)]), cameras(*[(0, 0, 0)] * 4), samples=1, rays=1)
    on = take.prop == 0
    moved = [bool((take.motion.moving[i][on[i]] == 1).all()) for i in range(4)]
    assert moved == [False, True, True, True]  # It stands at 0.1 s, and has moved by 0.2 s.
    assert float(take.motion.moving[~on].max()) == 0


@pytest.mark.parametrize("name", ["room", "garden"])
def test_depth_and_flow_agree_between_frames(name: str) -> None:
    made = scene(name, hw=(54, 96), frames=12)
    take = shoot(made.stage, made.cameras[5:7], samples=1, rays=1)
    K, flow = made.cameras.K[0], take.motion.flow_forward[0].float()
    still = (take.motion.moving[0] == 0) & (take.prop[0] >= 0)
    pose = take.cameras.cam_from_world[1] @ take.cameras.world_from_cam[0]
    depth_m = torch.where(take.prop[0] >= 0, take.depth.depth_m[0], 1.0)
    xy, z = project(transform(pose, unproject(depth_m, K)), K)
    assert float((xy - pixel_grid((54, 96)) - flow)[still].abs().max()) < 1e-2
    # The next depth map, at the place where each seen point went, holds the depth of that point.
    at = (pixel_grid((54, 96)) + flow - 0.5).numpy()
    finite = torch.where(torch.isinf(take.depth.depth_m[1]), 1e4, take.depth.depth_m[1]).numpy()
    there = cv2.remap(finite, at[..., 0], at[..., 1], cv2.INTER_NEAREST)
    seen = still & take.motion.visible_forward[0]
    off = (torch.from_numpy(there) / z - 1).abs()
    assert float((off[seen] < 0.03).float().mean()) > 0.95  # The rest lies at edges, half a pixel off.
    hidden = still & ~take.motion.visible_forward[0]
    assert float((off[seen]).median()) < 0.01 and int(hidden.sum()) > 0


def test_forward_and_backward_flow_undo_each_other_where_visible() -> None:
    made = scene("room", hw=(54, 96), frames=12)
    motion = shoot(made.stage, made.cameras[3:5], samples=1, rays=1).motion
    forward, backward = motion.flow_forward[0].float(), motion.flow_backward[1].float()
    at = (pixel_grid((54, 96)) + forward - 0.5).numpy()
    back = torch.from_numpy(cv2.remap(backward.numpy(), at[..., 0], at[..., 1], cv2.INTER_LINEAR))
    off = (forward + back).norm(dim=-1)
    seen = motion.visible_forward[0]
    assert float(off[seen].quantile(0.9)) < 0.02
    assert float(off[~seen].quantile(0.2)) > 0.3
