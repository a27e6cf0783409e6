"""What the readers of camera files share: fitting what a file says to the clip it belongs to."""

from __future__ import annotations

import math
import re
from pathlib import Path

import torch
from jaxtyping import Float64
from torch import Tensor

from fourd.errors import FormatError, InputError
from fourd.formats import _json
from fourd.geometry import trajectory
from fourd.types import Cameras


def fitted(
    path: str | Path,
    K: Float64[Tensor, "n 3 3"],
    world_from_cam: Float64[Tensor, "n 4 4"],
    *,
    file_hw: tuple[int, int] | None,
    file_time_s: Float64[Tensor, " n"] | None,
    hw: tuple[int, int] | None,
    time_s: Float64[Tensor, " t"] | None,
) -> Cameras:
    """Cameras of numbers that were read from ``path``, for the pictures and moments of a clip.

    Args:
        path: Named in errors.
        K: Intrinsics in pixels of ``file_hw``, or of ``hw`` where the file does not say.
        world_from_cam: OpenCV axes.
        file_hw: Size of the pictures as the file says it.
        file_time_s: The cameras' moments as the file says them.
        hw: Size of the clip's pictures; those of the file are brought to it.
        time_s: Moments of the clip's frames. Where the file says its own, its cameras are
            interpolated at these.

    Raises:
        InputError: If the file does not fit the clip: other proportions, another count, other times.
        FormatError: If the numbers are no cameras.
    """
    size = file_hw or hw
    if size is None:
        raise InputError(f"{path} does not say how large its pictures are; give hw.")
    own_s = time_s if file_time_s is None else file_time_s
    if own_s is None:
        raise InputError(f"{path} does not say when each of its {len(K)} cameras was; give time_s.")
    if len(own_s) != len(K):
        raise InputError(f"{path} has {len(K)} cameras and the clip {len(own_s)} frames; there must be one for each.")
    try:
        cameras = Cameras(K=K.float(), world_from_cam=world_from_cam.float(), hw=size, time_s=own_s)
    except InputError as error:
        raise FormatError(f"{path} cannot be used: {error}") from error
    if time_s is not None and file_time_s is not None and not torch.equal(time_s, file_time_s):
        cameras = _retimed(path, cameras, time_s)
    if hw is not None and hw != size:
        if abs(math.log(hw[0] / hw[1] * size[1] / size[0])) > 0.02:
            raise InputError(
                f"{path} is for pictures of {size[1]} x {size[0]} and the clip's are {hw[1]} x {hw[0]}:"
                " the proportions differ, so one of them was cut. Give cameras of the clip as it is."
            )
        cameras = cameras.resized(hw)
    return cameras


def _retimed(path: str | Path, cameras: Cameras, time_s: Float64[Tensor, " t"]) -> Cameras:
    """The file's cameras at the clip's moments, which must lie among the file's own."""
    margin_s = 1 / trajectory.median_fps(cameras)
    first, last = float(cameras.time_s[0]), float(cameras.time_s[-1])
    if float(time_s.min()) < first - margin_s or float(time_s.max()) > last + margin_s:
        raise InputError(
            f"{path} has cameras from {first:g} s to {last:g} s and the clip runs from {float(time_s.min()):g} s"
            f" to {float(time_s.max()):g} s. Give cameras for the whole clip, or without times."
        )
    return trajectory.at(cameras, time_s)


def refuse_distortion(coefficients: dict[str, float], focal_px: float, hw: tuple[int, int], where: str) -> None:
    """Refuse a lens that bends the picture by more than half a pixel; less is ignored.

    Args:
        coefficients: k1 to k3 and p1, p2 of Brown's model, as OpenCV and COLMAP use it.
        focal_px: Focal length in pixels.
        hw: Size of the picture.
        where: What the error names.
    """
    r = math.hypot(*hw) / 2 / focal_px  # The corners are bent most.
    power = {"k1": r**3, "k2": r**5, "k3": r**7, "p1": 3 * r**2, "p2": 3 * r**2}
    bent_px = focal_px * sum(abs(value) * power.get(name, r**3) for name, value in coefficients.items())
    if not bent_px <= 0.5:
        raise FormatError(
            f"{where} has lens distortion ({bent_px:.1f} px in the corners). Undistort the pictures first,"
            " for example with 'colmap image_undistorter'."
        )


def natural(name: str) -> list[tuple[int, int, str]]:
    """A sort key that puts ``frame_9`` before ``frame_10``."""
    return [(1, int(part[:300]), "") if part.isdecimal() else (0, 0, part) for part in re.split(r"(\d+)", name)]


def picture_size(value: object, where: str) -> tuple[int, int]:
    """(h, w) of a JSON or numpy pair."""
    h, w = _json.as_floats(value, 2, where)
    return _json.as_int(h, where, low=1), _json.as_int(w, where, low=1)
