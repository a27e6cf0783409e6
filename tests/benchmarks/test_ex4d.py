"""EX-4D's camera path, read and brought into a scene of our own scale."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import fourd
from benchmarks import ex4d
from fourd.errors import FormatError
from fourd.fuse import invent
from tests.fuse import worlds


def _write(path: Path, away: float, degrees: list[float]) -> Path:
    """Cameras that swing about a point straight ahead, stored as EX-4D stores them."""
    poses = []
    for angle in np.radians(degrees):
        c, s = np.cos(angle), np.sin(angle)
        turn = np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = turn, np.array([0, 0, away]) - turn @ [0, 0, away]
        poses.append(np.linalg.inv(pose @ np.diag([1.0, -1, -1, 1])))
    np.savez(path, extrinsics=np.stack(poses).astype(np.float32), intrinsics=np.eye(3, dtype=np.float32))
    return path


def test_the_pivot_is_found(tmp_path: Path) -> None:
    poses, away = ex4d.swing(_write(tmp_path / "path.npz", 2.74, [0, 20, 45, -30]))
    assert away == pytest.approx(2.74, abs=1e-5)
    torch.testing.assert_close(poses[0], torch.eye(4, dtype=torch.float64))


@pytest.mark.needs("native")
def test_the_path_turns_about_the_subject_of_the_scene(tmp_path: Path) -> None:
    source = worlds.cameras(frames=4)
    rgb = torch.full((*worlds.HW, 3), 0.5)
    wall = invent.invented(rgb, torch.full(worlds.HW, 0.25), torch.ones(worlds.HW, dtype=torch.bool), source[:1])
    cameras = ex4d.flown(fourd.Scene(wall, source), _write(tmp_path / "path.npz", 2.0, [0, 45, -45]))
    torch.testing.assert_close(cameras.world_from_cam[0], source.world_from_cam[0])
    pivot = source.world_from_cam[0] @ torch.tensor([0, 0, 4.0, 1.0])
    ahead = (cameras.cam_from_world @ pivot)[:, :3]
    torch.testing.assert_close(ahead, torch.tensor([0, 0, 4.0]).expand(3, 3), atol=0.05, rtol=0)
    assert torch.equal(cameras.time_s, source.time_s[:3])


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.npz"
    np.savez(path, K=np.eye(3))
    with pytest.raises(FormatError, match="is no camera path of EX-4D"):
        ex4d.swing(path)
