"""Cameras between the known ones, kinds of motion, smoothing."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fourd.errors import InputError
from fourd.geometry import rigid, trajectory
from fourd.types import Cameras


def cameras(time_s: list[float], x: list[float], turn: list[float] | None = None) -> Cameras:
    """Cameras on the x axis, turned right by radians."""
    n = len(time_s)
    pose = torch.eye(4).repeat(n, 1, 1)
    pose[:, 0, 3] = torch.tensor(x, dtype=torch.float32)
    if turn is not None:
        pose[:, :3, :3] = rigid.matrix_from_rotvec(
            torch.tensor(turn, dtype=torch.float32)[:, None] * torch.tensor([0.0, 1, 0])
        )
    K = torch.tensor([[100.0, 0, 64], [0, 100, 36], [0, 0, 1]]).repeat(n, 1, 1)
    return Cameras(K, pose, (72, 128), torch.tensor(time_s, dtype=torch.float64))


def moments(*time_s: float) -> torch.Tensor:
    return torch.tensor(time_s, dtype=torch.float64)


def test_even_motion_is_met_exactly_at_uneven_times() -> None:
    known = cameras([0, 0.1, 0.4, 1.0], [0, 0.2, 0.8, 2.0], [0, 0.05, 0.2, 0.5])
    found = trajectory.at(known, moments(0.05, 0.25, 0.7, 0.9))
    torch.testing.assert_close(found.centre_m[:, 0], torch.tensor([0.1, 0.5, 1.4, 1.8]))
    forward = found.world_from_cam[:, :3, 2]
    torch.testing.assert_close(torch.atan2(forward[:, 0], forward[:, 2]), torch.tensor([0.025, 0.125, 0.35, 0.45]))


def test_speed_is_continuous_through_a_known_camera() -> None:
    known = cameras([0, 1, 2, 3], [0, 1, 0, 4])
    x = trajectory.at(known, moments(0.999, 1, 1.001, 1.999, 2, 2.001)).centre_m[:, 0].double()
    assert float(x[1] - x[0]) == pytest.approx(float(x[2] - x[1]), abs=1e-4)
    assert float(x[4] - x[3]) == pytest.approx(float(x[5] - x[4]), abs=1e-4)


def test_known_moments_come_back_exactly_and_the_ends_hold() -> None:
    known = cameras([0, 0.3, 1], [0.1, 0.7, 0.3], [0.3, 2.9, -1.1])
    found = trajectory.at(known, moments(1, 0.3, 0, -5, 7))
    assert torch.equal(found.world_from_cam, known.world_from_cam[torch.tensor([2, 1, 0, 0, 2])])
    assert torch.equal(found.time_s, moments(1, 0.3, 0, -5, 7)), "The times are those asked for."


def test_one_camera_is_there_at_all_times() -> None:
    known = cameras([2.0], [3.0])
    assert torch.equal(trajectory.at(known, moments(-1, 2, 9)).centre_m[:, 0], torch.full((3,), 3.0))


def test_repeated_moments_are_refused() -> None:
    with pytest.raises(InputError, match="must increase strictly"):
        trajectory.at(cameras([0, 1, 1], [0, 1, 2]), moments(0.5))


@pytest.mark.parametrize(
    ("x", "turn", "kind"),
    [
        ([0, 0, 0], [0, 0, 0], "still"),
        ([0, 0, 0], [0, 0.001, 0], "still"),  # A tenth of a pixel.
        ([0, 0, 0], [0, 0.1, 0.3], "rotation"),
        ([0, 0.001, 0], [0, 0.1, 0.3], "rotation"),
        ([0, 0.1, 0.3], [0, 0, 0], "moving"),
        ([0, 0, 0], [0, math.pi, 0], "rotation"),
    ],
)
def test_kinds(x: list[float], turn: list[float], kind: str) -> None:
    assert trajectory.kind(cameras([0, 1, 2], [float(v) for v in x], [float(v) for v in turn])) == kind


def test_kind_is_about_what_the_picture_shows() -> None:
    known = cameras([0, 1, 2], [0.0, 0.1, 0.3])
    assert trajectory.kind(known, focus_m=1.0) == "moving"
    assert trajectory.kind(known, focus_m=1000.0) == "still"


@settings(max_examples=20, deadline=None)
@given(sigma_s=st.floats(0, 5), seed=st.integers(0, 99))
def test_smoothing_leaves_even_motion_alone_up_to_its_ends(sigma_s: float, seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    time_s = torch.rand(12, generator=g).cumsum(0).double() + torch.arange(12) * 0.01
    even = cameras(time_s.tolist(), (2 * time_s - 1).tolist(), (0.1 * time_s).tolist())
    smooth = trajectory.smooth(even, sigma_s)
    torch.testing.assert_close(smooth.world_from_cam, even.world_from_cam, rtol=0, atol=2e-5)


def test_smoothing_follows_a_rigid_motion_of_the_world() -> None:
    g = torch.Generator().manual_seed(5)
    known = cameras(
        [i / 10 for i in range(20)], torch.randn(20, generator=g).tolist(), torch.rand(20, generator=g).tolist()
    )
    G = torch.eye(4)
    G[:3, :3] = rigid.matrix_from_rotvec(torch.tensor([0.3, -1.0, 0.5]))
    G[:3, 3] = torch.tensor([1.0, 2, 3])
    a = trajectory.smooth(known.replace(world_from_cam=G @ known.world_from_cam), 0.2)
    b = G @ trajectory.smooth(known, 0.2).world_from_cam
    torch.testing.assert_close(a.world_from_cam, b, rtol=0, atol=1e-5)


def test_smoothing_by_less_than_nothing_is_refused() -> None:
    with pytest.raises(InputError, match=r"The smoothing is -1 s"):
        trajectory.smooth(cameras([0, 1], [0, 1]), -1.0)


@given(st.lists(st.floats(-1.8, 1.8), min_size=3, max_size=3))
def test_rotation_vectors_round_trip(values: list[float]) -> None:
    rotvec = torch.tensor(values, dtype=torch.float64)
    back = trajectory.rotvec_from_matrix(rigid.matrix_from_rotvec(rotvec))
    if float(rotvec.norm()) < math.pi - 1e-3:
        torch.testing.assert_close(back, rotvec, rtol=0, atol=1e-7)
    else:
        assert float(back.norm()) <= math.pi + 1e-9
