"""The table of cameras: what is known of them comes out, and what fails keeps its reason."""

from __future__ import annotations

import math

import pytest
import torch

from benchmarks import cameras, truth
from fourd import camera
from fourd.errors import InputError
from fourd.events import Progress, Steps, Warned
from fourd.geometry import rigid
from fourd.types import Cameras, Clip, Motion

HW = (4, 6)


def told() -> truth.Truth:
    time_s = torch.arange(5, dtype=torch.float64)
    pose = torch.eye(4).repeat(5, 1, 1)
    pose[:, 0, 3] = torch.tensor([0.0, 1, 2, 3, 4])
    pose[:, 1, 3] = torch.tensor([0.0, 1, 0, 1, 0])
    K = torch.tensor([[5.0, 0, 3], [0, 5, 2], [0, 0, 1]]).expand(5, 3, 3)
    clip = Clip(torch.zeros(5, *HW, 3, dtype=torch.uint8), time_s)
    return truth.Truth("x", clip, Cameras(K, pose, HW, time_s), None, None, ())


def still() -> Motion:
    zero, none = torch.zeros(5, *HW, 2), torch.zeros(5, *HW, dtype=torch.bool)
    return Motion(zero, zero, none, none, torch.zeros(5, *HW))


def test_the_same_cameras_in_another_world_are_right(monkeypatch: pytest.MonkeyPatch) -> None:
    known = told()
    elsewhere = torch.eye(4)
    elsewhere[:3, :3] = rigid.matrix_from_rotvec(torch.tensor([0.3, -0.2, 0.5]))
    longer = known.cameras.K * torch.tensor([[1.1], [1.1], [1.0]])

    def backend(clip: Clip, motion: Motion) -> Steps[Cameras]:
        yield Progress("camera", 1, 1)
        yield Warned("camera", "A word.")
        return known.cameras.scaled(3.0).replace(
            K=longer, world_from_cam=elsewhere @ known.cameras.scaled(3.0).world_from_cam
        )

    monkeypatch.setattr(camera, "load", lambda name: backend)
    row, found = cameras.judge(known, "any", still())
    assert row[:2] == ["x", "any"] and [abs(float(x)) for x in row[2:4]] == pytest.approx([0, 0], abs=0.01)
    assert float(row[4]) == pytest.approx(10.0, abs=0.01) and row[6] == "A word." and found is not None


def test_what_fails_keeps_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str) -> object:
        raise InputError("There is none.")

    monkeypatch.setattr(camera, "load", load)
    row, found = cameras.judge(told(), "any", still())
    assert row[-1] == "There is none." and found is None


def test_angles() -> None:
    a = torch.tensor([1.0, 0, 0])
    for degrees in (0.0, 1e-5, 45.0, 179.0):
        b = torch.tensor([math.cos(math.radians(degrees)), math.sin(math.radians(degrees)), 0], dtype=torch.float64)
        assert cameras.angle_deg(a, 3 * b) == pytest.approx(degrees, abs=1e-6)
