"""What moves has sides and a back: a ball that was filmed from the front is a ball from the side."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from fourd import events, native
from fourd.fuse import backs, invent
from fourd.geometry import pinhole
from fourd.types import INVENTED, SEEN, Cameras, Splats
from tests.fuse import worlds

pytestmark = pytest.mark.needs("native")

HW = (192, 256)
AWAY_M, RADIUS_M, WALL_M = 3.0, 0.5, 6.0
SPEED = torch.tensor([0.5, 0.0, 0.0])
LEFT, RIGHT = torch.tensor([0.9, 0.2, 0.2]), torch.tensor([0.2, 0.2, 0.9])


def _camera() -> Cameras:
    K = pinhole.intrinsics(HW, 50.0)[None]
    return Cameras(K, torch.eye(4)[None], HW, torch.zeros(1, dtype=torch.float64))


def _ball(camera: Cameras) -> tuple[Tensor, Tensor]:
    """Distance along the optical axis of a ball before a wall, and where the ball is."""
    ray = pinhole.rays(camera.K[0], camera.hw).double() @ camera.world_from_cam[0, :3, :3].double().mT
    to = torch.tensor([0.0, 0.0, AWAY_M], dtype=torch.float64) - camera.world_from_cam[0, :3, 3].double()
    a, b, c = (ray**2).sum(-1), ray @ to, to @ to - RADIUS_M**2
    there = b**2 - a * c > 0
    depth = torch.where(there, (b - (b**2 - a * c).clamp(min=0).sqrt()) / a, WALL_M)
    return depth.float(), there


def _front(depth: Tensor, wanted: Tensor) -> Splats:
    """What a camera filmed of something at a moment, its left half red and its right half blue."""
    rgb = torch.where((torch.arange(HW[1]) < HW[1] // 2)[None, :, None], LEFT, RIGHT).expand(*HW, 3).contiguous()
    splats = invent.invented(rgb, 1 / depth, wanted, _camera())
    n = len(splats)
    return splats.replace(
        velocity_mps=SPEED.repeat(n, 1),
        duration_s=torch.full((n,), 0.1),
        source=torch.full((n,), SEEN, dtype=torch.uint8),
    )


@pytest.fixture(scope="module")
def wall() -> Splats:
    rgb, depth = torch.full((*HW, 3), 0.5), torch.full(HW, WALL_M)
    return invent.invented(rgb, 1 / depth, torch.ones(HW, dtype=torch.bool), _camera())


@pytest.fixture(scope="module")
def front() -> Splats:
    depth, there = _ball(_camera())
    return _front(depth, there)


@pytest.fixture(scope="module")
def back(front: Splats, wall: Splats) -> Splats:
    return events.result(backs.grow(Splats.concat([wall, front]), _camera(), wall))


def _draw(splats: Splats, degrees: float) -> native.Raster:
    c = worlds.turned(_camera(), degrees, AWAY_M)
    return native.rasterize(splats, c.K[0], c.world_from_cam[0], c.hw, 0.0)


def test_backs_are_invented_and_live_and_move_like_their_fronts(back: Splats) -> None:
    assert len(back) > 500 and bool((back.source == INVENTED).all())
    torch.testing.assert_close(back.velocity_mps, SPEED.expand_as(back.velocity_mps))
    assert bool((back.duration_s < 0.1).all()) and bool((back.time_s == 0).all())


@pytest.mark.parametrize("degrees", [-90.0, -45.0, 30.0, 60.0, 90.0])
def test_a_ball_is_round_from_aside(front: Splats, back: Splats, degrees: float) -> None:
    truly = _ball(worlds.turned(_camera(), degrees, AWAY_M))[1]
    shell, whole = (_draw(s, degrees).alpha > 0.5 for s in (front, Splats.concat([front, back])))
    missing, had = (float((truly & ~drawn).sum() / truly.sum()) for drawn in (whole, shell))
    assert missing < 0.25 and missing < 0.9 * had  # At 90 degrees 0.23 and 0.60 are measured, at 30 0.07 and 0.08.
    assert float((whole & ~truly).sum() / truly.sum()) < 0.02


def test_the_camera_that_filmed_sees_no_back(front: Splats, back: Splats, wall: Splats) -> None:
    before, after = (_draw(Splats.concat(parts), 0.0).rgb for parts in ([wall, front], [wall, front, back]))
    assert worlds.psnr(before, after) > 45


def test_sides_have_the_colours_of_the_rim_beside_them(back: Splats) -> None:
    for degrees, colour in ((75.0, LEFT), (-75.0, RIGHT)):
        drawn = _draw(back, degrees)
        middle = (drawn.rgb / drawn.alpha.clamp(min=1e-6)[..., None])[80:112, 116:140]
        other = LEFT if colour is RIGHT else RIGHT
        assert float((middle - colour).norm(dim=-1).mean()) < float((middle - other).norm(dim=-1).mean())


def test_what_is_close_before_the_wall_does_not_reach_into_it(wall: Splats) -> None:
    there = _ball(_camera())[1]
    plate = _front(torch.full(HW, 0.93 * WALL_M), there)
    made = events.result(backs.grow(plate, _camera(), wall))
    assert len(made) > 0 and float(made.mean_m[:, 2].max()) < WALL_M


def test_shadows_and_specks_have_no_back(wall: Splats) -> None:
    depth, there = _ball(_camera())
    shadow = _front(torch.full(HW, 0.99 * WALL_M), there)
    speck = torch.zeros(HW, dtype=torch.bool)
    speck[80:86, 120:126] = True
    for front in (shadow, _front(depth, speck), wall[:0]):
        assert len(events.result(backs.grow(Splats.concat([wall, front]), _camera(), wall))) == 0


def test_what_fills_the_whole_picture_shows_no_outline_and_has_a_back_all_the_same(wall: Splats) -> None:
    close = _front(torch.full(HW, AWAY_M), torch.ones(HW, dtype=torch.bool))
    made = events.result(backs.grow(Splats.concat([wall, close]), _camera(), wall))
    assert bool(made.mean_m.isfinite().all()) and bool(made.colour.isfinite().all())
