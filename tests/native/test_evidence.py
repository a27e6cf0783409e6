"""The evidence kernel against its twin, and against cases whose answer is plain."""

from __future__ import annotations

import pytest
import torch

from fourd.geometry import pinhole, rigid
from fourd.native import evidence_reference
from fourd.native.evidence import FLAT, STILL, evidence

pytestmark = pytest.mark.needs("native")

HW = (20, 30)
N, V = 300, 5


def scene(n: int = N, v: int = V) -> list[torch.Tensor]:
    """Random points before cameras that jitter around the origin and see random pictures and depths."""
    g = torch.Generator().manual_seed(3)
    K = pinhole.intrinsics(HW, 60.0).expand(v, 3, 3)
    pose = torch.eye(4).repeat(v, 1, 1)
    pose[:, :3, :3] = rigid.matrix_from_rotvec(0.05 * torch.randn(v, 3, generator=g))
    pose[:, :3, 3] = 0.1 * torch.randn(v, 3, generator=g)
    mean = torch.randn(n, 3, generator=g) * torch.tensor([1.5, 1.0, 0.2]) + torch.tensor([0, 0, 3.0])
    return [
        mean,
        0.02 + 0.05 * torch.rand(n, generator=g),
        torch.rand(n, 3, generator=g),
        K.contiguous(),
        pose,
        torch.randint(0, 256, (v, *HW, 3), generator=g, dtype=torch.uint8),
        3 + 0.3 * torch.randn(v, *HW, generator=g),
        torch.rand(v, *HW, generator=g),
        torch.randint(0, 4, (v, *HW), generator=g, dtype=torch.uint8),
    ]


def test_kernel_agrees_with_twin() -> None:
    inputs = scene()
    actual = torch.ops.fourd.evidence(*inputs, 0.05, 0.5, 0.12)
    expected = evidence_reference.evidence(*inputs, 0.05, 0.5, 0.12)
    # The same sums in another order; a few ulp of values up to the number of frames.
    for a, b in zip(actual, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    assert (actual[0] > 0).sum() > 20 and (actual[1] > 0).sum() > 20, "the scene must exercise both verdicts"


def test_threads_do_not_change_a_bit() -> None:
    inputs = scene(n=5000)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = torch.ops.fourd.evidence(*inputs, 0.05, 0.5, 0.12)
        torch.set_num_threads(3)
        three = torch.ops.fourd.evidence(*inputs, 0.05, 0.5, 0.12)
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(one, three, strict=True))


def test_the_operator_is_well_formed() -> None:
    torch.library.opcheck(torch.ops.fourd.evidence, (*scene(n=10, v=2), 0.05, 0.5, 0.12))


def plain(colours: list[float], depth_m: float = 2.0) -> list[torch.Tensor]:
    """One point two metres before cameras that all stand at the origin and see one grey each."""
    v = len(colours)
    rgb = torch.tensor(colours)[:, None, None, None].expand(v, *HW, 3)
    return [
        torch.tensor([[0.0, 0.0, 2.0]]),
        torch.tensor([0.04]),
        torch.full((1, 3), 0.9),
        pinhole.intrinsics(HW, 60.0).repeat(v, 1, 1),
        torch.eye(4).repeat(v, 1, 1),
        (rgb * 255).round().to(torch.uint8),
        torch.full((v, *HW), depth_m),
        torch.full((v, *HW), 0.5),
        torch.full((v, *HW), STILL | FLAT, dtype=torch.uint8),
    ]


def test_a_passing_shadow_leaves_no_trace() -> None:
    found = evidence(*plain([0.8, 0.8, 0.1, 0.8, 0.8]), 0.02, 0.5, 0.12)
    torch.testing.assert_close(found.rgb, torch.full((1, 3), 0.8), rtol=0, atol=2e-3)
    torch.testing.assert_close(found.support, torch.tensor([2.5]))
    assert found.contradiction == 0


def test_seen_through_hidden_and_unseen() -> None:
    through = evidence(*plain([0.2, 0.2], depth_m=4.0), 0.02, 0.5, 0.12)
    assert through.support == 0 and through.contradiction == 1
    hidden = evidence(*plain([0.2, 0.2], depth_m=1.0), 0.02, 0.5, 0.12)
    assert hidden.support == 0 and hidden.contradiction == 0
    # Nobody supports either, so both keep their own colour.
    torch.testing.assert_close(torch.cat([through.rgb, hidden.rgb]), torch.full((2, 3), 0.9))


def test_a_frame_where_something_moves_says_nothing() -> None:
    inputs = plain([0.2, 0.2])
    inputs[8][:] = FLAT
    found = evidence(*inputs, 0.02, 0.5, 0.12)
    assert found.support == 0 and found.contradiction == 0


def test_no_points_and_behind_the_camera() -> None:
    inputs = plain([0.5])
    empty = evidence(*(x[:0] for x in inputs[:3]), *inputs[3:], 0.02, 0.5, 0.12)
    assert empty.rgb.shape == (0, 3)
    inputs[0] = torch.tensor([[0.0, 0.0, -2.0]])
    assert evidence(*inputs, 0.02, 0.5, 0.12).support == 0


def test_points_move_to_where_the_frames_see_them() -> None:
    found = evidence(*plain([0.2, 0.2, 0.2], depth_m=2.04), 0.02, 0.5, 0.12)
    torch.testing.assert_close(found.shift_m, torch.tensor([[0.0, 0.0, 0.04]]), rtol=0, atol=1e-5)
