"""Depth that neighbouring frames agree on, exact where they are right, and things that nobody heard move."""

from __future__ import annotations

import numpy as np
import torch

from fourd.depth import objects, steady
from fourd.depth.common import Rig
from tests.depth import planes


def maps(world: planes.World) -> tuple[Rig, list[np.ndarray], list[np.ndarray]]:
    rho = [(1 / d).astype(np.float32) for d in world.depth_m]
    return Rig.of(world.cameras, world.clip.hw), rho, [np.ones_like(r) for r in rho]


def test_what_is_right_stays_as_it_is() -> None:
    # Inverse depth of a plane is linear in the picture, so that looking between pixels is exact.
    rig, rho, trust = maps(planes.wall())
    for before, after in zip(rho, steady.steadied(rig, rho, trust), strict=True):
        np.testing.assert_allclose(after, before, rtol=1e-5)


def test_noise_averages_out() -> None:
    rig, rho, trust = maps(planes.floor())
    rng = np.random.default_rng(0)
    noisy = [(r * np.exp(0.02 * rng.normal(size=r.shape))).astype(np.float32) for r in rho]
    after = steady.steadied(rig, noisy, trust)
    off = [np.std(a[4] / r[4] - 1) for a, r in zip(after, rho, strict=True)]
    # Of nine frames' noise a third is left; at the ends of the clip five frames are asked.
    assert max(off) < 0.02 / 2


def test_what_one_frame_alone_believes_is_outvoted() -> None:
    rig, rho, trust = maps(planes.wall())
    wrong = [r.copy() for r in rho]
    wrong[4][20:40, 30:60] *= 1.5
    after = steady.steadied(rig, wrong, trust)
    for a, r in zip(after, rho, strict=True):
        # At the rim of the patch places between its pixels and right ones are asked (measured: 0.0018).
        np.testing.assert_allclose(a, r, rtol=5e-3)


def test_who_is_sure_outvotes_those_who_guess() -> None:
    rig, rho, trust = maps(planes.wall())
    guessed = [r if i == 4 else (r * 1.3).astype(np.float32) for i, r in enumerate(rho)]
    doubt = [t if i == 4 else 0.1 * t for i, t in enumerate(trust)]
    after = steady.steadied(rig, guessed, doubt)
    np.testing.assert_allclose(after[4], rho[4], rtol=5e-3)


def test_edges_stay_sharp_and_where_they_are() -> None:
    world = planes.card()
    rig, rho, trust = maps(world)
    for after, depth_m in zip(steady.steadied(rig, rho, trust), world.depth_m, strict=True):
        assert not ((1 / after > 2.2) & (1 / after < 3.6)).any()
        # Where all who are asked stand to one side, rounding moves an edge by one pixel at most.
        assert ((1 / after < 2.8) != (depth_m < 2.8)).mean() < 0.015


def test_a_single_frame_has_nobody_to_ask() -> None:
    rig, rho, trust = maps(planes.wall(count=1))
    np.testing.assert_allclose(steady.steadied(rig, rho, trust)[0], rho[0], rtol=1e-6)


def test_things_that_flow_never_heard_move_are_no_things() -> None:
    world = planes.wall(count=3)
    label = [np.zeros(world.clip.hw, np.int32) for _ in range(3)]
    moving = np.zeros((3, *world.clip.hw), np.float32)
    for frame in label:
        frame[10:20, 10:20], frame[40:60, 50:70] = 1, 2
    moving[1, 45:60, 50:70] = 1  # A quarter of the second thing, all frames taken together.
    motion = world.motion.replace(moving=torch.from_numpy(moving).half())
    heard = objects.heard(label, motion)
    assert all(np.array_equal(found, np.where(frame == 2, 1, 0)) for found, frame in zip(heard, label, strict=True))
    silent = objects.heard(label, world.motion)
    assert not any(frame.any() for frame in silent)
