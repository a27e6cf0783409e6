"""Refinement: what is a little wrong becomes right, what is right stays, and nothing is learnt by heart."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from fourd import native
from fourd.events import Progress, result
from fourd.fuse import fuse
from fourd.fuse.parameters import Parameters
from fourd.fuse.refine import RefineConfig, refine, ssim
from fourd.geometry import pinhole, rigid
from fourd.types import Cameras, Clip, DepthMaps, Splats
from tests.fuse import worlds

pytestmark = pytest.mark.needs("native")

World = tuple[Clip, DepthMaps, Cameras, Splats]


@pytest.fixture(scope="module")
def world() -> World:
    cameras = worlds.cameras()
    clip, maps, motion = worlds.film(cameras)
    return clip, maps, cameras, result(fuse(clip, maps, cameras, motion))


def shaken(splats: Splats) -> Splats:
    """The same splats with wrong colours, sizes and places."""
    g = torch.Generator().manual_seed(3)
    size_m = splats.scale_m.amax(1, keepdim=True)
    return splats.replace(
        colour=splats.colour + 0.3 * torch.randn(splats.colour.shape, generator=g),
        scale_m=splats.scale_m * torch.exp(0.3 * torch.randn(splats.scale_m.shape, generator=g)),
        mean_m=splats.mean_m + 0.3 * size_m * torch.randn(splats.mean_m.shape, generator=g),
    )


def quality(splats: Splats, clip: Clip, cameras: Cameras, frames: list[int]) -> float:
    return sum(worlds.psnr(show(splats, clip, cameras, i), clip.frames[i] / 255) for i in frames) / len(frames)


def show(splats: Splats, clip: Clip, cameras: Cameras, i: int) -> torch.Tensor:
    time_s = float(clip.time_s[i])
    return native.rasterize(splats, cameras.K[i], cameras.world_from_cam[i], cameras.hw, time_s).rgb


def test_what_was_shaken_comes_back_also_where_it_was_not_looked_at(world: World) -> None:
    clip, maps, cameras, fused = world
    rough = shaken(fused)
    seen = [0, 1, 2, 4, 5, 7]
    some = Clip(clip.frames[seen], clip.time_s[seen])
    kept = DepthMaps(maps.depth_m[seen], maps.confidence[seen], maps.K[seen])
    fitted, _ = result(refine(rough, some, kept, cameras[torch.tensor(seen)], RefineConfig(rounds=8)))
    for frames in (seen, [3, 6]):
        assert quality(fitted, clip, cameras, frames) > quality(rough, clip, cameras, frames) + 4


def test_what_was_fused_well_gains(world: World) -> None:
    clip, maps, cameras, fused = world
    every = list(range(len(clip)))
    fitted, same = result(refine(fused, clip, maps, cameras))
    assert torch.equal(same.world_from_cam, cameras.world_from_cam), "cameras that are known are left alone"
    assert quality(fitted, clip, cameras, every) > quality(fused, clip, cameras, every) + 0.3


def test_the_same_seed_gives_the_same_bits(world: World) -> None:
    clip, maps, cameras, fused = world
    a, b, other = (result(refine(fused, clip, maps, cameras, RefineConfig(steps=3, seed=s)))[0] for s in (1, 1, 2))
    assert all(torch.equal(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(Splats))
    assert not torch.equal(a.colour, other.colour)


def test_held_out_frames_end_what_learns_only_by_heart(world: World) -> None:
    """All frames but the two that are held out are noise."""
    clip, maps, cameras, fused = world
    g = torch.Generator().manual_seed(0)
    noisy = torch.randint(0, 256, clip.frames.shape, generator=g, dtype=torch.uint8)
    noisy[[2, 6]] = clip.frames[[2, 6]]
    events = list(refine(fused, clip.replace(frames=noisy), maps, cameras, RefineConfig(rounds=8, held_out=4)))
    assert events[-1] == Progress("refine", 50, 50)
    assert len(events) == 12 - 1 + 2, "the first exam, after a quarter of the 48 steps, ends the lessons"


def test_cameras_that_are_off_come_nearer(world: World) -> None:
    clip, maps, cameras, fused = world
    g = torch.Generator().manual_seed(1)
    turn = torch.randn(len(cameras), 3, generator=g) * 0.5 / cameras.K[0, 0, 0]  # Half a pixel.
    off = cameras.world_from_cam.clone()
    off[:, :3, :3] = off[:, :3, :3] @ rigid.matrix_from_rotvec(turn)
    found = dataclasses.replace(cameras, world_from_cam=off)
    _, nudged = result(refine(fused, clip, maps, found, RefineConfig(rounds=6, nudge=0.2)))

    def off_px(other: Cameras) -> float:
        """Mean distance from where the true cameras see the world."""
        seen = [
            pinhole.project(pinhole.transform(c.cam_from_world[i], fused.mean_m[::50]), c.K[i])[0]
            for i in range(len(clip))
            for c in (cameras, other)
        ]
        return float((torch.stack(seen[::2]) - torch.stack(seen[1::2])).norm(dim=-1).median())

    assert 0.4 < off_px(found) < 1.0
    assert off_px(nudged) < 0.5 * off_px(found)


def test_splats_divide_where_pictures_pull(world: World) -> None:
    clip, maps, cameras, fused = world
    learnt = Parameters(fused)
    index = learnt.alive(0.0)
    rows = learnt.rows(index)
    pulled = torch.zeros_like(rows)
    pulled[7:10, :3], pulled[:, 14:] = 5.0, 1e-9
    rows.grad = pulled
    learnt.learn(index, rows, 0.0)
    learnt.divide(3)
    after = learnt.splats()
    assert len(after) == len(fused) + 3
    one, other, whole = after[-6:-3], after[-3:], fused[index[7:10]]
    middle = (one.mean_m + other.mean_m) / 2
    torch.testing.assert_close(middle, whole.mean_m)

    def spread(s: Splats) -> torch.Tensor:
        axes = rigid.matrix_from_quat(s.quat_wxyz) * s.scale_m[:, None]
        return axes @ axes.mT

    way = one.mean_m - middle
    torch.testing.assert_close(spread(one) + way[:, :, None] * way[:, None], spread(whole), atol=1e-8, rtol=1e-3)
    drawn, before = show(after, clip, cameras, 0), show(fused, clip, cameras, 0)
    assert worlds.psnr(drawn, before) > 45, "to divide changes the picture hardly"
    grown, _ = result(refine(fused, clip, maps, cameras, RefineConfig(rounds=2, grow=0.1)))
    assert len(fused) < len(grown) <= 1.1 * len(fused)


def test_splats_that_no_frame_shows_go(world: World) -> None:
    clip, maps, cameras, fused = world
    behind = fused[:50].replace(mean_m=fused.mean_m[:50] - torch.tensor([0.0, 0.0, 50.0]))
    fitted, _ = result(refine(Splats.concat([fused, behind]), clip, maps, cameras, RefineConfig(rounds=1)))
    assert len(fitted) <= len(fused) and float(fitted.mean_m[:, 2].min()) > -10


def test_nothing_to_do_is_done_at_once(world: World) -> None:
    clip, maps, cameras, fused = world
    assert result(refine(fused, clip, maps, cameras, RefineConfig(steps=0)))[0] is fused
    assert len(result(refine(fused[:0], clip, maps, cameras))[0]) == 0


def test_depth_maps_of_another_size_and_unknown_depth_do_no_harm(world: World) -> None:
    clip, maps, cameras, fused = world
    depth_m = maps.depth_m[:, ::2, ::2].clone()
    confidence = torch.zeros_like(depth_m)
    confidence[:, :4] = 1.0
    depth_m[:, :2] = float("inf")
    fitted, _ = result(refine(fused, clip, DepthMaps(depth_m, confidence, maps.K), cameras, RefineConfig(rounds=1)))
    assert bool(torch.isfinite(fitted.mean_m).all())


def test_a_fast_life_is_learnt_only_while_it_lasts(world: World) -> None:
    fused = world[3][torch.isinf(world[3].duration_s)]
    brief = fused[:10].replace(time_s=torch.full((10,), 2.0), duration_s=torch.full((10,), 0.1))
    learnt = Parameters(Splats.concat([fused, brief]))
    assert len(learnt.alive(0.0)) == len(fused) and len(learnt.alive(2.2)) == len(fused) + 10
    untouched = learnt.splats()
    assert torch.allclose(untouched.mean_m[:100], fused.mean_m[:100])
    assert torch.allclose(untouched.opacity[:100], fused.opacity[:100], atol=1e-5)


def test_ssim_is_one_for_the_same_and_low_for_noise() -> None:
    g = torch.Generator().manual_seed(0)
    a, b = torch.rand(20, 30, 3, generator=g), torch.rand(20, 30, 3, generator=g)
    assert torch.allclose(ssim(a, a), torch.ones(20, 30), atol=1e-4)
    assert float(ssim(a, b).mean()) < 0.2
    assert float(ssim(a, a + 0.01).mean()) > 0.98


def test_ssim_has_the_right_slope_up_to_the_border() -> None:
    g = torch.Generator().manual_seed(1)
    a, b = (torch.rand(9, 8, 3, generator=g, dtype=torch.float64) for _ in range(2))
    assert torch.autograd.gradcheck(lambda x: ssim(x, b), (a.requires_grad_(),))
