"""Folders of truth: what they hold, and what is said of broken ones."""

from __future__ import annotations

from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch

from benchmarks import truth
from fourd import media
from fourd.errors import FormatError

from . import worlds


def test_a_folder_of_one_picture(tmp_path: Path) -> None:
    found = truth.read(worlds.folder(tmp_path / "tiny"))
    assert found.name == found.clip.name == "tiny"
    assert torch.equal(found.clip.frames[0], torch.from_numpy(worlds.see(0, 0)[0]))
    assert found.cameras.hw == (worlds.H, worlds.W)
    assert float(found.cameras.K[0, 0, 2]) == worlds.W / 2
    assert found.depth is not None and found.moving is not None
    assert found.depth.depth_m[0, 0, 0] == torch.inf and found.depth.confidence[0, 0, 0] == 1
    assert found.depth.depth_m[0, 0, 1] == 0 and found.depth.confidence[0, 0, 1] == 0
    assert worlds.columns(found.moving[0]) == set(range(12, 20))
    (view,) = found.views
    assert (view.name, len(view)) == ("R1", 1)
    assert view.source_index.tolist() == [0]
    assert view.moving is None and view.depth is not None
    assert view.cameras.centre_m.tolist() == [[1, 0, 0]]


def test_a_view_may_have_a_camera_of_its_own_and_no_depth(tmp_path: Path) -> None:
    K = np.diag([20.0, 20.0, 1.0])
    (view,) = truth.read(worlds.folder(tmp_path / "a", view_R1_K=K, view_R1_depth=None)).views
    assert view.depth is None
    assert float(view.cameras.K[0, 0, 0]) == 20


def test_grey_pictures_become_colour(tmp_path: Path) -> None:
    folder = worlds.folder(tmp_path / "a")
    grey = np.full((worlds.H, worlds.W), 77, np.uint8)
    iio.imwrite(folder / "view_R1" / "0000.png", grey)
    assert truth.read(folder).views[0].frames.unique().tolist() == [77]


def test_a_video_with_frame_numbers_of_its_own(tmp_path: Path) -> None:
    rows = worlds.cameras([0, 0.1, 0.2], [0, 1, 2])
    later = worlds.cameras([0.1, 0.15, 1], [0, 1, 2])
    folder = worlds.folder(
        tmp_path / "walk",
        c2w=rows.world_from_cam.numpy(),
        source_frames=np.array([10, 12, 14]),
        depth=None,
        dynamic=None,
        view_R1_c2w=later.world_from_cam.numpy(),
        view_R1_frames=np.array([12, 13, 17]),
        view_R1_depth=None,
    )
    (folder / "source.png").unlink()
    frame = torch.from_numpy(worlds.see(0, 0)[0])
    media.write_video(folder / "source.mp4", [frame] * 3, fps=5)
    for number in (12, 13, 17):
        iio.imwrite(folder / "view_R1" / f"{number:04d}.png", frame.numpy())
    found = truth.read(folder)
    assert found.depth is None and found.moving is None
    (view,) = found.views
    # Five pictures a second for every second number: a number lasts a tenth.
    assert view.cameras.time_s.tolist() == pytest.approx([0.2, 0.3, 0.7], abs=1e-6)
    assert view.source_index.tolist() == [1, -1, -1]


def test_views_come_in_the_order_of_their_angles(tmp_path: Path) -> None:
    folder = worlds.folder(tmp_path / "a")
    with np.load(folder / "truth.npz") as archive:
        data = dict(archive)
    for name in ("R10", "L2"):
        (folder / f"view_{name}").mkdir()
        iio.imwrite(folder / f"view_{name}" / "0000.png", worlds.see(1, 0)[0])
        data |= {f"view_{name}_c2w": data["view_R1_c2w"], f"view_{name}_frames": np.array([0])}
    np.savez(folder / "truth.npz", **data)
    assert [view.name for view in truth.read(folder).views] == ["R1", "L2", "R10"]


def test_no_folder_of_truth(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"is no folder of truth: it must hold source\.mp4 \(or source\.png\)"):
        truth.read(tmp_path)


BROKEN: dict[str, tuple[dict[str, np.ndarray | None], str]] = {
    "no intrinsics": ({"K": None}, "has no array 'K'"),
    "intrinsics of another shape": ({"K": np.eye(4)}, r"'K' is float64 \(4, 4\); it must hold numbers \[3, 3\]"),
    "words": ({"K": np.full((3, 3), "a")}, r"'K' is <U1 \(3, 3\)"),
    "too many cameras": ({"c2w": np.eye(4)[None].repeat(2, 0)}, "has 2 cameras and the source 1 frames"),
    "depth of another size": ({"depth": np.ones((1, 3, 3))}, r"'depth' is \(1, 3, 3\); its pictures are \(1, 8, 32\)"),
    "masks of another size": ({"dynamic": np.ones((1, 3, 3))}, r"'dynamic' is \(1, 3, 3\)"),
    "frame numbers that fall": ({"source_frames": np.array([1, 0])}, "'source_frames' must hold 1 increasing"),
    "a view without frames": ({"view_R1_frames": None}, "has no array 'view_R1_frames'"),
    "a view of two lengths": ({"view_R1_frames": np.array([0, 1])}, "has 2 entries and 'view_R1_c2w' 1"),
    "a picture that is not there": ({"view_R1_frames": np.array([7])}, r"Cannot read .*0007\.png"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_folders_get_one_clear_error(tmp_path: Path, case: str) -> None:
    changes, message = BROKEN[case]
    with pytest.raises(FormatError, match=message):
        truth.read(worlds.folder(tmp_path / "a", **changes))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 nothing", b"\x80\x04\x95 a pickle"])
def test_a_truth_file_that_is_none(tmp_path: Path, content: bytes) -> None:
    folder = worlds.folder(tmp_path / "a")
    (folder / "truth.npz").write_bytes(content)
    with pytest.raises(FormatError, match=r"Cannot read .*truth\.npz as arrays of numbers"):
        truth.read(folder)


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    folder = worlds.folder(tmp_path / "a")
    np.savez(folder / "truth.npz", K=np.array([{}], dtype=object))
    with pytest.raises(FormatError, match="Cannot read"):
        truth.read(folder)


@pytest.mark.needs("shared")
def test_depth_carried_between_frames_meets_itself_with_pixel_centres_at_a_half(shared: Path) -> None:
    """Another convention of pixel centres would show as a disagreement that grows on both sides of a half."""
    found = truth.read(shared / "scenes" / "indoor_orbit")
    assert found.depth is not None and found.moving is not None
    a, b = 6, 30
    errors = [_disagreement(found, a, b, offset) for offset in (-0.5, 0.0, 0.5)]
    assert errors[1] == min(errors)


def _disagreement(found: truth.Truth, a: int, b: int, offset_px: float) -> float:
    """Median relative depth error from frame ``a`` to ``b`` if the pixel centres stood elsewhere by so much."""
    from fourd.geometry import pinhole

    assert found.depth is not None and found.moving is not None
    K = found.cameras.K[a].clone()
    K[:2, 2] -= offset_px
    still = found.depth.depth_m[a].isfinite() & ~found.moving[a]
    points = pinhole.unproject(found.depth.depth_m[a].nan_to_num(posinf=1), K)[still]
    seen = pinhole.transform(
        found.cameras.cam_from_world[b], pinhole.transform(found.cameras.world_from_cam[a], points)
    )
    pixels, z = pinhole.project(seen, K)
    h, w = found.cameras.hw
    grid = pixels / torch.tensor([w, h]) * 2 - 1
    there = torch.nn.functional.grid_sample(
        found.depth.depth_m[b].nan_to_num(posinf=1e3)[None, None], grid[None, None], align_corners=False
    )[0, 0, 0]
    error = (there - z).abs() / z
    return float(error[error < 0.05].median())
