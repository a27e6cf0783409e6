"""Where the survey stands: about the subject, small turns first, once where the camera stands still."""

from __future__ import annotations

import math

import pytest
import torch

from fourd.errors import InputError
from fourd.geometry import pinhole, survey
from fourd.types import Cameras

HW = (48, 64)


def _trucking(frames: int, travel_m: float) -> Cameras:
    pose = torch.eye(4).repeat(frames, 1, 1)
    pose[:, 0, 3] = torch.linspace(0, travel_m, frames)
    K = pinhole.intrinsics(HW, 60.0).repeat(frames, 1, 1)
    return Cameras(K, pose, HW, torch.arange(frames, dtype=torch.float64) / 10)


def _angle_deg(a: torch.Tensor, b: torch.Tensor) -> float:
    return math.degrees(math.acos(max(-1.0, min(1.0, float(a[:3, 2] @ b[:3, 2])))))


@pytest.mark.parametrize(("range_deg", "turns"), [(10.0, [10]), (30.0, [15, 30]), (45.0, [15, 30, 45])])
def test_rings_of_a_still_camera_turn_ever_further_about_the_subject(range_deg: float, turns: list[float]) -> None:
    source = _trucking(5, 0.0)
    rings = survey.rings(source, 3.0, range_deg)
    assert len(rings) == len(turns)
    subject = torch.tensor([0.0, 0.0, 3.0])
    for ring, turn in zip(rings, turns, strict=True):
        assert len(ring) == 2
        for pose, side in zip(ring.world_from_cam, (1, -1), strict=True):
            assert _angle_deg(pose, source.world_from_cam[0]) == pytest.approx(turn, abs=0.02)
            assert float((pose[:3, 3] - subject).norm()) == pytest.approx(3.0, rel=1e-5)
            assert float(pose[0, 3]) * side > 0, "the right comes first"
        # The subject keeps its place in the picture, and pictures show more on every side, at the same scale.
        for i in range(2):
            local = pinhole.transform(torch.linalg.inv(ring.world_from_cam[i]), subject[None])
            xy, z = pinhole.project(local, ring.K[i])
            torch.testing.assert_close(xy[0], torch.tensor([ring.hw[1] / 2, ring.hw[0] / 2]), atol=1e-3, rtol=0)
            assert float(z) == pytest.approx(3.0, rel=1e-5)
        more = math.ceil(survey.MARGIN * 64)
        assert ring.hw == (48 + 2 * more, 64 + 2 * more) and torch.equal(ring.K[0, :2, :2], source.K[0, :2, :2])


def test_rings_turn_about_what_is_up() -> None:
    """A camera that looks down keeps its height if up is known, and leaves it if only its own up is."""
    source = _trucking(1, 0.0)
    c, s = math.cos(0.5), math.sin(0.5)
    tilted = torch.eye(4).repeat(1, 1, 1)
    tilted[0, 1:3, 1:3] = torch.tensor([[c, s], [-s, c]])
    source = source.replace(world_from_cam=tilted)
    level = survey.rings(source, 3.0, 30.0, torch.tensor([0.0, -1.0, 0.0]))[-1].world_from_cam
    own = survey.rings(source, 3.0, 30.0)[-1].world_from_cam
    torch.testing.assert_close(level[:, 1, 3], torch.zeros(2), atol=1e-5, rtol=0)
    assert (own[:, 1, 3].abs() > 0.05).all()
    # As level as before: the axis to the right has no part of up.
    torch.testing.assert_close(level[:, 1, 0], torch.zeros(2), atol=1e-5, rtol=0)


@pytest.mark.parametrize("range_deg", [0.0, -5.0, 91.0, math.nan, math.inf])
def test_a_range_that_makes_no_sense_is_refused(range_deg: float) -> None:
    with pytest.raises(InputError, match=r"The range is .* degrees; it must be above 0 and at most 90 to either side"):
        survey.rings(_trucking(2, 0.0), 1.0, range_deg)


def test_moments_grow_with_the_way_and_are_bounded() -> None:
    counts = [len(survey.moments(_trucking(40, travel), 2.0)) for travel in (0.0, 0.01, 1.0, 2.0, 100.0)]
    assert counts[0] == 1 and counts == sorted(counts) and counts[-1] == survey.MOMENTS
    assert survey.moments(_trucking(40, 0.0), 2.0) == [20]
    assert len(survey.moments(_trucking(2, 100.0), 2.0)) <= 2
    # A camera that shakes on the spot goes a long way and nowhere.
    shaking = _trucking(400, 0.0)
    pose = shaking.world_from_cam.clone()
    pose[::2, 0, 3] += 0.02
    assert len(survey.moments(shaking.replace(world_from_cam=pose), 2.0)) == 1
