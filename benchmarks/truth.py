"""What is known about a scene: its clip, and the cameras, depth, moving pixels and other views of the truth.

A folder holds ``source.mp4`` (or ``source.png``, one picture), ``truth.npz`` and, for each held-out
view, pictures ``view_<name>/<frame number>.png``. In ``truth.npz``:

====================================================  ======================================================
``K`` [3, 3]                                          pixels; the centre of the first pixel is (0.5, 0.5)
``c2w`` [t, 4, 4]                                     world_from_cam, OpenCV axes, metres
``depth`` [t, h, w] (optional)                        along the optical axis; infinity is sky, 0 is unknown
``dynamic`` [t, h, w] (optional)                      pixels of things that move
``source_frames`` [t] (optional)                      the source's own frame numbers; 0, 1, 2, ... by default
``view_<name>_c2w``, ``_frames``                      the view's cameras and their frame numbers
``view_<name>_depth``, ``_dynamic``, ``_K``           optional, as above
====================================================  ======================================================
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import torch
from jaxtyping import Bool, Int64, UInt8
from torch import Tensor

from fourd.errors import FormatError
from fourd.types import Cameras, Clip, DepthMaps


@dataclass(frozen=True, eq=False)
class View:
    """Pictures from where the source camera was not."""

    name: str
    frames: UInt8[Tensor, "t h w 3"]
    """sRGB."""
    cameras: Cameras
    """With the moments of the pictures on the clip's clock."""
    source_index: Int64[Tensor, " t"]
    """The clip's frame at the same moment; -1 where the clip has none."""
    depth: DepthMaps | None = None
    moving: Bool[Tensor, "t h w"] | None = None

    def __len__(self) -> int:
        return len(self.frames)


@dataclass(frozen=True, eq=False)
class Truth:
    """A clip and what is known about it."""

    name: str
    clip: Clip
    cameras: Cameras
    depth: DepthMaps | None
    moving: Bool[Tensor, "t h w"] | None
    views: tuple[View, ...]


def _array(data: Mapping[str, np.ndarray], key: str, shape: str, where: Path) -> np.ndarray:
    """One array of the file, its rank and fixed sizes checked."""
    if key not in data:
        raise FormatError(f"{where} has no array '{key}'; a truth file needs it (see benchmarks/truth.py).")
    array = data[key]
    wanted = shape.split()
    fits = array.ndim == len(wanted) and all(
        not want.isdigit() or size == int(want) for size, want in zip(array.shape, wanted, strict=True)
    )
    if not fits or array.dtype.kind not in "fiub":
        raise FormatError(
            f"{where}: '{key}' is {array.dtype} {array.shape}; it must hold numbers [{', '.join(wanted)}]."
        )
    return array


def _depth(data: Mapping[str, np.ndarray], key: str, cameras: Cameras, where: Path) -> DepthMaps | None:
    if key not in data:
        return None
    depth_m = _array(data, key, "t h w", where).astype(np.float32)
    if depth_m.shape != (len(cameras), *cameras.hw):
        raise FormatError(f"{where}: '{key}' is {depth_m.shape}; its pictures are {(len(cameras), *cameras.hw)}.")
    known = depth_m > 0  # Infinity, the sky, is known; NaN is not.
    metres = torch.from_numpy(np.where(known, depth_m, 0))
    return DepthMaps(metres, torch.from_numpy(known).float(), cameras.K, metric=True)


def _moving(data: Mapping[str, np.ndarray], key: str, cameras: Cameras, where: Path) -> Tensor | None:
    if key not in data:
        return None
    moving = _array(data, key, "t h w", where).astype(bool)
    if moving.shape != (len(cameras), *cameras.hw):
        raise FormatError(f"{where}: '{key}' is {moving.shape}; its pictures are {(len(cameras), *cameras.hw)}.")
    return torch.from_numpy(moving)


def _cameras(K: np.ndarray, c2w: np.ndarray, hw: tuple[int, int], time_s: np.ndarray) -> Cameras:
    """Cameras of one focal length. Stored rotations may be rounded: each is brought back to the nearest one."""
    c2w = np.array(c2w, np.float64)
    u, _, vt = np.linalg.svd(c2w[:, :3, :3])
    c2w[:, :3, :3] = u @ vt
    focal = torch.from_numpy(np.array(K, np.float32)).expand(len(c2w), 3, 3)
    return Cameras(focal, torch.from_numpy(c2w).float(), hw, torch.from_numpy(time_s))


def moments(numbers: np.ndarray, clip_numbers: np.ndarray, clip_time_s: np.ndarray) -> np.ndarray:
    """When frames are shown, from the numbers and times of the clip's: between them, and on beyond them, evenly.

    Args:
        numbers: Frame numbers whose moments are asked.
        clip_numbers: The numbers of the clip's frames, increasing.
        clip_time_s: Their moments.

    Example:
        >>> moments(np.array([1, 6]), np.array([0, 2, 4]), np.array([0.0, 0.5, 1.0]))
        array([0.25, 1.5 ])
    """
    step = np.diff(clip_time_s).sum() / np.diff(clip_numbers).sum() if len(clip_numbers) > 1 else 1 / 24
    inside = np.interp(numbers, clip_numbers, clip_time_s)
    return inside + step * (numbers - np.clip(numbers, clip_numbers[0], clip_numbers[-1]))


def _pictures(folder: Path, numbers: np.ndarray) -> np.ndarray:
    pictures = []
    for number in numbers:
        path = folder / f"{int(number):04d}.png"
        try:
            picture = np.asarray(iio.imread(path))
        except (OSError, ValueError) as error:
            raise FormatError(f"Cannot read {path}, a picture that truth.npz names: {error}") from error
        if picture.ndim == 2:
            picture = np.repeat(picture[..., None], 3, axis=2)
        if picture.dtype != np.uint8 or (pictures and picture[..., :3].shape != pictures[0].shape):
            raise FormatError(f"{path} must be 8 bits a channel and as large as the view's other pictures.")
        pictures.append(picture[..., :3])
    return np.stack(pictures)


def _view(name: str, data: Mapping[str, np.ndarray], folder: Path, clip: Clip, numbers: np.ndarray) -> View:
    where, key = folder / "truth.npz", f"view_{name}"
    frames = _array(data, f"{key}_frames", "t", where).astype(np.int64)
    c2w = _array(data, f"{key}_c2w", "t 4 4", where)
    if len(frames) == 0 or len(frames) != len(c2w):
        raise FormatError(f"{where}: '{key}_frames' has {len(frames)} entries and '{key}_c2w' {len(c2w)}.")
    K = _array(data, f"{key}_K" if f"{key}_K" in data else "K", "3 3", where)
    pictures = _pictures(folder / key, frames)
    hw = pictures.shape[1:3]
    cameras = _cameras(K, c2w, hw, moments(frames, numbers, clip.time_s.numpy()))
    found = np.searchsorted(numbers, frames).clip(max=len(numbers) - 1)
    source_index = torch.from_numpy(np.where(numbers[found] == frames, found, -1))
    depth = _depth(data, f"{key}_depth", cameras, where)
    moving = _moving(data, f"{key}_dynamic", cameras, where)
    return View(name, torch.from_numpy(pictures), cameras, source_index, depth, moving)


def read(folder: str | Path) -> Truth:
    """Read a folder of truth.

    Raises:
        FormatError: If a file is missing or broken, or its arrays do not fit each other.
        MediaError: If the source cannot be read as pictures.
    """
    folder = Path(folder)
    where = folder / "truth.npz"
    source = next((p for p in (folder / "source.mp4", folder / "source.png") if p.is_file()), None)
    if source is None or not where.is_file():
        raise FormatError(f"{folder} is no folder of truth: it must hold source.mp4 (or source.png) and truth.npz.")
    clip = Clip.open(source).replace(name=folder.resolve().name)
    try:
        # Opened here: numpy forgets to close what turns out to be no archive.
        with where.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            data = {key: archive[key] for key in archive.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise FormatError(f"Cannot read {where} as arrays of numbers: {error}") from error
    return _from_arrays(data, clip, folder)


def _turn(name: str) -> tuple[int, str]:
    """Views in the order of the number in their names, which says how far they are turned."""
    digits = re.search(r"\d+", name)
    return (int(digits[0]) if digits else 0, name)


def _from_arrays(data: Mapping[str, np.ndarray], clip: Clip, folder: Path) -> Truth:
    where = folder / "truth.npz"
    K = _array(data, "K", "3 3", where)
    c2w = _array(data, "c2w", "t 4 4", where)
    if len(c2w) != len(clip):
        raise FormatError(f"{where} has {len(c2w)} cameras and the source {len(clip)} frames; each needs one.")
    numbers = np.arange(len(clip))
    if "source_frames" in data:
        numbers = _array(data, "source_frames", "t", where).astype(np.int64)
    if len(numbers) != len(clip) or (np.diff(numbers) <= 0).any():
        raise FormatError(f"{where}: 'source_frames' must hold {len(clip)} increasing frame numbers.")
    cameras = _cameras(K, c2w, clip.hw, clip.time_s.numpy())
    names = [found[1] for key in data if (found := re.fullmatch(r"view_(\w+)_c2w", key))]
    return Truth(
        name=clip.name,
        clip=clip,
        cameras=cameras,
        depth=_depth(data, "depth", cameras, where),
        moving=_moving(data, "dynamic", cameras, where),
        views=tuple(_view(name, data, folder, clip, numbers) for name in sorted(names, key=_turn)),
    )
