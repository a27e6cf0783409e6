"""nerfstudio's transforms.json: cameras in OpenGL axes, beside the pictures they took.

Ours adds ``time`` (seconds) to each frame. The world is kept as it stands in the file: which way is
up there is the file's business, and paths take an ``up``.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float64
from torch import Tensor

from fourd import events
from fourd.checked import checked
from fourd.errors import FormatError, InputError
from fourd.files import replacing
from fourd.formats import _cameras, _json
from fourd.formats._axes import GL_FROM_CV
from fourd.types import Cameras

_MODELS = ("PINHOLE", "SIMPLE_PINHOLE", "OPENCV", "SIMPLE_RADIAL", "RADIAL")
_DISTORTION = ("k1", "k2", "k3", "k4", "p1", "p2")


@checked
def write(path: str | Path, cameras: Cameras, *, file_paths: list[str] | None = None) -> None:
    """Write cameras; ``read`` gives them back exactly.

    Args:
        path: Where to, usually ``transforms.json`` beside the pictures.
        cameras: Their intrinsics are written for each frame.
        file_paths: The picture of each camera; ``images/frame_00000.png`` and so on by default.

    Raises:
        OutputError: If the file system refuses.
        InputError: If there are not as many pictures as cameras, or a K is skewed, which the format cannot say.
    """
    file_paths = file_paths or [f"images/frame_{i:05d}.png" for i in range(len(cameras))]
    if len(file_paths) != len(cameras):
        raise InputError(f"{len(file_paths)} file_paths for {len(cameras)} cameras; there must be one for each.")
    h, w = cameras.hw
    lenses = _cameras.lens(cameras, "transforms.json")
    poses = (cameras.world_from_cam.cpu().double() @ GL_FROM_CV).tolist()
    frames = [
        {"file_path": name, "transform_matrix": pose, "time": time_s}
        | {"fl_x": fx, "fl_y": fy, "cx": cx, "cy": cy, "w": w, "h": h}
        for name, pose, time_s, (fx, fy, cx, cy) in zip(file_paths, poses, cameras.time_s.tolist(), lenses, strict=True)
    ]
    with replacing(path) as fresh:
        fresh.write_text(json.dumps({"camera_model": "PINHOLE", "frames": frames}, indent=1) + "\n")


@checked
def read(
    path: str | Path, *, hw: tuple[int, int] | None = None, time_s: Float64[Tensor, " t"] | None = None
) -> Cameras:
    """Read cameras, in the order of the file, for a clip; see ``fourd.formats.cameras.read_cameras``.

    Args:
        path: The file. Intrinsics may stand at its top or with each frame; ``camera_angle_x`` will do.
        hw: Size of the clip's pictures; the intrinsics are brought to it.
        time_s: Moments of the clip's frames; the cameras are interpolated at them if the file has
            times of its own.

    Raises:
        FormatError: If the file is broken, or its lenses are distorted, or its pictures differ in size.
        InputError: If size or times are neither in the file nor given, or do not fit the clip.
    """
    return events.result(_cameras.fitted(found(path, hw=hw), hw=hw, time_s=time_s))


def found(path: str | Path, *, hw: tuple[int, int] | None = None) -> _cameras.Found:
    """What the file says; ``hw`` is the size of pictures where it does not."""
    document = _json.read(path)
    frames = _json.as_list(document.get("frames"), f"{path}: frames")
    if not frames:
        raise FormatError(f"{path} has no frames.")
    model = document.get("camera_model", "PINHOLE")
    if model not in _MODELS:
        raise FormatError(f"{path} has the camera model {model!r:.60}; only {', '.join(_MODELS)} are read.")
    K, poses, times, names, sizes = [], [], [], [], set()
    for i, frame in enumerate(frames):
        where = f"{path}: frames[{i}]"
        merged = document | _json.as_dict(frame, where)
        size = _size(merged, where)
        sizes.add(size)
        K.append(_intrinsics(merged, size or hw, where))
        poses.append(_json.as_floats(merged.get("transform_matrix"), 16, f"{where}.transform_matrix"))
        names.append(str(merged.get("file_path", "")))
        times.append(_json.as_float(merged["time"], f"{where}.time") if "time" in merged else None)
    if len(sizes) > 1:
        raise FormatError(f"{path} has pictures of different sizes; they must all be equal.")
    known = [t for t in times if t is not None]
    if len(known) not in (0, len(frames)):
        raise FormatError(f"{path} has a time for {len(known)} of {len(frames)} frames; it must have all or none.")
    return _cameras.Found(
        str(path),
        torch.tensor(K, dtype=torch.float64).reshape(-1, 3, 3),
        torch.tensor(poses, dtype=torch.float64).reshape(-1, 4, 4) @ GL_FROM_CV,
        hw=sizes.pop(),
        time_s=torch.tensor(known, dtype=torch.float64) if known else None,
        names=names,
    )


def _size(frame: dict[str, Any], where: str) -> tuple[int, int] | None:
    if "h" not in frame or "w" not in frame:
        return None
    return _cameras.picture_size([frame["h"], frame["w"]], f"{where}: h, w")


def _intrinsics(frame: dict[str, Any], hw: tuple[int, int] | None, where: str) -> list[float]:
    if hw is None:
        raise InputError(f"{where} does not say how large its picture is (h, w); give hw.")
    h, w = hw
    if "fl_x" in frame:
        fx = _json.as_float(frame["fl_x"], f"{where}: fl_x")
    elif "camera_angle_x" in frame:
        angle = _json.as_float(frame["camera_angle_x"], f"{where}: camera_angle_x")
        fx = w / 2 / math.tan(angle / 2) if 0 < angle < math.pi else 0.0
    else:
        raise FormatError(f"{where} has no focal length: fl_x or camera_angle_x must be there.")
    if fx <= 0:
        raise FormatError(f"{where} has no positive focal length.")
    bent = {k: _json.as_float(frame[k], f"{where}: {k}") for k in _DISTORTION if k in frame}
    _cameras.refuse_distortion(bent, fx, hw, where)
    fy = _json.as_float(frame.get("fl_y", fx), f"{where}: fl_y")
    cx = _json.as_float(frame.get("cx", w / 2), f"{where}: cx")
    cy = _json.as_float(frame.get("cy", h / 2), f"{where}: cy")
    return [fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0]
