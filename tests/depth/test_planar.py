"""Floors and walls go on where nothing on them was measured."""

from __future__ import annotations

import numpy as np
import pytest

from fourd.depth import planar
from fourd.depth.common import Rig
from tests.depth.planes import World, planes


@pytest.fixture(scope="module")
def room() -> World:
    """A floor one below the camera, in front of a wall five ahead, filmed from five places."""
    positions = np.stack([np.linspace(-0.5, 0.5, 5), np.zeros(5), np.zeros(5)], 1)
    floor, wall = np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0])
    return planes(positions, [(floor, 1.0, (-50.0, -50.0, 50.0, 50.0)), (wall, 5.0, (-50.0, -50.0, 50.0, 1.0))])


def painted(room: World, i: int) -> tuple[np.ndarray, np.ndarray]:
    """Which pixels show the floor, and a picture in which floor and wall have one colour each."""
    floor = room.depth_m[i] < 4.999
    return floor, np.where(floor[..., None], [150, 110, 70], [200, 205, 210]).astype(np.uint8)


@pytest.mark.needs("native")
def test_planes_go_on_where_nothing_was_measured(room: World) -> None:
    rig = Rig.of(room.cameras, room.depth_m.shape[1:])
    rho = {i: (1 / d).astype(np.float32) for i, d in enumerate(room.depth_m)}
    rng = np.random.default_rng(0)
    noisy = {i: (r * (1 + 0.004 * rng.normal(size=r.shape))).astype(np.float32) for i, r in rho.items()}
    columns = np.arange(rig.hw[1])
    sure = {i: np.broadcast_to(columns < 40, rig.hw).astype(np.float32) for i in rho}
    flat = planar.find(rig, noisy, sure)
    assert len(flat.planes) == 2
    np.testing.assert_allclose(np.sort(np.abs(flat.planes[:, 3])), [1, 5], rtol=0.01)
    behind = np.full(rig.hw, 0.7, np.float32)
    _, picture = painted(room, 2)
    there, weight = flat.over(2, noisy[2], sure[2], behind, picture)
    np.testing.assert_allclose(there, rho[2], rtol=0.02)
    np.testing.assert_array_equal(weight, np.where(columns < 40, 0, np.float32(planar.WEIGHT)) * np.ones(rig.hw))
    # The same twice, bit for bit.
    np.testing.assert_array_equal(planar.find(rig, noisy, sure).planes, flat.planes)


@pytest.mark.needs("native")
def test_what_looks_like_something_else_is_left_alone(room: World) -> None:
    """A box of another colour stands before the wall: what was measured on it lies on no plane of the room."""
    rig = Rig.of(room.cameras, room.depth_m.shape[1:])
    rho = {i: (1 / d).astype(np.float32) for i, d in enumerate(room.depth_m)}
    flat = planar.find(rig, rho, {i: np.ones(rig.hw, np.float32) for i in rho})
    _, picture = painted(room, 2)
    box = np.s_[8:30, 40:70]
    picture[box], seen, sure = [90, 20, 20], rho[2].copy(), np.ones(rig.hw, np.float32)
    seen[box], sure[box] = 0.5, 0
    sure[8:30, 40:46] = 1
    behind = np.full(rig.hw, 0.5, np.float32)
    there, weight = flat.over(2, seen, sure, behind, picture)
    np.testing.assert_array_equal(there[9:29, 47:69], 0.5)
    assert not weight[9:29, 47:69].any()


@pytest.mark.needs("native")
def test_where_nothing_is_flat_there_are_no_planes(room: World) -> None:
    rig = Rig.of(room.cameras, room.depth_m.shape[1:])
    rng = np.random.default_rng(1)
    rho = {i: np.exp(rng.uniform(-3, 2, rig.hw)).astype(np.float32) for i in range(5)}
    ones, nothing = ({i: np.full(rig.hw, k, np.float32) for i in range(5)} for k in (1, 0))
    behind = np.full(rig.hw, 0.7, np.float32)
    for sure in (ones, nothing):
        flat = planar.find(rig, rho, sure)
        assert flat.planes.shape == (0, 4)
        there, weight = flat.over(0, rho[0], sure[0], behind, painted(room, 0)[1])
        np.testing.assert_array_equal(there, behind)
        assert not weight.any()


def test_a_plane_tells_nothing_beyond_its_horizon(room: World) -> None:
    rig = Rig.of(room.cameras, room.depth_m.shape[1:])
    rho = planar.Planar(rig, np.array([[0.0, 1.0, 0.0, 1.0]])).rho(0)[0]
    h = rig.hw[0]
    assert not rho[: h // 2].any()
    np.testing.assert_allclose(rho[h // 2 + 1 :, 0], (np.arange(h // 2 + 1, h) + 0.5 - h / 2) / (0.9 * rig.hw[1]), 1e-5)
