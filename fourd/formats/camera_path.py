"""nerfstudio's camera_path.json: where to fly, frame by frame, in OpenGL axes."""

from __future__ import annotations

import json
import math
from pathlib import Path

import torch

from fourd.checked import checked
from fourd.errors import FormatError, InputError
from fourd.files import replacing
from fourd.formats import _cameras, _json
from fourd.formats._axes import GL_FROM_CV
from fourd.geometry.keyframes import Keyframes
from fourd.types import Cameras


@checked
def write(path: str | Path, cameras: Cameras, *, fps: float) -> None:
    """Write a camera path that plays at ``fps``.

    The format knows a vertical field of view and nothing else of a lens. So that nothing is lost,
    each camera also carries its ``K``, which ``read`` prefers and other programs ignore.

    Args:
        path: Where to.
        cameras: One a frame; ``time_s`` becomes ``render_time``, in seconds of the scene.
        fps: Frames a second of the film.

    Raises:
        OutputError: If the file system refuses.
        InputError: If ``fps`` is not above 0.
    """
    if not 0 < fps < math.inf:
        raise InputError(f"fps is {fps:g}; it must be above 0.")
    h, w = cameras.hw
    poses = (cameras.world_from_cam.cpu().double() @ GL_FROM_CV).flatten(1).tolist()
    entries = [
        {
            "camera_to_world": pose,
            "fov": math.degrees(2 * math.atan(h / 2 / K[1][1])),
            "aspect": w / h,
            "render_time": time_s,
            "K": K,
        }
        for pose, K, time_s in zip(poses, cameras.K.double().tolist(), cameras.time_s.tolist(), strict=True)
    ]
    document = {
        "camera_type": "perspective",
        "render_height": h,
        "render_width": w,
        "fps": fps,
        "seconds": len(cameras) / fps,
        "is_cycle": False,
        "smoothness_value": 0,
        "camera_path": entries,
    }
    with replacing(path) as fresh:
        fresh.write_text(json.dumps(document, indent=1) + "\n")


@checked
def read(path: str | Path, *, start_s: float = 0.0) -> Keyframes:
    """Read a camera path.

    Args:
        path: The file. Its world must be the scene's.
        start_s: The scene's moment at the first camera, where the file has no ``render_time``;
            from there the scene's time runs with the film's. ``render_time`` is taken as seconds.

    Raises:
        FormatError: If the file is broken, or its camera is not a perspective one.
    """
    document = _json.read(path)
    if "frames" in document and "camera_path" not in document:
        raise FormatError(
            f"{path} holds the cameras of a clip (transforms.json) and no camera_path. Record one in the player, or in"
            " nerfstudio's."
        )
    kind = document.get("camera_type", "perspective")
    if not isinstance(kind, str) or kind.lower() != "perspective":
        raise FormatError(f"{path} has the camera type {kind!r:.60}; only 'perspective' is read.")
    hw = _cameras.picture_size(
        [document.get("render_height"), document.get("render_width")], f"{path}: render_height, render_width"
    )
    entries = _json.as_list(document.get("camera_path"), f"{path}: camera_path")
    if not entries:
        raise FormatError(f"{path}: camera_path is empty.")
    K, poses, times = [], [], []
    for i, value in enumerate(entries):
        where = f"{path}: camera_path[{i}]"
        entry = _json.as_dict(value, where)
        poses.append(_json.as_floats(entry.get("camera_to_world"), 16, f"{where}.camera_to_world"))
        K.append(_json.as_floats(entry["K"], 9, f"{where}.K") if "K" in entry else _lens(entry.get("fov"), hw, where))
        times.append(_json.as_float(entry["render_time"], f"{where}.render_time") if "render_time" in entry else None)
    known = [t for t in times if t is not None]
    if len(known) not in (0, len(entries)):
        raise FormatError(f"{path} has a render_time for {len(known)} of {len(entries)} cameras; all or none.")
    play_s = torch.arange(len(entries), dtype=torch.float64) / _rate(document, len(entries), path)
    try:
        cameras = Cameras(
            K=torch.tensor(K, dtype=torch.float32).reshape(-1, 3, 3),
            world_from_cam=(torch.tensor(poses, dtype=torch.float64).reshape(-1, 4, 4) @ GL_FROM_CV).float(),
            hw=hw,
            time_s=torch.tensor(known, dtype=torch.float64) if known else start_s + play_s,
        )
        return Keyframes(cameras=cameras, play_s=play_s)
    except InputError as error:
        raise FormatError(f"{path} cannot be used: {error}") from error


def _rate(document: dict[str, object], count: int, path: str | Path) -> float:
    """Frames a second: as the file says it, directly or by its length; else 24."""
    if "fps" in document:
        rate = _json.as_float(document["fps"], f"{path}: fps")
    elif "seconds" in document:
        rate = count / max(_json.as_float(document["seconds"], f"{path}: seconds"), 1e-300)
    else:
        rate = 24.0
    if not 0 < rate < 1e6:
        raise FormatError(f"{path} plays {rate:g} frames a second; that must be above 0 and below 1000000.")
    return rate


def _lens(fov: object, hw: tuple[int, int], where: str) -> list[float]:
    """K, row by row, of a vertical field of view in degrees: square pixels, centred."""
    angle = _json.as_float(fov, f"{where}.fov")
    if not 0 < angle < 180:
        raise FormatError(f"{where}.fov is {angle:g}; it must be between 0 and 180 degrees.")
    focal = hw[0] / 2 / math.tan(math.radians(angle) / 2)
    return [focal, 0.0, hw[1] / 2, 0.0, focal, hw[0] / 2, 0.0, 0.0, 1.0]
