"""What hides filmed pixels goes; everything else stays."""

from __future__ import annotations

import pytest
import torch

from fourd import native
from fourd.events import Progress, result
from fourd.fuse import fuse, sight
from fourd.fuse.views import Views
from fourd.types import SH_C0, Clip, Splats
from tests.fuse import worlds

TOLERANCE, UNLIKE = 0.02, 0.08


def at_rest() -> tuple[Views, Splats]:
    """A world in which nothing moves, and its still splats."""
    cameras = worlds.cameras()
    clip, maps, motion = worlds.film(cameras)
    splats = result(fuse(clip, maps, cameras, motion))
    return Views(clip, maps, cameras, motion), splats[torch.isinf(splats.duration_s)]


def smudge(z_m: float) -> Splats:
    """A red patch of 3 x 3 splats that stands before the cameras."""
    x, y = torch.meshgrid(torch.linspace(0.1, 0.2, 3), torch.linspace(-0.05, 0.05, 3), indexing="xy")
    n = x.numel()
    red = (torch.tensor([1.0, 0.0, 0.0]) - 0.5) / SH_C0
    return Splats(
        mean_m=torch.stack([x.flatten(), y.flatten(), torch.full((n,), z_m)], 1),
        quat_wxyz=torch.tensor([[1.0, 0, 0, 0]]).repeat(n, 1),
        scale_m=torch.full((n, 3), 0.03),
        opacity=torch.full((n,), 0.98),
        colour=red.expand(n, 1, 3).clone(),
        velocity_mps=torch.zeros(n, 3),
        time_s=torch.zeros(n),
        duration_s=torch.full((n,), torch.inf),
        source=torch.zeros(n, dtype=torch.uint8),
    )


@pytest.mark.needs("native")
def test_what_hangs_before_the_pictures_goes_and_nothing_else() -> None:
    views, still = at_rest()
    both = Splats.concat([still, smudge(1.0)])
    steps, seen = sight.cleared(both, views, range(len(views)), TOLERANCE, UNLIKE), []
    kept = result(steps, seen.append)
    assert not bool((kept.mean_m[:, 2] < 1.5).any()) and len(kept) > 0.995 * len(still)
    assert all(isinstance(event, Progress) and event.stage == "fuse" and event.done <= event.total for event in seen)


@pytest.mark.needs("native")
def test_what_is_behind_the_pictures_hides_nothing() -> None:
    views, still = at_rest()
    both = Splats.concat([still, smudge(worlds.WALL_M + 1)])
    assert len(result(sight.cleared(both, views, range(len(views)), TOLERANCE, UNLIKE))) == len(both)


@pytest.mark.needs("native")
def test_another_light_hides_nothing() -> None:
    cameras = worlds.cameras()
    clip, maps, motion = worlds.film(cameras)
    still = at_rest()[1]
    darker = Clip((clip.frames.float() * 0.6).to(torch.uint8), clip.time_s)
    views = Views(darker, maps, cameras, motion)
    # But for the rim of the board, whose pixels are half of this and half of that.
    assert len(result(sight.cleared(still, views, range(len(views)), TOLERANCE, UNLIKE))) > 0.99 * len(still)


@pytest.mark.needs("native")
def test_a_passer_by_whom_nobody_noticed_does_not_stay_in_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    cameras = worlds.cameras(frames=12, travel_m=0.1)
    clip, maps, motion = worlds.film(cameras, 0.8)
    unnoticed = motion.replace(moving=torch.zeros_like(motion.moving))
    # Nobody is sure of the wall, so that depth alone convicts nothing.
    board = maps.depth_m < 3
    unsure = maps.replace(confidence=torch.where(board, 1.0, 0.05))

    def fidelity() -> float:
        splats = result(fuse(clip, unsure, cameras, unnoticed))
        drawn = [native.rasterize(splats, c.K[0], c.world_from_cam[0], c.hw, float(c.time_s[0])).rgb for c in frames]
        return worlds.psnr(torch.stack(drawn), clip.frames / 255)

    frames = [cameras[i : i + 1] for i in range(len(cameras))]
    cleared = fidelity()
    monkeypatch.setattr(sight, "ROUNDS", 0)
    assert cleared > fidelity() + 3


@pytest.mark.needs("native")
def test_from_one_place_what_came_and_went_is_judged_by_its_colour() -> None:
    cameras = worlds.cameras(frames=8, travel_m=0.0)
    clip, maps, motion = worlds.film(cameras)
    red = torch.tensor([220, 30, 40], dtype=torch.uint8)
    there = Clip(torch.where((maps.depth_m < 3)[..., None], red, clip.frames), clip.time_s)
    bare = (worlds.draw(cameras, 1e6)[0] * 255).round().to(torch.uint8)  # The board has left before the second frame.
    left = Clip(torch.cat([there.frames[:4], bare[4:]]), clip.time_s)
    still = result(fuse(there, maps, cameras, motion))
    kept = result(sight.cleared(still, Views(left, maps, cameras, motion), range(8), TOLERANCE, UNLIKE))
    board = still.mean_m[:, 2] < 3
    assert int((kept.mean_m[:, 2] < 3).sum()) < 0.05 * int(board.sum())
    assert int((kept.mean_m[:, 2] > 3).sum()) > 0.95 * int((~board).sum())
