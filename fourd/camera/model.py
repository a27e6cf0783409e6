"""What bundle adjustment knows: observations, and the cameras and points that explain them.

Places in pictures are in pixels from the principal point, x right, y down. Points are homogeneous
and of unit length, so that what is far away is an ordinary point and not a large number. All
arithmetic is in float64.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64

from fourd.camera import lens
from fourd.native import bundle

UNIT = 384.0
"""Errors are counted in pixels of a picture this long, whatever the size of the clip."""
HALF_PX = UNIT / 2


@dataclass(frozen=True, eq=False)
class Seen:
    """Observations sorted by point and then by frame."""

    point: Int64[np.ndarray, " m"]
    frame: Int64[np.ndarray, " m"]
    xy: Float64[np.ndarray, "m 2"]
    points: int
    frames: int

    def pick(self, mask: Bool[np.ndarray, " m"]) -> Seen:
        """The observations in ``mask``; points and frames keep their numbers."""
        return replace(self, point=self.point[mask], frame=self.frame[mask], xy=self.xy[mask])

    def compact(self) -> tuple[Seen, Int64[np.ndarray, " n"], Int64[np.ndarray, " t"]]:
        """The same observations of observed points and frames alone, and the old numbers of these."""
        points, point = np.unique(self.point, return_inverse=True)
        frames, frame = np.unique(self.frame, return_inverse=True)
        return Seen(point, frame, self.xy, len(points), len(frames)), points, frames

    def per_point(self, values: Float64[np.ndarray, " m"]) -> Float64[np.ndarray, " n"]:
        """The sum of a value over the observations of each point."""
        return np.bincount(self.point, values, minlength=self.points)

    def straight(self, bend: float) -> Seen:
        """The observations that a pinhole camera would have made in place of a lens that bends."""
        return replace(self, xy=lens.straight(self.xy, bend, HALF_PX)) if bend else self

    def noted(self) -> bundle.Observations:
        """The same, for the kernels."""
        first = np.concatenate([[0], np.cumsum(np.bincount(self.point, minlength=self.points))])
        return bundle.Observations(*map(torch.from_numpy, (first, self.point, self.frame, self.xy)))


@dataclass(frozen=True, eq=False)
class Model:
    """Cameras and points."""

    R: Float64[np.ndarray, "t 3 3"]
    """Turns the world's axes into the camera's."""
    t: Float64[np.ndarray, "t 3"]
    X: Float64[np.ndarray, "n 4"]
    """Homogeneous, of unit length, and not behind the cameras that see them."""
    focal: float
    bend: float = 0.0
    """Of the lens (see ``lens``)."""

    def in_camera(self, seen: Seen) -> Float64[np.ndarray, "m 3"]:
        """The point of every observation in the frame of its camera, times its fourth coordinate."""
        pose = np.concatenate([self.R, self.t[:, :, None]], 2).reshape(-1, 12).T[:, seen.frame].reshape(3, 4, -1)
        return (pose * self.X.T[:, seen.point]).sum(1).T

    def residual(self, seen: Seen) -> Float64[np.ndarray, "m 2"]:
        """Where every point is projected less where it was observed, in pixels."""
        return bundle.residual(seen.noted(), self.guess()).numpy()

    def guess(self) -> bundle.Guess:
        """The same, for the kernels."""
        pose = np.concatenate([self.R, self.t[:, :, None]], 2)
        return bundle.Guess(torch.from_numpy(pose), torch.from_numpy(self.X), self.focal, self.bend, HALF_PX)

    def error(self, seen: Seen) -> Float64[np.ndarray, " m"]:
        """Length of ``residual``, in pixels."""
        return np.linalg.norm(self.residual(seen), axis=1)

    def pick(self, points: Int64[np.ndarray, " n"], frames: Int64[np.ndarray, " t"]) -> Model:
        """Some of the points and cameras."""
        return replace(self, R=self.R[frames], t=self.t[frames], X=self.X[points])

    def put(self, points: Int64[np.ndarray, " n"], frames: Int64[np.ndarray, " t"], part: Model) -> Model:
        """The model with some of its points and cameras, and the lens, from another one."""
        R, t, X = self.R.copy(), self.t.copy(), self.X.copy()
        R[frames], t[frames], X[points] = part.R, part.t, part.X
        return replace(part, R=R, t=t, X=X)

    def unit(self, seen: Seen) -> float:
        """The median depth of the observed points; 1 if there are none in front of a camera."""
        w = self.X[seen.point, 3]
        depth = self.in_camera(seen)[:, 2] / np.where(np.abs(w) < 1e-9, 1e-9, w)
        depth = depth[depth > 0]
        return float(np.median(depth)) if len(depth) else 1.0

    def scaled(self, factor: float) -> Model:
        """The same geometry, ``factor`` times as large."""
        X = self.X / [1, 1, 1, factor]
        return replace(self, t=self.t * factor, X=X / np.linalg.norm(X, axis=1, keepdims=True))

    def centres(self) -> Float64[np.ndarray, "t 3"]:
        """Where the cameras stand in the world."""
        return -(self.R.transpose(0, 2, 1) @ self.t[..., None])[..., 0]


def hat(w: Float64[np.ndarray, "*batch 3"]) -> Float64[np.ndarray, "*batch 3 3"]:
    """The matrix whose product with a vector is the cross product with ``w``."""
    x, y, z = np.moveaxis(w, -1, 0)
    zero = np.zeros_like(x)
    return np.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*w.shape, 3)


def rotation(w: Float64[np.ndarray, "*batch 3"]) -> Float64[np.ndarray, "*batch 3 3"]:
    """Rotation matrices of axis times angle (Rodrigues), exact to the last digits near zero."""
    angle = np.linalg.norm(w, axis=-1)[..., None, None]
    half = angle / 2
    K = hat(w)
    # sin(a) / a and (1 - cos(a)) / a^2 = sinc(a / 2)^2 / 2; numpy's sinc is sin(pi x) / (pi x).
    return np.eye(3) + np.sinc(angle / np.pi) * K + 0.5 * np.sinc(half / np.pi) ** 2 * (K @ K)


def orthonormal(R: Float64[np.ndarray, "*batch 3 3"]) -> Float64[np.ndarray, "*batch 3 3"]:
    """The nearest rotations: what many small steps leave of orthogonality is restored."""
    U, _, Vt = np.linalg.svd(R)
    U[..., :, 2] *= np.linalg.det(U @ Vt)[..., None]
    return U @ Vt


def tangent(X: Float64[np.ndarray, "n 4"]) -> Float64[np.ndarray, "n 4 3"]:
    """Three directions at right angles to each unit vector and to each other (Householder)."""
    v = X.copy()
    v[:, 0] += np.where(X[:, 0] >= 0, 1.0, -1.0)
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    return (np.eye(4) - 2 * v[:, :, None] * v[:, None, :])[:, :, 1:]
