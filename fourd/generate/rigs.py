"""Cameras for a stage: how they move, and the views that are held out. World: y up, metres."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float64
from torch import Tensor

from fourd.checked import checked
from fourd.errors import InputError
from fourd.geometry.pinhole import intrinsics
from fourd.geometry.rigid import look_at, matrix_from_rotvec
from fourd.types import Cameras

_UP = (0.0, 1.0, 0.0)


def times(frames: int, fps: float) -> Float64[Tensor, " t"]:
    """When frames are taken, from 0 on."""
    if frames < 1 or not fps > 0:
        raise InputError(f"There are {frames} frames at {fps:g} a second; both must be positive.")
    return torch.arange(frames, dtype=torch.float64) / fps


@checked
def looking(
    eye_m: Float64[Tensor, "t 3"],
    target_m: Float64[Tensor, "t 3"],
    time_s: Float64[Tensor, " t"],
    hw: tuple[int, int],
    fov_deg: float = 55.0,
) -> Cameras:
    """Upright cameras that stand at ``eye_m`` and look at ``target_m``; ``fov_deg`` across the longer side."""
    up = torch.tensor(_UP, dtype=torch.float64).expand_as(eye_m)
    K = intrinsics(hw, fov_deg).expand(len(eye_m), 3, 3)
    return Cameras(K=K, world_from_cam=look_at(eye_m, target_m, up).float(), hw=hw, time_s=time_s)


def _point(value: Sequence[float]) -> Tensor:
    return torch.tensor([float(x) for x in value], dtype=torch.float64)


def eased(share: Tensor) -> Tensor:
    """0..1 to 0..1, starting and stopping softly, three quarters of it straight."""
    return 0.75 * share + 0.25 * share * share * (3 - 2 * share)


def _share(frames: int) -> Tensor:
    return torch.linspace(0, 1, frames, dtype=torch.float64) if frames > 1 else torch.full((1,), 0.5).double()


def arc(
    focus_m: Sequence[float],
    eye_m: Sequence[float],
    degrees: float,
    time_s: Float64[Tensor, " t"],
    hw: tuple[int, int],
    fov_deg: float = 55.0,
    rise_m: float = 0.0,
) -> Cameras:
    """Turn around a subject, to the right where ``degrees`` is positive, looking at it.

    Args:
        focus_m: The subject.
        eye_m: Where the camera stands in the middle of the arc.
        degrees: How far it turns in all.
        time_s: When the frames are taken.
        hw: Size of the pictures.
        fov_deg: Field of view across the longer side.
        rise_m: How far it rises meanwhile.
    """
    share = eased(_share(len(time_s)))
    angle = math.radians(degrees) * (share - 0.5)
    axis = torch.tensor(_UP, dtype=torch.float64)
    focus = _point(focus_m)
    eye = focus + (matrix_from_rotvec(angle[:, None] * axis) @ (_point(eye_m) - focus)[:, None])[..., 0]
    eye = eye + rise_m * (share - 0.5)[:, None] * axis
    return looking(eye, focus.expand_as(eye), time_s, hw, fov_deg)


def glide(
    start_m: Sequence[float],
    end_m: Sequence[float],
    target_m: Sequence[float],
    time_s: Float64[Tensor, " t"],
    hw: tuple[int, int],
    fov_deg: float = 55.0,
    target_end_m: Sequence[float] | None = None,
) -> Cameras:
    """Move in a straight line (a dolly or truck), looking at a point that may move in a line too."""
    share = eased(_share(len(time_s)))[:, None]
    eye = _point(start_m) * (1 - share) + _point(end_m) * share
    target = _point(target_m) * (1 - share) + _point(target_end_m or target_m) * share
    return looking(eye, target, time_s, hw, fov_deg)


def fixed(
    eye_m: Sequence[float],
    target_m: Sequence[float],
    time_s: Float64[Tensor, " t"],
    hw: tuple[int, int],
    fov_deg: float = 55.0,
) -> Cameras:
    """A camera on a tripod."""
    return glide(eye_m, eye_m, target_m, time_s, hw, fov_deg)


def held_out(cameras: Cameras, focus_m: Sequence[float], degrees: float, up: Sequence[float] = _UP) -> Cameras:
    """The same cameras at the same times, turned about a point: views to be predicted, not seen.

    Args:
        cameras: Those that film.
        focus_m: The point about which they turn, in the world.
        degrees: How far: to the right as the cameras see it where positive, to the left where negative.
        up: The world's direction up, the axis of the turn.
    """
    focus = _point(focus_m)
    axis = torch.nn.functional.normalize(_point(up), dim=0)
    R = matrix_from_rotvec(math.radians(degrees) * axis)
    pose = cameras.world_from_cam.double().clone()
    pose[:, :3, :3] = R @ pose[:, :3, :3]
    pose[:, :3, 3] = focus + (pose[:, :3, 3] - focus) @ R.mT
    return cameras.replace(world_from_cam=pose.float())
