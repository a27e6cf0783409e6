"""Fillings become splats where they were seen, and go where a source camera would notice them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from fourd import events, native
from fourd.fuse import invent
from fourd.types import INVENTED, Cameras, Splats
from tests.fuse import worlds

pytestmark = pytest.mark.needs("native")


def _all(depth_m: float) -> Splats:
    camera = worlds.cameras(frames=1)
    rgb, _, _ = worlds.draw(camera)
    inverse = torch.full(worlds.HW, 1 / depth_m)
    return invent.invented(rgb[0], inverse, torch.ones(worlds.HW, dtype=torch.bool), camera)


def _film(cameras: Cameras) -> Tensor:
    return (worlds.draw(cameras)[0] * 255).to(torch.uint8)


def test_a_filled_picture_comes_back_as_it_was_filled() -> None:
    camera = worlds.cameras(frames=1)
    rgb, depth_m, _ = worlds.draw(camera)
    wanted = torch.zeros(worlds.HW, dtype=torch.bool)
    wanted[:, 20:44] = True
    splats = invent.invented(rgb[0], 1 / depth_m[0], wanted, camera)
    assert bool((splats.source == INVENTED).all()) and bool(splats.duration_s.isinf().all())
    drawn = native.rasterize(splats, camera.K[0], camera.world_from_cam[0], camera.hw, 0.0)
    inner = torch.zeros_like(wanted)
    inner[:, 22:42] = True
    assert float(drawn.alpha[inner].min()) > 0.9 and float(drawn.alpha[:, :18].max()) < 0.1
    assert worlds.psnr(drawn.rgb[inner], rgb[0][inner]) > 28  # Measured 31.
    torch.testing.assert_close(drawn.median_m[inner], depth_m[0][inner], rtol=0.02, atol=0)


def test_nothing_wanted_makes_nothing() -> None:
    camera = worlds.cameras(frames=1)
    nothing = torch.zeros(worlds.HW, dtype=torch.bool)
    assert len(invent.invented(torch.zeros(*worlds.HW, 3), torch.zeros(worlds.HW), nothing, camera)) == 0


def test_what_a_source_camera_would_see_goes() -> None:
    filmed, before = _all(4.0), _all(3.0)
    cameras = worlds.cameras(frames=3, travel_m=0.1)
    kept = events.result(invent.unobtrusive(filmed, before, cameras, _film(cameras)))
    assert len(kept) < 0.15 * len(before)
    change = []
    for i in range(len(cameras)):
        had, has = (
            native.rasterize(s, cameras.K[i], cameras.world_from_cam[i], cameras.hw, float(cameras.time_s[i]))
            for s in (filmed, Splats.concat([filmed, kept]))
        )
        there = had.alpha > 0.5
        change.append((has.rgb - had.rgb)[there])
    decibels = -10 * torch.cat(change).square().mean().log10()
    assert float(decibels) > 50  # In small pictures; see docs/inpainting.md for those of 384 x 216.


def test_what_it_would_not_see_stays() -> None:
    filmed, cameras = _all(4.0), worlds.cameras(frames=3, travel_m=0.1)
    hidden, clip = _all(5.0), _film(cameras)
    far = hidden.replace(mean_m=hidden.mean_m + torch.tensor([50.0, 0.0, 0.0]))
    behind = hidden[(hidden.mean_m[:, :2].abs() < 1).all(1)]
    for made in (far, behind):
        assert len(events.result(invent.unobtrusive(filmed, made, cameras, clip))) > 0.97 * len(made)
    assert len(events.result(invent.unobtrusive(filmed, far[:0], cameras, clip))) == 0
    assert len(events.result(invent.unobtrusive(filmed[:0], far, cameras, clip))) == len(far), "nothing was filmed"


def test_blinds_keep_light_from_shining_through_outlines(monkeypatch: pytest.MonkeyPatch) -> None:
    cameras = worlds.cameras(frames=3, travel_m=0.1)
    board, bright = (x[x.mean_m[:, 0].abs() < half] for x, half in ((_all(4.0), 1.0), (_all(8.0), 1.2)))
    board = board.replace(opacity=torch.full_like(board.opacity, 0.8))
    at = cameras.K[0], cameras.world_from_cam[0], cameras.hw, 0.0
    assert 0.95 < float(native.draw(board, *at).alpha[24, 32]) < 0.99, "a little shines through the board"
    bright = bright.replace(colour=torch.ones_like(bright.colour))
    film = torch.zeros(3, *worlds.HW, 3, dtype=torch.uint8)
    kept = events.result(invent.unobtrusive(board, bright, cameras, film))
    black = kept.rgb.amax(1) < 1e-3
    assert bool((kept.source == INVENTED).all()) and 0 < int(black.sum()) < len(board)
    assert int((~black).sum()) > 0.9 * len(bright)  # Measured 0.97.
    monkeypatch.setattr(invent, "_blinds", lambda *_: [])
    assert len(events.result(invent.unobtrusive(board, bright, cameras, film))) < 0.1 * len(bright)


def test_what_lives_at_other_moments_is_left_out_and_not_missed() -> None:
    cameras = worlds.cameras(frames=3, travel_m=0.1)
    splats = _all(4.0)
    late = splats.replace(time_s=splats.time_s + 0.5, duration_s=torch.full_like(splats.duration_s, 0.1))
    both = Splats.concat([late, splats, late.replace(time_s=late.time_s * 0 + float(cameras.time_s[1]))])
    alive = both[invent._lives(both, float(cameras.time_s[1]))]
    assert len(splats) < len(alive) < len(both)
    at = cameras.K[1], cameras.world_from_cam[1], cameras.hw, float(cameras.time_s[1])
    assert torch.equal(native.draw(alive, *at).rgb, native.draw(both, *at).rgb)


def test_what_is_out_of_the_picture_is_left_out_and_not_missed() -> None:
    cameras = worlds.cameras(frames=3, travel_m=3.0)
    splats = _all(3.0)
    near = invent._near_view(splats, cameras[2:3])
    assert 0 < int(near.sum()) < len(splats)
    at = cameras.K[2], cameras.world_from_cam[2], cameras.hw, float(cameras.time_s[2])
    assert torch.equal(native.draw(splats[near], *at).rgb, native.draw(splats, *at).rgb)
    behind = splats.replace(mean_m=splats.mean_m - torch.tensor([0.0, 0.0, 6.0]))
    assert not bool(invent._near_view(behind, cameras[2:3]).any())
