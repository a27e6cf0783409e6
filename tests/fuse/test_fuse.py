"""A known world, fused from exact depth, looks like itself: from the source, from the side, and in between."""

from __future__ import annotations

import math

import pytest
import torch

from fourd import native
from fourd.events import Event, Progress, result
from fourd.fuse import FuseConfig, fuse
from fourd.fuse.agreement import FINEST, WIDEST, disagreement
from fourd.fuse.views import Views
from fourd.types import SEEN, Cameras, Clip, DepthMaps, Motion, Splats
from tests.fuse import worlds

pytestmark = pytest.mark.needs("native")


def show(splats: Splats, cameras: Cameras, i: int, time_s: float | None = None) -> native.Raster:
    moment = float(cameras.time_s[i]) if time_s is None else time_s
    return native.rasterize(splats, cameras.K[i], cameras.world_from_cam[i], cameras.hw, moment)


def still(splats: Splats) -> torch.Tensor:
    return torch.isinf(splats.duration_s)


@pytest.fixture(scope="module")
def standing() -> tuple[Cameras, Clip, Splats]:
    cameras = worlds.cameras()
    clip, maps, motion = worlds.film(cameras)
    return cameras, clip, result(fuse(clip, maps, cameras, motion))


def test_every_filmed_picture_comes_back(standing: tuple[Cameras, Clip, Splats]) -> None:
    cameras, clip, splats = standing
    for i in range(len(clip)):
        # Measured 36 to 38 dB; the outline of the board, where pixels mix two colours, sets the limit.
        assert worlds.psnr(show(splats, cameras, i).rgb, clip.frames[i] / 255) > 33
    assert (splats.source == SEEN).all()


def test_what_stands_still_is_one_surface(standing: tuple[Cameras, Clip, Splats]) -> None:
    _, clip, splats = standing
    h, w = clip.hw
    # The wall uncovered by 0.4 m of travel is some 6 columns; one disc a pixel, and a quarter more undercoat.
    seen_once = h * (w + 6)
    assert int(still(splats).sum()) < 1.5 * seen_once, "eight frames must not make eight sheets"
    z = splats.mean_m[still(splats), 2]
    on_a_surface = torch.minimum((z - worlds.WALL_M).abs(), (z - worlds.BOARD_M).abs())
    assert on_a_surface.max() < 0.15, "discs lie on the surfaces, their undercoat just behind"


@pytest.mark.parametrize("degrees", [-10.0, 10.0])
def test_a_turn_of_ten_degrees_shows_no_pinhole(standing: tuple[Cameras, Clip, Splats], degrees: float) -> None:
    cameras, _, splats = standing
    side = worlds.turned(cameras, degrees)
    rgb, depth_m, board = worlds.draw(side)
    raster = show(splats, side, 4)
    # The middle of the picture was filmed, but for the strip of wall that the board hid from all frames.
    middle = torch.zeros(worlds.HW, dtype=torch.bool)
    middle[8:-8, 14:-14] = True
    strip = torch.nn.functional.max_pool2d(board[4][None].float(), 17, 1, 8)[0] > 0
    open_wall = middle & ~strip
    assert open_wall.sum() > 200
    assert (raster.alpha[open_wall] > 0.9).all()
    # Along its outline the board has no undercoat, and here nobody saw what is behind it.
    inner = -torch.nn.functional.max_pool2d(-board[4][None].float(), 7, 1, 3)[0] > 0
    assert (raster.alpha[inner] > 0.97).all()
    assert (raster.alpha[board[4]] > 0.8).float().mean() > 0.97
    assert worlds.psnr(raster.rgb[open_wall], rgb[4][open_wall]) > 30
    torch.testing.assert_close(raster.depth_m[open_wall], depth_m[4][open_wall], rtol=0.02, atol=0)


def test_nothing_smears_between_board_and_wall(standing: tuple[Cameras, Clip, Splats]) -> None:
    cameras, _, splats = standing
    side = worlds.turned(cameras, 10.0)
    raster = show(splats, side, 4)
    covered = raster.median_m[raster.alpha > 0.5]
    between = (covered > 1.25 * worlds.BOARD_M) & (covered < 0.75 * worlds.WALL_M)
    assert not between.any()


def test_a_sliding_board_flies_between_frames() -> None:
    cameras, speed = worlds.cameras(travel_m=0.0), 0.5
    clip, maps, motion = worlds.film(cameras, speed)
    splats = result(fuse(clip, maps, cameras, motion))
    moving = splats[~still(splats)]
    fast = moving.velocity_mps[:, 0] > 0.25
    torch.testing.assert_close(moving.velocity_mps[fast].mean(0), torch.tensor([speed, 0, 0]), rtol=0.1, atol=0.03)
    half = (float(cameras.time_s[3]) + float(cameras.time_s[4])) / 2
    between = cameras[3:4].replace(time_s=torch.tensor([half], dtype=torch.float64))
    truth, _, _ = worlds.draw(between, speed)
    # Half way both keyframes have faded to 0.6 and fly over each other; measured 30 dB, frozen it would be 24.
    assert worlds.psnr(show(splats, between, 0).rgb, truth[0]) > 28


def test_the_wall_behind_a_sliding_board_is_whole_where_it_was_uncovered() -> None:
    cameras = worlds.cameras(frames=12, travel_m=0.0)
    clip, maps, motion = worlds.film(cameras, 1.0)
    splats = result(fuse(clip, maps, cameras, motion))
    _, _, board = worlds.draw(cameras, 1.0)
    raster = show(splats[still(splats)], cameras, 0)
    uncovered = board[0] & ~torch.nn.functional.max_pool2d(board[-1][None].float(), 7, 1, 3)[0].bool()
    assert uncovered.sum() > 100
    assert (raster.alpha[uncovered] > 0.9).float().mean() > 0.95
    assert (raster.median_m[uncovered] - worlds.WALL_M).abs().max() < 0.2


def test_the_sky_hangs_where_no_travel_moves_it() -> None:
    cameras = worlds.cameras()
    clip, maps, motion = worlds.film(cameras)
    depth = maps.depth_m.clone()
    depth[:, :12] = math.inf
    splats = result(fuse(clip, maps.replace(depth_m=depth), cameras, motion))
    far = splats.mean_m[:, 2] > 100
    assert int(far.sum()) >= 12 * 64
    x = cameras.K[0, 0, 0] * 0.4 / splats.mean_m[far, 2]
    assert x.max() < 0.5, "the whole travel of the camera moves the sky by less than half a pixel"


def test_unknown_depth_is_filled_and_nothing_is_lost() -> None:
    cameras = worlds.cameras()
    clip, maps, motion = worlds.film(cameras)
    confidence = maps.confidence.clone()
    confidence[:, 10:20, 52:62] = 0
    splats = result(fuse(clip, maps.replace(confidence=confidence), cameras, motion))
    raster = show(splats, cameras, 4)
    assert worlds.psnr(raster.rgb, clip.frames[4] / 255) > 30
    torch.testing.assert_close(raster.depth_m[12:18, 54:60], torch.full((6, 6), worlds.WALL_M), rtol=0.05, atol=0)


def test_small_depth_maps_fit_a_large_clip() -> None:
    cameras = worlds.cameras()
    clip, maps, motion = worlds.film(cameras)
    small = DepthMaps(maps.depth_m[:, ::2, ::2], maps.confidence[:, ::2, ::2], cameras.resized((24, 32)).K)
    splats = result(fuse(clip, small, cameras, motion))
    assert worlds.psnr(show(splats, cameras, 4).rgb, clip.frames[4] / 255) > 28


def test_one_picture_makes_a_still_scene() -> None:
    cameras = worlds.cameras(frames=1)
    clip, maps, motion = worlds.film(cameras)
    splats = result(fuse(clip, maps, cameras, motion))
    assert still(splats).all()
    assert worlds.psnr(show(splats, cameras, 0, time_s=99.0).rgb, clip.frames[0] / 255) > 33


@pytest.mark.parametrize("value", [0, 255])
def test_a_blank_clip_where_all_moves_and_nothing_is_known(value: int) -> None:
    cameras = worlds.cameras(frames=3)
    t, (h, w) = 3, worlds.HW
    nothing = torch.zeros(t, h, w)
    motion = Motion(
        torch.zeros(t, h, w, 2).half(),
        torch.zeros(t, h, w, 2).half(),
        nothing.bool(),
        nothing.bool(),
        torch.ones(t, h, w).half(),
    )
    clip = Clip(torch.full((t, h, w, 3), value, dtype=torch.uint8), cameras.time_s)
    splats = result(fuse(clip, DepthMaps(nothing, nothing, cameras.K), cameras, motion))
    raster = show(splats, cameras, 1)
    torch.testing.assert_close(raster.rgb, torch.full_like(raster.rgb, value / 255), rtol=0, atol=0.1)


def test_the_same_input_gives_the_same_bits(standing: tuple[Cameras, Clip, Splats]) -> None:
    cameras, clip, splats = standing
    _, maps, motion = worlds.film(cameras)
    again = result(fuse(clip, maps, cameras, motion))
    assert torch.equal(splats.mean_m, again.mean_m) and torch.equal(splats.colour, again.colour)


def test_the_budget_of_moving_splats_is_kept_and_progress_ends_at_its_total() -> None:
    cameras = worlds.cameras(frames=12, travel_m=0.0)
    clip, maps, motion = worlds.film(cameras, 0.5)
    budget = FuseConfig(moving_splats=1200)
    seen: list[Event] = []
    splats = result(fuse(clip, maps, cameras, motion, budget), seen.append)
    done = [event for event in seen if isinstance(event, Progress)]
    assert done == seen
    assert int((~still(splats)).sum()) <= 1.6 * budget.moving_splats
    assert all(0 < e.done <= e.total for e in seen)
    assert seen[-1].done == seen[-1].total


def test_tolerance_follows_the_noise_of_the_depth() -> None:
    cameras = worlds.cameras()
    clip, maps, motion = worlds.film(cameras)
    exact = disagreement(Views(clip, maps, cameras, motion), range(8))
    noise = 1 + 0.02 * torch.randn(maps.depth_m.shape, generator=torch.Generator().manual_seed(1))
    noisy = disagreement(Views(clip, maps.replace(depth_m=maps.depth_m * noise), cameras, motion), range(8))
    assert exact == pytest.approx(FINEST, abs=1e-3)
    assert FINEST + 0.02 < noisy <= WIDEST
