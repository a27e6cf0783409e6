"""What the rasterizer draws, by exact answers and by symmetries."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from fourd.geometry.rigid import look_at, matrix_from_quat, matrix_from_rotvec, quat_from_matrix
from fourd.native import EPS2D_PX, Raster, rasterize
from fourd.types import SH_C0, Splats
from tests.native.splats import pinhole, scatter, splats

pytestmark = pytest.mark.needs("native")

EYE = torch.eye(4)
HW = (33, 47)
RED, GREEN = [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]


def draw(s: Splats, K: Tensor | None = None, pose: Tensor = EYE, hw: tuple[int, int] = HW, at_s: float = 0.0) -> Raster:
    return rasterize(s, pinhole(hw, 40.0) if K is None else K, pose, hw, at_s)


def near(a: Raster, b: Raster, atol: float = 1e-4) -> bool:
    """All but the index: where two splats weigh the same it may fall on either."""
    return all(bool(torch.isclose(x, y, rtol=1e-4, atol=atol).all()) for x, y in zip(a[:4], b[:4], strict=True))


@pytest.mark.parametrize(("row", "column"), [(16, 23), (0, 0), (32, 46), (7, 30)])
def test_a_splat_lands_on_its_pixel_centre(row: int, column: int) -> None:
    K, z = pinhole(HW, 40.0), 2.0
    x, y = (column + 0.5 - K[0, 2]) / 40 * z, (row + 0.5 - K[1, 2]) / 40 * z
    alpha = draw(splats([[x, y, z]], scale_m=[0.05] * 3)).alpha
    assert int(alpha.argmax()) == row * HW[1] + column
    if (row, column) == (16, 23):  # The middle: it must look the same from all sides.
        for axis in (0, 1):
            torch.testing.assert_close(alpha, alpha.flip(axis), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("angle", [0.0, 0.4, math.pi / 2])
@pytest.mark.parametrize("opacity", [1.0, 0.3])
def test_a_flat_splat_on_the_axis_is_exactly_its_gaussian(angle: float, opacity: float) -> None:
    f, z, s = 40.0, 2.0, (0.2, 0.08)
    one = splats(
        [[0, 0, z]],
        scale_m=[*s, 1e-6],
        opacity=opacity,
        quat_wxyz=[math.cos(angle / 2), 0, 0, math.sin(angle / 2)],
        rgb=[0.2, 0.4, 0.6],
    )
    turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    sharp = turn @ torch.diag(torch.tensor(s) * f / z) ** 2 @ turn.T
    wide = sharp + EPS2D_PX * torch.eye(2)
    y, x = torch.meshgrid(torch.arange(HW[0]) + 0.5 - 16.5, torch.arange(HW[1]) + 0.5 - 23.5, indexing="ij")
    d = torch.stack([x, y], -1)
    power = torch.einsum("hwi,ij,hwj->hw", d, wide.inverse(), d) / 2
    alpha = opacity * (sharp.det() / wide.det()).sqrt() * torch.exp(-power)
    alpha = torch.where(alpha >= 1 / 255, alpha.clamp(max=0.999), 0)

    seen = draw(one)
    torch.testing.assert_close(seen.alpha, alpha, rtol=2e-5, atol=1e-6)
    torch.testing.assert_close(seen.rgb, alpha[..., None] * torch.tensor([0.2, 0.4, 0.6]), rtol=2e-5, atol=1e-6)
    torch.testing.assert_close(seen.depth_m, torch.where(alpha > 0, z, 0.0))
    assert torch.equal(seen.index, torch.where(alpha > 0, 0, -1).int())
    assert torch.equal(seen.median_m, torch.where(alpha > 0.5, z, 0.0))


def test_the_filter_keeps_the_light() -> None:
    # However wide the filter, and however small the splat in pixels, it covers opacity x 2 pi sx sy pixels.
    one = splats([[0.013, 0.031, 2.0]], scale_m=[0.04, 0.03, 1e-6])
    exact = 2 * math.pi * 0.04 * 0.03 * (40 / 2) ** 2
    for eps2d_px in (0.05, 0.1, 0.3):
        covered = rasterize(one, pinhole(HW, 40.0), EYE, HW, 0.0, eps2d_px=eps2d_px).alpha.sum()
        assert float(covered) == pytest.approx(exact, rel=0.02)  # What is fainter than 1/255 is missing.


def test_twice_the_pixels_show_the_same() -> None:
    s = scatter(60, scale_m=0.5)
    coarse = draw(s, pinhole(HW, 40.0))
    fine_hw = (HW[0] * 2, HW[1] * 2)
    fine = draw(s, pinhole(fine_hw, 80.0), hw=fine_hw)
    pooled = torch.nn.functional.avg_pool2d(fine.rgb.permute(2, 0, 1), 2).permute(1, 2, 0)
    assert float((pooled - coarse.rgb).abs().mean()) < 0.004
    assert float(fine.alpha.mean()) == pytest.approx(float(coarse.alpha.mean()), abs=0.003)


@pytest.mark.parametrize("swapped", [False, True], ids=["near-first", "far-first"])
def test_the_near_splat_covers_the_far_one(swapped: bool) -> None:
    order = [1, 0] if swapped else [0, 1]
    both = splats([[0, 0, 2.0], [0, 0, 3.0]], scale_m=[9.0, 9.0, 1e-6], opacity=[0.6, 0.5], rgb=[RED, GREEN])
    seen = draw(both[torch.tensor(order)])
    middle = (16, 23)
    torch.testing.assert_close(seen.rgb[middle], torch.tensor([0.6, 0.4 * 0.5, 0.0]), rtol=1e-4, atol=1e-5)
    assert float(seen.alpha[middle]) == pytest.approx(0.8, rel=1e-4)
    assert float(seen.depth_m[middle]) == pytest.approx((0.6 * 2 + 0.2 * 3) / 0.8, rel=1e-4)
    assert float(seen.median_m[middle]) == 2.0
    assert int(seen.index[middle]) == order[0]


def test_median_and_index_may_name_the_far_splat() -> None:
    both = splats([[0, 0, 2.0], [0, 0, 3.0]], scale_m=[9.0, 9.0, 1e-6], opacity=[0.3, 0.5])
    seen = draw(both)
    assert float(seen.median_m[16, 23]) == 3.0  # 0.7 is left behind the first, 0.35 behind the second.
    assert int(seen.index[16, 23]) == 1  # 0.3 against 0.35.


def test_of_two_equally_far_the_first_covers() -> None:
    both = splats([[0, 0, 2.0]] * 2, opacity=0.6, rgb=[RED, GREEN])
    assert draw(both).rgb[16, 23].argmax() == 0
    assert draw(both[torch.tensor([1, 0])]).rgb[16, 23].argmax() == 1


def test_a_closed_pixel_takes_nothing_more() -> None:
    # 0.999, then 0.999 of what is left: 1e-6 < 1e-4, and the third counts for nothing.
    wall = splats([[0, 0, z] for z in (1.0, 2.0, 3.0)], scale_m=[50.0, 50.0, 1e-6], rgb=[RED, RED, GREEN])
    seen = draw(wall)
    assert float(seen.rgb[..., 1].max()) == 0.0
    assert float(seen.alpha.min()) > 0.99999


def test_too_faint_a_splat_is_not_drawn() -> None:
    for opacity, drawn in ((1 / 254, True), (1 / 256, False)):
        seen = draw(splats([[0, 0, 2.0]], scale_m=[9.0, 9.0, 1e-6], opacity=opacity))
        assert bool(seen.alpha[16, 23] > 0) == drawn


@pytest.mark.parametrize("at_s", [0.5, 1.0, 2.5])
def test_a_splat_lives_and_moves(at_s: float) -> None:
    # 0.1 m a second at 2 m and 40 px: 2 pixels a second, to the right and half of it down.
    one = splats([[0, 0, 2.0]], velocity_mps=[0.1, 0.05, 0], time_s=0.5, duration_s=1.0, opacity=0.8)
    there = splats([[(at_s - 0.5) * 0.1, (at_s - 0.5) * 0.05, 2.0]], opacity=0.8 * math.exp(-((at_s - 0.5) ** 2) / 2))
    assert near(draw(one, at_s=at_s), draw(there), atol=1e-6)


def test_a_splat_is_gone_long_before_and_after() -> None:
    one = splats([[0, 0, 2.0]], time_s=10.0, duration_s=0.5)
    assert [bool(draw(one, at_s=t).alpha.any()) for t in (-1e9, 8.0, 9.5, 10.0, 10.5, 12.0, 1e9)] == [
        False, False, True, True, True, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize("dead", [0.1, 0.5, 0.97, 1.0])
def test_splats_that_are_not_alive_change_nothing(dead: float) -> None:
    # They are left out before they are projected, in one of two ways, depending on how many they are.
    n = 9000
    s = scatter(n, scale_m=0.1)
    gone = torch.rand(n, generator=torch.Generator().manual_seed(7)) < dead
    s = s.replace(time_s=torch.where(gone, 100.0, 0.0), duration_s=torch.where(gone, 1.0, s.duration_s))
    seen, alone = draw(s, at_s=0.2), draw(s[~gone], at_s=0.2)
    assert all(torch.equal(a, b) for a, b in zip(seen[:4], alone[:4], strict=True))
    number = torch.cat([(~gone).nonzero()[:, 0], torch.tensor([-1])])  # -1, nothing, is the last.
    assert torch.equal(seen.index.long(), number[alone.index.long()])


@pytest.mark.parametrize("farthest_m", [20.0, 1e6], ids=["near", "far"])
def test_any_range_of_depths_is_sorted(farthest_m: float) -> None:
    # Depths that differ in more than 26 bits are sorted in three passes, others in two.
    n = 20_000
    z = torch.exp(torch.rand(n, generator=torch.Generator().manual_seed(0)) * math.log(farthest_m)) + 0.02
    z[:2] = torch.tensor([0.02, farthest_m])
    s = splats(torch.stack([z * 0, z * 0, z], 1), scale_m=[1e8, 1e8, 1e-6], opacity=0.005, rgb=torch.rand(n, 3))
    order = z.argsort(stable=True)
    assert near(draw(s), draw(s[order]), atol=0)


def test_time_keeps_its_precision_after_an_hour() -> None:
    # 3600.0001 s is not a float: rounded to one, the splat would be a quarter of a millisecond elsewhere.
    K = pinhole(HW, 40.0)
    one = splats([[0, 0, 2.0]], velocity_mps=[1000.0, 0, 0], time_s=3600.0)
    seen = rasterize(one, K, EYE, HW, 3600.0001)
    assert near(seen, draw(splats([[0.1, 0, 2.0]])), atol=1e-3)


@pytest.mark.parametrize(("axis", "coefficient", "sign"), [(0, 3, -1), (1, 1, -1), (2, 2, 1)], ids="xyz")
def test_colour_turns_with_the_direction_of_view(axis: int, coefficient: int, sign: int) -> None:
    # Degree 1, as in 3D Gaussian splatting: (-y, z, -x), directions from the camera to the splat.
    colour = torch.zeros(4, 3)
    colour[coefficient] = torch.tensor([0.4, 0.2, -0.3])
    one = splats([[0, 0, 4.0]], colour=colour, scale_m=[1.0] * 3)
    for side in (-1, 1):
        eye = torch.tensor([0, 0, 4.0])
        eye[axis] -= 3 * side  # So that the view goes along side x axis.
        up = torch.tensor([0, 0, 1.0]) if axis == 1 else torch.tensor([0, -1.0, 0])
        seen = draw(one, pose=look_at(eye, torch.tensor([0, 0, 4.0]), up))
        rgb = seen.rgb[16, 23] / seen.alpha[16, 23]
        expected = 0.5 + sign * side * math.sqrt(3) * SH_C0 * torch.tensor([0.4, 0.2, -0.3])
        torch.testing.assert_close(rgb, expected, rtol=1e-4, atol=1e-4)


def test_colours_below_zero_are_black() -> None:
    assert float(draw(splats([[0, 0, 2.0]], rgb=[-3.0, -0.1, 0.0])).rgb.abs().max()) == 0.0


def test_moving_world_and_camera_together_changes_nothing() -> None:
    s = scatter(200)
    motion = torch.eye(4)
    motion[:3, :3] = matrix_from_rotvec(torch.tensor([0.7, -1.1, 0.4]))
    motion[:3, 3] = torch.tensor([1.0, -2.0, 0.5])
    R = motion[:3, :3]
    moved = s.replace(
        mean_m=s.mean_m @ R.T + motion[:3, 3],
        velocity_mps=s.velocity_mps @ R.T,
        quat_wxyz=quat_from_matrix(R @ matrix_from_quat(s.quat_wxyz)),
    )
    assert near(draw(s, at_s=0.3), draw(moved, pose=motion, at_s=0.3))


def test_a_larger_world_looks_the_same_from_farther() -> None:
    s, scale = scatter(200), 4.0  # A power of two, so that the arithmetic is exact.
    larger = s.replace(mean_m=s.mean_m * scale, scale_m=s.scale_m * scale, velocity_mps=s.velocity_mps * scale)
    pose = torch.eye(4)
    pose[:3, 3] = torch.tensor([0.25, -0.5, 0.125])
    small = rasterize(s, pinhole(HW, 40.0), pose, HW, 0.3)
    pose = pose.clone()
    pose[:3, 3] *= scale
    large = rasterize(larger, pinhole(HW, 40.0), pose, HW, 0.3, near_m=0.04)
    for a, b in ((small.rgb, large.rgb), (small.alpha, large.alpha), (small.index, large.index)):
        assert torch.equal(a, b)
    assert torch.equal(small.depth_m * scale, large.depth_m)
    assert torch.equal(small.median_m * scale, large.median_m)


def test_a_mirrored_world_is_a_mirrored_picture() -> None:
    s = scatter(200)
    flip, turn = torch.tensor([-1.0, 1, 1]), torch.tensor([1.0, 1, -1, -1])
    mirrored = s.replace(mean_m=s.mean_m * flip, velocity_mps=s.velocity_mps * flip, quat_wxyz=s.quat_wxyz * turn)
    assert near(draw(s), Raster(*(x.flip(1) for x in draw(mirrored))))


def test_a_window_shows_a_part_of_the_picture() -> None:
    # Whatever tiles and threads make of it; the splats stay in the middle, where no Jacobian is clamped.
    g = torch.Generator().manual_seed(1)
    s = splats(
        torch.randn(80, 3, generator=g) * 0.3 + torch.tensor([0, 0, 4.0]),
        rgb=torch.rand(80, 3, generator=g),
        opacity=torch.rand(80, generator=g),
    )
    K, (top, left, h, w) = pinhole(HW, 40.0), (5, 9, 21, 30)
    part = K.clone()
    part[0, 2] -= left
    part[1, 2] -= top
    whole = draw(s, K)
    cut = Raster(*(x[top : top + h, left : left + w] for x in whole))
    assert near(draw(s, part, hw=(h, w)), cut, atol=1e-5)


def test_what_stands_behind_or_too_near_is_left_out() -> None:
    assert not draw(splats([[0, 0, -2.0], [0, 0, 0.0], [0, 0, 0.01]])).alpha.any()
    inside = draw(splats([[0, 0, 0.05]], scale_m=[1.0] * 3))  # The camera is inside the splat.
    assert bool(inside.alpha.isfinite().all()) and float(inside.alpha.min()) > 0.9
