"""Motions, rigs and falling dominoes: where things are when."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fourd.errors import InputError
from fourd.generate import held_out, meshes, motions, rigs, things
from fourd.geometry.pinhole import project, transform


def test_a_ball_bounces_where_and_when_it_says() -> None:
    ball = motions.Bounce((0, 1.5, 0), (1, 0, 0), 0.25, ground_m=0.5, restitution=0.5)
    assert ball.contact_s[0] == pytest.approx(np.sqrt(2 * 0.75 / 9.81))
    assert [ball.height(t) for t in ball.contact_s] == pytest.approx([0.75] * len(ball.contact_s))
    heights = np.array([ball.height(t) for t in np.linspace(0, 3, 500)])
    assert heights.min() >= 0.75 - 1e-9
    top = (ball.contact_s[0] + ball.contact_s[1]) / 2
    assert ball.height(top) - 0.75 == pytest.approx(0.25 * 0.75)  # Half of the speed, a quarter of the height.
    np.testing.assert_allclose(ball(2.0)[:3, 3], [2, ball.height(2.0), 0])


def test_a_ball_rolls_without_slipping_and_turns_back() -> None:
    ball = motions.Bounce((0, 0.25, 0), (0.5, 0, 0), 0.25, turn_s=1.0, turn_share=-0.5)
    np.testing.assert_allclose(ball(0.4)[:3, :3], motions.rotation((0, 0, -1), 0.5 * 0.4 / 0.25), atol=1e-12)
    assert ball(1.0)[0, 3] == pytest.approx(0.5) and ball(2.0)[0, 3] == pytest.approx(0.25)


def test_a_squashed_ball_keeps_its_volume_and_touches_the_ground() -> None:
    ball = motions.Bounce((0, 1, 0), (0, 0, 0), 0.25, squash=0.3)
    pose = ball(ball.contact_s[0] + 1e-9)
    assert np.linalg.det(pose[:3, :3]) == pytest.approx(1)
    assert pose[1, 3] - 0.25 * np.linalg.norm(pose[1, :3]) == pytest.approx(0, abs=1e-6)


def test_dominoes_fall_one_after_the_other_and_never_through_each_other() -> None:
    row = things.Dominoes(7, (0.05, 0.3, 0.15), 0.14, 0.5)
    times = np.linspace(0, 3, 121)
    angle = np.array([[row.angle(k, t) for k in range(7)] for t in times])
    assert (angle[times < 0.5] == 0).all() and (np.diff(angle, axis=0) >= -1e-9).all()
    assert angle[-1, -1] == pytest.approx(np.pi / 2) and (np.diff(angle[-1]) > 0).all()
    assert row.knock_s == sorted(row.knock_s) and row.knock_s[-1] < 2
    # The upper front edge of each block, in the frame of the next, stays behind that one's back.
    first = motions.placed((0, 0, 0))
    edge = np.array([0.025, 0.3, 0, 1])
    for t in np.linspace(0.5, row.knock_s[-1] + 0.1, 15):
        for k in range(6):
            x = np.linalg.inv(row.pose(k + 1, first)(t)) @ row.pose(k, first)(t) @ edge
            assert x[0] <= -0.025 + 1e-4
    # And at the moment of a knock it just touches.
    x = np.linalg.inv(row.pose(3, first)(row.knock_s[2])) @ row.pose(2, first)(row.knock_s[2]) @ edge
    assert x[0] == pytest.approx(-0.025, abs=1e-3)


def test_dominoes_that_cannot_reach_each_other_are_refused() -> None:
    with pytest.raises(InputError, match=r"3 dominoes with a gap of 0\.4 m and a height of 0\.3 m do not knock"):
        things.Dominoes(3, (0.1, 0.3, 0.1), 0.5, 0.0)


def test_plants_stay_rooted_and_flags_stay_at_the_pole() -> None:
    rng = np.random.default_rng(0)
    plant = things.plant(8, 0.6, rng).vertices_m
    swayed = things.swaying(0.6, 0.2)(plant, 0.4)
    low = plant[:, 1] < 0.03
    assert np.abs(swayed - plant)[low].max() < 2e-3 < np.abs(swayed - plant).max()
    flag = things.flag(1.0, 0.5).vertices_m
    np.testing.assert_allclose(things.waving(1.0, 0.5, 0.1)(flag, 0.7)[flag[:, 0] == 0], flag[flag[:, 0] == 0])


@pytest.mark.parametrize(
    "mesh", [things.pinwheel(0.3), things.trunk(2, 0.1, np.random.default_rng(0)), things.picket_fence(2, 1)]
)
def test_things_are_sound_meshes(mesh: meshes.Mesh) -> None:
    assert np.linalg.norm(mesh.normals(), axis=2) == pytest.approx(1, abs=1e-4)


@settings(max_examples=8, deadline=None)
@given(degrees=st.floats(-170, 170), x=st.floats(-2, 2))
def test_held_out_views_turn_about_the_focus(degrees: float, x: float) -> None:
    focus = (x, 0.5, -1.0)
    cameras = rigs.arc(focus, (0.4, 1.5, 3.0), 20, rigs.times(3, 24), (36, 64))
    turned = held_out(cameras, focus, degrees)
    point = torch.tensor(focus).expand(3, 3)
    for pose, other, q in zip(cameras.cam_from_world, turned.cam_from_world, point, strict=True):
        xy, z = project(transform(pose, q), cameras.K[0])
        other_xy, other_z = project(transform(other, q), turned.K[0])
        torch.testing.assert_close(other_xy, xy, atol=2e-3, rtol=0)
        torch.testing.assert_close(other_z, z, atol=1e-4, rtol=0)
    back = held_out(turned, focus, -degrees)
    torch.testing.assert_close(back.world_from_cam, cameras.world_from_cam, atol=1e-5, rtol=0)
    assert torch.equal(turned.time_s, cameras.time_s)
    moved = transform(cameras.cam_from_world[1], turned.centre_m[1])
    if abs(degrees) > 1:
        assert np.sign(float(moved[0])) == np.sign(degrees)  # Positive is to the right.


def test_an_arc_spans_its_angle_and_keeps_its_distance() -> None:
    cameras = rigs.arc((0, 0, 0), (0, 0, 2), 30, rigs.times(9, 24), (36, 64))
    way = cameras.centre_m
    torch.testing.assert_close(way.norm(dim=1), torch.full((9,), 2.0))
    assert float(torch.rad2deg(torch.acos((way[0] @ way[-1]) / 4))) == pytest.approx(30, abs=1e-2)
    assert float(way[-1, 0]) > 0  # To the right.


def test_a_fixed_camera_stays_and_there_must_be_frames() -> None:
    cameras = rigs.fixed((0, 1, 2), (0, 0, 0), rigs.times(4, 10), (36, 64))
    assert float((cameras.world_from_cam - cameras.world_from_cam[0]).abs().max()) == 0
    with pytest.raises(InputError, match="0 frames at 24 a second; both must be positive"):
        rigs.times(0, 24)
