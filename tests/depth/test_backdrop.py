"""What stands before the still world is told by its colour; shadows, and the still world itself, are not."""

from __future__ import annotations

import numpy as np
import pytest

from fourd.depth.backdrop import Backdrop
from fourd.depth.common import Rig
from tests.depth import planes

FRAMES = 14


@pytest.fixture(scope="module")
def world() -> planes.World:
    wall = (np.array([0.0, 0, 1]), 3.0, planes.EVERYWHERE)
    return planes.planes(planes.sideways(FRAMES, 0.03), [wall])


def box(i: int) -> tuple[slice, slice]:
    return slice(25, 45), slice(4 + 5 * i, 20 + 5 * i)


def backdrop(world: planes.World, frames: np.ndarray) -> Backdrop:
    hw = world.cameras.hw
    nothing = [np.zeros(hw, bool)] * FRAMES
    still = [(1 / depth).astype(np.float32) for depth in world.depth_m]
    return Backdrop(Rig.of(world.cameras, hw), lambda i: frames[i], still, nothing)


def test_a_still_world_is_its_own_backdrop(world: planes.World) -> None:
    difference = backdrop(world, world.clip.frames.numpy()).difference(6)
    assert (difference >= 0).mean() > 0.85
    assert np.quantile(difference, 0.99) < 0.02


def test_a_thing_of_another_colour_is_found_though_flow_says_nothing(world: planes.World) -> None:
    frames = world.clip.frames.numpy().copy()
    for i in range(FRAMES):
        frames[i][box(i)] = (210, 60, 200)
    moving = backdrop(world, frames).told(6).moves > 0.5
    truth = np.zeros_like(moving)
    truth[box(6)] = True
    assert (moving & truth).sum() / (moving | truth).sum() > 0.9


def test_a_shadow_is_no_thing(world: planes.World) -> None:
    frames = world.clip.frames.numpy().copy()
    for i in range(FRAMES):
        # The light of the sky is left, which is bluer than the sun's.
        frames[i][box(i)] = (frames[i][box(i)] * np.array([0.55, 0.58, 0.65])).astype(np.uint8)
    told = backdrop(world, frames).told(6)
    assert (told.moves > 0).mean() < 0.01
    inside = box(6)
    assert np.median(told.shaded[inside]) > 0.8 > np.median(told.stands[inside]), "it stands, but not in the same light"
    assert (told.shaded >= told.stands).all()


def test_what_is_much_darker_is_no_shadow_of_a_thing_that_passes(world: planes.World) -> None:
    frames = world.clip.frames.numpy().copy()
    for i in range(FRAMES):
        frames[i][box(i)] = (frames[i][box(i)] * 0.3).astype(np.uint8)
    told = backdrop(world, frames).told(6)
    assert np.median(told.shaded[box(6)]) == 0


def test_what_looks_the_same_in_all_frames_stands_and_what_rested_only_a_while_does_not(world: planes.World) -> None:
    frames = world.clip.frames.numpy().copy()
    still = [(1 / depth).astype(np.float32) for depth in world.depth_m]
    rig, (y, x) = Rig.of(world.cameras, world.cameras.hw), np.mgrid[25:45, 40:60]
    for i in range(9):  # A thing at rest before the wall, in the wall's place, until frame 8.
        at_x, at_y, _ = rig.places(6, i, still[6])
        place = tuple(slice(int(np.rint(at[y[0, 0], x[0, 0]])), None) for at in (at_y, at_x))
        frames[i][place][:20, :20] = (210, 60, 200)
    whole, rested = backdrop(world, world.clip.frames.numpy()).told(6).stands, backdrop(world, frames).told(6).stands
    assert np.median(whole) >= 1, "three frames or more agree"
    assert np.median(rested[28:42, 43:57]) < 0.2 and np.median(rested[:20]) == np.median(whole[:20])
    assert rested.min() >= 0


def test_what_no_other_frame_shows_is_left_to_flow(world: planes.World) -> None:
    frames = world.clip.frames.numpy()
    hw = world.cameras.hw
    still = [(1 / depth).astype(np.float32) for depth in world.depth_m]
    everything = [np.ones(hw, bool)] * FRAMES
    blind = Backdrop(Rig.of(world.cameras, hw), lambda i: frames[i], still, everything)
    assert (blind.difference(6) == -1).all()
    assert (blind.told(6).moves == 0).all() and (blind.told(6).shaded == 0).all()
    alone = Backdrop(Rig.of(world.cameras[:1], hw), lambda i: frames[i], still[:1], everything[:1])
    assert (alone.difference(0) == -1).all()
