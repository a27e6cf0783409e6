"""Flow over several frames, and the depth that fits it: exact on a slanted plane."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from fourd.geometry.correspondence import Chains, sample
from fourd.geometry.parallax import still_world
from fourd.geometry.pinhole import intrinsics, pixel_grid, rays
from fourd.geometry.rigid import matrix_from_rotvec
from fourd.types import Cameras

HW = (36, 64)
NORMAL = torch.tensor([0.3, 0.2, 1.0])


def cameras(travel_m: float = 0.05, turn: float = 0.01, frames: int = 12) -> Cameras:
    pose = torch.eye(4).repeat(frames, 1, 1)
    s = torch.arange(frames).float()
    pose[:, :3, :3] = matrix_from_rotvec(torch.stack([0 * s, turn * s, 0 * s], -1))
    pose[:, 0, 3] = travel_m * s
    return Cameras(intrinsics(HW, 60).expand(frames, 3, 3), pose, HW, s / 24)


def plane_depth(c: Cameras, i: int) -> Tensor:
    """Depth of the plane ``NORMAL . X = 5``."""
    ray = rays(c.K[i], HW)
    pose = c.world_from_cam[i]
    return (5 - NORMAL @ pose[:3, 3]) / ((ray @ pose[:3, :3].mT) @ NORMAL)


def plane_flow(c: Cameras, i: int, j: int) -> Tensor:
    """Exact flow from frame i to frame j."""
    points = rays(c.K[i], HW) * plane_depth(c, i)[..., None]
    world = points @ c.world_from_cam[i, :3, :3].mT + c.world_from_cam[i, :3, 3]
    there = c.cam_from_world[j]
    Y = world @ there[:3, :3].mT + there[:3, 3]
    return (Y @ c.K[j].mT)[..., :2] / Y[..., 2:] - pixel_grid(HW)


def both(c: Cameras) -> tuple[Chains, Chains]:
    t = len(c)
    forward, backward = torch.zeros(t, *HW, 2), torch.zeros(t, *HW, 2)
    for i in range(t - 1):
        forward[i], backward[i + 1] = plane_flow(c, i, i + 1), plane_flow(c, i + 1, i)
    seen = torch.ones(t, *HW, dtype=torch.bool)
    return Chains(forward, seen, 1, HW), Chains(backward, seen, -1, HW)


def test_sampling_at_pixel_centres_reads_the_pixels():
    field = torch.randn(5, 7, 3)
    torch.testing.assert_close(sample(field, pixel_grid((5, 7))), field)


@pytest.mark.parametrize("steps", [1, 2, 4, 8])
def test_chains_are_the_flow_over_many_frames(steps):
    c = cameras()
    ahead, back = both(c)
    for chain, i, j in ((ahead, 1, 1 + steps), (back, 10, 10 - steps)):
        assert chain.reach(i, steps) == j
        flow, followed = chain(i, steps)
        # The flow of a plane is not linear, so that reading it between pixels costs a little.
        assert followed.float().mean() > 0.5
        assert (flow - plane_flow(c, i, j))[followed].abs().max() < 0.02
    assert ahead.reach(11, 1) is None and back.reach(0, 1) is None


def test_what_leaves_the_picture_is_not_followed():
    right = torch.zeros(3, *HW, 2)
    right[..., 0] = 10
    _, followed = Chains(right, torch.ones(3, *HW, dtype=torch.bool), 1, HW)(0, 2)
    assert followed[:, :44].all() and not followed[:, 44:].any()


def test_chains_of_smaller_maps_have_smaller_flow():
    flow = torch.full((2, *HW, 2), 3.0)
    small, _ = Chains(flow, torch.ones(2, *HW, dtype=torch.bool), 1, (18, 32))(0, 1)
    torch.testing.assert_close(small, torch.full((18, 32, 2), 1.5))


def test_the_depth_that_fits_is_the_depth_of_the_plane():
    c = cameras()
    still = still_world(both(c), c, 5)
    q, sigma = still.inverse_depth()
    torch.testing.assert_close(q, 1 / plane_depth(c, 5), rtol=0.02, atol=1e-3)
    assert float((sigma / q).median()) < 0.2
    assert float(still.excess(q).max()) < 0.1


@pytest.mark.parametrize("factor", [0.25, 8.0])
def test_a_larger_world_is_deeper_and_fits_as_well(factor):
    c = cameras()
    chains = both(c)
    one, other = still_world(chains, c, 5), still_world(chains, c.scaled(factor), 5)
    q, sigma = one.inverse_depth()
    q2, sigma2 = other.inverse_depth()
    torch.testing.assert_close(q2 * factor, q, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(sigma2 * factor, sigma, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(other.excess(q2), one.excess(q), rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("turn", [0.0, 0.01])
def test_without_travel_nothing_depends_on_depth(turn):
    c = cameras(travel_m=0.0, turn=turn)
    still = still_world(both(c), c, 5)
    q, sigma = still.inverse_depth()
    assert not q.any() or bool((sigma > q).all())
    assert float(still.excess(q).max()) < 0.1


@pytest.mark.parametrize("wrong", [lambda q: 2 * q, lambda q: 0.3 * q], ids=["nearer", "further"])
def test_a_wrong_depth_does_not_fit(wrong: Callable[[Tensor], Tensor]):
    c = cameras(travel_m=0.2)
    still = still_world(both(c), c, 5)
    q, _ = still.inverse_depth()
    assert float(still.excess(wrong(q)).median()) > 1.5 > float(still.excess(q).max())
    assert float(still.excess(wrong(q), q_error=3.0).median()) < 1.5


def test_a_lone_frame_says_nothing():
    c = cameras(frames=1)
    still = still_world(both(c), c, 0)
    assert len(still.e) == 0 and not still.heard.any()
