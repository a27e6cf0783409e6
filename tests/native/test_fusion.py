"""The kernels of fusion against their twins, and against worlds whose answer is plain."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from fourd.errors import InputError
from fourd.geometry import pinhole, rigid
from fourd.native import fusion_reference as reference
from fourd.native.fusion import Discs, Planes, agree, consistency, discs, redundant

pytestmark = pytest.mark.needs("native")

HW = (24, 32)
K = pinhole.intrinsics(HW, 60)
EYE = torch.eye(4)


def plane(normal: torch.Tensor, distance_m: float) -> torch.Tensor:
    """Depth of the plane normal . x = distance, [h, w]."""
    return distance_m / (pinhole.rays(K, HW) @ normal)


def rough(hw: tuple[int, int] = HW, seed: int = 0) -> torch.Tensor:
    """Smooth slopes, cliffs and a little noise."""
    g = torch.Generator().manual_seed(seed)
    coarse = torch.nn.functional.interpolate(torch.rand(1, 1, 4, 5, generator=g), hw, mode="bilinear")[0, 0]
    cliffs = torch.nn.functional.interpolate((torch.rand(1, 1, 3, 4, generator=g) > 0.5).float(), hw)[0, 0]
    return (2 + coarse + 2 * cliffs) * (1 + 0.01 * torch.rand(*hw, generator=g))


def turned(seed: int, m: int) -> torch.Tensor:
    """Poses that jitter around the origin."""
    g = torch.Generator().manual_seed(seed)
    pose = torch.eye(4).repeat(m, 1, 1)
    pose[:, :3, :3] = rigid.matrix_from_rotvec(0.03 * torch.randn(m, 3, generator=g))
    pose[:, :3, 3] = 0.1 * torch.randn(m, 3, generator=g)
    return pose


def scene(m: int = 4) -> tuple[Planes, torch.Tensor]:
    """Frames that see rough depth of their own, with unsure and unknown pixels, and pictures."""
    g = torch.Generator().manual_seed(2)
    planes = Planes.empty(K.repeat(m, 1, 1), turned(1, m), HW)
    base = rough()
    for k in range(m):
        confidence = (torch.rand(*HW, generator=g) * 1.5).clamp(max=1)
        noise = 1 + 0.02 * torch.randn(*HW, generator=g)
        planes.fill(k, base * noise, confidence, torch.rand(*HW, generator=g) > 0.1)
    # Six colours, so that some pixels look alike.
    rgb = torch.randint(0, 6, (m, *HW, 3), generator=g, dtype=torch.uint8) * 3
    return planes, rgb


def threaded(call: Callable[[], object]) -> tuple[object, object]:
    """The result with one thread and with three."""
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = call()
        torch.set_num_threads(3)
        return one, call()
    finally:
        torch.set_num_threads(before)


# -- planes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hw", [HW, (1, 1), (1, 7), (9, 1), (2, 2), (40, 300)], ids=str)
def test_planes_agree_with_their_twin(hw: tuple[int, int]) -> None:
    g = torch.Generator().manual_seed(3)
    depth, confidence = rough(hw), (torch.rand(*hw, generator=g) * 1.3 - 0.2).clamp(0, 1)
    still = torch.rand(*hw, generator=g) > 0.2
    actual = Planes.empty(K[None], EYE[None], hw)
    torch.ops.fourd.planes(depth, confidence, still.view(torch.uint8), K, *(x[0] for x in actual[:4]))
    expected = reference.planes(depth, confidence, still, K)
    torch.testing.assert_close(actual.inverse[0], expected[0], rtol=1e-6, atol=0)
    assert torch.equal(actual.sure[0], expected[1])
    # Differences of depths beside one another cancel four digits.
    torch.testing.assert_close(actual.pitch_m[0], expected[2], rtol=1e-4, atol=0)
    assert torch.equal(actual.edge[0], expected[3])
    if hw == HW:
        assert 0 < actual.edge.sum() < actual.edge.numel() and (actual.inverse < 0).any() and (actual.inverse > 0).any()


def test_the_sky_is_flat_and_known_unsure_pixels_stay_known() -> None:
    planes = Planes.empty(K[None], EYE[None], HW)
    planes.fill(0, torch.full(HW, torch.inf), torch.full(HW, 1e-4), torch.ones(HW, dtype=torch.bool))
    assert (planes.inverse > 0).all() and (planes.inverse < 1e-6).all()
    assert (planes.sure == 1).all() and not planes.edge.any()


# -- discs ----------------------------------------------------------------------------------------------------


def lift(depth_m: torch.Tensor, sigma_px: float = 1.0, bare: float = 1.0, pose: torch.Tensor = EYE) -> Discs:
    """All pixels of a black picture."""
    planes = Planes.empty(K[None], pose[None], HW)
    planes.fill(0, depth_m, torch.ones(HW), torch.ones(HW, dtype=torch.bool))
    everywhere, black = torch.ones(HW, dtype=torch.bool), torch.zeros(*HW, 3, dtype=torch.uint8)
    return discs(depth_m, depth_m, everywhere, planes.edge[0], black, K, pose, sigma_px, bare, 3.0)


def covariance(d: Discs) -> torch.Tensor:
    """Of the discs without their thickness."""
    axes = rigid.matrix_from_quat(d.quat_wxyz) * (d.scale_m * torch.tensor([1.0, 1.0, 0.0]))[:, None]
    return axes @ axes.mT


def test_a_disc_has_the_covariance_of_its_patch() -> None:
    depth = rough()
    a, b, _ = reference.steps(depth, K)
    made = lift(depth, 0.6)
    expected = 0.36 * (a[..., None] * a[..., None, :] + b[..., None] * b[..., None, :]).reshape(-1, 3, 3)
    # Relative to the largest entry of each: steep patches are fifty times as long as wide.
    size = expected.abs().amax((1, 2), keepdim=True)
    torch.testing.assert_close(covariance(made) / size, expected / size, rtol=0, atol=1e-5)
    torch.testing.assert_close(made.scale_m[:, 2], reference.THICKNESS * made.scale_m[:, 1])
    torch.testing.assert_close(made.quat_wxyz.norm(dim=1), torch.ones(len(made.mean_m)))
    assert (made.quat_wxyz[:, 0] >= 0).all()
    torch.testing.assert_close(made.mean_m, pinhole.unproject(depth, K).reshape(-1, 3))


def test_discs_agree_with_ellipses_of_the_twin() -> None:
    depth = rough()
    a, b, _ = reference.steps(depth, K)
    axes, scale = reference.ellipses(a.reshape(-1, 3), b.reshape(-1, 3), 0.5)
    made = lift(depth, 0.5)
    torch.testing.assert_close(made.scale_m, scale, rtol=2e-3, atol=0)
    axes = axes * (scale * torch.tensor([1.0, 1.0, 0.0]))[:, None]
    expected = axes @ axes.mT
    size = expected.abs().amax((1, 2), keepdim=True)
    torch.testing.assert_close(covariance(made) / size, expected / size, rtol=0, atol=1e-4)


@pytest.mark.parametrize("depth_m", [1e-3, 1.414, 25.652145385742188, 1e6])
def test_a_round_disc_is_as_large_as_its_pixel(depth_m: float) -> None:
    # Where both axes are equally long none is the longer; the kernel once divided by that difference.
    made = lift(torch.full(HW, depth_m), 0.5)
    torch.testing.assert_close(made.scale_m[:, :2], torch.full((len(made.scale_m), 2), 0.5 * depth_m / float(K[0, 0])))


def test_discs_lie_in_their_plane() -> None:
    normal = torch.nn.functional.normalize(torch.tensor([-0.7, 0.2, 0.7]), dim=0)
    made = lift(plane(normal, 3.0))
    across = rigid.matrix_from_quat(made.quat_wxyz)[..., 2] @ normal
    torch.testing.assert_close(across.abs(), torch.ones(len(across)), rtol=0, atol=1e-5)


def test_discs_turn_with_the_camera() -> None:
    pose = turned(5, 1)[0]
    here, there = lift(rough()), lift(rough(), pose=pose)
    R = pose[:3, :3]
    torch.testing.assert_close(there.mean_m, pinhole.transform(pose, here.mean_m))
    torch.testing.assert_close(there.scale_m, here.scale_m, rtol=1e-3, atol=0)
    torch.testing.assert_close(covariance(there), R @ covariance(here) @ R.T, rtol=0, atol=1e-4)
    torch.testing.assert_close(there.behind_m, here.behind_m @ R.T, rtol=1e-3, atol=1e-5)


def test_nothing_leans_across_a_jump_and_a_thread_faces_the_camera() -> None:
    depth = torch.full(HW, 4.0)
    depth[:, 16:] = 2.0
    made = lift(depth)
    facing = rigid.matrix_from_quat(made.quat_wxyz)[:, :, 2]
    torch.testing.assert_close(facing[:, 2].abs(), torch.ones(len(facing)))
    assert (made.backs.reshape(HW)[:, 14:18] == 0).all() and made.backs.sum() > 0
    wide = lift(depth, bare=1.5)
    torch.testing.assert_close(wide.scale_m.reshape(*HW, 3)[:, 14:18], 1.5 * made.scale_m.reshape(*HW, 3)[:, 14:18])
    thread = torch.full(HW, 4.0)
    thread[:, 16] = 2.0
    facing = rigid.matrix_from_quat(lift(thread).quat_wxyz)[:, :, 2].reshape(*HW, 3)
    torch.testing.assert_close(facing[:, 16, 2].abs(), torch.ones(HW[0]))


def test_only_wanted_pixels_come_row_by_row_with_their_colours() -> None:
    g = torch.Generator().manual_seed(4)
    wanted = torch.rand(*HW, generator=g) > 0.7
    rgb = torch.randint(0, 256, (*HW, 3), generator=g, dtype=torch.uint8)
    nowhere = torch.zeros(HW, dtype=torch.uint8)
    made = discs(rough(), 2 * rough(), wanted, nowhere, rgb, K, EYE, 0.5, 1.25, 3.0)
    torch.testing.assert_close(made.rgb, rgb[wanted] / 255)
    soft = torch.nn.functional.avg_pool2d(rgb.permute(2, 0, 1)[None] / 255, 3, 1, 1, count_include_pad=False)[0]
    torch.testing.assert_close(made.soft_rgb, soft.permute(1, 2, 0)[wanted])
    torch.testing.assert_close(made.mean_m, pinhole.unproject(2 * rough(), K)[wanted])
    none = discs(rough(), rough(), torch.zeros_like(wanted), nowhere, rgb, K, EYE, 0.5, 1.25, 3.0)
    assert none.quat_wxyz.shape == (0, 4)


# -- consistency ----------------------------------------------------------------------------------------------


def test_consistency_agrees_with_its_twin() -> None:
    planes, _ = scene()
    actual = torch.ops.fourd.consistency(
        planes.inverse, planes.sure, planes.K, planes.world_from_cam, 1, [0, 2, 3], 0.03
    )
    expected = reference.consistency(planes, 1, [0, 2, 3], 0.03)
    for a, b in zip(actual, expected, strict=True):
        # A point that falls on the border of two pixels may be read in either.
        off = ((a - b).abs() > 1e-4).float().mean()
        assert off < 0.01
    assert (actual[1] > 0).float().mean() > 0.2 and (actual[2] > 0).any()


def test_exact_depth_is_not_moved_and_nobody_contradicts() -> None:
    normal = torch.nn.functional.normalize(torch.tensor([0.3, -0.2, 1.0]), dim=0)
    poses = turned(6, 3)
    planes = Planes.empty(K.repeat(3, 1, 1), poses, HW)
    for k in range(3):
        n = poses[k, :3, :3].T @ normal
        planes.fill(k, plane(n, 3.0 - float(normal @ poses[k, :3, 3])), torch.ones(HW), torch.ones(HW).bool())
    said = consistency(planes, 1, [0, 2], 0.01)
    torch.testing.assert_close(said.fused, planes.inverse[1], rtol=1e-5, atol=0)
    assert not said.contradiction.any()
    assert (said.support[6:-6, 6:-6] == 2).all()


def facing(depths: list[float], sure: float = 1.0) -> Planes:
    """Frames in one place that see a wall at one depth each."""
    planes = Planes.empty(K.repeat(len(depths), 1, 1), EYE.repeat(len(depths), 1, 1), HW)
    for k, depth in enumerate(depths):
        planes.fill(k, torch.full(HW, depth), torch.full(HW, sure), torch.ones(HW, dtype=torch.bool))
    return planes


def test_frames_meet_in_the_mean_of_inverse_depth() -> None:
    said = consistency(facing([2.0, 2.02, 1.98]), 0, [1, 2], 0.02)
    mean = (1 / 2.0 + 1 / 2.02 + 1 / 1.98) / 3
    torch.testing.assert_close(said.fused[1:-1, 1:-1], torch.full((22, 30), mean))


def test_who_stands_in_front_is_contradicted_and_who_stands_behind_is_hidden() -> None:
    assert (consistency(facing([2.0, 4.0]), 0, [1], 0.02).contradiction[1:-1, 1:-1] == 1).all()
    hidden = consistency(facing([4.0, 2.0]), 0, [1], 0.02)
    assert not hidden.contradiction.any() and not hidden.support.any()


# -- agree ----------------------------------------------------------------------------------------------------


def test_agreement_agrees_with_its_twin_and_with_consistency() -> None:
    planes, _ = scene()
    others = [[1, 2], [0, 2, 3], [], [2]]
    actual = agree(planes, others, 0.03, 0.2)
    fused, left = reference.agree(planes, others, 0.03, 0.2)
    # A point that falls on the border of two pixels may be read in either.
    assert ((actual.inverse - fused).abs() > 1e-4).float().mean() < 0.01
    assert (actual.sure != left).float().mean() < 0.01
    assert ((actual.sure == 0) & (planes.sure > 0)).any() and (actual.sure == planes.sure).float().mean() > 0.5
    for k, who in enumerate(others):
        assert torch.equal(actual.inverse[k], consistency(planes, k, who, 0.03).fused)
    assert torch.equal(actual.pitch_m, planes.pitch_m), "the rest is as it was"


def test_who_is_looked_through_by_most_goes() -> None:
    planes = facing([2.0, 4.0, 4.0, 4.0])
    for who, goes in ([1], True), ([1, 2, 3], True), ([], False):
        left = agree(planes, [who, [], [], []], 0.02, 0.2).sure
        assert bool((left[0, 1:-1, 1:-1] == 0).all()) == goes and (left[1:] == 255).all()
    assert (agree(planes, [[1], [], [], []], 0.02, 0.6).sure == 255).all(), "a share of what it says itself"


# -- redundant ------------------------------------------------------------------------------------------------


def test_redundant_agrees_with_its_twin() -> None:
    planes, rgb = scene()
    pitch_m = planes.pitch_m.clone()
    actual = torch.ops.fourd.redundant(
        planes.inverse, planes.sure, rgb, planes.K, planes.world_from_cam, 3, [2, 1, 0], 0.02, 1.6, 0.02, pitch_m
    )
    expected, expected_pitch = reference.redundant(planes, rgb, 3, [2, 1, 0], 0.02, 1.6, 0.02)
    assert (actual != expected).float().mean() < 0.01
    assert ((pitch_m[3] - expected_pitch).abs() > 1e-5).float().mean() < 0.01
    assert torch.equal(pitch_m[:3], planes.pitch_m[:3])
    assert 0.2 < actual.float().mean() < 0.95


def grey(m: int, level: int = 0) -> torch.Tensor:
    return torch.full((m, *HW, 3), level, dtype=torch.uint8)


def test_what_another_frame_saw_is_shown_and_what_it_did_not_see_is_not() -> None:
    planes = facing([2.0, 2.0])
    assert redundant(planes, grey(2), 1, [0], 0.01, 1.6, 0.05)[1:-1, 1:-1].all()
    assert not redundant(planes, grey(2), 1, [], 0.01, 1.6, 0.05).any()
    planes.sure[0, :, 16:] = 0
    shown = redundant(planes, grey(2), 1, [0], 0.01, 1.6, 0.05)
    assert shown[1:-1, 1:16].all() and not shown[:, 16:].any()


def test_a_sheet_close_by_is_joined_only_where_it_looks_the_same_or_is_unsure() -> None:
    apart, unsure = facing([2.0, 2.04]), facing([2.0, 2.04], sure=0.3)
    black, white = grey(2), torch.cat([grey(1), grey(1, 255)])
    assert redundant(apart, black, 1, [0], 0.01, 1.6, 0.05)[1:-1, 1:-1].all()
    assert not redundant(apart, white, 1, [0], 0.01, 1.6, 0.05).any()
    assert redundant(unsure, white, 1, [0], 0.01, 1.6, 0.05)[1:-1, 1:-1].all()


def test_in_a_chain_of_frames_that_come_closer_the_first_is_measured_not_the_last() -> None:
    m, step = 6, 1.25
    planes = Planes.empty(K.repeat(m, 1, 1), EYE.repeat(m, 1, 1), HW)
    for k in range(m):
        planes.world_from_cam[k, 2, 3] = 4 - 4 / step**k
        planes.fill(k, torch.full(HW, 4 / step**k), torch.ones(HW), torch.ones(HW, dtype=torch.bool))
    shown = [bool(redundant(planes, grey(m), k, range(k - 1, -1, -1), 0.01, 1.6, 0.05)[12, 16]) for k in range(m)]
    # 1.25**2 is below 1.6 and 1.25**3 above: every third frame brings its own.
    assert shown == [False, True, True, False, True, True]


# -- all ------------------------------------------------------------------------------------------------------


def test_threads_do_not_change_a_bit() -> None:
    planes, rgb = scene(3)
    big = torch.nn.functional.interpolate(planes.inverse[None], (300, 400))[0].contiguous()
    sure = torch.nn.functional.interpolate(planes.sure[None].float(), (300, 400))[0].to(torch.uint8).contiguous()
    rgb = torch.nn.functional.interpolate(rgb.permute(0, 3, 1, 2).float(), (300, 400)).to(torch.uint8)
    rgb = rgb.permute(0, 2, 3, 1).contiguous()
    at = Planes(big, sure, 1 / big.abs(), sure * 0, pinhole.intrinsics((300, 400), 60).repeat(3, 1, 1), turned(1, 3))
    depth, everywhere = 1 / big[0].abs(), sure[0] > 0

    def everything() -> list[torch.Tensor]:
        pitch = at.pitch_m.clone()
        shown = redundant(at._replace(pitch_m=pitch), rgb, 2, [1, 0], 0.02, 1.6, 0.05)
        made = discs(depth, depth, everywhere, at.edge[0], rgb[0], at.K[0], EYE, 0.5, 1.25, 3.0)
        filled = Planes.empty(at.K, at.world_from_cam, (300, 400))
        for k in range(3):
            filled.fill(k, depth, sure[0] / 255, everywhere)
        agreed = agree(at, [[1], [0, 2], [1]], 0.02, 0.2)
        return [*consistency(at, 1, [0, 2], 0.02), *agreed, shown, pitch, *made, *filled]

    one, three = threaded(everything)
    assert all(torch.equal(a, b) for a, b in zip(one, three, strict=True))  # type: ignore[call-overload]


def test_a_frame_of_one_pixel_sees_nobody() -> None:
    planes = Planes.empty(K.repeat(2, 1, 1), EYE.repeat(2, 1, 1), (1, 1))
    for k in range(2):
        planes.fill(k, torch.full((1, 1), 2.0), torch.ones(1, 1), torch.ones(1, 1, dtype=torch.bool))
    assert consistency(planes, 0, [1], 0.1).support == 0
    assert redundant(planes, grey(2)[:, :1, :1], 1, [0], 0.1, 1.6, 0.05) == 0


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 0.0, 1e30, -1.0])
def test_poisoned_inverse_depth_stays_where_it_is(bad: float) -> None:
    planes, clean = facing([2.0, 2.0, 2.0]), facing([2.0, 2.0, 2.0])
    planes.inverse[1, 10, 10] = bad
    said, expected = consistency(planes, 0, [1, 2], 0.02), consistency(clean, 0, [1, 2], 0.02)
    touched = torch.zeros(HW, dtype=torch.bool)
    touched[9:12, 9:12] = True
    for a, b in zip(said, expected, strict=True):
        assert torch.equal(a[~touched], b[~touched])
        assert a.isfinite().all()
    own = consistency(planes, 1, [0, 2], 0.02)
    assert own.support[10, 10] == 0 or bad == -1.0
    redundant(planes, grey(3), 1, [0, 2], 0.02, 1.6, 0.05)


def test_frames_that_are_not_there_are_named() -> None:
    planes = facing([2.0, 2.0])
    with pytest.raises(InputError, match="others has frame 2; there are 2 frames, numbered from 0"):
        consistency(planes, 0, [1, 2], 0.02)
    with pytest.raises(InputError, match="others has frame 2; there are 2 frames, numbered from 0"):
        agree(planes, [[1], [2]], 0.02, 0.2)
    with pytest.raises(InputError, match="others has 1 lists for 2 frames; it must have one for each"):
        agree(planes, [[1]], 0.02, 0.2)
    with pytest.raises(InputError, match="frame has frame -1"):
        consistency(planes, -1, [1], 0.02)
    with pytest.raises(InputError, match="earlier has frame 1 itself"):
        redundant(planes, grey(2), 1, [0, 1], 0.02, 1.6, 0.05)


def test_the_operators_are_well_formed() -> None:
    planes, rgb = scene(2)
    ops, maps = torch.ops.fourd, (planes.inverse, planes.sure)
    still = torch.ones(HW, dtype=torch.uint8)
    cameras = (planes.K, planes.world_from_cam)
    torch.library.opcheck(ops.planes, (rough(), torch.ones(HW), still, K, *(x[0].clone() for x in planes[:4])))
    torch.library.opcheck(ops.consistency, (*maps, *cameras, 0, [1], 0.02))
    torch.library.opcheck(ops.agree, (*maps, *cameras, [1, 0], [1, 1], 0.02, 0.2))
    torch.library.opcheck(ops.redundant, (*maps, rgb, *cameras, 1, [0], 0.02, 1.6, 0.05, planes.pitch_m.clone()))
    wanted = torch.ones(HW, dtype=torch.bool)
    arguments = (rough(), rough(), wanted, planes.edge[0], rgb[0], K, EYE, 0.5, 1.25, 3.0, wanted.numel())
    torch.library.opcheck(ops.discs, arguments)
