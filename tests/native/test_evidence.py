"""The evidence kernel against its twin, and against cases whose answer is plain."""

from __future__ import annotations

import pytest
import torch

from fourd.geometry import pinhole, rigid
from fourd.native import evidence_reference
from fourd.native.evidence import Evidence, evidence
from fourd.native.fusion import Planes

pytestmark = pytest.mark.needs("native")

HW = (20, 30)
N, V = 300, 5


Scene = tuple[torch.Tensor, torch.Tensor, torch.Tensor, Planes, torch.Tensor]


def scene(n: int = N, v: int = V) -> Scene:
    """Random points before cameras that jitter around the origin and see random pictures and depths."""
    g = torch.Generator().manual_seed(3)
    K = pinhole.intrinsics(HW, 60.0).repeat(v, 1, 1)
    pose = torch.eye(4).repeat(v, 1, 1)
    pose[:, :3, :3] = rigid.matrix_from_rotvec(0.05 * torch.randn(v, 3, generator=g))
    pose[:, :3, 3] = 0.1 * torch.randn(v, 3, generator=g)
    mean = torch.randn(n, 3, generator=g) * torch.tensor([1.2, 0.8, 0.4]) + torch.tensor([0, 0, 2.8])
    flat = torch.randint(0, 2, (v, *HW), generator=g) * 2 - 1
    planes = Planes(
        flat / (3 + 0.3 * torch.randn(v, *HW, generator=g)),
        torch.randint(0, 256, (v, *HW), generator=g, dtype=torch.uint8),
        0.05 + 0.1 * torch.rand(v, *HW, generator=g),
        torch.zeros(v, *HW, dtype=torch.uint8),
        K,
        pose,
    )
    radius, own = 0.02 + 0.05 * torch.rand(n, generator=g), torch.rand(n, 3, generator=g)
    return mean, radius, own, planes, torch.randint(0, 256, (v, *HW, 3), generator=g, dtype=torch.uint8)


def operands(s: Scene) -> tuple[torch.Tensor, ...]:
    mean, radius, own, planes, rgb = s
    pose = planes.cam_from_world
    return mean, radius, own, planes.K, pose, rgb, planes.inverse, planes.sure, planes.pitch_m


def test_kernel_agrees_with_twin() -> None:
    inputs = scene()
    actual = torch.ops.fourd.evidence(*operands(inputs), 0.05, 0.5, 0.12)
    expected = evidence_reference.evidence(*inputs, 0.05, 0.5, 0.12)
    # The same sums in another order; a few ulp of values up to the number of frames.
    for a, b in zip(actual, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    assert (actual[0] > 0).sum() > 20 and (actual[1] > 0).sum() > 20, "the scene must exercise both verdicts"


def test_threads_do_not_change_a_bit() -> None:
    inputs = operands(scene(n=5000))
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
    torch.library.opcheck(torch.ops.fourd.evidence, (*operands(scene(n=10, v=2)), 0.05, 0.5, 0.12))


def plain(colours: list[float], depth_m: float = 2.0, sure: float = 0.5) -> Scene:
    """One point two metres before cameras that all stand at the origin and see one grey each."""
    v = len(colours)
    rgb = (torch.tensor(colours)[:, None, None, None].expand(v, *HW, 3) * 255).round().to(torch.uint8)
    planes = Planes.empty(pinhole.intrinsics(HW, 60.0).repeat(v, 1, 1), torch.eye(4).repeat(v, 1, 1), HW)
    for k in range(v):
        planes.fill(k, torch.full(HW, depth_m), torch.full(HW, sure), torch.ones(HW, dtype=torch.bool))
    return torch.tensor([[0.0, 0.0, 2.0]]), torch.tensor([0.04]), torch.full((1, 3), 0.9), planes, rgb


def ask(s: Scene) -> Evidence:
    return evidence(*s, tolerance=0.02, sigma_px=0.5, same_colour=0.12)


def test_a_passing_shadow_leaves_no_trace() -> None:
    found = ask(plain([0.8, 0.8, 0.1, 0.8, 0.8]))
    torch.testing.assert_close(found.rgb, torch.full((1, 3), 0.8), rtol=0, atol=2e-3)
    # Confidence is kept in 255 steps.
    torch.testing.assert_close(found.support, torch.tensor([2.5]), rtol=0, atol=5 / 255)
    assert found.contradiction == 0


def test_seen_through_hidden_and_unseen() -> None:
    through = ask(plain([0.2, 0.2], depth_m=4.0, sure=1.0))
    assert through.support == 0 and through.contradiction == 2
    hidden = ask(plain([0.2, 0.2], depth_m=1.0))
    assert hidden.support == 0 and hidden.contradiction == 0
    # Nobody supports either, so both keep their own colour.
    torch.testing.assert_close(torch.cat([through.rgb, hidden.rgb]), torch.full((2, 3), 0.9))
    assert through.finest_m.isinf() and hidden.finest_m.isinf()


def test_a_frame_where_something_moves_says_nothing() -> None:
    inputs = plain([0.2, 0.2])
    inputs[3].sure[:] = 0
    found = ask(inputs)
    assert found.support == 0 and found.contradiction == 0


def test_no_points_and_behind_the_camera() -> None:
    inputs = plain([0.5])
    assert ask((*(x[:0] for x in inputs[:3]), *inputs[3:])).rgb.shape == (0, 3)  # type: ignore[arg-type]
    assert ask((torch.tensor([[0.0, 0.0, -2.0]]), *inputs[1:])).support == 0


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e30])
def test_points_that_are_nowhere_are_supported_by_nobody(bad: float) -> None:
    inputs = plain([0.5, 0.5])
    for axis in range(3):
        mean = inputs[0].repeat(3, 1)
        mean[1, axis] = bad
        found = ask((mean, inputs[1].repeat(3), inputs[2].repeat(3, 1), *inputs[3:]))
        assert found.support[1] == 0 and found.rgb.isfinite().all()
        assert (found.support[[0, 2]] > 0).all(), "its neighbours are not drawn into it"


def test_the_finest_frame_is_found() -> None:
    near, far = plain([0.5], 2.0), plain([0.5], 2.0)
    planes = Planes(*(torch.cat([a, b]) for a, b in zip(near[3], far[3], strict=True)))
    planes.K[1, :2] *= 2  # A longer focal length sees finer, and the point at the same place: the axis.
    planes.K[1, :2, 2] /= 2
    planes.fill(1, torch.full(HW, 2.0), torch.ones(HW), torch.ones(HW, dtype=torch.bool))
    found = evidence(*near[:3], planes, torch.cat([near[4], far[4]]), 0.02, 0.5, 0.12)
    torch.testing.assert_close(found.finest_m, 2.0 / planes.K[1, :1, 0])
