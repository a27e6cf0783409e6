"""The space behind what was seen: exact on a wall with a board before it."""

from __future__ import annotations

import pytest
import torch

from fourd.geometry.unseen import BEHIND, Unseen
from tests.fuse import worlds


@pytest.fixture(scope="module")
def unseen() -> Unseen:
    cameras = worlds.cameras(frames=1)
    _, depth_m, _ = worlds.draw(cameras)
    return Unseen(1 / depth_m, torch.ones_like(depth_m, dtype=torch.bool), cameras)


def test_only_what_is_behind_or_beside_the_picture_is_allowed(unseen: Unseen) -> None:
    points = torch.tensor(
        [
            [0.1, 0.0, 1.0],  # Before the board.
            [0.1, 0.0, 2.0],  # On it.
            [0.1, 0.0, 2.1],  # Just behind it.
            [0.2, 0.0, 3.9],  # Between it and the wall, in its shadow.
            [1.5, 0.0, 3.9],  # Before the wall, in plain view.
            [1.5, 0.0, 4.0],  # On the wall.
            [1.5, 0.0, 4.2],  # Behind the wall.
            [9.0, 0.0, 1.0],  # Outside of the picture.
            [0.0, 0.0, -1.0],  # Behind the camera.
        ]
    )
    assert unseen.allows(points).tolist() == [False, False, True, True, False, False, True, True, True]


def test_beside_an_outline_only_what_is_behind_both_sides_is_allowed(unseen: Unseen) -> None:
    # The board ends at x = 0.35 at 2 m; a point just inside its outline, at 3 m, would bleed over the wall.
    inside, outline = torch.tensor([[0.25, 0.0, 2.0]]) * 1.5, torch.tensor([[0.33, 0.0, 2.0]]) * 1.5
    assert unseen.allows(inside).tolist() == [True] and unseen.allows(outline).tolist() == [False]


def test_points_are_moved_back_to_the_nearest_allowed_place(unseen: Unseen) -> None:
    camera = worlds.cameras(frames=1)
    wanted = torch.zeros(worlds.HW, dtype=torch.bool)
    wanted[10, 5] = wanted[24, 34] = wanted[30, 50] = True
    inverse = torch.full(worlds.HW, 1 / 3.0)
    inverse[30, 50] = 1 / 5.0
    placed = unseen.nearest(camera, wanted, inverse)
    # In the open: behind the wall. In the board's shadow, and behind the wall: where it was.
    assert float(1 / placed[10, 5]) == pytest.approx(worlds.WALL_M * (1 + BEHIND), rel=0.02)
    assert 1 / placed[10, 5] >= worlds.WALL_M * (1 + BEHIND) * (1 - 1e-5)
    assert float(placed[24, 34]) == pytest.approx(1 / 3) and float(placed[30, 50]) == pytest.approx(1 / 5)
    assert torch.equal(placed[~wanted], inverse[~wanted])
    assert bool((placed <= inverse).all()), "never nearer"


def test_what_was_not_known_forbids_nothing() -> None:
    cameras = worlds.cameras(frames=1)
    shape = (1, *worlds.HW)
    nothing = Unseen(torch.zeros(shape), torch.zeros(shape, dtype=torch.bool), cameras)
    assert bool(nothing.allows(torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, 1e-3]])).all())


def test_an_endless_sky_leaves_only_the_farthest_place() -> None:
    cameras = worlds.cameras(frames=1)
    shape = (1, *worlds.HW)
    sky = Unseen(torch.full(shape, 1e-6), torch.ones(shape, dtype=torch.bool), cameras)
    wanted = torch.ones(worlds.HW, dtype=torch.bool)
    placed = sky.nearest(cameras, wanted, torch.full(worlds.HW, 0.5))
    assert bool((placed > 0).all()) and float(placed.max()) == pytest.approx(0.5 / 60)


def test_what_hides_nothing_forbids_all_that_is_behind_it() -> None:
    cameras = worlds.cameras(frames=1)
    _, depth_m, _ = worlds.draw(cameras)
    thin = torch.zeros_like(depth_m, dtype=torch.bool)
    thin[0, 24, 34] = True
    strict = Unseen(1 / depth_m, torch.ones_like(thin), cameras, thin)
    wanted = torch.zeros(worlds.HW, dtype=torch.bool)
    wanted[24, 34] = wanted[24, 30] = True
    inverse = torch.full(worlds.HW, 1 / 3.0)
    placed = strict.nearest(cameras, wanted, inverse, 1.5)
    assert float(placed[24, 30]) == pytest.approx(1 / 3), "hidden where it is"
    assert float(placed[24, 34]) == pytest.approx(1 / 4.5), "nowhere hidden, so as far off as it may be moved"
