"""What some frame of the source saw: counted by hand on a card before a wall."""

from __future__ import annotations

import dataclasses

import torch

from benchmarks.covisible import covisible, sampled
from benchmarks.points import Points
from benchmarks.truth import Truth

from . import worlds

CARD = set(range(4, 12))
"""The card as the view sees it."""
HIDDEN = set(range(12, 18))
"""Wall that the card hides from the first source frame and not from the view."""
OUTSIDE = {30, 31}
"""Wall beyond the right edge of the first source frame."""
WALL = set(range(32)) - CARD - HIDDEN - OUTSIDE


def found(truth: Truth) -> set[int]:
    mask = covisible(truth.views[0], truth)
    assert mask is not None
    return worlds.columns(mask[0])


def found_sampled(truth: Truth) -> set[int]:
    mask = sampled(truth.views[0], truth)
    assert mask is not None
    return worlds.columns(mask[0])


def test_what_one_frame_saw() -> None:
    truth = worlds.world([0.0], [0.0])
    assert found(truth) == found_sampled(truth) == CARD | WALL


def test_other_frames_add_what_stands() -> None:
    # From 1 m further left the card covers columns 20 to 27 and the view's wall is 4 px further right: of the
    # hidden 12 to 17, the last two stay hidden.
    truth = worlds.world([0.0, -1.0], [0.0, 0.0])
    assert found(truth) == found_sampled(truth) == set(range(32)) - OUTSIDE - {16, 17}


def test_what_moves_is_found_at_its_own_moment_only() -> None:
    # The second frame stands where the view does, and the card has gone 0.5 m to the right.
    truth = worlds.world([0.0, 1.0], [0.0, 0.5])
    gone_to = set(range(8, 16))
    assert found(truth) == CARD | (set(range(32)) - gone_to) | WALL
    # Without the first frame nobody saw the card where it was.
    moving = truth.moving
    assert truth.depth is not None and moving is not None
    blind = truth.depth.confidence.clone()
    blind[0] = 0
    truth = dataclasses.replace(truth, depth=truth.depth.replace(confidence=blind))
    assert found(truth) == set(range(32)) - gone_to - CARD
    assert found_sampled(truth) == set(range(32)) - gone_to - CARD


def test_a_thing_does_not_stand_in_for_what_it_touches() -> None:
    # The card lies on the wall, at the same depth within the tolerance, and moves: the wall behind it is unseen.
    truth = worlds.world([0.0], [0.0])
    assert truth.depth is not None and truth.moving is not None
    flat = torch.full_like(truth.depth.depth_m, worlds.WALL_M)
    card = torch.zeros_like(truth.moving)
    card[..., 12:20] = True
    view = truth.views[0]
    assert view.depth is not None
    view = dataclasses.replace(view, depth=view.depth.replace(depth_m=flat), moving=torch.zeros_like(card))
    truth = dataclasses.replace(truth, depth=truth.depth.replace(depth_m=flat), moving=card, views=(view,))
    assert found(truth) == found_sampled(truth) == set(range(30)) - set(range(10, 18))


def test_the_sky_is_looked_up_by_direction() -> None:
    # The sky has no parallax: only the card, which stands in the same directions 8 px on, hides it.
    truth = worlds.world([0.0], [0.0], behind_m=float("inf"))
    assert found(truth) == found_sampled(truth) == set(range(32)) - set(range(12, 20))


def test_unknown_pixels_are_not_co_visible() -> None:
    truth = worlds.world([0.0], [0.0])
    view = truth.views[0]
    assert view.depth is not None
    known = view.depth.confidence.clone()
    known[..., 20:] = 0
    view = dataclasses.replace(view, depth=view.depth.replace(confidence=known))
    truth = dataclasses.replace(truth, views=(view,))
    assert found(truth) == (CARD | WALL) - set(range(20, 32))


def test_without_depth_of_its_own_a_view_takes_what_falls_into_it() -> None:
    truth = worlds.world([0.0], [0.0])
    truth = dataclasses.replace(truth, views=(dataclasses.replace(truth.views[0], depth=None),))
    assert found(truth) == found_sampled(truth) == CARD | WALL


def test_without_any_depth_nobody_can_say() -> None:
    truth = dataclasses.replace(worlds.world([0.0], [0.0]), depth=None)
    assert covisible(truth.views[0], truth) is None
    assert sampled(truth.views[0], truth) is None


def test_points_draw_exactly_what_was_seen() -> None:
    truth = worlds.world([0.0, -1.0], [0.0, 0.0])
    view = truth.views[0]
    frames = Points(truth).render(view.cameras)
    assert worlds.columns(frames.alpha[0] > 0) == found(truth)
    seen = frames.alpha[0] > 0
    torch.testing.assert_close(frames.rgb[0][seen], view.frames[0][seen].float() / 255)
    assert view.depth is not None
    torch.testing.assert_close(frames.depth_m[0][seen], view.depth.depth_m[0][seen])


def test_points_that_move_stand_at_their_own_moment_only() -> None:
    truth = worlds.world([0.0, 0.0], [0.0, 0.5])
    later = worlds.cameras([0.0], [1.0])
    frames = Points(truth).render(later)
    torch.testing.assert_close(frames.rgb[0], truth.clip.frames[1].float() / 255)


def test_points_of_the_sky_are_infinitely_far() -> None:
    truth = worlds.world([0.0], [0.0], behind_m=float("inf"))
    frames = Points(truth).render(truth.cameras)
    assert worlds.columns(frames.depth_m[0].isinf()) == set(range(32)) - set(range(12, 20))
