"""Discs cover exactly the patch of surface that a pixel sees, and never lean across a jump."""

from __future__ import annotations

import torch

from fourd.fuse.complete import complete
from fourd.fuse.surface import THICKNESS, discs, surface
from fourd.geometry import pinhole, rigid

HW = (24, 32)
K = pinhole.intrinsics(HW, 60)


def plane(normal: torch.Tensor, distance_m: float) -> torch.Tensor:
    """Depth of the plane normal . x = distance, [h, w]."""
    return distance_m / (pinhole.rays(K, HW) @ normal)


def test_the_steps_lie_in_the_plane_and_reach_the_next_pixels() -> None:
    normal = torch.tensor([-0.7, 0.2, 0.7])
    normal = normal / normal.norm()
    s = surface(plane(normal, 3.0), K)
    for step, shift in ((s.step_x_m, (1, 0)), (s.step_y_m, (0, 1))):
        torch.testing.assert_close(step @ normal, torch.zeros(HW), rtol=0, atol=1e-5)
        # A small way along the step, the picture moves by just that share of a pixel.
        moved, _ = pinhole.project(s.point_m + 1e-3 * step, K)
        here, _ = pinhole.project(s.point_m, K)
        expected = torch.tensor(shift, dtype=torch.float32).expand(*HW, 2)
        torch.testing.assert_close((moved - here) / 1e-3, expected, rtol=0, atol=2e-2)
    assert not s.edge.any()


def test_a_disc_has_the_covariance_of_its_patch() -> None:
    a, b = torch.randn(50, 3), torch.randn(50, 3)
    quat, scale = discs(a, b, 0.6)
    R = rigid.matrix_from_quat(quat)
    flat = scale * torch.tensor([1.0, 1.0, 0.0])
    covariance = R @ torch.diag_embed(flat**2) @ R.mT
    expected = 0.36 * (a[:, :, None] * a[:, None] + b[:, :, None] * b[:, None])
    torch.testing.assert_close(covariance, expected, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(scale[:, 2], THICKNESS * scale[:, 1])


def test_a_disc_turns_with_its_patch() -> None:
    a, b = torch.randn(20, 3), torch.randn(20, 3)
    turn = rigid.matrix_from_rotvec(torch.tensor([0.3, -1.0, 0.5]))
    (q0, s0), (q1, s1) = discs(a, b, 1.0), discs(a @ turn.T, b @ turn.T, 1.0)
    torch.testing.assert_close(s0, s1, rtol=1e-3, atol=1e-5)
    before, after = (
        rigid.matrix_from_quat(q) @ torch.diag_embed(s0**2) @ rigid.matrix_from_quat(q).mT for q in (q0, q1)
    )
    torch.testing.assert_close(turn @ before @ turn.T, after, rtol=1e-3, atol=1e-4)


def test_nothing_leans_across_a_jump() -> None:
    depth = torch.full(HW, 4.0)
    depth[:, 16:] = 2.0
    s = surface(depth, K)
    assert s.edge[:, 15:17].all() and not s.edge[:, :15].any() and not s.edge[:, 17:].any()
    assert (s.step_x_m[..., 2] == 0).all(), "both sides face the camera, so no step may change depth"


def test_a_thread_faces_the_camera() -> None:
    depth = torch.full(HW, 4.0)
    depth[:, 16] = 2.0
    s = surface(depth, K)
    assert (s.step_x_m[:, 16, 2] == 0).all()
    assert s.edge[:, 16].all()


def test_known_depth_is_never_changed_and_unknown_is_filled_between() -> None:
    depth = torch.full(HW, 2.0)
    depth[:, 16:] = 6.0
    confidence = torch.ones(HW)
    confidence[5:15, 4:28] = 0
    rgb = torch.zeros(*HW, 3, dtype=torch.uint8)
    rgb[:, 16:] = 255
    filled = complete(depth * (confidence > 0), confidence, rgb, 100.0)
    assert torch.equal(filled[confidence > 0], depth[confidence > 0])
    # The border follows the edge of colour, so each side keeps its own depth.
    torch.testing.assert_close(filled[5:15, 5:15], torch.full((10, 10), 2.0), rtol=0.1, atol=0)
    # Measured: the diffusion stops within 17 % of its end.
    torch.testing.assert_close(filled[5:15, 17:27], torch.full((10, 10), 6.0), rtol=0.2, atol=0)


def test_depth_of_nothing_known_is_far() -> None:
    nothing = torch.zeros(HW)
    filled = complete(nothing, nothing, torch.zeros(*HW, 3, dtype=torch.uint8), 50.0)
    assert (filled == 50).all()
