"""What the readers of camera files share: fitting what a file says to the clip it belongs to."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from fourd.errors import FormatError, InputError
from fourd.events import Steps, Warned
from fourd.formats import _json
from fourd.geometry import pinhole, trajectory
from fourd.types import Cameras

MAX_BYTES = 4 * _json.MAX_BYTES
"""Of a text file, or a binary one."""
FOV_DEG = 60.0
"""Field of view across the longer side where nothing tells; that of a phone."""


@dataclass(frozen=True, eq=False)
class Found:
    """What a file says of cameras, before it is fitted to a clip."""

    where: str
    """The file, as errors name it."""
    K: Float64[Tensor, "n 3 3"] | None
    """In pixels of ``hw``, or of the clip's pictures where that is not known; None where the file has none."""
    world_from_cam: Float64[Tensor, "n 4 4"]
    """OpenCV axes."""
    hw: tuple[int, int] | None = None
    """Size of the pictures, if the file says it."""
    time_s: Float64[Tensor, " n"] | None = None
    """Moments of the cameras, if the file says them."""
    any_clock: bool = False
    """True if ``time_s`` may be of another clock than the clip's, or numbers of frames."""
    names: list[str] | None = None
    """The picture of each camera."""


def fitted(
    found: Found, *, hw: tuple[int, int] | None = None, time_s: Float64[Tensor, " t"] | None = None
) -> Steps[Cameras]:
    """Cameras for the pictures and moments of a clip.

    They belong to the clip's frames by their times; or, where there are fewer, by the numbers in the names of their
    pictures; or, without either, by their order. Frames between them get cameras between them.

    Args:
        found: What was read.
        hw: Size of the clip's pictures; the intrinsics are brought to it.
        time_s: Moments of the clip's frames.

    Yields:
        ``Warned`` of stage "camera", for whatever had to be assumed.

    Raises:
        InputError: If the file does not fit the clip: other proportions, another count, other times.
        FormatError: If the numbers are no cameras.
    """
    size = found.hw or hw
    if size is None:
        raise InputError(f"{found.where} does not say how large its pictures are; give hw.")
    K, count = found.K, len(found.world_from_cam)
    if K is None:
        yield Warned("camera", f"{found.where} does not say which lens filmed; {FOV_DEG:g} degrees are assumed.")
        K = pinhole.intrinsics(size, FOV_DEG).double().expand(count, 3, 3)
    moments, assumed = _moments(found, time_s)
    for text in assumed:
        yield Warned("camera", f"{found.where} {text}")
    try:
        cameras = Cameras(K=K.float(), world_from_cam=found.world_from_cam.float(), hw=size, time_s=moments)
    except InputError as error:
        raise FormatError(f"{found.where} cannot be used: {error}") from error
    if time_s is not None and not torch.equal(time_s, moments):
        cameras = _retimed(found, cameras, time_s)
    if hw is not None and hw != size:
        if abs(math.log(hw[0] / hw[1] * size[1] / size[0])) > 0.02:
            raise InputError(
                f"{found.where} is for pictures of {size[1]} x {size[0]} and the clip's are {hw[1]} x {hw[0]}:"
                " the proportions differ, so one of them was cut. Give cameras of the clip as it is."
            )
        cameras = cameras.resized(hw)
    return cameras


def _moments(found: Found, time_s: Float64[Tensor, " t"] | None) -> tuple[Float64[Tensor, " n"], list[str]]:
    """When each camera was, on the clip's clock, and what had to be assumed for it."""
    count, own_s = len(found.world_from_cam), found.time_s
    if time_s is None:
        if own_s is None:
            raise InputError(f"{found.where} does not say when each of its {count} cameras was; give time_s.")
        return own_s, []
    frames = len(time_s)
    if own_s is not None:
        return _on_the_clips_clock(own_s, time_s) if found.any_clock else (own_s, [])
    if count < frames and found.names is not None:
        numbers = _frame_numbers(found, frames)
        return time_s[numbers], [f"has cameras for {count} of {frames} frames; the others are interpolated."]
    if count != frames:
        raise InputError(f"{found.where} has {count} cameras and the clip {frames} frames; there must be one for each.")
    return time_s, []


def _on_the_clips_clock(
    own_s: Float64[Tensor, " n"], time_s: Float64[Tensor, " t"]
) -> tuple[Float64[Tensor, " n"], list[str]]:
    """Stamps of an unknown clock as moments of the clip: they may number frames, or count from another beginning."""
    first, last, frames = float(own_s[0]), float(own_s[-1]), len(time_s)
    whole = bool((own_s == own_s.round()).all()) and (first, last) in ((0, frames - 1), (1, frames))
    if whole and len(own_s) > 1:
        return time_s[(own_s - first).long()], []
    # A clock that had run for long before, as that of a computer.
    if first > float(time_s[-1]):
        text = f"counts time from another beginning; its first camera, at {first:.9g} s, is given to the first frame."
        return own_s - first + time_s[0], [text]
    return own_s, []


def _frame_numbers(found: Found, frames: int) -> Int64[Tensor, " n"]:
    """The frame of each picture, from the last number in its name."""
    assert found.names is not None
    digits = [re.findall(r"\d+", name) for name in found.names]
    numbers = [int(d[-1][:18]) if d else -1 for d in digits]
    what = f"{found.where} has {len(numbers)} cameras and the clip {frames} frames"
    if min(numbers) < 0 or max(numbers) > frames or any(b <= a for a, b in itertools.pairwise(numbers)):
        raise InputError(
            f"{what}; there must be one for each, and the names of the pictures ({found.names[0][:40]} to"
            f" {found.names[-1][:40]}) do not number the clip's frames."
        )
    if numbers[0] > 0 and numbers[-1] < frames:
        raise InputError(
            f"{what}, and the numbers of the pictures, {numbers[0]} to {numbers[-1]}, do not say whether the first"
            " frame is 0 or 1. Give cameras for the first or the last frame, too."
        )
    indices = torch.tensor(numbers) - (1 if numbers[-1] == frames else 0)
    if max(int(indices[0]), frames - 1 - int(indices[-1])) > frames // 10:
        raise InputError(
            f"{what}; there must be one for each, or at least for nine tenths of the clip: none is known for the frames"
            f" before {int(indices[0])} and after {int(indices[-1])}."
        )
    return indices


def _retimed(found: Found, cameras: Cameras, time_s: Float64[Tensor, " t"]) -> Cameras:
    """The file's cameras at the clip's moments, which must lie among the file's own if it says any."""
    margin_s = 1 / trajectory.median_fps(cameras)
    first, last = float(cameras.time_s[0]), float(cameras.time_s[-1])
    beyond = float(time_s.min()) < first - margin_s or float(time_s.max()) > last + margin_s
    if beyond and found.time_s is not None:
        raise InputError(
            f"{found.where} has cameras from {first:g} s to {last:g} s and the clip runs from {float(time_s.min()):g} s"
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
    # The corners are bent most. No lens sees further aside than this, and powers of more may overflow.
    r = min(math.hypot(*hw) / 2 / focal_px, 1e6)
    power = {"k1": r**3, "k2": r**5, "k3": r**7, "p1": 3 * r**2, "p2": 3 * r**2}
    bent_px = focal_px * sum(abs(value) * power.get(name, r**3) for name, value in coefficients.items())
    if not bent_px <= 0.5:
        raise FormatError(
            f"{where} has lens distortion ({bent_px:.1f} px in the corners). Undistort the pictures first,"
            " for example with 'colmap image_undistorter'."
        )


def lens(cameras: Cameras, what: str) -> list[tuple[float, float, float, float]]:
    """fx, fy, cx and cy of each camera, for formats that know no more of a lens.

    Raises:
        InputError: If a K is skewed; ``what`` is named as what cannot say so.
    """
    if bool((cameras.K[:, 0, 1] != 0).any()):
        raise InputError(f"Cameras.K is skewed; {what} cannot say so.")
    return [(K[0][0], K[1][1], K[0][2], K[1][2]) for K in cameras.K.double().tolist()]


def natural(name: str) -> list[tuple[int, int, str]]:
    """A sort key that puts ``frame_9`` before ``frame_10``."""
    return [(1, int(part[:300]), "") if part.isdecimal() else (0, 0, part) for part in re.split(r"(\d+)", name)]


def picture_size(value: object, where: str) -> tuple[int, int]:
    """(h, w) of a JSON or numpy pair."""
    h, w = _json.as_floats(value, 2, where)
    return _json.as_int(h, where, low=1), _json.as_int(w, where, low=1)


def text_lines(path: str | Path) -> list[str]:
    """The lines of a text file, which may not be longer than a camera file can be.

    Raises:
        FormatError: If it is, or cannot be read.
    """
    try:
        if Path(path).stat().st_size > MAX_BYTES:
            raise FormatError(f"{path} is larger than {MAX_BYTES} bytes; no model of a clip is.")
        return Path(path).read_text("utf-8", errors="replace").split("\n")
    except OSError as error:
        raise FormatError(f"Cannot read {path}: {error.strerror or error}.") from error


def numbers(words: list[str], where: str) -> list[float]:
    """Words as finite numbers."""
    try:
        return [_json.as_float(float(word), where) for word in words]
    except ValueError as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"{where}: a number was expected, not {' '.join(words)[:40]!r}.") from error
