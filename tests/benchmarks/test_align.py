"""Alignment gives back a similarity that is known, and the errors are those that were put in."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from benchmarks import align, errors
from fourd.errors import InputError
from fourd.geometry.rigid import matrix_from_rotvec
from fourd.types import Cameras, DepthMaps

TURN = matrix_from_rotvec(torch.tensor([0.3, -1.1, 0.7], dtype=torch.float64))
KNOWN = align.Similarity(2.5, TURN, torch.tensor([4.0, -1.0, 0.5], dtype=torch.float64))
AS_FLOAT = 2e-6
"""Poses are held in single precision, a few metres from the origin."""


def path(count: int = 9, straight: bool = False, extent_m: float = 1.0) -> Cameras:
    g = torch.Generator().manual_seed(3)
    pose = torch.eye(4, dtype=torch.float64).repeat(count, 1, 1)
    pose[:, :3, :3] = matrix_from_rotvec(0.2 * torch.randn(count, 3, generator=g, dtype=torch.float64))
    along = torch.linspace(-1, 1, count, dtype=torch.float64)
    places = torch.stack([along, 0 * along if straight else along**2, 0 * along], -1)
    pose[:, :3, 3] = extent_m * places
    K = torch.tensor([[100.0, 0, 32], [0, 100, 24], [0, 0, 1]]).expand(count, 3, 3)
    return Cameras(K, pose.float(), (48, 64), torch.arange(count, dtype=torch.float64))


def maps(depth_m: Tensor, confidence: Tensor | None = None) -> DepthMaps:
    known = torch.ones_like(depth_m) if confidence is None else confidence
    return DepthMaps(depth_m, known, torch.eye(3).expand(len(depth_m), 3, 3))


def assert_same(found: align.Similarity, wanted: align.Similarity) -> None:
    assert found.scale == pytest.approx(wanted.scale, rel=AS_FLOAT)
    torch.testing.assert_close(found.R, wanted.R, atol=5 * AS_FLOAT, rtol=0)
    torch.testing.assert_close(found.t, wanted.t, atol=20 * AS_FLOAT, rtol=0)


@pytest.mark.parametrize("straight", [False, True])
def test_a_known_similarity_is_found(straight: bool) -> None:
    truth = path(straight=straight)
    ours = KNOWN.cameras(truth)
    found = align.similarity(truth, ours)
    assert_same(found, KNOWN)
    judged = errors.camera_errors(truth, ours, found, None)
    assert judged["rotation_deg"] < 1e-4
    assert judged["position_m"] < 1e-5
    assert judged["focal"] == 0
    assert math.isnan(judged["position_of_depth"])


def test_cameras_stay_rigid_and_pictures_of_a_scaled_world_are_the_same() -> None:
    truth = path()
    ours = KNOWN.cameras(truth)  # The constructor refuses what is not rigid.
    point = torch.tensor([0.3, 0.2, 5.0])
    there = (KNOWN.scale * KNOWN.R @ point.double() + KNOWN.t).float()
    for i in range(len(truth)):
        a = truth.cam_from_world[i, :3, :3] @ point + truth.cam_from_world[i, :3, 3]
        b = ours.cam_from_world[i, :3, :3] @ there + ours.cam_from_world[i, :3, 3]
        torch.testing.assert_close(b, KNOWN.scale * a, rtol=1e-5, atol=1e-5)


def test_noise_in_one_place_does_not_turn_the_world() -> None:
    truth = path(straight=True)
    ours = KNOWN.cameras(truth)
    pose = ours.world_from_cam.clone()
    pose[4, :3, 3] += 0.01 * KNOWN.scale * TURN[:, 1].float()  # Sideways by one hundredth of a metre.
    found = align.similarity(truth, ours.replace(world_from_cam=pose))
    assert found.scale == pytest.approx(KNOWN.scale, rel=1e-4)
    torch.testing.assert_close(found.R, KNOWN.R, atol=1e-3, rtol=0)
    judged = errors.camera_errors(truth, ours.replace(world_from_cam=pose), found, None)
    # One of nine is off by 0.01; the mean moves by a ninth of that.
    assert judged["position_m"] == pytest.approx(0.01 * math.sqrt(8) / 9, rel=1e-3)
    assert judged["position_of_path"] == pytest.approx(judged["position_m"] / 2, rel=1e-5)


def test_rotation_and_focal_errors_are_those_put_in() -> None:
    truth = path()
    pose = truth.world_from_cam.double().clone()
    sign = torch.tensor([1.0, -1.0] * 5)[:9, None]
    wobble = matrix_from_rotvec(torch.deg2rad(torch.tensor([0.0, 0.0, 2.0])) * sign).double()
    pose[:, :3, :3] = pose[:, :3, :3] @ wobble
    ours = truth.replace(world_from_cam=pose.float(), K=truth.K * torch.tensor([1.1, 1.1, 1.0])[:, None])
    same = align.Similarity(1.0, torch.eye(3).double(), torch.zeros(3).double())
    judged = errors.camera_errors(truth, ours, same, maps(torch.full((9, 2, 2), 4.0)))
    assert judged["rotation_deg"] == pytest.approx(2, abs=1e-4)
    assert judged["focal"] == pytest.approx(0.1, abs=1e-6)
    assert judged["position_of_depth"] == 0


def test_the_focal_length_of_smaller_pictures_is_compared_at_the_truths_size() -> None:
    truth = path()
    same = align.Similarity(1.0, torch.eye(3).double(), torch.zeros(3).double())
    assert errors.camera_errors(truth, truth.resized((24, 32)), same, None)["focal"] == pytest.approx(0, abs=1e-6)


def test_a_still_camera_takes_its_scale_from_depth() -> None:
    truth = path(extent_m=0.001)
    deep = maps(torch.full((9, 4, 4), 3.0))
    assert align.is_still(truth, deep)
    assert not align.is_still(path(), deep)
    assert not align.is_still(truth, None)
    assert align.is_still(path(extent_m=0), None)
    scale = align.depth_scale(deep, deep.scaled(2.5))
    assert scale == pytest.approx(2.5)
    assert_same(align.similarity(truth, KNOWN.cameras(truth), scale), KNOWN)


def test_a_single_camera_is_aligned_by_its_pose() -> None:
    truth = path(1)
    assert_same(align.similarity(truth, KNOWN.cameras(truth), 2.5), KNOWN)
    with pytest.raises(InputError, match="A camera path without extent tells no scale"):
        align.similarity(truth, truth)


def test_as_many_cameras_as_frames() -> None:
    with pytest.raises(InputError, match="There are 9 true cameras and 3 of the scene"):
        align.similarity(path(), path()[:3])


def test_the_scale_of_depth_is_a_median_over_what_both_know() -> None:
    truth = maps(torch.tensor([[[1.0, 2, 4, torch.inf, 0]]]), torch.tensor([[[1.0, 1, 1, 1, 0]]]))
    ours = maps(torch.tensor([[[3.0, 6, 100, 7, 7]]]))
    assert align.depth_scale(truth, ours) == pytest.approx(3)
    assert math.isnan(align.depth_scale(truth, maps(torch.zeros(1, 1, 5), torch.zeros(1, 1, 5))))
    assert align.median_depth(truth) == 2


def test_depth_of_another_scale_has_no_error() -> None:
    truth = maps(torch.rand(3, 6, 8) + 1)
    judged = errors.depth_errors(truth, truth.scaled(7))
    assert judged["all"]["scale"] == pytest.approx(7)
    assert judged["all"]["absrel"] == pytest.approx(0, abs=1e-6)
    assert judged["all"]["delta1"] == judged["all"]["coverage"] == 1
    assert set(judged) == {"all", "confident"}


def test_depth_errors_by_hand() -> None:
    truth = maps(
        torch.tensor([[[1.0, 1, 1, 1, 1, 2, 2, torch.inf, 0]]]), torch.tensor([[[1.0, 1, 1, 1, 1, 1, 1, 1, 0]]])
    )
    # Right five times; 20 % too far; the sky where there is a thing; and one unknown, in a place of its own.
    ours = maps(
        torch.tensor([[[1.0, 1, 1, 1, 0, 2.4, torch.inf, 9, 9]]]), torch.tensor([[[1.0, 1, 1, 0.2, 0, 1, 1, 1, 1]]])
    )
    moving = torch.tensor([[[False] * 5 + [True] * 4]])
    judged = errors.depth_errors(truth, ours, moving)
    assert judged["all"] == pytest.approx(
        {"absrel": (0.2 + 1) / 6, "delta1": 5 / 6, "coverage": 6 / 7, "pixels": 7, "scale": 1}, rel=1e-6
    )
    assert judged["static"] == pytest.approx({"absrel": 0, "delta1": 1, "coverage": 4 / 5, "pixels": 5})
    assert judged["moving"] == pytest.approx({"absrel": 0.6, "delta1": 0.5, "coverage": 1, "pixels": 2}, rel=1e-6)
    assert judged["confident"] == pytest.approx(
        {"absrel": (0.2 + 1) / 5, "delta1": 4 / 5, "coverage": 5 / 7, "pixels": 5}, rel=1e-6
    )


def test_smaller_maps_are_compared_at_the_truths_size() -> None:
    truth = maps(torch.tensor([[[1.0, 1, 3, 3], [1, 1, 3, 3]]]))
    assert errors.depth_errors(truth, maps(torch.tensor([[[1.0, 3.0]]])))["all"]["absrel"] == 0


def test_nothing_known_gives_no_figure() -> None:
    truth = maps(torch.ones(1, 2, 2))
    judged = errors.depth_errors(truth, maps(torch.zeros(1, 2, 2), torch.zeros(1, 2, 2)))
    assert math.isnan(judged["all"]["absrel"]) and judged["all"]["coverage"] == 0
