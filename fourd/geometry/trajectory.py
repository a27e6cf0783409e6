"""A camera over time: where it stands between two frames, how it moves at all, and a smoother way to go."""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from fourd.checked import checked
from fourd.errors import InputError
from fourd.geometry import rigid
from fourd.types import Cameras


@checked
def median_fps(cameras: Cameras, otherwise: float = 24.0) -> float:
    """Frames per second of the median step from camera to camera; ``otherwise`` where no time passes."""
    steps = cameras.time_s.diff()
    steps = steps[steps > 0]
    return 1 / float(steps.median()) if len(steps) else otherwise


@checked
def at(cameras: Cameras, time_s: Float64[Tensor, " n"]) -> Cameras:
    """The camera at any moments, also between those it is known at.

    Positions follow a cubic through the known ones (Hermite, with three-point tangents, so that the
    speed is continuous), rotations turn evenly from one to the next, intrinsics change linearly. At
    a known moment the answer is the known camera, exactly. Before the first and after the last
    moment the camera stands still.

    Args:
        cameras: Known cameras; their times must increase strictly.
        time_s: The moments asked for, in any order; they are the times of the result.

    Raises:
        InputError: If the times of ``cameras`` do not increase strictly.
    """
    known_s = cameras.time_s
    if bool((known_s.diff() <= 0).any()):
        raise InputError("Cameras.time_s must increase strictly to be interpolated; some moments repeat or go back.")
    left, right, share = between(known_s, time_s)

    centre = cameras.centre_m.double()
    slope = _tangents(centre, known_s)
    u, dt = share[:, None], (known_s[right] - known_s[left])[:, None]
    position = (
        (1 + 2 * u) * (1 - u) ** 2 * centre[left]
        + u**2 * (3 - 2 * u) * centre[right]
        + u * (1 - u) ** 2 * dt * slope[left]
        - u**2 * (1 - u) * dt * slope[right]
    )
    quat = rigid.quat_from_matrix(cameras.world_from_cam[:, :3, :3].double())
    pose = torch.eye(4, dtype=torch.float64, device=centre.device).repeat(len(time_s), 1, 1)
    pose[:, :3, :3] = rigid.matrix_from_quat(rigid.slerp(quat[left], quat[right], share))
    pose[:, :3, 3] = position
    K = torch.lerp(cameras.K[left].double(), cameras.K[right].double(), share[:, None, None])
    # Known cameras come back bit for bit, and not as their quaternions remember them.
    nearest = torch.where(share < 0.5, left, right)
    known = (share - share.round()).abs() < 1e-9
    return cameras.replace(
        K=torch.where(known[:, None, None], cameras.K[nearest], K.float()),
        world_from_cam=torch.where(known[:, None, None], cameras.world_from_cam[nearest], pose.float()),
        time_s=time_s,
    )


@checked
def between(
    known_s: Float64[Tensor, " t"], time_s: Float64[Tensor, " n"]
) -> tuple[Int64[Tensor, " n"], Int64[Tensor, " n"], Float64[Tensor, " n"]]:
    """The known moments before and after each asked one, and how far it is from the first to the second.

    Args:
        known_s: Strictly increasing.
        time_s: Taken as the nearest end where it lies outside ``known_s``.
    """
    inside_s = time_s.clamp(float(known_s[0]), float(known_s[-1]))
    left = (torch.searchsorted(known_s, inside_s, right=True) - 1).clamp(0, max(len(known_s) - 2, 0))
    right = (left + 1).clamp(max=len(known_s) - 1)
    step_s = known_s[right] - known_s[left]
    # One known moment alone is no step away from itself.
    return left, right, torch.where(step_s > 0, (inside_s - known_s[left]) / step_s, 0.0)


def _tangents(value: Float64[Tensor, "t 3"], time_s: Float64[Tensor, " t"]) -> Float64[Tensor, "t 3"]:
    """Slopes of the parabola through each value and its two neighbours; one-sided at the ends."""
    if len(value) == 1:
        return torch.zeros_like(value)
    dt = time_s.diff()[:, None]
    secant = value.diff(dim=0) / dt
    inner = (dt[1:] * secant[:-1] + dt[:-1] * secant[1:]) / (dt[1:] + dt[:-1])
    return torch.cat([secant[:1], inner, secant[-1:]])


@checked
def kind(cameras: Cameras, focus_m: float = 1.0, tolerance_px: float = 0.5) -> Literal["still", "rotation", "moving"]:
    """Whether the camera stands on a tripod, turns on it, or travels.

    What matters is what the picture shows of it: a move counts if it shifts a subject at the focus
    distance by more than ``tolerance_px``.

    Args:
        cameras: The cameras of a clip.
        focus_m: Distance of the subject, in the unit of the cameras' positions.
        tolerance_px: The largest shift in pixels that is still called no motion.
    """
    focal = float(cameras.K.diagonal(dim1=1, dim2=2)[:, :2].max())
    centre = cameras.centre_m.double()
    shift_px = float((centre - centre.mean(0)).norm(dim=1).max()) / focus_m * focal
    if shift_px > tolerance_px:
        return "moving"
    R = cameras.world_from_cam[:, :3, :3].double()
    relative = R[0].mT @ R
    sine = (relative - relative.mT).flatten(1).norm(dim=1) / math.sqrt(8)
    cosine = (relative.diagonal(dim1=1, dim2=2).sum(1) - 1) / 2
    turn_px = float(torch.atan2(sine, cosine).max()) * focal
    return "rotation" if turn_px > tolerance_px else "still"


@checked
def smooth(cameras: Cameras, sigma_s: float) -> Cameras:
    """The same cameras on a smoother way: a Gaussian low-pass over time, safe at the ends.

    Every position is the value of a line fitted to its neighbours with Gaussian weights (local
    linear regression; Cleveland, 1979), so that even motion stays as it is up to the first and last
    frame, where a plain average would lag behind. Rotations are treated likewise, as rotation
    vectors about the current estimate. Intrinsics and times are kept.

    Args:
        cameras: The cameras of a clip, at any increasing times.
        sigma_s: Standard deviation of the Gaussian in seconds; 0 changes nothing.

    Raises:
        InputError: If ``sigma_s`` is negative or not finite.
    """
    if not 0 <= sigma_s < math.inf:
        raise InputError(f"The smoothing is {sigma_s:g} s; it must be 0 or more.")
    if sigma_s == 0 or len(cameras) == 1:
        return cameras
    time_s = cameras.time_s
    centre = cameras.centre_m.double()
    R = cameras.world_from_cam[:, :3, :3].double()
    pose = cameras.world_from_cam.double().clone()
    first = torch.searchsorted(time_s, time_s - 4 * sigma_s)
    last = torch.searchsorted(time_s, time_s + 4 * sigma_s, right=True)
    for start in range(0, len(cameras), _CHUNK):
        now = slice(start, min(start + _CHUNK, len(cameras)))
        near = slice(int(first[now][0]), int(last[now][-1]))
        weight = _line_weights((time_s[None, near] - time_s[now, None]) / sigma_s)
        pose[now, :3, 3] = weight @ centre[near]
        estimate = R[now]
        for _ in range(2):  # About the first estimate the mean is good, about the second it is settled.
            turn = rotvec_from_matrix(estimate.mT[:, None] @ R[None, near])
            mean = (weight[:, None] @ turn)[:, 0]
            estimate = estimate @ rigid.matrix_from_rotvec(mean)
        pose[now, :3, :3] = estimate
    return cameras.replace(world_from_cam=pose.float())


_CHUNK = 64
"""Cameras smoothed at once: few enough for the memory, many enough for the speed."""


def _line_weights(distance: Float64[Tensor, "m n"]) -> Float64[Tensor, "m n"]:
    """Weights, row by row, whose sum with values gives a Gaussian-weighted line's value at distance 0."""
    distance = distance.clamp(-9, 9)  # A tiny sigma makes infinite distances, and 0 times infinity is no weight.
    w = torch.where(distance.abs() <= 4, torch.exp(-(distance**2) / 2), 0.0)
    s0, s1, s2 = (total[:, None] for total in (w.sum(1), (w * distance).sum(1), (w * distance**2).sum(1)))
    spread = s0 * s2 - s1 * s1
    # Where all but one neighbour are out of reach there is no line to fit.
    alone = spread < 1e-9 * s0**2
    return torch.where(alone, w / s0, w * (s2 - s1 * distance) / torch.where(alone, 1.0, spread))


@checked
def rotvec_from_matrix(R: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3"]:
    """Axis times angle in radians (0 to pi) of rotation matrices; the inverse of ``matrix_from_rotvec``."""
    quat = rigid.quat_from_matrix(R)
    sine = quat[..., 1:].norm(dim=-1, keepdim=True)
    angle = 2 * torch.atan2(sine, quat[..., :1])
    near = sine < 1e-9
    return quat[..., 1:] * torch.where(near, 2.0, angle / torch.where(near, 1.0, sine))
