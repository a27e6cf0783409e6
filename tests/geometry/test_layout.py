"""The surfaces that bound a scene: planes are found exactly, things in a room are not taken for its walls."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from fourd.geometry import layout, pinhole
from fourd.types import Cameras

HW = (48, 64)
FLOOR, BACK, LEFT = (0.0, -1.0, 0.0, 1.0), (0.0, 0.0, -1.0, 5.0), (1.0, 0.0, 0.0, 2.0)
"""Normals to the inside and offsets: the floor 1 m below the camera, a wall 5 m before it, one 2 m on its left."""


def _cameras(frames: int = 3, yaw_deg: float = 0.0) -> Cameras:
    pose = torch.eye(4).repeat(frames, 1, 1)
    pose[:, 0, 3] = torch.linspace(-0.3, 0.3, frames)
    turn = math.radians(yaw_deg)
    pose[:, 0, 0] = pose[:, 2, 2] = math.cos(turn)
    pose[:, 0, 2], pose[:, 2, 0] = math.sin(turn), -math.sin(turn)
    K = pinhole.intrinsics(HW, 70.0).repeat(frames, 1, 1)
    return Cameras(K, pose, HW, torch.arange(frames).double() / 10)


def _seen(cameras: Cameras, planes: list[tuple[float, ...]], far: float = 0.0) -> Tensor:
    """Inverse depth of the nearest plane along each ray, at least ``far``."""
    pictures = []
    for K, pose in zip(cameras.K, cameras.world_from_cam, strict=True):
        ray = pinhole.rays(K, HW) @ pose[:3, :3].mT
        inverse = [-(ray @ torch.tensor(p[:3])) / (torch.tensor(p[:3]) @ pose[:3, 3] + p[3]) for p in planes]
        pictures.append(torch.stack([torch.full(HW, far), *inverse]).amax(0))
    return torch.stack(pictures)


def test_the_planes_of_a_room_are_found_and_tell_what_nobody_saw() -> None:
    cameras = _cameras()
    seen = _seen(cameras, [FLOOR, BACK, LEFT])
    found = layout.found(seen, seen > 0, cameras)
    assert len(found) == 3 and found.sky is None
    for plane in (FLOOR, BACK, LEFT):
        normal = torch.tensor(plane[:3]).double()
        best = int((found.normal @ normal).argmax())
        assert float(found.normal[best] @ normal) > 0.99999
        assert float(found.offset_m[best]) == pytest.approx(plane[3], abs=1e-3)
    turned = _cameras(1, -40.0)
    number, inverse = found.behind(turned)
    true = _seen(turned, [FLOOR, BACK, LEFT])[0]
    torch.testing.assert_close(inverse[true > 0], true[true > 0], rtol=2e-3, atol=1e-4)
    assert bool((number[true > 0] != layout.NONE).all())


def test_a_box_in_a_room_is_not_a_wall() -> None:
    cameras = _cameras()
    seen = _seen(cameras, [FLOOR, BACK])
    seen[:, 16:34, 20:40] = seen[:, 16:34, 20:40].clamp(min=1 / 2.5)  # A box before the wall, facing the camera.
    found = layout.found(seen, seen > 0, cameras)
    assert sorted(found.offset_m.tolist()) == pytest.approx([1.0, 5.0], abs=1e-2)


def test_ground_ends_at_the_sky() -> None:
    cameras = _cameras()
    found = layout.found(_seen(cameras, [FLOOR], 1e-4), torch.ones(3, *HW, dtype=torch.bool), cameras)
    assert len(found) == 1 and found.sky == pytest.approx(1e-4)
    number, inverse = found.behind(cameras[:1])
    assert bool((number[:23] == 1).all()) and bool((number[25:] == 0).all()), "the horizon is in the middle"
    assert bool((inverse[:23] == found.sky).all())


def test_ground_that_was_seen_to_end_goes_on_no_further() -> None:
    cameras = _cameras()
    lies = _seen(cameras, [FLOOR], 1e-4)
    ends = _seen(cameras, [FLOOR], 1 / 15.0)  # Nothing of it is filmed that is further off.
    seen = torch.where(ends < 1 / 14.99, 1e-4, lies)
    assert 0.01 < float(((seen < lies) & (lies > 1e-4)).float().mean()) < 0.2, "a part of the ground is missing"
    found = layout.found(seen, seen > 0, cameras)
    number, _ = found.behind(cameras[1:2])
    assert float(((number == 1) == (seen[1] < 2e-4)).float().mean()) > 0.98
    assert 12 < float(found.reach_m[0]) < 20, "rows of pixels lie 13, 18 and 30 m off there"


def test_a_sky_without_a_ground_bounds_nothing() -> None:
    cameras = _cameras()
    seen = 0.05 + 0.5 * torch.rand(3, *HW, generator=torch.Generator().manual_seed(0))
    seen[:, :10] = 1e-4
    found = layout.found(seen, seen > 0, cameras)
    assert len(found) == 0 and found.sky is None


def test_a_strip_of_a_wall_is_enough_where_a_room_has_right_angles() -> None:
    cameras = _cameras()
    right = (-1.0, 0.0, 0.0, 3.42)  # A column or two of the picture.
    seen = _seen(cameras, [FLOOR, BACK, right])
    found = layout.found(seen, seen > 0, cameras)
    assert len(found) == 3
    assert float(found.offset_m[2]) == pytest.approx(3.42, abs=0.02)


def test_whoever_stands_behind_a_wall_does_not_see_it() -> None:
    wall, nowhere = torch.tensor([BACK[:3]]).double(), torch.zeros(3).double()
    found = layout.Layout(wall, torch.tensor([-1.0]).double(), None, nowhere, torch.tensor([torch.inf]).double())
    number, inverse = found.behind(_cameras(1))
    assert bool((number == layout.NONE).all()) and bool((inverse == 0).all())


@pytest.mark.parametrize("known", [False, True])
def test_where_nothing_is_there_is_no_layout(known: bool) -> None:
    cameras = _cameras()
    found = layout.found(torch.zeros(3, *HW), torch.full((3, *HW), known), cameras)
    assert len(found) == 0 and found.sky is None
    number, _ = found.behind(cameras[:1])
    assert bool((number == layout.NONE).all())


def test_the_same_seed_finds_the_same() -> None:
    cameras = _cameras()
    seen = _seen(cameras, [FLOOR, BACK, LEFT])
    one, other = (layout.found(seen, seen > 0, cameras, seed=3) for _ in range(2))
    assert torch.equal(one.normal, other.normal) and torch.equal(one.offset_m, other.offset_m)
