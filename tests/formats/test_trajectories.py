"""Cameras out and in again: COLMAP models, TUM trajectories, .npz; and which camera is which frame's."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from fourd import events, formats
from fourd.errors import FormatError, InputError, LimitError
from fourd.events import Event, Warned, result
from fourd.formats import cameras as camera_files
from fourd.formats import colmap, trajectory, transforms
from fourd.geometry import rigid
from fourd.types import Cameras
from tests.formats import samples
from tests.formats.test_cameras import HW, OPENCV, times
from tests.formats.test_cameras import colmap as text_model

# The rotation of OPENCV as a quaternion xyzw, worked out by hand in test_cameras.colmap (there as its inverse, wxyz).
HAND = "1 2 3 -0.5 0.5 -0.5 0.5"


def steady(n: int = 7) -> Cameras:
    """Cameras of one lens."""
    cameras = samples.upright(n)
    return cameras.replace(K=cameras.K[:1].expand(n, 3, 3))


def warned(path: Path, **options: object) -> tuple[Cameras, list[str]]:
    said: list[Event] = []
    cameras = result(camera_files.reading(path, **options), said.append)  # type: ignore[arg-type]
    assert all(isinstance(event, Warned) and event.stage == "camera" for event in said)
    return cameras, [event.message for event in said if isinstance(event, Warned)]


def close(got: Cameras, wanted: Cameras) -> None:
    """Float32 rotations are rotations to 1e-7, and a quaternion holds the nearest true one."""
    torch.testing.assert_close(got.world_from_cam, wanted.world_from_cam, rtol=0, atol=1e-6)
    torch.testing.assert_close(got.K, wanted.K, rtol=0, atol=0)
    assert torch.equal(got.time_s, wanted.time_s) and got.hw == wanted.hw


WRITERS: dict[str, Callable[[Path, Cameras], object]] = {
    "x.npz": camera_files.write_npz,
    "x.txt": trajectory.write,
    "x.json": transforms.write,
    "text": colmap.write,
    "binary": lambda path, cameras: colmap.write(path, cameras, binary=True),
}


@pytest.mark.parametrize("name", list(WRITERS))
@pytest.mark.parametrize("count", [1, 7])
def test_cameras_come_back(tmp_path: Path, name: str, count: int) -> None:
    cameras = steady(count)
    WRITERS[name](tmp_path / name, cameras)
    close(formats.read_cameras(tmp_path / name, hw=HW, time_s=cameras.time_s), cameras)
    half = formats.read_cameras(tmp_path / name, hw=(36, 64), time_s=cameras.time_s)
    torch.testing.assert_close(half.K[:, :2], cameras.K[:, :2] / 2)
    if name.startswith("x"):  # These know their times and sizes themselves.
        close(formats.read_cameras(tmp_path / name), cameras)
    first = {p.name: p.read_bytes() for p in (tmp_path / name).glob("*")} or (tmp_path / name).read_bytes()
    WRITERS[name](tmp_path / f"again{name}", cameras)
    again = tmp_path / f"again{name}"
    assert first == ({p.name: p.read_bytes() for p in again.glob("*")} or again.read_bytes())


def test_what_has_no_place_for_it_refuses_it(tmp_path: Path) -> None:
    camera_files.write_npz(tmp_path / "x.npz", samples.cameras(3))  # Skew, and another lens each.
    samples.same(formats.read_cameras(tmp_path / "x.npz"), samples.cameras(3), "K", "world_from_cam", "time_s")
    colmap.write(tmp_path / "model", samples.upright(3))
    close(formats.read_cameras(tmp_path / "model", time_s=samples.upright(3).time_s), samples.upright(3))
    for name in ("x.txt", "text", "binary", "x.json"):
        with pytest.raises(InputError, match=r"Cameras\.K is skewed; "):
            WRITERS[name](tmp_path / name, samples.cameras(3))
        assert not (tmp_path / name).exists()
    with pytest.raises(InputError, match=r"lens of these cameras changes.*write \.npz or \.json instead"):
        trajectory.write(tmp_path / "x.txt", samples.upright(3))
    with pytest.raises(InputError, match="1 names for 3 cameras"):
        colmap.write(tmp_path / "x", samples.upright(3), names=["a"])


def test_a_trajectory_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text(f"# intrinsics 100 101 60 40 128 72\n0.0 {HAND}\n\n0.5, {HAND.replace(' ', ', ')}\n")
    got = formats.read_cameras(path)
    assert (got.hw, got.time_s.tolist()) == (HW, [0, 0.5])
    torch.testing.assert_close(got.world_from_cam, torch.tensor([OPENCV, OPENCV]), rtol=0, atol=1e-7)
    assert got.K[0].tolist() == [[100, 0, 60], [0, 101, 40], [0, 0, 1]]
    trajectory.write(tmp_path / "again.txt", got)
    rows = np.loadtxt(tmp_path / "again.txt")  # What others read it with.
    np.testing.assert_allclose(rows[1], [0.5, *map(float, HAND.split())], atol=1e-7)


def test_a_trajectory_without_a_lens_gets_one_and_a_word(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text(f"0 {HAND}\n1 {HAND}\n")
    got, said = warned(path, hw=HW)
    torch.testing.assert_close(float(got.K[0, 0, 0]), 64 / math.tan(math.radians(30)))
    assert said == [f"{path} does not say which lens filmed; 60 degrees are assumed."]
    with pytest.raises(InputError, match="does not say how large its pictures are; give hw"):
        formats.read_cameras(path)


def moving(n: int) -> Cameras:
    """The camera of frame i stands at x = i."""
    pose = torch.eye(4).repeat(n, 1, 1)
    pose[:, 0, 3] = torch.arange(float(n))
    return steady(n).replace(world_from_cam=pose, time_s=times(n))


@pytest.mark.parametrize(
    ("stamps", "places", "words"),
    [
        (torch.arange(24.0) / 24, torch.arange(24.0), ""),  # Moments of the clip,
        (torch.arange(0, 24.0, 0.5) / 24, torch.arange(24.0) * 2, ""),  # also closer ones.
        (torch.arange(24.0), torch.arange(24.0), ""),  # Numbers of frames from 0,
        (torch.arange(1, 25.0), torch.arange(24.0), ""),  # or from 1,
        (torch.tensor([0.0, 1, 23]), torch.tensor([0.0, 1, *(1 + k / 22 for k in range(1, 23))]), ""),  # or a few.
        (1.3e9 + torch.arange(24).double() / 24, torch.arange(24.0), "counts time from another beginning"),
    ],
)
def test_the_stamps_of_a_trajectory(tmp_path: Path, stamps: torch.Tensor, places: torch.Tensor, words: str) -> None:
    known = moving(len(stamps)).replace(time_s=stamps.double())
    trajectory.write(tmp_path / "t.txt", known)
    got, said = warned(tmp_path / "t.txt", hw=HW, time_s=times(24))
    assert torch.equal(got.time_s, times(24)) and len(said) == bool(words) and words in "".join(said)
    # Between far cameras the way is a cubic; the ends are what is asked here.
    some = slice(None) if len(stamps) >= 24 else [0, 1, 23]
    torch.testing.assert_close(got.centre_m[some, 0], places[some], rtol=0, atol=1e-3)


def test_a_trajectory_that_does_not_cover_the_clip(tmp_path: Path) -> None:
    trajectory.write(tmp_path / "t.txt", moving(12))
    with pytest.raises(InputError, match=r"has cameras from 0 s to 0\.458333 s and the clip runs from 0 s to 0\.95"):
        formats.read_cameras(tmp_path / "t.txt", hw=HW, time_s=times(24))


def model(folder: Path, numbers: list[int], binary: bool = False) -> Path:
    names = [f"shot2/frame_{i:04}.png" for i in numbers]
    colmap.write(folder, moving(max(numbers) + 1)[torch.tensor(numbers)], names=names, binary=binary)
    return folder


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("base", [0, 1])
def test_pictures_that_colmap_did_not_place_are_interpolated(tmp_path: Path, base: int, binary: bool) -> None:
    kept = [i for i in range(20 + base) if i not in (4, 5, 11)]
    folder = model(tmp_path / "m", kept if base == 0 else [i for i in kept if i > 0], binary)
    got, said = warned(folder, hw=HW, time_s=times(20))
    torch.testing.assert_close(got.centre_m[:, 0], torch.arange(20.0) + base, rtol=0, atol=1e-5)
    assert said == [f"{folder} has cameras for 17 of 20 frames; the others are interpolated."]


@pytest.mark.parametrize(
    ("numbers", "says"),
    [
        ([1, 3, 5], "numbers of the pictures, 1 to 5, do not say whether the first frame is 0 or 1"),
        ([0, 1, 2], "none is known for the frames before 0 and after 2"),
        ([5, 6, 20], "none is known for the frames before 4 and after 19"),
        ([0, 50, 300], r"names of the pictures \(shot2/frame_0000.png to shot2/frame_0300.png\) do not number"),
    ],
)
def test_pictures_that_are_not_the_clips_frames(tmp_path: Path, numbers: list[int], says: str) -> None:
    with pytest.raises(InputError, match=f"has 3 cameras and the clip 20 frames.*{says}"):
        formats.read_cameras(model(tmp_path / "m", numbers), hw=HW, time_s=times(20))


def test_more_pictures_than_frames(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has 20 cameras and the clip 12 frames; there must be one for each"):
        formats.read_cameras(model(tmp_path / "m", list(range(20))), hw=HW, time_s=times(12))


def test_text_and_binary_say_the_same(tmp_path: Path) -> None:
    for place, binary in (("sparse/0", False), ("sparse", True)):
        (tmp_path / str(binary) / place).parent.mkdir(parents=True)
        colmap.write(tmp_path / str(binary) / place, samples.upright(5), binary=binary)
    a, b = (formats.read_cameras(tmp_path / name, time_s=times(5)) for name in ("False", "True"))
    samples.same(a, b, "K", "world_from_cam", "time_s")


@pytest.mark.needs("pycolmap")
@pytest.mark.parametrize("binary", [False, True])
def test_colmap_reads_what_we_write_and_we_what_it_writes(tmp_path: Path, binary: bool) -> None:
    import av  # noqa: F401  With pycolmap first, decoding aborts.
    import pycolmap

    cameras = samples.upright(5)
    colmap.write(tmp_path / "ours", cameras, binary=binary)
    theirs = pycolmap.Reconstruction(str(tmp_path / "ours"))
    points = rigid.matrix_from_rotvec(torch.randn(5, 3, dtype=torch.float64))[:, 2] + torch.tensor([0, 0, 5.0])
    for i, image in sorted(theirs.images.items()):
        pose, K = cameras.world_from_cam[i - 1].double(), cameras.K[i - 1].double()
        world = points @ pose[:3, :3].T + pose[:3, 3]
        uv = points @ K.T
        for point, at in zip(world, uv[:, :2] / uv[:, 2:], strict=True):
            np.testing.assert_allclose(image.project_point(point.numpy()), at.numpy(), atol=1e-3)
    (tmp_path / "theirs").mkdir()
    (theirs.write_binary if binary else theirs.write_text)(str(tmp_path / "theirs"))
    close(formats.read_cameras(tmp_path / "theirs", time_s=cameras.time_s), cameras)


# What is broken. Thirty of each that somebody thought of; the two thousand of chance are in hostile.py.

ROW = f"0.5 {HAND}"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("# only words\n", "holds no camera; there must be lines of timestamp tx"),
        ("1 2 3", "line 1 has 3 fields; there must be 8"),
        (f"{ROW} 9", "line 1 has 9 fields"),
        (f"{ROW}\n1 2", "line 2 has 2 fields"),
        (ROW.replace("0.5 1", "0.5 nan"), "line 1 must be a finite number, not nan"),
        (ROW.replace("0.5 1", "-inf 1"), "line 1 must be a finite number"),
        (ROW.replace("0.5 1", "1e400 1"), "line 1 must be a finite number"),
        (ROW.replace("0.5 1", "0.5 x"), "line 1: a number was expected, not '0.5 x"),
        ("0 1 2 3 0 0 0 0", "the quaternion 0 0 0 0 is not of length 1"),
        ("0 1 2 3 1 1 1 1", "the quaternion 1 1 1 1 is not of length 1"),
        (f"{ROW}\n{ROW}", r"line 2: time 0.5 does not come after 0.5"),
        (f"1 {HAND}\n{ROW}", r"line 2: time 0.5 does not come after 1"),
        (f"# intrinsics 1 1 1\n{ROW}", "line 1 must hold fx, fy, cx, cy, width and height"),
        (f"# intrinsics 0 1 1 1 8 8\n{ROW}", "line 1 has no positive focal length"),
        (f"# intrinsics 1 -1 1 1 8 8\n{ROW}", "line 1 has no positive focal length"),
        (f"# intrinsics 1 1 1 1 8 0\n{ROW}", "line 1 must be a whole number from 1"),
        (f"# intrinsics 1 1 1 1 8.5 8\n{ROW}", "line 1 must be a whole number from 1"),
        (f"# intrinsics 1 1 nan 1 8 8\n{ROW}", "line 1 must be a finite number"),
        (f"# intrinsics 1e-30 1 0 0 8 8\n{ROW}".replace("0.5 1", "0.5 1e200"), "cannot be used: Cameras"),
    ],
)
def test_what_is_wrong_with_a_trajectory_is_said(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "t.txt").write_text(text)
    with pytest.raises(FormatError, match=says):
        formats.read_cameras(tmp_path / "t.txt", hw=HW, time_s=torch.tensor([0.5], dtype=torch.float64))


def test_a_trajectory_that_does_not_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trajectory, "_MOST_LINES", 5)
    (tmp_path / "t.txt").write_text("".join(f"{i} {HAND}\n" for i in range(6)))
    with pytest.raises(LimitError, match="has more than 5 cameras; no clip has"):
        formats.read_cameras(tmp_path / "t.txt", hw=HW)


def _lens(number: int = 1, kind: int = 1, w: int = 128, h: int = 72, lens: tuple[float, ...] = (100, 101, 60, 40)):
    return struct.pack(f"<iiQQ{len(lens)}d", number, kind, w, h, *lens)


def _picture(motion: tuple[float, ...] = (1, 0, 0, 0, 0, 0, 0), lens: int = 1, name: bytes = b"a\0", points: int = 0):
    return struct.pack("<i7di", 1, *motion, lens) + name + struct.pack("<Q", points)


def _counted(*parts: bytes, count: int | None = None) -> bytes:
    return struct.pack("<Q", len(parts) if count is None else count) + b"".join(parts)


@pytest.mark.parametrize(
    ("lenses", "pictures", "says"),
    [
        (b"", _counted(_picture()), "cameras.bin is cut short"),
        (_counted(_lens(), count=2), _counted(_picture()), r"2 entries cannot be in 56 bytes|cut short"),
        (_counted(count=2**62), _counted(_picture()), "4611686018427387904 entries cannot be in 0 bytes"),
        (_counted(_lens()[:-1]), _counted(_picture()), "cameras.bin is cut short"),
        (_counted(_lens(kind=5)), _counted(_picture()), "camera 1 is of a kind that is not read. Only SIMPLE_PINHOLE"),
        (_counted(_lens(kind=-1)), _counted(_picture()), "is of a kind that is not read"),
        (_counted(_lens(w=0)), _counted(_picture()), "must be a whole number from 1"),
        (_counted(_lens(h=2**63)), _counted(_picture()), "must be a whole number from 1"),
        (_counted(_lens(lens=(-1, 1, 1, 1))), _counted(_picture()), "has no positive focal length"),
        (_counted(_lens(lens=(1, 0, 1, 1))), _counted(_picture()), "has no positive focal length"),
        (_counted(_lens(lens=(math.nan, 1, 1, 1))), _counted(_picture()), "must be a finite number, not nan"),
        (_counted(_lens(lens=(1, 1, math.inf, 1))), _counted(_picture()), "must be a finite number, not inf"),
        (_counted(_lens(kind=2, lens=(100, 60, 40, -0.2))), _counted(_picture()), "has lens distortion"),
        (_counted(_lens(number=2)), _counted(_picture()), "the camera of a is not in cameras.bin"),
        (_counted(_lens()), b"", "images.bin is cut short"),
        (_counted(_lens()), _counted(), "has 0 pictures of 0 sizes"),
        (_counted(_lens()), _counted(_picture(), count=2), "cut short|2 entries cannot be in 74 bytes"),
        (_counted(_lens()), _counted(_picture()[:30]), "1 entries cannot be in 30 bytes"),
        (_counted(_lens()), _counted(_picture(name=b"a" * 100)), "is cut short|does not end"),
        (_counted(_lens()), _counted(_picture(name=b"a" * 5000 + b"\0")), "the name of a picture does not end"),
        (_counted(_lens()), _counted(_picture(points=1)), "images.bin is cut short"),
        (_counted(_lens()), _counted(_picture(points=2**60)), "images.bin is cut short"),
        (_counted(_lens()), _counted(_picture(motion=(math.nan,) * 7)), "picture 1 must be a finite number, not nan"),
        (
            _counted(_lens()),
            _counted(_picture(motion=(1, 0, 0, 0, math.inf, 0, 0))),
            "must be a finite number, not inf",
        ),
        (_counted(_lens()), _counted(_picture(motion=(0,) * 7)), "the rotation of a is not of length 1"),
        (_counted(_lens()), _counted(_picture(motion=(9,) * 7)), "the rotation of a is not of length 1"),
        (_counted(_lens()), _counted(_picture(motion=(1, 0, 0, 0, 1e200, 0, 0))), "cannot be used: Cameras"),
        (
            _counted(_lens(), _lens(number=2, w=64)),
            _counted(_picture(), _picture(lens=2)),
            "has 2 pictures of 2 sizes; there must be some, of one size",
        ),
    ],
)
def test_what_is_wrong_with_a_binary_model_is_said(tmp_path: Path, lenses: bytes, pictures: bytes, says: str) -> None:
    (tmp_path / "cameras.bin").write_bytes(lenses)
    (tmp_path / "images.bin").write_bytes(pictures)
    with pytest.raises(FormatError, match=says):
        formats.read_cameras(tmp_path, time_s=times(1))


def test_half_a_model(tmp_path: Path) -> None:
    (tmp_path / "cameras.bin").write_bytes(_counted(_lens()))
    with pytest.raises(FormatError, match=r"Cannot read .*images.bin: No such file"):
        formats.read_cameras(tmp_path, time_s=times(1))
    (tmp_path / "images.bin").write_bytes(_counted(_picture(points=1) + bytes(24)))
    assert len(formats.read_cameras(tmp_path, time_s=times(1))) == 1
    (tmp_path / "a").mkdir()
    line = text_model(tmp_path / "a").joinpath("images.txt")
    line.write_text(line.read_text().replace("0.5 0.5 -0.5 0.5", "0 0 0 0"))
    with pytest.raises(FormatError, match=r"the rotation of frame_9\.png is not of length 1"):
        formats.read_cameras(tmp_path / "a", time_s=times(2))


def test_events_result_is_what_read_cameras_gives(tmp_path: Path) -> None:
    cameras = steady(3)
    trajectory.write(tmp_path / "t.txt", cameras)
    got = events.result(camera_files.reading(tmp_path / "t.txt", time_s=cameras.time_s))
    samples.same(got, trajectory.read(tmp_path / "t.txt"), "K", "world_from_cam", "time_s")
