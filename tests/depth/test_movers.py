"""Things that move: told apart, followed, and placed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

import numpy as np
import pytest
import torch

from fourd.depth import movers, objects, sizes
from fourd.depth.common import Rig
from fourd.types import Motion
from tests.depth import planes

HW = (60, 100)
Disc = Callable[[int], tuple[float, float, float]]
"""Frame to centre (x, y) and radius, in pixels."""


def film(discs: list[Disc], frames: int) -> tuple[Motion, list[np.ndarray]]:
    """Discs that move and grow before a still picture, the last ones in front: exact flow, and who is where."""
    y, x = np.mgrid[: HW[0], : HW[1]] + 0.5
    moving = np.zeros((frames, *HW), np.float32)
    flow = np.zeros((2, frames, *HW, 2), np.float32)
    label = []
    for i in range(frames):
        who = np.zeros(HW, np.int32)
        for k, disc in enumerate(discs):
            cx, cy, r = disc(i)
            inside = (x - cx) ** 2 + (y - cy) ** 2 < r * r
            who[inside], moving[i][inside] = k + 1, 1
            for n, j in enumerate((i + 1, i - 1)):
                if 0 <= j < frames:
                    to_x, to_y, to_r = disc(j)
                    there = np.stack([to_x + (x - cx) * to_r / r - x, to_y + (y - cy) * to_r / r - y], -1)
                    flow[n, i][inside] = there[inside]
        label.append(who)
    seen = np.ones((2, frames, *HW), bool)
    seen[0, -1] = seen[1, 0] = False
    return Motion(*(torch.from_numpy(a) for a in (flow[0], flow[1], seen[0], seen[1], moving))), label


def ground() -> np.ndarray:
    """Inverse depth of a floor: nothing above the horizon in row 20, and 1 forty rows below."""
    return np.repeat(np.maximum((np.arange(HW[0]) + 0.5 - 20) / 40, 1e-3)[:, None], HW[1], 1).astype(np.float32)


def rig(motion: Motion) -> Rig:
    K = np.array([[90.0, 0, 50], [0, 90, 30], [0, 0, 1]])
    return Rig(np.tile(K, (len(motion), 1, 1)), np.tile(np.eye(4), (len(motion), 1, 1)), HW)


def placed(motion: Motion, still: np.ndarray) -> list[movers.Regions]:
    things = movers.Things(motion, rig(motion))
    for i in range(len(motion)):
        things.look(i, still)
    return things.placed()


def test_things_keep_their_numbers_when_they_meet_and_part() -> None:
    motion, truth = film([lambda i: (15 + 4.0 * i, 22, 9), lambda i: (75 - 3.0 * i, 37, 10)], 16)
    label = movers.Things(motion, rig(motion)).label
    assert {int(k) for frame in label for k in np.unique(frame)} == {0, 1, 2}
    for frame, right in zip(label, truth, strict=True):
        same = max((frame == right).mean(), (np.array([0, 2, 1])[frame] == right).mean())
        assert same > 0.985
    swapped = [(np.array([0, 2, 1])[f] == r).mean() > (f == r).mean() for f, r in zip(label, truth, strict=True)]
    assert len(set(swapped)) == 1


def test_what_moves_as_one_is_one_though_the_mask_is_torn() -> None:
    motion, _ = film([lambda i: (30 + 2.0 * i, 30, 14)], 10)
    moving = motion.moving.clone()
    for i in range(10):
        moving[i, 28:31] = 0
    assert movers.Things(motion.replace(moving=moving), rig(motion)).count == 1


def test_specks_are_nothing() -> None:
    moving = np.zeros(HW, bool)
    moving[10:30, 20:30] = True
    moving[5, 60] = True
    label = objects.regions(moving)
    assert label.max() == 1
    assert label[5, 60] == 0


def test_sizes_follow_from_flow_even_where_the_picture_cuts_things_off() -> None:
    def disc(i: int) -> tuple[float, float, float]:
        return 80 + 1.5 * i, 30, 10 * 1.05**i

    motion, label = film([disc], 12)
    (found,) = sizes.growth(label, motion, 1)
    assert list(found) == list(range(12))
    # Half precision of the flow, and a prior for even growth, which this is.
    np.testing.assert_allclose(list(found.values()), np.arange(12) * np.log(1.05), atol=0.02)


def test_a_thing_on_the_ground_is_as_far_as_the_ground_under_it() -> None:
    # It comes nearer along the floor: at inverse depth q its foot is in row 20 + 40 q and its radius is 20 q.
    def disc(i: int) -> tuple[float, float, float]:
        q = 0.4 + 0.03 * i
        return 40 + i, 20 + 20 * q, 20 * q

    motion, _ = film([disc], 12)
    found = [float(r.rho[0]) for r in placed(motion, ground())]
    # Two rows of a floor whose inverse depth is 1 in forty, and whole pixels.
    np.testing.assert_allclose(found, 0.4 + 0.03 * np.arange(12), atol=0.1)
    assert (np.diff(found) > 0).all()


def test_a_thing_that_hops_is_as_near_as_where_it_is_lowest() -> None:
    # A ball of inverse depth 0.8 that touches the floor, in row 52, every tenth frame.
    def disc(i: int) -> tuple[float, float, float]:
        return 20 + 1.5 * i, 44 - 20 * abs(np.sin(i * np.pi / 10)), 8

    motion, _ = film([disc], 31)
    found = np.array([r.rho[0] for r in placed(motion, ground())])
    assert found.max() / found.min() < 1.15, "it does not come nearer when it is up, though the wall behind is far"
    # What is in the air may be nearer than its tightest bound.
    assert 0.75 < np.median(found) < 1.0


def test_feet_below_the_picture_are_where_the_height_of_the_thing_says() -> None:
    def ball(i: int) -> tuple[float, float, float]:
        return 20.0 + i, 30.0 + 25 * np.sin(np.pi * i / 19), 12.0  # It leaves the ground and sinks below the border.

    def cut(i: int) -> tuple[float, float, float]:
        x, y, _ = ball(i)
        return x, y, 12.0

    motion, label = film([cut], 20)
    lowest = label[10].any(1)
    assert lowest[-1] and not label[0][-1].any()
    rho = [float(r.rho[0]) for r in placed(motion, ground())]
    border = float(ground()[-1, 0])
    below = (55 + 12 - 20) / 40  # The ground at the ball's lowest point.
    assert border < 1.0 < below
    assert np.allclose(rho, rho[0], rtol=0.05), "it keeps its size"
    assert rho[10] == pytest.approx(below * np.exp(0.1), rel=0.05)


def test_long_clips_are_judged_stretch_by_stretch() -> None:
    n, stands = 1000, 500
    rng = np.random.default_rng(0)
    hops = np.where(np.arange(n) < stands, 0.0, -0.6 * np.abs(np.sin(np.arange(n) / 12)))
    level = movers._level(hops + rng.normal(0, 1e-3, n), np.ones(n, bool))
    np.testing.assert_allclose(level[: stands - 130], 0, atol=0.02)
    np.testing.assert_allclose(level[stands + 130 :], 0.1, atol=0.06)
    assert np.abs(np.diff(level)).max() < 0.35
    still = np.zeros((1, 30, 40), np.int32)
    still[:, 10:20, 10:30] = 1
    blank, _ = film([lambda i: (50, 30, 10)], 2)
    many = Motion(
        *(getattr(blank, f.name)[:1].expand(260, *[-1] * (getattr(blank, f.name).ndim - 1)) for f in fields(blank))
    )
    (found,) = sizes.growth([still[0]] * 260, many, 1)
    assert len(found) == 260
    np.testing.assert_allclose(list(found.values()), 0, atol=1e-3)


def test_regions_are_laid_over_the_still_world_up_to_their_border() -> None:
    label = np.zeros((50, 80), np.int32)
    label[10:30, 20:30] = 1
    still = np.ones((100, 160), np.float32)
    moving = np.zeros((100, 160), bool)
    moving[19:61, 39:60] = True
    moving[90, 150] = True
    rho, laid = movers.paint(still, moving, movers.Regions(label, np.array([2.0], np.float32)))
    assert laid.sum() == 42 * 21
    assert set(np.unique(rho[laid])) == {2.0}
    assert (rho[~laid] == 1).all()


def test_a_thing_bulges_as_it_is_wide_and_its_border_stays() -> None:
    motion, _ = film([lambda i: (50 + i, 30, 15)], 4)
    relief = placed(motion, ground())[2].relief
    assert relief is not None
    # A ball of 15 pixels, half as thick, seen through a lens of 90 pixels.
    assert relief.max() == pytest.approx(1 / (1 - 0.5 * 15 / 90), abs=0.01)
    assert relief[30, 52] > 1.08 > relief[30, 41] > relief[30, 39] >= relief[30, 20] == 1


def test_clips_without_movers_and_of_one_frame_are_in_order() -> None:
    _, motion = planes.quiet(np.zeros((2, *HW, 3), np.uint8))
    assert [len(r.rho) for r in placed(motion, ground())] == [0, 0]
    alone, _ = film([lambda i: (50, 30, 10)], 1)
    (only,) = placed(alone, ground())
    assert only.rho[0] == pytest.approx(0.55, rel=0.2)


def test_things_without_any_flow_to_believe_keep_their_size() -> None:
    motion, _ = film([lambda i: (50, 30, 10)], 6)
    blind = torch.zeros_like(motion.visible_forward)
    found = placed(motion.replace(visible_forward=blind, visible_backward=blind), ground())
    np.testing.assert_allclose([r.rho[0] for r in found], found[0].rho[0], rtol=1e-4)
