"""The arithmetic of bundle adjustment as torch operators, in double precision and on the CPU.

Observations are sorted by point and then by frame; those of point p are ``first[p]`` to ``first[p + 1]``. Unknowns are
the cameras' (turn and shift, or the turn alone), the logarithm of the focal length, and the bend of the lens, in
this order. ``bundle_reference.py`` says what is computed.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from fourd.native import loader
from fourd.native.operators import as_arrays, define

LENS = 2
"""Unknowns of the lens."""


class Observations(NamedTuple):
    """What was seen of n points by t cameras, m times."""

    first: Int64[Tensor, " n+1"]
    point: Int64[Tensor, " m"]
    frame: Int64[Tensor, " m"]
    xy: Float64[Tensor, "m 2"]
    """In pixels from the principal point."""


class Guess(NamedTuple):
    """Cameras, points and the lens at which equations are wanted."""

    pose: Float64[Tensor, "t 3 4"]
    """Camera from world."""
    X: Float64[Tensor, "n 4"]
    """Homogeneous points of unit length."""
    focal: float
    bend: float
    half_px: float
    """Half of the picture's longer side, in which the bend counts distances."""


class Equations(NamedTuple):
    """Normal equations ``[U W^T; W V] [camera; point] = -[pull; point_pull]`` of u unknowns and n points."""

    U: Float64[Tensor, "u u"]
    pull: Float64[Tensor, " u"]
    V: Float64[Tensor, "n 3 3"]
    point_pull: Float64[Tensor, "n 3"]
    W: Float64[Tensor, " w"]
    """Points by the cameras that see them: for each point three rows, side by side those of its observations."""
    W_lens: Float64[Tensor, "n 3 2"]
    """Points by the lens."""


class Reduced(NamedTuple):
    """The equations without the points, and what finds these again."""

    S: Float64[Tensor, "u u"]
    toward: Float64[Tensor, " u"]
    """The right-hand side: ``S change = toward``."""
    L: Float64[Tensor, "n 3 3"]
    """Cholesky factors of the damped ``V``; not numbers if one has none."""
    half: Float64[Tensor, " w"]
    """``L^-1 W``, and so on."""
    half_lens: Float64[Tensor, "n 3 2"]
    half_pull: Float64[Tensor, "n 3"]


def residual(seen: Observations, guess: Guess) -> Float64[Tensor, "m 2"]:
    """Where every point is projected less where it was observed, in pixels; 50 where it is behind the camera."""
    return torch.ops.fourd.bundle_residual(seen.point, seen.frame, seen.xy, *guess)


def equations(
    seen: Observations,
    guess: Guess,
    root: Float64[Tensor, " m"],
    basis: Float64[Tensor, "n 4 3"],
    per_camera: int,
) -> Equations:
    """The normal equations at a guess.

    Args:
        seen: Observations.
        guess: Where the residuals are made linear.
        root: Roots of the weights of the observations.
        basis: Directions in which points may move.
        per_camera: 6 for turn and shift, 3 for the turn alone.
    """
    return Equations(*torch.ops.fourd.bundle_system(*seen, root, *guess, basis, per_camera))


def reduced(seen: Observations, equations: Equations, damping: float, per_camera: int) -> Reduced:
    """Take the points out of damped equations (the Schur complement).

    To each number on the diagonals of ``U`` and ``V`` that share of it is added (of 1e-6 at least), and 1e-9.
    """
    return Reduced(*torch.ops.fourd.bundle_reduced(seen.first, seen.frame, *equations, damping, per_camera))


def points(
    seen: Observations, reduced: Reduced, change: Float64[Tensor, " u"], per_camera: int
) -> Float64[Tensor, "n 3"]:
    """How far the points move along their directions if the cameras and the lens change."""
    return torch.ops.fourd.bundle_points(seen.first, seen.frame, *reduced[2:], change, per_camera)


def _residual(
    point: Tensor, frame: Tensor, xy: Tensor, pose: Tensor, X: Tensor, focal: float, bend: float, half_px: float
) -> Tensor:
    out = torch.empty_like(xy, memory_format=torch.contiguous_format)
    loader.cpu().bundle_residual(*as_arrays(point, frame, xy, pose, X), focal, bend, half_px, out.numpy())
    return out


def _system(
    first: Tensor,
    point: Tensor,
    frame: Tensor,
    xy: Tensor,
    root: Tensor,
    pose: Tensor,
    X: Tensor,
    focal: float,
    bend: float,
    half_px: float,
    basis: Tensor,
    per_camera: int,
) -> tuple[Tensor, ...]:
    out = _empty_system(first, point, frame, xy, root, pose, X, focal, bend, half_px, basis, per_camera)
    arrays = as_arrays(first, frame, xy, root, pose, X, basis)
    filled = (x.numpy() for x in out)
    loader.cpu().bundle_system(*arrays, focal, bend, half_px, per_camera, *filled, torch.get_num_threads())
    return out


def _empty_system(
    first: Tensor,
    point: Tensor,
    frame: Tensor,
    xy: Tensor,
    root: Tensor,
    pose: Tensor,
    X: Tensor,
    focal: float,
    bend: float,
    half_px: float,
    basis: Tensor,
    per_camera: int,
) -> tuple[Tensor, ...]:
    n = len(X)
    unknowns = per_camera * len(pose) + LENS
    U, pull = xy.new_zeros(unknowns, unknowns), xy.new_zeros(unknowns)
    sizes = ((n, 3, 3), (n, 3), (3 * per_camera * len(frame),), (n, 3, LENS))
    return (U, pull, *(xy.new_zeros(size) for size in sizes))


def _reduced(
    first: Tensor,
    frame: Tensor,
    U: Tensor,
    pull: Tensor,
    V: Tensor,
    point_pull: Tensor,
    W: Tensor,
    W_lens: Tensor,
    damping: float,
    per_camera: int,
) -> tuple[Tensor, ...]:
    out = _empty_reduced(first, frame, U, pull, V, point_pull, W, W_lens, damping, per_camera)
    out[3].copy_(W)
    out[4].copy_(W_lens)
    arrays, filled = as_arrays(first, frame, U, pull, V, point_pull), (x.numpy() for x in out)
    loader.cpu().bundle_reduced(*arrays, damping, per_camera, *filled, torch.get_num_threads())
    return out


def _empty_reduced(
    first: Tensor, frame: Tensor, U: Tensor, pull: Tensor, V: Tensor, point_pull: Tensor, W: Tensor, *rest: object
) -> tuple[Tensor, ...]:
    return tuple(map(torch.empty_like, (U, pull, V, W, V[:, :, :LENS].contiguous(), point_pull)))


def _points(
    first: Tensor,
    frame: Tensor,
    L: Tensor,
    half: Tensor,
    half_lens: Tensor,
    half_pull: Tensor,
    change: Tensor,
    per_camera: int,
) -> Tensor:
    out = torch.empty_like(half_pull, memory_format=torch.contiguous_format)
    arrays = as_arrays(first, frame, L, half, half_lens, half_pull, change)
    loader.cpu().bundle_points(*arrays, per_camera, out.numpy())
    return out


_LENS = "Tensor pose, Tensor X, float focal, float bend, float half_px"
define(
    "bundle_residual",
    f"(Tensor point, Tensor frame, Tensor xy, {_LENS}) -> Tensor",
    _residual,
    lambda point, frame, xy, *_: torch.empty_like(xy, memory_format=torch.contiguous_format),
)
define(
    "bundle_system",
    f"(Tensor first, Tensor point, Tensor frame, Tensor xy, Tensor root, {_LENS}, Tensor basis, int per_camera)"
    " -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
    _system,
    _empty_system,
)
define(
    "bundle_reduced",
    "(Tensor first, Tensor frame, Tensor U, Tensor pull, Tensor V, Tensor point_pull, Tensor W, Tensor W_lens,"
    " float damping, int per_camera) -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
    _reduced,
    _empty_reduced,
)
define(
    "bundle_points",
    "(Tensor first, Tensor frame, Tensor L, Tensor half, Tensor half_lens, Tensor half_pull, Tensor change,"
    " int per_camera) -> Tensor",
    _points,
    lambda first, frame, L, half, half_lens, half_pull, *_: torch.empty_like(
        half_pull, memory_format=torch.contiguous_format
    ),
)
