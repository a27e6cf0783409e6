"""What moves, judged by exact cameras and exact flow; and the pieces of that judgement."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fourd.geometry.pinhole import intrinsics, pixel_grid, rays
from fourd.geometry.regions import whole
from fourd.geometry.rigid import matrix_from_rotvec
from fourd.motion import refine
from fourd.motion.dominant import moving_guess, probability
from fourd.motion.texture import flow_error_px
from fourd.types import Cameras, DepthMaps, Motion

HW = (72, 96)
FRAMES = 12
SPEED = torch.tensor([-1.2, 1.5])
SIDE = 24


def cameras(path: str) -> Cameras:
    s = torch.arange(FRAMES).float()
    pose = torch.eye(4).repeat(FRAMES, 1, 1)
    if path in ("turn", "travel"):
        pose[:, :3, :3] = matrix_from_rotvec(torch.stack([0.004 * s, 0.006 * s, 0 * s], -1))
    if path == "travel":
        pose[:, 0, 3], pose[:, 2, 3] = 0.05 * s, 0.04 * s
    return Cameras(intrinsics(HW, 60).expand(FRAMES, 3, 3), pose, HW, s / 24)


def depth_of(c: Cameras, i: int) -> torch.Tensor:
    """A slanted wall."""
    pose = c.world_from_cam[i]
    normal = torch.tensor([0.2, 0.5, 1.0])
    return (5 - normal @ pose[:3, 3]) / ((rays(c.K[i], HW) @ pose[:3, :3].mT) @ normal)


def wall_flow(c: Cameras, i: int, j: int) -> torch.Tensor:
    points = rays(c.K[i], HW) * depth_of(c, i)[..., None]
    world = points @ c.world_from_cam[i, :3, :3].mT + c.world_from_cam[i, :3, 3]
    there = c.cam_from_world[j]
    Y = world @ there[:3, :3].mT + there[:3, 3]
    return (Y @ c.K[j].mT)[..., :2] / Y[..., 2:] - pixel_grid(HW)


def square(i: int) -> torch.Tensor:
    """Where the thing is that moves on its own."""
    corner = torch.tensor([52.0, 12.0]) + SPEED * i
    grid = pixel_grid(HW)
    return ((grid > corner) & (grid < corner + SIDE)).all(-1)


def scene(path: str, thing: bool, noise_px: float = 0.1) -> tuple[Motion, Cameras, torch.Tensor]:
    c = cameras(path)
    generator = torch.Generator().manual_seed(0)
    flows = torch.zeros(2, FRAMES, *HW, 2)
    visible = torch.zeros(2, FRAMES, *HW, dtype=torch.bool)
    truth = torch.stack([square(i) & torch.tensor(thing) for i in range(FRAMES)])
    for k, sign in ((0, 1), (1, -1)):
        for i in range(FRAMES):
            if 0 <= i + sign < FRAMES:
                flow = wall_flow(c, i, i + sign)
                flow = torch.where(truth[i][..., None], sign * SPEED, flow)
                flows[k, i] = flow + noise_px * torch.randn(flow.shape, generator=generator)
                landed = pixel_grid(HW) + flow
                inside = ((landed > 0) & (landed < torch.tensor([HW[1], HW[0]]))).all(-1)
                # What the thing covers or uncovers cannot be followed.
                other = torch.stack([square(i + sign)] * 2, -1)
                covered = other.any(-1) & ~truth[i] if thing else torch.zeros(HW, dtype=torch.bool)
                visible[k, i] = inside & ~covered
    motion = Motion(flows[0], flows[1], visible[0], visible[1], torch.zeros(FRAMES, *HW))
    return motion, c, truth


def overlap(motion: Motion, truth: torch.Tensor) -> float:
    found = motion.moving > 0.5
    return float((found & truth).sum() / (found | truth).sum())


@pytest.mark.parametrize("path", ["stand", "turn", "travel"])
def test_what_moves_on_its_own_is_found_whole(path):
    motion, c, truth = scene(path, thing=True)
    refined = refine(motion, c)
    assert overlap(refined, truth) > 0.85
    assert torch.equal(refined.flow_forward, motion.flow_forward)
    assert torch.equal(refined.visible_backward, motion.visible_backward)


@pytest.mark.parametrize("path", ["stand", "turn", "travel"])
def test_a_still_world_does_not_move(path):
    motion, c, _ = scene(path, thing=False)
    assert not (refine(motion, c).moving > 0.5).any()


@pytest.mark.parametrize("factor", [0.01, 100.0])
def test_the_unit_of_the_world_does_not_matter(factor):
    motion, c, truth = scene("travel", thing=True)
    assert overlap(refine(motion, c.scaled(factor)), truth) > 0.85


def test_true_depth_agrees_and_wrong_depth_does_not():
    motion, c, _ = scene("travel", thing=False)
    depth = torch.stack([depth_of(c, i) for i in range(FRAMES)])
    right = DepthMaps(depth, torch.ones_like(depth), c.K)
    assert not (refine(motion, c, right).moving > 0.5).any()
    wrong = depth.clone()
    wrong[:, 20:50, 30:60] *= 0.12
    found = refine(motion, c, DepthMaps(wrong, torch.ones_like(depth), c.K)).moving > 0.5
    assert found[:, 25:45, 35:55].float().mean() > 0.9
    assert found[:, 60:].float().mean() < 0.05
    unknown = DepthMaps(wrong, torch.zeros_like(depth), c.K)
    assert torch.equal(refine(motion, c, unknown).moving, refine(motion, c).moving)


def test_what_depth_takes_for_a_thing_that_moves_does():
    motion, c, _ = scene("travel", thing=False)
    depth = torch.stack([depth_of(c, i) for i in range(FRAMES)])
    laid = torch.zeros_like(depth, dtype=torch.bool)
    laid[:, 20:50, 30:60] = True
    found = refine(motion, c, DepthMaps(depth, 0.25 * torch.ones_like(depth), c.K, moving=laid)).moving > 0.5
    assert overlap(motion.replace(moving=found.half()), laid) > 0.95


def test_refining_is_deterministic():
    motion, c, _ = scene("travel", thing=True)
    assert torch.equal(refine(motion, c).moving, refine(motion, c).moving)


def test_specks_go_and_holes_close():
    p = np.zeros((60, 80), np.float32)
    p[20:40, 30:60] = 0.95
    p[28:31, 40:43] = 0.1
    p[5, 5] = p[50, 70] = 0.95
    out = whole(p)
    assert (out[22:38, 32:58] > 0.5).all()
    assert out[5, 5] < 0.5 and out[50, 70] < 0.5
    assert not (whole(np.full((60, 80), 0.6, np.float32)) > 0.5).any(), "nothing is sure"
    assert (whole(np.ones((60, 80), np.float32)) == 1).all()


def test_a_ring_stays_open():
    p = np.zeros((80, 80), np.float32)
    p[10:70, 10:70] = 0.95
    p[16:64, 16:64] = 0
    assert whole(p)[40, 40] < 0.5, "what is seen through a window is not the window"


def test_flow_is_doubted_where_the_picture_is_plain():
    picture = np.zeros((60, 120), np.uint8)
    picture[:, 60:] = np.random.default_rng(0).integers(0, 255, (60, 60))
    picture[:, 20:22] = 255
    error = flow_error_px(picture)
    assert error[:, 75:110].max() < 0.35 < 10 < error[:, 40:50].min()
    assert error[20:40, 20].min() > 10, "along an edge nothing holds the flow"


def test_probability_is_even_where_it_says():
    assert probability(np.float32([3.0]))[0] == pytest.approx(0.5)
    assert (np.diff(probability(np.linspace(0, 10, 50, dtype=np.float32))) >= 0).all()


def test_the_first_guess_finds_a_thing_before_a_wall():
    motion, _, truth = scene("turn", thing=True)
    flow = motion.flow_forward[4].float().numpy()
    guess = moving_guess(flow, motion.visible_forward[4].numpy())
    assert guess is not None
    found = guess > 0.5
    assert (found & truth[4].numpy()).sum() / truth[4].sum() > 0.9
    assert (found & ~truth[4].numpy()).mean() < 0.02
    assert moving_guess(flow, np.zeros(HW, bool)) is None
