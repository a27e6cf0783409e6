"""COLMAP's text model: a folder with cameras.txt and images.txt. Its axes and pixel centres are ours."""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float64
from torch import Tensor

from fourd.checked import checked
from fourd.errors import FormatError
from fourd.formats import _cameras, _json
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


@checked
def read(
    folder: str | Path, *, hw: tuple[int, int] | None = None, time_s: Float64[Tensor, " t"] | None = None
) -> Cameras:
    """Read the cameras of a text model, in the order of their pictures' names.

    Distortion of up to half a pixel is ignored; more is refused.

    Args:
        folder: Holds cameras.txt and images.txt, itself or in sparse/0.
        hw: Size of the clip's pictures; the intrinsics are brought to it.
        time_s: Moments of the clip's frames.

    Raises:
        FormatError: If the model is broken, distorted, of an unknown kind, or has pictures of several sizes.
        InputError: If there are not as many pictures as moments, or no moments were given.
    """
    root = next((p for p in (Path(folder), Path(folder) / "sparse" / "0") if (p / "cameras.txt").is_file()), None)
    if root is None:
        raise FormatError(
            f"{folder} holds no COLMAP text model (cameras.txt, images.txt)."
            " Convert a binary one with 'colmap model_converter --output_type TXT'."
        )
    lenses = _lenses(root / "cameras.txt")
    images = _images(root / "images.txt")
    absent = [name for name, camera, _, _ in images if camera not in lenses]
    if absent:
        raise FormatError(f"{root / 'images.txt'}: the camera of {absent[0]} is not in cameras.txt.")
    sizes = {lenses[camera][1] for _, camera, _, _ in images}
    if len(sizes) != 1:
        raise FormatError(f"{root} has {len(images)} pictures of {len(sizes)} sizes; there must be some, of one size.")
    quat = torch.tensor([q for _, _, q, _ in images], dtype=torch.float64)
    cam_from_world = torch.tensor([t for _, _, _, t in images], dtype=torch.float64)
    Rt = rigid.matrix_from_quat(quat / quat.norm(dim=1, keepdim=True)).mT
    pose = torch.eye(4, dtype=torch.float64).repeat(len(images), 1, 1)
    pose[:, :3, :3] = Rt
    pose[:, :3, 3] = -(Rt @ cam_from_world[..., None])[..., 0]
    K = torch.tensor([lenses[camera][0] for _, camera, _, _ in images], dtype=torch.float64).reshape(-1, 3, 3)
    return _cameras.fitted(root, K, pose, file_hw=sizes.pop(), file_time_s=None, hw=hw, time_s=time_s)


def _lenses(path: Path) -> dict[str, tuple[list[float], tuple[int, int]]]:
    """K, row by row, and hw of each camera id."""
    lenses = {}
    for line in _lines(path):
        words = line.split()
        if not words:
            continue
        where = f"{path}: camera {words[0][:20]}"
        names = _MODELS.get(words[1] if len(words) > 1 else "", "").split()
        if not names:
            raise FormatError(f"{where} is of a kind that is not read. Only {', '.join(_MODELS)} are.")
        if len(words) != 4 + len(names):
            raise FormatError(f"{where} must have {len(names)} parameters.")
        size = _cameras.picture_size(_numbers([words[3], words[2]], where), where)
        values = dict(zip(names, _numbers(words[4:], where), strict=True))
        fx = values.get("f", values.get("fx", 0.0))
        if fx <= 0:
            raise FormatError(f"{where} has no positive focal length.")
        _cameras.refuse_distortion({k: v for k, v in values.items() if k[0] in "kp"}, fx, size, where)
        K = [fx, 0.0, values["cx"], 0.0, values.get("fy", fx), values["cy"], 0.0, 0.0, 1.0]
        lenses[words[0]] = (K, size)
    return lenses


def _images(path: Path) -> list[tuple[str, str, list[float], list[float]]]:
    """Name, camera id, rotation wxyz and translation (camera from world), sorted by name."""
    images = []
    lines = iter(_lines(path))
    for line in lines:
        words = line.split(maxsplit=9)
        if not words:
            continue
        if len(words) != 10:
            raise FormatError(f"{path}: a picture has {len(words)} fields; there must be 10.")
        numbers = _numbers(words[1:8], f"{path}: picture {words[0][:20]}")
        images.append((words[9].strip(), words[8], numbers[:4], numbers[4:]))
        next(lines, None)  # The line of its points, which may be empty.
    return sorted(images, key=lambda image: _cameras.natural(image[0]))


def _lines(path: Path) -> list[str]:
    try:
        if path.stat().st_size > 4 * _json.MAX_BYTES:
            raise FormatError(f"{path} is larger than {4 * _json.MAX_BYTES} bytes; no model of a clip is.")
        text = path.read_text("utf-8", errors="replace")
    except OSError as error:
        raise FormatError(f"Cannot read {path}: {error.strerror or error}.") from error
    return [line for line in text.split("\n") if not line.startswith("#")]


def _numbers(words: list[str], where: str) -> list[float]:
    try:
        return [_json.as_float(float(word), where) for word in words]
    except ValueError as error:
        raise FormatError(f"{where}: a number was expected, not {' '.join(words)[:40]!r}.") from error
