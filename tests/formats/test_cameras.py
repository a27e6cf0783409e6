"""Camera files of others: axes against matrices worked out by hand, round trips, fitting to the clip."""

from __future__ import annotations

import io
import json
import math
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from fourd import formats
from fourd.errors import FormatError, InputError, LimitError
from fourd.formats import _npz, transforms
from tests.formats import samples

HW = samples.HW


def times(n: int) -> torch.Tensor:
    return torch.arange(n, dtype=torch.float64) / 24


# A camera at (1, 2, 3) that looks along the world's +x, with the world's +z up, written down by hand.
# OpenCV: columns are right (0, -1, 0), down (0, 0, -1), forward (1, 0, 0). OpenGL: right, up, back.
OPENCV = [[0.0, 0, 1, 1], [-1, 0, 0, 2], [0, -1, 0, 3], [0, 0, 0, 1]]
OPENGL = [[0.0, 0, -1, 1], [-1, 0, 0, 2], [0, 1, 0, 3], [0, 0, 0, 1]]


def nerfstudio(path: Path, frames: int = 2, **top: object) -> Path:
    document = {"fl_x": 100.0, "fl_y": 101.0, "cx": 60.0, "cy": 40.0, "w": 128, "h": 72} | top
    document["frames"] = [{"file_path": f"{i}.png", "transform_matrix": OPENGL} for i in range(frames)]
    path.write_text(json.dumps({k: v for k, v in document.items() if v is not None}))
    return path


def colmap(folder: Path, camera: str = "PINHOLE 128 72 100 101 60 40", points: str = "1.0 2.0 -1") -> Path:
    # cam_from_world is the transpose of the rotation above: as a quaternion wxyz (0.5, 0.5, -0.5, 0.5).
    # Its translation is -R^T c.
    (folder / "cameras.txt").write_text(f"# Camera list\n1 {camera}\n")
    t = -np.array(OPENCV)[:3, :3].T @ np.array([1.0, 2, 3])
    line = f"0.5 0.5 -0.5 0.5 {t[0]} {t[1]} {t[2]} 1"
    (folder / "images.txt").write_text(
        f"# Image list\n7 {line} frame_10.png\n{points}\n3 0.5 0.5 -0.5 0.5 0 0 0 1 frame_9.png\n{points}\n"
    )
    return folder


def test_nerfstudio_axes_by_hand(tmp_path: Path) -> None:
    got = formats.read_cameras(nerfstudio(tmp_path / "transforms.json"), time_s=times(2))
    assert got.world_from_cam[0].tolist() == OPENCV
    assert got.K[0].tolist() == [[100, 0, 60], [0, 101, 40], [0, 0, 1]]
    assert got.hw == HW
    again = formats.read_cameras(tmp_path, time_s=times(2))  # The folder it lies in.
    samples.same(again, got, "K", "world_from_cam", "time_s")


def test_colmap_axes_by_hand(tmp_path: Path) -> None:
    for points in ("1.0 2.0 -1", ""):  # A picture without points has an empty line.
        got = formats.read_cameras(colmap(tmp_path, points=points), time_s=times(2))
        assert len(got) == 2
        torch.testing.assert_close(got.world_from_cam[1], torch.tensor(OPENCV), rtol=0, atol=1e-6)
        assert got.centre_m[0].tolist() == [0, 0, 0], "frame_9 comes before frame_10."
        assert got.K[0].tolist() == [[100, 0, 60], [0, 101, 40], [0, 0, 1]]


@pytest.mark.parametrize("name", ["c2w", "world_from_cam"])
@pytest.mark.parametrize("rows", [3, 4])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_says_what_it_holds(tmp_path: Path, name: str, rows: int, save) -> None:
    poses = np.asfortranarray(np.array([OPENCV, OPENCV, OPENCV])[:, :rows])
    save(tmp_path / "x.npz", K=samples.upright(1).K[0].numpy(), **{name: poses})
    got = formats.read_cameras(tmp_path / "x.npz", hw=HW, time_s=times(3))
    assert got.world_from_cam.tolist() == [OPENCV] * 3
    torch.testing.assert_close(got.K, samples.upright(1).K.expand(3, 3, 3), rtol=0, atol=0)


def test_transforms_come_back_exactly(tmp_path: Path) -> None:
    cameras = samples.upright(7)
    transforms.write(tmp_path / "x.json", cameras)
    for options in ({}, {"hw": HW, "time_s": cameras.time_s}):
        got = formats.read_cameras(tmp_path / "x.json", **options)
        samples.same(got, cameras, "K", "world_from_cam", "time_s")
        assert got.hw == HW


def test_written_transforms_are_what_nerfstudio_reads(tmp_path: Path) -> None:
    transforms.write(tmp_path / "x.json", samples.upright(2), file_paths=["a.png", "b.png"])
    document = json.loads((tmp_path / "x.json").read_text())
    frame = document["frames"][1]
    assert set(frame) == {"file_path", "transform_matrix", "time", "fl_x", "fl_y", "cx", "cy", "w", "h"}
    assert (frame["file_path"], frame["w"], frame["h"]) == ("b.png", 128, 72)
    assert np.array(frame["transform_matrix"]).shape == (4, 4)


def test_what_transforms_cannot_say_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="skewed"):
        transforms.write(tmp_path / "x.json", samples.cameras(2))
    with pytest.raises(InputError, match="1 file_paths for 2 cameras"):
        transforms.write(tmp_path / "x.json", samples.upright(2), file_paths=["a"])


def test_a_field_of_view_will_do(tmp_path: Path) -> None:
    path = nerfstudio(
        tmp_path / "x.json", fl_x=None, fl_y=None, cx=None, cy=None, w=None, h=None, camera_angle_x=math.pi / 2
    )
    got = formats.read_cameras(path, hw=HW, time_s=times(2))
    torch.testing.assert_close(got.K[0], torch.tensor([[64.0, 0, 64], [0, 64, 36], [0, 0, 1]]))


def test_cameras_of_larger_pictures_are_brought_to_the_clips(tmp_path: Path) -> None:
    path = nerfstudio(tmp_path / "x.json")
    half = formats.read_cameras(path, hw=(36, 64), time_s=times(2))
    assert half.hw == (36, 64)
    torch.testing.assert_close(half.K[0], torch.tensor([[50.0, 0, 30], [0, 50.5, 20], [0, 0, 1]]))
    with pytest.raises(InputError, match="128 x 72 and the clip's are 64 x 64: the proportions differ"):
        formats.read_cameras(path, hw=(64, 64), time_s=times(2))


def test_cameras_with_times_are_interpolated_at_the_clips(tmp_path: Path) -> None:
    pose = torch.eye(4).repeat(4, 1, 1)
    pose[:, 0, 3] = torch.arange(4.0)
    known = samples.upright(4).replace(world_from_cam=pose, time_s=torch.arange(4, dtype=torch.float64))
    transforms.write(tmp_path / "x.json", known)
    asked = torch.tensor([0.5, 1.0, 2.25], dtype=torch.float64)
    got = formats.read_cameras(tmp_path / "x.json", time_s=asked)
    torch.testing.assert_close(got.centre_m[:, 0], asked.float())
    assert torch.equal(got.time_s, asked)
    with pytest.raises(InputError, match=r"has cameras from 0 s to 3 s and the clip runs from 0\.5 s to 9 s"):
        formats.read_cameras(tmp_path / "x.json", time_s=torch.tensor([0.5, 9.0], dtype=torch.float64))


def test_a_wrong_count_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has 2 cameras and the clip 3 frames; there must be one for each"):
        formats.read_cameras(nerfstudio(tmp_path / "x.json"), time_s=times(3))
    with pytest.raises(InputError, match="does not say when each of its 2 cameras was; give time_s"):
        formats.read_cameras(tmp_path / "x.json")
    with pytest.raises(InputError, match="does not say how large its picture is"):
        formats.read_cameras(nerfstudio(tmp_path / "y.json", w=None), time_s=times(2))


def test_a_little_distortion_is_ignored_and_more_is_refused(tmp_path: Path) -> None:
    assert len(formats.read_cameras(nerfstudio(tmp_path / "x.json", k1=0.003), time_s=times(2))) == 2
    # The corners are 73.4 px from the middle, 0.734 focal lengths: 0.2 * 0.734**3 * 100 px.
    with pytest.raises(FormatError, match=r"has lens distortion \(7\.9 px in the corners\). Undistort"):
        formats.read_cameras(nerfstudio(tmp_path / "x.json", k1=-0.2), time_s=times(2))
    radial = "SIMPLE_RADIAL 128 72 100 60 40 "
    assert formats.read_cameras(colmap(tmp_path, radial + "0.003"), time_s=times(2)).K[0, 1, 1] == 100
    with pytest.raises(FormatError, match="has lens distortion"):
        formats.read_cameras(_only_colmap(tmp_path, radial + "-0.2"), time_s=times(2))


def _only_colmap(folder: Path, camera: str) -> Path:
    inside = folder / "model"
    inside.mkdir()
    return colmap(inside, camera)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"frames": []}, "has no frames"),
        ({"frames": {}}, "frames must be a JSON array"),
        ({"camera_model": "OPENCV_FISHEYE"}, "has the camera model 'OPENCV_FISHEYE'"),
        ({"fl_x": 0}, "has no positive focal length"),
        ({"fl_x": None}, "fl_x must be a finite number, not null"),
        ({"w": 12.5}, "w must be a whole number"),
        ({"frames": [{"transform_matrix": [[1, 0], [0, 1]]}]}, r"frames\[0\].transform_matrix must hold 16 numbers"),
        ({"frames": [{"transform_matrix": [[2, 0, 0, 0], [0, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1]]}]}, "is not rigid"),
        ({"frames": [{"transform_matrix": OPENGL, "time": 0}, {"transform_matrix": OPENGL}]}, "a time for 1 of 2"),
        (
            {"frames": [{"transform_matrix": OPENGL, "w": 5}, {"transform_matrix": OPENGL}]},
            "pictures of different sizes",
        ),
        ({"camera_path": []}, "is a camera path, which says where to fly"),
    ],
)
def test_what_is_wrong_with_a_json_is_said(tmp_path: Path, change: dict, says: str) -> None:
    path = nerfstudio(tmp_path / "x.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    n = len(change.get("frames", [0, 0]))
    with pytest.raises(FormatError, match=says):
        formats.read_cameras(path, hw=HW, time_s=times(n))


@pytest.mark.parametrize(
    ("camera", "says"),
    [
        ("FISHEYE 128 72 1 1 1 1", "is of a kind that is not read. Only SIMPLE_PINHOLE"),
        ("PINHOLE 128 72 1 1 1", "must have 4 parameters"),
        ("PINHOLE 128 72 1 1 1 x", "a number was expected"),
        ("PINHOLE 128 0 1 1 1 1", "must be a whole number from 1"),
        ("PINHOLE 128 72 -1 1 1 1", "has no positive focal length"),
    ],
)
def test_what_is_wrong_with_a_model_is_said(tmp_path: Path, camera: str, says: str) -> None:
    with pytest.raises(FormatError, match=says):
        formats.read_cameras(colmap(tmp_path, camera), time_s=times(2))


def test_other_files_are_refused(tmp_path: Path) -> None:
    for name, data, says in [
        ("a", b"", "is not JSON"),
        ("b", b"\xff\xfe\x00", "is not UTF-8 text"),
        ("c", b"PK\x03\x04junk", "is not an .npz file"),
        ("d", b"[1, 2]", "must be a JSON object"),
    ]:
        (tmp_path / name).write_bytes(data)
        with pytest.raises(FormatError, match=says):
            formats.read_cameras(tmp_path / name)
    with pytest.raises(FormatError, match="No such file"):
        formats.read_cameras(tmp_path / "no.json")
    with pytest.raises(FormatError, match=r"holds no COLMAP model .* and no transforms"):
        formats.read_cameras(tmp_path)


def test_no_pickle_is_ever_opened(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", K=np.array([{"a": 1}], dtype=object), c2w=np.eye(4)[None])
    with pytest.raises(FormatError, match="K must hold numbers, not object"):
        formats.read_cameras(tmp_path / "x.npz", hw=HW, time_s=times(1))


def test_an_array_larger_than_allowed_is_not_unpacked(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "x.npz", K=np.zeros((20_000_000,), np.uint8), c2w=np.eye(4)[None])
    assert (tmp_path / "x.npz").stat().st_size < 100_000
    with pytest.raises(LimitError, match="K takes 20000000 bytes; at most"):
        formats.read_cameras(tmp_path / "x.npz", hw=HW, time_s=times(1))


def test_a_header_that_promises_more_than_is_there_is_refused(tmp_path: Path) -> None:
    body = io.BytesIO()
    np.lib.format.write_array_header_1_0(body, {"descr": "<f8", "fortran_order": False, "shape": (2**40, 3, 3)})
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("K.npy", body.getvalue())
    with _npz.opened(tmp_path / "x.npz") as file, pytest.raises(FormatError, match="K is cut short"):
        file.read("K", max_bytes=2**60)


@pytest.mark.parametrize("kind", ["json", "npz", "cameras.txt", "images.txt"])
def test_hostile_files_never_do_worse_than_a_format_error(tmp_path: Path, kind: str) -> None:
    def read(_: Path) -> None:
        try:
            formats.read_cameras(target, hw=HW, time_s=times(2))
        except (InputError, LimitError) as error:  # Fewer cameras, another size: the file may still be sound.
            raise FormatError(str(error)) from error

    if kind == "json":
        target = path = nerfstudio(tmp_path / "x.json")
    elif kind == "npz":
        target = path = tmp_path / "x.npz"
        np.savez_compressed(path, K=samples.upright(2).K.numpy(), c2w=samples.upright(2).world_from_cam.numpy(), hw=HW)
    else:
        target, path = colmap(tmp_path), tmp_path / kind
    assert samples.survives(read, path, samples.mutants(path.read_bytes(), 300)) > 50


PICTURE = "0.5 0.5 -0.5 0.5 0 0 0 1 a.png"


@pytest.mark.parametrize(
    ("lenses", "pictures", "says"),
    [
        ("", f"1 {PICTURE}\n", "the camera of a.png is not in cameras.txt"),
        ("1", f"1 {PICTURE}\n", "camera 1 is of a kind that is not read"),
        ("1 PINHOLE", f"1 {PICTURE}\n", "camera 1 must have 4 parameters"),
        ("1 PINHOLE 128 72 nan 1 1 1", f"1 {PICTURE}\n", "must be a finite number, not nan"),
        ("1 PINHOLE 128 72 1e999 1 1 1", f"1 {PICTURE}\n", "must be a finite number, not inf"),
        ("1 PINHOLE 128 72 1 0 1 1", f"1 {PICTURE}\n", "has no positive focal length"),
        ("1 PINHOLE 128.5 72 1 1 1 1", f"1 {PICTURE}\n", "must be a whole number from 1"),
        ("1 PINHOLE -128 72 1 1 1 1", f"1 {PICTURE}\n", "must be a whole number from 1"),
        ("1 SIMPLE_PINHOLE 128 72 1e-300 1 1", f"1 {PICTURE}\n", "cannot be used: Cameras.K"),
        ("1 OPENCV 128 72 99 99 64 36 0 0 0.1 0", f"1 {PICTURE}\n", "has lens distortion"),
        ("1 OPENCV_FISHEYE 128 72 99 99 64 36 0 0 0 0", f"1 {PICTURE}\n", "is of a kind that is not read"),
        ("1 PINHOLE 128 72 99 99 64 36", "", "has 0 pictures of 0 sizes"),
        ("1 PINHOLE 128 72 99 99 64 36", "# nothing\n", "has 0 pictures of 0 sizes"),
        ("1 PINHOLE 128 72 99 99 64 36", "1 2 3\n", "a picture has 3 fields; there must be 10"),
        ("1 PINHOLE 128 72 99 99 64 36", f"1 {PICTURE}".replace("0.5", "x") + "\n", "a number was expected, not 'x x"),
        (
            "1 PINHOLE 128 72 99 99 64 36",
            f"1 {PICTURE}".replace("0.5", "0") + "\n",
            "rotation of a.png is not of length 1",
        ),
        (
            "1 PINHOLE 128 72 99 99 64 36",
            f"1 {PICTURE}".replace("0.5", "5") + "\n",
            "rotation of a.png is not of length 1",
        ),
        ("1 PINHOLE 128 72 99 99 64 36", f"1 {PICTURE}".replace("0 0 0", "0 0 nan") + "\n", "must be a finite number"),
        (
            "1 PINHOLE 128 72 99 99 64 36",
            f"1 {PICTURE}".replace("0 0 0", "0 0 1e200") + "\n",
            "cannot be used: Cameras",
        ),
        ("1 PINHOLE 128 72 99 99 64 36", f"1 {PICTURE}".replace("1 a", "7 a") + "\n", "camera of a.png is not in"),
    ],
)
def test_what_is_wrong_with_a_text_model_is_said(tmp_path: Path, lenses: str, pictures: str, says: str) -> None:
    (tmp_path / "cameras.txt").write_text(lenses)
    (tmp_path / "images.txt").write_text(pictures)
    with pytest.raises(FormatError, match=says):
        formats.read_cameras(tmp_path, hw=HW, time_s=times(1))


EYES = np.eye(4)[None].repeat(2, 0)


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({}, "must hold K and world_from_cam"),
        ({"K": np.eye(3)}, "must hold K and world_from_cam .*; it holds K"),
        ({"c2w": EYES}, "must hold K and world_from_cam"),
        ({"K": np.eye(3), "c2w": np.eye(4)}, r"c2w has shape \(4, 4\); it must be"),
        ({"K": np.eye(3), "c2w": EYES[:, :2]}, r"c2w has shape \(2, 2, 4\)"),
        ({"K": np.eye(3), "c2w": EYES[:0]}, "cannot be used: Cameras|has 0 cameras"),
        ({"K": np.eye(4), "c2w": EYES}, r"K must be \[3, 3\] or \[t, 3, 3\]"),
        ({"K": np.eye(3)[None].repeat(3, 0), "c2w": EYES}, r"K must be \[3, 3\] or \[t, 3, 3\]"),
        ({"K": np.eye(3), "c2w": EYES, "time_s": np.zeros(3)}, r"time_s \[t\], for the 2 poses"),
        ({"K": np.eye(3) * np.nan, "c2w": EYES}, "cannot be used: Cameras.K holds NaN"),
        ({"K": -np.eye(3), "c2w": EYES}, "cannot be used: Cameras.K has a focal length of -1"),
        ({"K": np.eye(3), "c2w": EYES * 2}, "is not rigid"),
        ({"K": np.eye(3), "c2w": EYES * [[-1], [1], [1], [1]]}, "or R is mirrored"),
        ({"K": np.eye(3), "c2w": np.full((2, 4, 4), np.inf)}, "cannot be used: Cameras.world_from_cam holds"),
        ({"K": np.eye(3), "c2w": EYES, "hw": np.array([72.5, 128])}, "hw must be a whole number"),
        ({"K": np.eye(3), "c2w": EYES, "hw": np.array([72, 128, 3])}, "hw must hold 2 numbers"),
        ({"K": np.eye(3), "c2w": EYES, "hw": np.array([-72, 128])}, "hw must be a whole number"),
        ({"K": np.array("focal"), "c2w": EYES}, "K must hold numbers"),
        ({"K": np.eye(3) * 1j, "c2w": EYES}, "K must hold numbers, not complex"),
    ],
)
def test_what_is_wrong_with_arrays_is_said(tmp_path: Path, arrays: dict[str, np.ndarray], says: str) -> None:
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises((FormatError, InputError), match=says):
        formats.read_cameras(tmp_path / "x.npz", hw=HW, time_s=times(2))
