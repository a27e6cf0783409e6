"""Flow and what moves, on a world whose answer is known in closed form."""

from __future__ import annotations

import pytest
import torch

from fourd.errors import InputError
from fourd.events import Progress, result
from fourd.motion import estimate, refine
from fourd.types import Clip
from tests.fuse import worlds


def iou(found: torch.Tensor, truth: torch.Tensor) -> float:
    return float((found & truth).sum() / (found | truth).sum())


def test_flow_is_that_of_the_surfaces() -> None:
    cameras = worlds.cameras()
    clip, _, truth = worlds.film(cameras)
    motion = result(estimate(clip))
    assert motion.hw == clip.hw
    off = (motion.flow_forward[:-1].float() - truth.flow_forward[:-1].float()).norm(dim=-1)
    believed = motion.visible_forward[:-1]
    assert believed.float().mean() > 0.6
    # Measured 0.1 px in the median; the smooth cloth has little to hold on to.
    assert float(off[believed].median()) < 0.3


def test_the_ends_have_no_flow_beyond_them() -> None:
    clip, _, _ = worlds.film(worlds.cameras())
    motion = result(estimate(clip))
    assert not motion.visible_forward[-1].any() and not motion.visible_backward[0].any()
    assert (motion.flow_forward[-1] == 0).all() and (motion.flow_backward[0] == 0).all()


def test_a_frozen_clip_does_not_move() -> None:
    clip, _, _ = worlds.film(worlds.cameras(travel_m=0.0))
    motion = result(estimate(clip))
    assert (motion.flow_forward == 0).all() and (motion.moving < 0.5).all()
    assert motion.visible_forward[:-1].all()


def test_progress_counts_the_frames() -> None:
    clip, _, _ = worlds.film(worlds.cameras(frames=4))
    events = list(estimate(clip))
    assert [e.done for e in events if isinstance(e, Progress)] == [0, 1, 2, 4]


@pytest.mark.parametrize(("travel_m", "speed_mps"), [(0.0, 0.8), (0.4, 1.0)])
def test_a_sliding_board_is_found_and_the_wall_is_not(travel_m: float, speed_mps: float) -> None:
    cameras = worlds.cameras(frames=12, travel_m=travel_m)
    _, maps, truth = worlds.film(cameras, speed_mps)
    blind = truth.replace(moving=torch.zeros_like(truth.moving))
    for depth in (None, maps):
        found = refine(blind, cameras, depth).moving > 0.5
        if travel_m == 0 or depth is not None:
            assert iou(found, truth.moving > 0.5) > 0.6
        assert float(found[~(truth.moving > 0.5)].float().mean()) < 0.1, "the wall stands still"


def test_nothing_moves_where_nothing_moves() -> None:
    cameras = worlds.cameras(frames=10)
    _, maps, truth = worlds.film(cameras)
    assert float((refine(truth, cameras, maps).moving > 0.5).float().mean()) < 0.02


def test_counts_must_agree() -> None:
    cameras = worlds.cameras()
    _, _, truth = worlds.film(cameras)
    with pytest.raises(InputError, match="There are 3 cameras for 8 frames of motion"):
        refine(truth, cameras[:3])


@pytest.mark.parametrize("frames", [1, 2])
def test_short_clips(frames: int) -> None:
    cameras = worlds.cameras(frames=frames)
    clip, maps, _ = worlds.film(cameras)
    motion = refine(result(estimate(clip)), cameras, maps, clip)
    assert len(motion) == frames and torch.isfinite(motion.moving.float()).all()


def test_the_same_clip_gives_the_same_motion() -> None:
    clip, _, _ = worlds.film(worlds.cameras(frames=4), 0.5)
    again = Clip(clip.frames.clone(), clip.time_s)
    assert torch.equal(result(estimate(clip)).flow_forward, result(estimate(again)).flow_forward)
