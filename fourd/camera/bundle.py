"""Robust bundle adjustment: cameras, points and focal length that explain tracks best.

Levenberg-Marquardt on the reduced camera system (Triggs et al., "Bundle adjustment: a modern
synthesis", 2000). Each observation is weighted by Geman and McClure's function of its own error and
of the mean error of its track: what moves on its own is wrong as a whole track and not here and there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from fourd.camera.model import NEAREST, Model, Seen, orthonormal, rotation, tangent

_TRIES = 8
_TRACK_CAP = 25.0
_LARGEST_FOCAL_STEP = 0.3
_LEAST_NOISE_PX = 0.1
"""No real track is better than this, all over the picture."""


@dataclass(frozen=True)
class Task:
    """What to adjust, and how."""

    sigma_px: float
    """Errors much larger than this are disbelieved."""
    iterations: int
    focal: bool = True
    """Solve for the focal length, too."""
    translation: bool = True
    """False: all cameras stay in one place."""
    tolerance: float = 1e-4
    """Stop when a step lowers the cost by less than this share."""


def weights(seen: Seen, model: Model, sigma_px: float) -> Float64[np.ndarray, " m"]:
    """How far each observation is to be believed, 0 to 1."""
    e = (model.residual(seen) ** 2).sum(1) / sigma_px**2
    mean = seen.per_point(np.minimum(e, _TRACK_CAP)) / np.maximum(np.bincount(seen.point, minlength=seen.points), 1)
    return 1 / (1 + e) ** 2 / (1 + mean / 2)[seen.point] ** 2


def adjust(seen: Seen, model: Model, task: Task) -> Model:
    """Improve a model. The first observed camera stays where it is, and so does what is not observed.

    No step is taken that does not lower the cost, so that the result is always finite.
    """
    if not len(seen.point):
        return model
    part, points, frames = seen.compact()
    return model.put(points, frames, _adjust(part, model.pick(points, frames), task))


def _adjust(seen: Seen, model: Model, task: Task) -> Model:
    damping = 1e-3
    for _ in range(task.iterations):
        w = weights(seen, model, task.sigma_px) / task.sigma_px**2
        before = _cost(seen, model, w)
        system = _System(seen, model, w, task)
        after = before
        for _ in range(_TRIES):
            tried = system.step(damping)
            after = _cost(seen, tried, w) if tried is not None else np.inf
            if tried is not None and after < before:
                model, damping = tried, max(damping / 5, 1e-9)
                break
            damping = min(damping * 5, 1e6)
        if not before - after > task.tolerance * before:
            break
    return replace(model, R=orthonormal(model.R))


def focal_uncertainty(seen: Seen, model: Model, sigma_px: float, translation: bool = True) -> float:
    """Standard deviation of the logarithm of the focal length, if errors were independent."""
    if not len(seen.point):
        return np.inf
    task = Task(sigma_px, 1, translation=translation)
    seen, points, frames = seen.compact()
    model = model.pick(points, frames)
    w = weights(seen, model, sigma_px)
    noise = np.sqrt(_cost(seen, model, w) / max(float(w.sum()), 1e-9) / 2)
    reduced = _System(seen, model, w / max(noise, _LEAST_NOISE_PX) ** 2, task).reduced(1e-9)[0]
    try:
        variance = np.linalg.inv(reduced)[-1, -1]
    except np.linalg.LinAlgError:
        return np.inf
    return float(np.sqrt(variance)) if variance > 0 else np.inf


def _cost(seen: Seen, model: Model, w: Float64[np.ndarray, " m"]) -> float:
    return float((w * (model.residual(seen) ** 2).sum(1)).sum())


class _System:
    """The normal equations at one model: cameras (turn, shift), then the logarithm of the focal length.

    Values of observations lie along the last axis, so that numpy works through them in long strides.
    """

    def __init__(self, seen: Seen, model: Model, w: Float64[np.ndarray, " m"], task: Task) -> None:
        self.model = model
        n, t = seen.points, seen.frames
        self.basis = tangent(model.X)
        self.per_camera = 6 if task.translation else 3
        columns = self.per_camera * t + 1
        self.free = np.ones(columns, bool)
        self.free[: self.per_camera] = False  # The first camera holds the world in place.
        self.free[-1] = task.focal

        to_point, to_camera, to_focal, r = slopes(seen, model, self.basis, np.sqrt(w))
        to_camera = to_camera[:, : self.per_camera]
        starts = np.flatnonzero(np.diff(seen.point, prepend=-1))
        # Products of what has one column, and of what has three: one pass over the observations.
        tail = np.concatenate([to_focal, r], 1)
        own = np.add.reduceat(_products(to_point, np.concatenate([to_point, tail], 1)), starts, axis=-1)
        own = own.transpose(2, 0, 1)
        self.V, self.point_pull = own[:, :, :3].copy(), own[:, :, 4]
        self.W = np.zeros((n, 3, columns))
        blocks = np.zeros((n, t, 3, self.per_camera))
        blocks[seen.point, seen.frame] = _products(to_point, to_camera).transpose(2, 0, 1)
        self.W[:, :, :-1] = blocks.transpose(0, 2, 1, 3).reshape(n, 3, -1)
        self.W[:, :, -1] = own[:, :, 3]

        order = np.argsort(seen.frame, kind="stable")
        ends = np.cumsum(np.bincount(seen.frame, minlength=t))[:-1]
        rows = np.concatenate([to_camera, tail], 1)[:, :, order]
        cameras = np.stack([sum(part @ part.transpose(0, 2, 1)) for part in np.split(rows, ends, axis=2)])
        cameras = cameras[:, : self.per_camera]
        self.U = np.zeros((columns, columns))
        for k in range(t):
            here = slice(self.per_camera * k, self.per_camera * (k + 1))
            self.U[here, here] = cameras[k, :, : self.per_camera]
        self.U[:-1, -1] = self.U[-1, :-1] = cameras[:, :, -2].ravel()
        self.U[-1, -1] = (to_focal**2).sum()
        self.pull = np.append(cameras[:, :, -1].ravel(), (to_focal * r).sum())

    def reduced(self, damping: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The camera system without the points, its pull, and what is needed to find the points again."""
        V = self.V.copy()
        diagonal = np.arange(3)
        V[:, diagonal, diagonal] += damping * np.maximum(V[:, diagonal, diagonal], 1e-6) + 1e-9
        L = np.linalg.inv(np.linalg.cholesky(V))
        half = L @ self.W
        half_pull = (L @ self.point_pull[..., None])[..., 0]
        flat = half.reshape(-1, half.shape[-1])[:, self.free]
        U = self.U + np.diag(damping * np.maximum(np.diag(self.U), 1e-6) + 1e-9)
        S = U[np.ix_(self.free, self.free)] - flat.T @ flat
        return S, flat.T @ half_pull.ravel() - self.pull[self.free], L, half

    def step(self, damping: float) -> Model | None:
        """The model after one damped step; None if the system cannot be solved."""
        try:
            S, pull, L, half = self.reduced(damping)
            moved = np.linalg.solve(S, pull)
        except np.linalg.LinAlgError:
            return None
        if not np.isfinite(moved).all():
            return None
        change = np.zeros(len(self.free))
        change[self.free] = moved
        half_pull = (L @ self.point_pull[..., None])[..., 0]
        point = -(L.transpose(0, 2, 1) @ (half_pull + half @ change)[..., None])[..., 0]
        X = self.model.X + (self.basis @ point[..., None])[..., 0]
        camera = change[:-1].reshape(-1, self.per_camera)
        stretch = np.exp(np.clip(change[-1], -_LARGEST_FOCAL_STEP, _LARGEST_FOCAL_STEP))
        return Model(
            R=rotation(camera[:, :3]) @ self.model.R,
            t=self.model.t + camera[:, 3:] if self.per_camera == 6 else self.model.t,
            X=X / np.linalg.norm(X, axis=1, keepdims=True),
            focal=float(self.model.focal * stretch),
        )


def slopes(
    seen: Seen, model: Model, basis: Float64[np.ndarray, "n 4 3"], root: Float64[np.ndarray, " m"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Derivatives of the residuals, times ``root``, and the residuals themselves.

    Returns:
        By the point along ``basis`` [2, 3, m]; by the camera's turn (from the left) and its shift
        [2, 6, m]; by the logarithm of the focal length [2, 1, m]; residuals [2, 1, m]. All zero
        where the point is behind the camera.
    """
    pose = np.concatenate([model.R, model.t[:, :, None]], 2).reshape(-1, 12).T[:, seen.frame].reshape(3, 4, -1)
    X = model.X.T[:, seen.point]
    Y = (pose * X).sum(1)
    front = Y[2] > NEAREST
    root = root * front
    z = np.where(front, Y[2], 1.0)
    x = Y[:2] / z
    g = model.focal / z * root
    by_space = g * (pose[:2] - x[:, None] * pose[2])
    turning = basis.reshape(-1, 12).T[:, seen.point].reshape(4, 3, -1)
    to_point = sum(by_space[:, k, None] * turning[k] for k in range(4))
    # With p the turned point and J a row of the projection's derivative, the turn's row is p x J.
    p = Y - pose[:, 3] * X[3]
    gx, gy, gw, zero = g * x[0], g * x[1], g * X[3], np.zeros_like(g)
    to_camera = np.stack(
        [
            np.stack([-p[1] * gx, p[2] * g + p[0] * gx, -p[1] * g, gw, zero, -gw * x[0]]),
            np.stack([-p[2] * g - p[1] * gy, p[0] * gy, p[0] * g, zero, gw, -gw * x[1]]),
        ]
    )
    to_focal = model.focal * x * root
    return np.asarray(to_point), to_camera, to_focal[:, None], (to_focal - seen.xy.T * root)[:, None]


def _products(a: Float64[np.ndarray, "2 i m"], b: Float64[np.ndarray, "2 j m"]) -> Float64[np.ndarray, "i j m"]:
    """``a^T b`` for every observation."""
    return a[0][:, None] * b[0] + a[1][:, None] * b[1]
