"""Depth of planes that a travelling camera films: known in closed form."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from fourd import depth
from fourd.depth.embedded import weights
from fourd.errors import InputError
from fourd.events import Progress, Warned, result
from fourd.types import DepthMaps
from tests.depth import planes

pytestmark = pytest.mark.needs("native")


@pytest.fixture(autouse=True, scope="module")
def _without_a_network() -> Iterator[None]:
    """What is said here holds for the plain prior; test_embedded.py is about the network."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weights, "SHIPPED", Path("nowhere"))
        yield


def measure(world: planes.World) -> DepthMaps:
    return result(depth.load("parallax")(world.clip, world.cameras, world.motion))


@pytest.fixture(scope="module")
def card() -> tuple[planes.World, DepthMaps]:
    world = planes.card()
    return world, measure(world)


@pytest.mark.parametrize("world", [planes.wall(), planes.floor()], ids=["wall", "floor"])
def test_planes_are_where_they_are(world: planes.World) -> None:
    maps = measure(world)
    error = np.abs(maps.depth_m.numpy() / world.depth_m - 1)
    sure = maps.confidence.numpy() > 0.5
    assert sure.mean() > 0.7
    # Planes are one pixel apart at a shift of ten: ten percent. Refining and fusing leave a tenth of that (measured:
    # 0.003 on the wall, 0.011 on the floor, whose texture is stretched from view to view).
    assert np.median(error[sure]) < 0.015
    assert np.quantile(error[sure], 0.98) < 0.05
    assert error.mean() < 0.03


def test_a_card_before_a_wall_has_sharp_edges(card: tuple[planes.World, DepthMaps]) -> None:
    world, maps = card
    got = maps.depth_m.numpy()
    sure = maps.confidence.numpy() > 0.5
    assert np.median(np.abs(got / world.depth_m - 1)[sure]) < 0.01
    # Nothing floats between the card at 2 and the wall at 4.
    assert ((got > 2.3) & (got < 3.5)).mean() < 0.01
    # And where it changes from one to the other is within two pixels of the card's border.
    wrong = (got < 2.8) != (world.depth_m < 2.8)
    near = np.stack([_grown(d < 2.8, 2) & _grown(d > 2.8, 2) for d in world.depth_m])
    assert (wrong & ~near).mean() < 0.01


def _grown(mask: np.ndarray, by: int) -> np.ndarray:
    padded = np.pad(mask, by)
    h, w = mask.shape
    return np.any([padded[y : y + h, x : x + w] for y in range(2 * by + 1) for x in range(2 * by + 1)], axis=0)


def test_confidence_tells_the_good_from_the_bad(card: tuple[planes.World, DepthMaps]) -> None:
    world, maps = card
    error = np.abs(maps.depth_m.numpy() / world.depth_m - 1)
    sure = maps.confidence.numpy() > 0.5
    assert (error[sure] < 0.1).mean() > 0.97
    assert error[sure].mean() < error[~sure].mean()


def test_a_world_twice_as_large_is_twice_as_far(card: tuple[planes.World, DepthMaps]) -> None:
    world, maps = card
    # A power of two, so that the arithmetic is exact.
    larger = planes.World(world.clip, world.cameras.scaled(8.0), world.motion, world.depth_m * 8)
    twice = measure(larger)
    assert torch.equal(twice.depth_m, maps.depth_m * 8)
    assert torch.equal(twice.confidence, maps.confidence)


def test_depth_does_not_flicker(card: tuple[planes.World, DepthMaps]) -> None:
    world, maps = card
    sure = (maps.confidence[1:] > 0.5) & (maps.confidence[:-1] > 0.5)
    still = torch.from_numpy(world.depth_m[1:] == world.depth_m[:-1]) & sure
    change = (maps.depth_m[1:] / maps.depth_m[:-1] - 1).abs()[still]
    assert float(change.median()) < 0.003
    assert float((change > 0.05).float().mean()) < 0.01


def test_what_moves_stands_on_what_is_under_it() -> None:
    world = planes.floor()
    moving = np.zeros(world.depth_m.shape, np.float32)
    moving[:, 30:56, 40:52] = 1
    inside = moving > 0.5
    frames = world.clip.frames.clone()
    frames[torch.from_numpy(inside)] = torch.tensor([250, 20, 20], dtype=torch.uint8)
    motion = world.motion.replace(moving=torch.from_numpy(moving).half())
    maps = measure(planes.World(world.clip.replace(frames=frames), world.cameras, motion, world.depth_m))
    assert maps.moving is not None
    found = maps.moving.numpy()
    assert (found & inside).sum() / (found | inside).sum() > 0.85
    foot = world.depth_m[:, 57, 46]
    got = maps.depth_m.numpy()
    for i, ground in enumerate(foot):
        thing = got[i][inside[i] & found[i]]
        # It is upright, but round: the middle of what is 12 pixels wide, 86 pixels away from the eye, is nearer.
        assert 1 - 3.5 / 86 < thing.min() / thing.max() <= 1
        assert abs(thing.max() / ground - 1) < 0.06
    assert (maps.confidence.numpy()[inside & found] < 0.5).all()


def test_what_is_as_the_still_world_shows_it_does_not_move() -> None:
    world = planes.floor()
    moving = np.zeros(world.depth_m.shape, np.float32)
    moving[:, 30:56, 40:52] = 0.7
    maps = measure(planes.World(world.clip, world.cameras, world.motion.replace(moving=moving), world.depth_m))
    assert maps.moving is not None
    assert float(maps.moving.float().mean()) < 0.002


def test_progress_is_told_and_reaches_its_end() -> None:
    world = planes.wall(count=5)
    steps = depth.load("parallax")(world.clip, world.cameras, world.motion)
    told = [event for event in steps if isinstance(event, Progress)]
    assert told[-1].done == told[-1].total
    assert [e.done for e in told] == sorted(e.done for e in told)


def test_the_same_input_gives_the_same_depth(card: tuple[planes.World, DepthMaps]) -> None:
    world, maps = card
    again = measure(world)
    assert torch.equal(again.depth_m, maps.depth_m)
    assert torch.equal(again.confidence, maps.confidence)


def test_a_still_camera_gets_the_prior_and_a_warning() -> None:
    world = planes.planes(planes.sideways(4, step=0), [(np.array([0.0, 0, 1]), 3.0, planes.EVERYWHERE)])
    events = depth.load("parallax")(world.clip, world.cameras, world.motion)
    warnings = [e.message for e in events if isinstance(e, Warned)]
    assert warnings == ["The camera hardly travels, so depth cannot be measured: a plain prior stands in."]
    maps = measure(world)
    plain = result(depth.load("prior")(world.clip, world.cameras, world.motion))
    assert torch.equal(maps.depth_m, plain.depth_m)


def test_a_camera_that_trembles_does_not_travel() -> None:
    rng = np.random.default_rng(0)
    places = 1e-3 * rng.normal(size=(6, 3))
    world = planes.planes(places, [(np.array([0.0, 0, 1]), 3.0, planes.EVERYWHERE)])
    assert float(measure(world).confidence.max()) <= 0.2


HOSTILE = {
    "black": lambda rng, shape: np.zeros(shape, np.uint8),
    "noise": lambda rng, shape: rng.integers(0, 256, shape, dtype=np.uint8),
    "white": lambda rng, shape: np.full(shape, 255, np.uint8),
}


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("count", [1, 2, 6])
def test_hostile_pictures_give_finite_doubted_depth(kind: str, count: int) -> None:
    world = planes.wall(count=6)
    frames = HOSTILE[kind](np.random.default_rng(0), (count, 72, 96, 3))
    clip, motion = planes.quiet(frames)
    if count == 6:  # Flow that claims a travelling camera, over pictures that show nothing of it.
        motion = world.motion
    maps = result(depth.load("parallax")(clip, world.cameras[:count].replace(time_s=clip.time_s), motion))
    assert bool((maps.depth_m > 0).all())
    assert bool((maps.confidence > 0).all())
    assert float((maps.confidence > 0.5).float().mean()) < 0.05


@pytest.mark.parametrize("hw", [(1, 1), (2, 3), (5, 200)], ids=str)
def test_tiny_and_narrow_pictures(hw: tuple[int, int]) -> None:
    world = planes.planes(planes.sideways(3), [(np.array([0.0, 0, 1]), 3.0, planes.EVERYWHERE)], hw=hw)
    maps = measure(world)
    assert maps.depth_m.shape == (3, *hw)
    assert bool((maps.depth_m > 0).all())


def test_everything_moving_leaves_the_prior() -> None:
    world = planes.wall()
    motion = world.motion.replace(moving=torch.ones_like(world.motion.moving))
    maps = measure(planes.World(world.clip, world.cameras, motion, world.depth_m))
    assert bool(torch.isfinite(maps.depth_m).all())
    assert float(maps.confidence.max()) < 0.3


def test_frames_without_a_neighbour_are_completed() -> None:
    # The camera travels, then looks the other way for the last two frames.
    rotations = np.tile(np.eye(3), (9, 1, 1))
    rotations[7:] = np.diag([-1.0, 1, -1])
    walls = [(np.array([0.0, 0, 1]), 3.0, planes.EVERYWHERE), (np.array([0.0, 0, 1]), -3.0, planes.EVERYWHERE)]
    maps = measure(planes.planes(planes.sideways(9), walls, rotations=rotations))
    assert bool((maps.depth_m > 0).all() and torch.isfinite(maps.depth_m).all())
    assert float(maps.confidence[:6].mean()) > 0.5 > float(maps.confidence[7:].max())


def test_what_is_not_of_one_clip_is_refused() -> None:
    world = planes.wall(count=3)
    for name in ("parallax", "prior"):
        backend = depth.load(name)
        with pytest.raises(InputError, match=r"the clip has 3 frames, there are 2 cameras and 3 motion maps"):
            result(backend(world.clip, world.cameras[:2], world.motion))
        with pytest.raises(InputError, match=r"pictures of 36x48 .* clip's are 72x96. Use cameras.resized"):
            result(backend(world.clip, world.cameras.resized((36, 48)), world.motion))


def test_backends_are_found_by_name() -> None:
    for name in ("parallax", "prior"):
        assert isinstance(depth.load(name), depth.Backend)
    with pytest.raises(InputError, match=r"no depth backend 'midas'. Choose one of: parallax, embedded, prior"):
        depth.load("midas")
