"""The table of cameras: what is known of them comes out, and what fails keeps its reason."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import cameras
from fourd import camera, media
from fourd.errors import FormatError, InputError
from fourd.events import Progress, Steps, Warned
from fourd.geometry import rigid
from fourd.types import Cameras, Clip, Motion, Uncertainty

HW = (4, 6)


def told() -> cameras.Case:
    time_s = torch.arange(5, dtype=torch.float64)
    pose = torch.eye(4).repeat(5, 1, 1)
    pose[:, 0, 3] = torch.tensor([0.0, 1, 2, 3, 4])
    pose[:, 1, 3] = torch.tensor([0.0, 1, 0, 1, 0])
    K = torch.tensor([[5.0, 0, 3], [0, 5, 2], [0, 0, 1]]).expand(5, 3, 3)
    clip = Clip(torch.zeros(5, *HW, 3, dtype=torch.uint8), time_s, name="x")
    return cameras.Case(clip, Cameras(K, pose, HW, time_s), torch.arange(5))


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
            K=longer,
            world_from_cam=elsewhere @ known.cameras.scaled(3.0).world_from_cam,
            uncertainty=Uncertainty(0.002, 0.03, None),
        )

    monkeypatch.setattr(camera, "load", lambda name: backend)
    row, found = cameras.judge(known, "any", still())
    assert row[:2] == ["x", "any"] and [abs(float(x)) for x in row[2:4]] == pytest.approx([0, 0], abs=0.01)
    assert float(row[4]) == pytest.approx(10.0, abs=0.01) and row[6] == "0.20, 0.03, guessed" and row[-1] == "A word."
    assert row[7:9] == ["", ""] and found is not None  # Without true depth nothing can be looked for.
    assert len(row) == 12


def test_what_fails_keeps_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str) -> object:
        raise InputError("There is none.")

    monkeypatch.setattr(camera, "load", load)
    row, found = cameras.judge(told(), "any", still())
    assert row[-1] == "There is none." and len(row) == 12 and found is None


def test_angles() -> None:
    a = torch.tensor([1.0, 0, 0])
    for degrees in (0.0, 1e-5, 45.0, 179.0):
        b = torch.tensor([math.cos(math.radians(degrees)), math.sin(math.radians(degrees)), 0], dtype=torch.float64)
        assert cameras.angle_deg(a, 3 * b) == pytest.approx(degrees, abs=1e-6)


def estimated(folder: Path, count: int = 3, frames: int = 5) -> Path:
    """A clip with estimates at every other frame: the camera goes ahead, turned by 90 degrees about its y axis."""
    media.write_video(folder / "clip.mp4", torch.zeros(frames, 32, 64, 3, dtype=torch.uint8), fps=10)
    half = math.sqrt(0.5)
    poses = np.array([[1.0, 2.0, 3.0 - k, 0, half, 0, half] for k in range(count)], np.float32)
    np.save(folder / "poses.npy", poses)
    np.save(folder / "intrinsics.npy", np.tile(np.array([0.6, 1.2, 0.5, 0.5], np.float32), (count, 1)))
    return folder


def test_estimates_of_another_system_are_read(tmp_path: Path) -> None:
    found = cameras.case(estimated(tmp_path))
    assert found.index.tolist() == [0, 2, 4] and found.clip.name == tmp_path.name
    K = torch.tensor([[38.4, 0, 32], [0, 38.4, 16], [0, 0, 1]])
    torch.testing.assert_close(found.cameras.K, K.expand(3, 3, 3))
    # x_cam = R x_world + t: the centre is -R^T t, and R takes z to x.
    torch.testing.assert_close(found.cameras.centre_m[0], torch.tensor([3.0, -2, -1]))
    torch.testing.assert_close(found.cameras.world_from_cam[0, :3, 0], torch.tensor([0.0, 0, 1]), atol=1e-6, rtol=0)
    torch.testing.assert_close(found.cameras.centre_m.diff(dim=0), torch.tensor([[-1.0, 0, 0]]).expand(2, 3))


def test_estimates_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="has 4 poses, 4 lenses and 5 frames: they do not fit"):
        cameras.case(estimated(tmp_path, count=4))
    np.save(tmp_path / "poses.npy", np.zeros((3, 6)))
    with pytest.raises(FormatError, match=r"poses\.npy is float64 \(3, 6\); it must hold numbers \[n, 7\]"):
        cameras.case(tmp_path)
    (tmp_path / "poses.npy").write_bytes(b"no array")
    with pytest.raises(FormatError, match=r"Cannot read .*poses\.npy as an array of numbers"):
        cameras.case(tmp_path)
