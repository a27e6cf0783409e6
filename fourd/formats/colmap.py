"""COLMAP's models: a folder with cameras and images, as text or binary. Its axes and pixel centres are ours.

Both layouts are those of colmap.github.io/format.html.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeAlias

import torch
from jaxtyping import Float64
from torch import Tensor

from fourd import events
from fourd.checked import checked
from fourd.errors import FormatError, InputError
from fourd.files import growing
from fourd.formats import _cameras
from fourd.geometry import rigid
from fourd.types import Cameras

# Model -> its parameters in order; those beyond the pinhole's are distortion.
_MODELS = {
    "SIMPLE_PINHOLE": "f cx cy",
    "PINHOLE": "fx fy cx cy",
    "SIMPLE_RADIAL": "f cx cy k1",
    "RADIAL": "f cx cy k1 k2",
    "OPENCV": "fx fy cx cy k1 k2 p1 p2",
}
_NUMBERED = dict(enumerate(_MODELS))
"""Binary models number the kinds in this order; more exotic ones follow."""
_PLACES = (Path(), Path("sparse", "0"), Path("sparse"), Path("0"))
"""Where in a folder the model may lie."""
_LONGEST_NAME = 4096

Lens: TypeAlias = tuple[list[float], tuple[int, int]]
"""K, row by row, and hw."""


@dataclass(frozen=True)
class _Image:
    name: str
    camera: int | str
    cam_from_world: list[float]
    """Rotation wxyz and translation."""


@checked
def read(
    folder: str | Path, *, hw: tuple[int, int] | None = None, time_s: Float64[Tensor, " t"] | None = None
) -> Cameras:
    """Read the cameras of a model, in the order of their pictures' names, for a clip.

    Distortion of up to half a pixel is ignored; more is refused. See ``fourd.formats.cameras.read_cameras`` for how
    they come to the clip's frames.

    Args:
        folder: Holds the model, itself or in sparse/0, sparse or 0; a binary one is preferred, as COLMAP does.
        hw: Size of the clip's pictures; the intrinsics are brought to it.
        time_s: Moments of the clip's frames.

    Raises:
        FormatError: If the model is broken, distorted, of an unknown kind, or has pictures of several sizes.
        InputError: If the pictures do not fit the moments, or no moments were given.
    """
    return events.result(_cameras.fitted(found(folder), hw=hw, time_s=time_s))


def found(folder: str | Path) -> _cameras.Found:
    """What the model says."""
    for root in (Path(folder) / place for place in _PLACES):
        for kind, lenses_of, images_of in ((".bin", _binary_lenses, _binary_images), (".txt", _lenses, _images)):
            if (root / f"cameras{kind}").is_file():
                return _found(root / f"images{kind}", lenses_of(root / f"cameras{kind}"), images_of)
    raise FormatError(f"{folder} holds no COLMAP model (cameras and images as .txt or .bin) and no transforms.json.")


def _found(path: Path, lenses: dict[int | str, Lens], images_of: Callable[[Path], list[_Image]]) -> _cameras.Found:
    images = sorted(images_of(path), key=lambda image: _cameras.natural(image.name))
    absent = [image.name for image in images if image.camera not in lenses]
    if absent:
        raise FormatError(f"{path}: the camera of {absent[0][:60]} is not in {path.with_stem('cameras').name}.")
    sizes = {lenses[image.camera][1] for image in images}
    if len(sizes) != 1:
        raise FormatError(
            f"{path.parent} has {len(images)} pictures of {len(sizes)} sizes; there must be some, of one size."
        )
    for image in images:
        if not 0.9 < sum(q * q for q in image.cam_from_world[:4]) < 1.1:
            raise FormatError(f"{path}: the rotation of {image.name[:60]} is not of length 1.")
    motion = torch.tensor([image.cam_from_world for image in images], dtype=torch.float64)
    Rt = rigid.matrix_from_quat(motion[:, :4] / motion[:, :4].norm(dim=1, keepdim=True)).mT
    pose = torch.eye(4, dtype=torch.float64).repeat(len(images), 1, 1)
    pose[:, :3, :3] = Rt
    pose[:, :3, 3] = -(Rt @ motion[:, 4:, None])[..., 0]
    K = torch.tensor([lenses[image.camera][0] for image in images], dtype=torch.float64).reshape(-1, 3, 3)
    return _cameras.Found(str(path.parent), K, pose, hw=sizes.pop(), names=[image.name for image in images])


@checked
def write(folder: str | Path, cameras: Cameras, *, binary: bool = False, names: list[str] | None = None) -> None:
    """Write a model without points; ``read`` gives the cameras back to 1e-6 (of the distance from the origin).

    Args:
        folder: A new folder, or an empty one.
        cameras: One for each picture. Moments have no place in a model; the names' order has to say it.
        binary: Write .bin files and not .txt.
        names: The picture of each camera; ``frame_00000.png`` and so on by default.

    Raises:
        OutputError: If the file system refuses, or the folder holds something.
        InputError: If there are not as many names as cameras, or a K is skewed, which a model cannot say.
    """
    names = names or [f"frame_{i:05d}.png" for i in range(len(cameras))]
    if len(names) != len(cameras):
        raise InputError(f"{len(names)} names for {len(cameras)} cameras; there must be one for each.")
    lenses = _cameras.lens(cameras, "a COLMAP model")
    number = {lens: i for i, lens in enumerate(dict.fromkeys(lenses), 1)}
    quat = rigid.quat_from_matrix(cameras.world_from_cam[:, :3, :3].cpu().double()) * torch.tensor([1.0, -1, -1, -1])
    quat = torch.where(quat == 0, 0.0, quat)  # Nobody wants to read -0.
    shift = -(rigid.matrix_from_quat(quat) @ cameras.centre_m.cpu().double()[..., None])[..., 0]
    motion = torch.cat([quat, shift], 1).tolist()
    rows = [(i, m, number[lens], name) for i, (m, lens, name) in enumerate(zip(motion, lenses, names, strict=True), 1)]
    with growing(folder) as fresh:
        (_write_binary if binary else _write_text)(fresh, number, cameras.hw, rows)


_Rows: TypeAlias = list[tuple[int, list[float], int, str]]
"""Number, motion, number of the lens, and name of each picture."""


def _write_text(folder: Path, lenses: dict[tuple[float, ...], int], hw: tuple[int, int], rows: _Rows) -> None:
    lines = [f"{i} PINHOLE {hw[1]} {hw[0]} {' '.join(map(repr, lens))}" for lens, i in lenses.items()]
    pictures = [f"{i} {' '.join(map(repr, motion))} {lens} {name}\n" for i, motion, lens, name in rows]
    files = {
        "cameras.txt": ("CAMERA_ID MODEL WIDTH HEIGHT PARAMS[]", lines),
        "images.txt": ("IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME, then a line of points: X Y POINT3D_ID", pictures),
        "points3D.txt": ("POINT3D_ID X Y Z R G B ERROR TRACK[]", []),
    }
    for name, (fields, body) in files.items():
        (folder / name).write_text("\n".join([f"# {fields}", *body]) + "\n", "utf-8")


def _write_binary(folder: Path, lenses: dict[tuple[float, ...], int], hw: tuple[int, int], rows: _Rows) -> None:
    kind = list(_MODELS).index("PINHOLE")
    head = struct.pack("<Q", len(lenses))
    (folder / "cameras.bin").write_bytes(
        head + b"".join(struct.pack("<iiQQ4d", i, kind, hw[1], hw[0], *lens) for lens, i in lenses.items())
    )
    pictures = [
        struct.pack("<i7di", i, *motion, lens) + name.encode() + struct.pack("<xQ", 0) for i, motion, lens, name in rows
    ]
    (folder / "images.bin").write_bytes(struct.pack("<Q", len(rows)) + b"".join(pictures))
    (folder / "points3D.bin").write_bytes(struct.pack("<Q", 0))


def _lens(kind: str, size: list[float], parameters: list[float], where: str) -> Lens:
    """One lens, checked; ``size`` is height and width."""
    names = _parameters(kind, where)
    hw = _cameras.picture_size(size, where)
    values = dict(zip(names, parameters, strict=True))
    fx = values.get("f", values.get("fx", 0.0))
    fy = values.get("fy", fx)
    if not (fx > 0 and fy > 0):
        raise FormatError(f"{where} has no positive focal length.")
    _cameras.refuse_distortion({k: v for k, v in values.items() if k[0] in "kp"}, fx, hw, where)
    return [fx, 0.0, values["cx"], 0.0, fy, values["cy"], 0.0, 0.0, 1.0], hw


def _parameters(kind: str, where: str) -> list[str]:
    names = _MODELS.get(kind, "").split()
    if not names:
        raise FormatError(
            f"{where} is of a kind that is not read. Only {', '.join(_MODELS)} are;"
            " 'colmap image_undistorter' makes them."
        )
    return names


# Text.


def _lenses(path: Path) -> dict[int | str, Lens]:
    lenses: dict[int | str, Lens] = {}
    for line in _lines(path):
        words = line.split()
        if not words:
            continue
        where = f"{path}: camera {words[0][:20]}"
        kind = words[1] if len(words) > 1 else ""
        count = len(_parameters(kind, where))
        if len(words) != 4 + count:
            raise FormatError(f"{where} must have {count} parameters.")
        size = _cameras.numbers([words[3], words[2]], where)
        lenses[words[0]] = _lens(kind, size, _cameras.numbers(words[4:], where), where)
    return lenses


def _images(path: Path) -> list[_Image]:
    images = []
    lines = iter(_lines(path))
    for line in lines:
        words = line.split(maxsplit=9)
        if not words:
            continue
        if len(words) != 10:
            raise FormatError(f"{path}: a picture has {len(words)} fields; there must be 10.")
        motion = _cameras.numbers(words[1:8], f"{path}: picture {words[0][:20]}")
        images.append(_Image(words[9].strip(), words[8], motion))
        next(lines, None)  # The line of its points, which may be empty.
    return images


def _lines(path: Path) -> list[str]:
    return [line for line in _cameras.text_lines(path) if not line.startswith("#")]


# Binary.


def _binary_lenses(path: Path) -> dict[int | str, Lens]:
    lenses: dict[int | str, Lens] = {}
    with _opened(path) as file:
        for _ in range(file.count(24)):
            number, kind, w, h = file.unpack("<iiQQ")
            where = f"{path}: camera {number}"
            count = len(_parameters(_NUMBERED.get(kind, ""), where))
            lenses[number] = _lens(_NUMBERED[kind], [h, w], file.floats(count, where), where)
    return lenses


def _binary_images(path: Path) -> list[_Image]:
    images = []
    with _opened(path) as file:
        for _ in range(file.count(73)):
            (number,) = file.unpack("<i")
            motion = file.floats(7, f"{path}: picture {number}")
            (lens,) = file.unpack("<i")
            name = file.name()
            file.skip(24 * file.unpack("<Q")[0])  # Its points: x, y and what they are points of.
            images.append(_Image(name, lens, motion))
    return images


class _Binary:
    """A binary file, read piece by piece, that is asked for no more than it has."""

    def __init__(self, path: Path, file: IO[bytes], size: int) -> None:
        self._path, self._file, self._left = path, file, size

    def unpack(self, layout: str) -> tuple[int, ...]:
        return struct.unpack(layout, self._take(struct.calcsize(layout)))

    def floats(self, count: int, where: str) -> list[float]:
        values = struct.unpack(f"<{count}d", self._take(8 * count))
        return _cameras.numbers([repr(value) for value in values], where)

    def count(self, least: int) -> int:
        """How many things follow, of at least so many bytes each."""
        (count,) = self.unpack("<Q")
        if count * least > self._left:
            raise FormatError(f"{self._path} is broken: {count} entries cannot be in {self._left} bytes.")
        return count

    def name(self) -> str:
        """Text that ends with a zero byte."""
        data = self._file.read(min(_LONGEST_NAME, self._left))
        end = data.find(b"\0")
        if end < 0:
            raise FormatError(f"{self._path} is broken: the name of a picture does not end.")
        self._file.seek(end + 1 - len(data), 1)
        self._left -= end + 1
        return data[:end].decode("utf-8", "replace")

    def skip(self, size: int) -> None:
        if size > self._left:
            raise FormatError(f"{self._path} is cut short.")
        self._file.seek(size, 1)
        self._left -= size

    def _take(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) < size:
            raise FormatError(f"{self._path} is cut short.")
        self._left -= size
        return data


@contextmanager
def _opened(path: Path) -> Iterator[_Binary]:
    try:
        with path.open("rb") as file:
            yield _Binary(path, file, path.stat().st_size)
    except OSError as error:
        raise FormatError(f"Cannot read {path}: {error.strerror or error}.") from error
