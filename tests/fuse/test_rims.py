"""Mixed pixels at outlines of what moves become pixels of what stands behind; others stay as they are."""

from __future__ import annotations

import torch

from fourd.fuse.rims import unmixed
from fourd.fuse.views import View

HW = (24, 32)
WALL, THING = torch.tensor([40, 60, 50], dtype=torch.uint8), torch.tensor([220, 180, 200], dtype=torch.uint8)


def frame(rim: torch.Tensor) -> tuple[View, torch.Tensor]:
    """A wall, a thing before it in columns 10 to 19, and columns 9 and 20 of the colour of ``rim``, on the wall."""
    rgb = WALL.expand(*HW, 3).clone()
    rgb[:, 10:20] = THING
    rgb[:, [9, 20]] = rim.to(torch.uint8)
    moving = torch.zeros(HW, dtype=torch.bool)
    moving[:, 9:20] = True
    there = torch.ones(HW, dtype=torch.bool)
    there[:, 10:20] = False
    eye, depth = torch.eye(4), torch.full(HW, 2.0)
    edge = torch.zeros(HW, dtype=torch.uint8)
    return View(0, 0.0, rgb, depth, depth, moving, eye[:3, :3], eye, edge), there


def test_half_of_both_becomes_the_wall_whether_flow_noticed_it_or_not() -> None:
    view, there = frame(0.5 * WALL.float() + 0.5 * THING.float())
    pure, mixed = unmixed(view, there)
    assert mixed[:, [9, 20]].all() and int(mixed.sum()) == 2 * HW[0]
    assert (pure[mixed] == WALL).all() and torch.equal(pure[~mixed], view.frame_rgb[~mixed])


def test_what_is_of_another_colour_is_no_mixture() -> None:
    view, there = frame(torch.tensor([40.0, 160, 40]))
    pure, mixed = unmixed(view, there)
    assert not mixed.any() and torch.equal(pure, view.frame_rgb)


def test_where_nothing_moves_nothing_is_mixed() -> None:
    view, there = frame(0.5 * WALL.float() + 0.5 * THING.float())
    still = view._replace(moving=torch.zeros(HW, dtype=torch.bool))
    for told in (unmixed(still, there), unmixed(view, torch.zeros(HW, dtype=torch.bool))):
        assert not told.mixed.any() and torch.equal(told.frame_rgb, view.frame_rgb)
