"""Cameras from a file, whatever its kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from fourd import events
from fourd.checked import checked
from fourd.errors import FormatError
from fourd.events import Steps
from fourd.files import replacing
from fourd.formats import _cameras, _json, _npz, colmap, trajectory, transforms
from fourd.types import Cameras, Limits


@checked
def read_cameras(
    path: str | Path, *, hw: tuple[int, int] | None = None, time_s: Float64[Tensor, " t"] | None = None
) -> Cameras:
    """Read cameras; what the file is, its content says.

    - a folder with a COLMAP model, text or binary, or with a transforms.json;
    - nerfstudio's transforms.json;
    - a trajectory as the TUM benchmark has it: ``timestamp tx ty tz qx qy qz qw``;
    - an .npz with ``K`` [3,3] or [t,3,3] in pixels, ``world_from_cam`` or ``c2w`` [t,4,4] or [t,3,4]
      (OpenCV axes), and, if they are there, ``hw`` (height, width) and ``time_s`` [t].

    Args:
        path: The file or folder.
        hw: Size of the clip's pictures; intrinsics of another size with the same proportions are
            brought to it. Where the file does not say a size, its ``K`` is in pixels of this one.
        time_s: Moments of the clip's frames. Where the file has times of its own, its cameras are
            interpolated at these; where it has too few cameras, but the names of their pictures number the
            frames, the others are interpolated; else there must be one camera for each.

    Raises:
        FormatError: If the file is broken or is none of these.
        InputError: If it does not fit the clip.
    """
    return events.result(reading(path, hw=hw, time_s=time_s))


def reading(
    path: str | Path, *, hw: tuple[int, int] | None = None, time_s: Float64[Tensor, " t"] | None = None
) -> Steps[Cameras]:
    """The same, as a generator that also says, by ``Warned``, what had to be assumed."""
    return (yield from _cameras.fitted(_found(Path(path), hw), hw=hw, time_s=time_s))


def _found(path: Path, hw: tuple[int, int] | None) -> _cameras.Found:
    """What the file says, whatever its kind."""
    if path.is_dir():
        inside = path / "transforms.json"
        return transforms.found(inside, hw=hw) if inside.is_file() else colmap.found(path)
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        raise FormatError(f"Cannot read {path}: {error.strerror or error}.") from error
    if head.startswith(b"PK"):
        return _found_npz(path)
    if trajectory.looks_like_one(head):
        return trajectory.found(path)
    document = _json.read(path)
    if "camera_path" in document:
        raise FormatError(f"{path} is a camera path, which says where to fly and not what filmed. Render with it.")
    return transforms.found(path, hw=hw)


@checked
def write_npz(path: str | Path, cameras: Cameras) -> None:
    """Write cameras as an .npz: ``K``, ``world_from_cam``, ``hw`` and ``time_s``; they come back bit for bit.

    Raises:
        OutputError: If the file system refuses.
    """
    arrays = {name: getattr(cameras, name).cpu().numpy() for name in ("K", "world_from_cam", "time_s")}
    with replacing(path) as fresh, fresh.open("wb") as file:
        np.savez(file, hw=np.array(cameras.hw), **arrays)


@checked
def read_npz(
    path: str | Path, *, hw: tuple[int, int] | None = None, time_s: Float64[Tensor, " t"] | None = None
) -> Cameras:
    """Read cameras from an .npz file; see ``read_cameras``."""
    return events.result(_cameras.fitted(_found_npz(Path(path)), hw=hw, time_s=time_s))


def _found_npz(path: Path) -> _cameras.Found:
    limit = Limits().frames * 16 * 8
    with _npz.opened(path) as file:
        name = next((n for n in ("world_from_cam", "c2w") if n in file.names), None)
        if name is None or "K" not in file.names:
            raise FormatError(
                f"{path} must hold K and world_from_cam (or c2w); it holds {', '.join(file.names)[:200]}."
            )
        poses, K = file.read(name, max_bytes=limit), file.read("K", max_bytes=limit)
        size = file.read("hw", max_bytes=64) if "hw" in file.names else None
        own_s = file.read("time_s", max_bytes=limit) if "time_s" in file.names else None
    if poses.ndim != 3 or poses.shape[1:] not in ((4, 4), (3, 4)):
        raise FormatError(f"{path}: {name} has shape {poses.shape}; it must be [t, 4, 4] or [t, 3, 4].")
    if K.shape == (3, 3):
        K = np.broadcast_to(K, (len(poses), 3, 3))
    if K.shape != (len(poses), 3, 3) or (own_s is not None and own_s.shape != (len(poses),)):
        raise FormatError(
            f"{path}: K must be [3, 3] or [t, 3, 3] and time_s [t], for the {len(poses)} poses of {name}."
        )
    whole = torch.eye(4, dtype=torch.float64).repeat(len(poses), 1, 1)
    whole[:, :3] = torch.from_numpy(poses[:, :3].astype(np.float64))
    return _cameras.Found(
        str(path),
        torch.from_numpy(K.astype(np.float64)),
        whole,
        hw=None if size is None else _cameras.picture_size(size.tolist(), f"{path}: hw"),
        time_s=None if own_s is None else torch.from_numpy(own_s.astype(np.float64)),
    )
