"""Robust bundle adjustment: cameras, points and focal length that explain tracks best.

Levenberg-Marquardt on the reduced camera system (Triggs et al., "Bundle adjustment: a modern
synthesis", 2000). Each observation is weighted by Geman and McClure's function of its own error and
of the mean error of its track: what moves on its own is wrong as a whole track and not here and there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from fourd.camera.model import Model, Seen, hat, orthonormal, rotation, tangent

_TRIES = 8
_TRACK_CAP = 25.0
_LARGEST_FOCAL_STEP = 0.3


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
    """Improve a model; the first camera stays where it is.

    The result is never worse than ``model`` under the weights of the last step, and always finite.
    """
    damping = 1e-3
    for _ in range(task.iterations):
        w = weights(seen, model, task.sigma_px) / task.sigma_px**2
        before = _cost(seen, model, w)
        system = _System(seen, model, w, task)
        for _ in range(_TRIES):
            better = system.step(damping)
            after = _cost(seen, better, w) if better is not None else np.inf
            if after < before:
                break
            damping = min(damping * 5, 1e6)
        else:
            break
        assert better is not None
        model, damping = better, max(damping / 5, 1e-9)
        if before - after < task.tolerance * before:
            break
    return replace(model, R=orthonormal(model.R))


def focal_uncertainty(seen: Seen, model: Model, task: Task) -> float:
    """Standard deviation of the logarithm of the focal length, if errors were independent."""
    w = weights(seen, model, task.sigma_px)
    noise = np.sqrt(_cost(seen, model, w) / max(float(w.sum()), 1e-9) / 2)
    reduced = _System(seen, model, w / max(noise, 1e-3) ** 2, task).reduced(1e-9)[0]
    try:
        variance = np.linalg.inv(reduced)[-1, -1]
    except np.linalg.LinAlgError:
        return np.inf
    return float(np.sqrt(variance)) if variance > 0 else np.inf


def _cost(seen: Seen, model: Model, w: Float64[np.ndarray, " m"]) -> float:
    return float((w * (model.residual(seen) ** 2).sum(1)).sum())


class _System:
    """The normal equations at one model: cameras (turn, shift), then the logarithm of the focal length."""

    def __init__(self, seen: Seen, model: Model, w: Float64[np.ndarray, " m"], task: Task) -> None:
        self.seen, self.model = seen, model
        n, t = seen.points, seen.frames
        self.basis = tangent(model.X)
        per_camera = 6 if task.translation else 3
        columns = per_camera * t + 1
        self.free = np.ones(columns, bool)
        self.free[:per_camera] = False  # The first camera holds the world in place.
        self.free[-1] = task.focal

        to_point, to_camera, to_focal, r = self._slopes(w, task)
        starts = np.flatnonzero(np.diff(seen.point, prepend=-1))
        by_frame = np.argsort(seen.frame, kind="stable")
        frame_starts = np.flatnonzero(np.diff(seen.frame[by_frame], prepend=-1))

        def over_points(values: np.ndarray) -> np.ndarray:
            return np.add.reduceat(values, starts, axis=0)

        def over_frames(values: np.ndarray) -> np.ndarray:
            return np.add.reduceat(values[by_frame], frame_starts, axis=0)

        self.V = over_points(_products(to_point, to_point))
        self.point_pull = over_points(_products(to_point, r))[..., 0]
        self.W = np.zeros((n, 3, columns))
        blocks = np.zeros((n, 3, t, per_camera))
        blocks[seen.point, :, seen.frame] = _products(to_point, to_camera)
        self.W[:, :, :-1] = blocks.reshape(n, 3, -1)
        self.W[:, :, -1] = over_points(_products(to_point, to_focal))[..., 0]

        self.U = np.zeros((columns, columns))
        own = over_frames(_products(to_camera, to_camera))
        mixed = over_frames(_products(to_camera, to_focal))[..., 0]
        for k in range(t):
            here = slice(per_camera * k, per_camera * (k + 1))
            self.U[here, here] = own[k]
        self.U[:-1, -1] = self.U[-1, :-1] = mixed.ravel()
        self.U[-1, -1] = (to_focal**2).sum()
        self.pull = np.append(over_frames(_products(to_camera, r))[..., 0].ravel(), (to_focal * r).sum())
        self.per_camera = per_camera

    def _slopes(
        self, w: Float64[np.ndarray, " m"], task: Task
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Derivatives of the weighted residuals [m, 2, k] by point, camera and focal, and the residuals."""
        seen, model = self.seen, self.model
        Y = model.in_camera(seen)
        front = Y[:, 2] > 1e-6
        z = np.where(front, Y[:, 2], 1.0)
        x = Y[:, :2] / z[:, None]
        root = np.sqrt(w) * front
        J = np.zeros((len(z), 2, 3))
        J[:, 0, 0] = J[:, 1, 1] = model.focal / z
        J[:, :, 2] = -model.focal * x / z[:, None]
        J *= root[:, None, None]
        r = (model.focal * x - seen.xy) * root[:, None]
        X4 = model.X[seen.point, 3]
        turned = Y - model.t[seen.frame] * X4[:, None]
        parts = [-J @ hat(turned)]
        if task.translation:
            parts.append(J * X4[:, None, None])
        pose = np.concatenate([model.R, model.t[:, :, None]], 2)
        to_point = J @ (pose[seen.frame] @ self.basis[seen.point])
        to_focal = (model.focal * x * root[:, None])[..., None]
        return to_point, np.concatenate(parts, 2), to_focal, r[..., None]

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


def _products(a: Float64[np.ndarray, "m 2 i"], b: Float64[np.ndarray, "m 2 j"]) -> Float64[np.ndarray, "m i j"]:
    """``a^T b`` for every observation."""
    return a[:, 0, :, None] * b[:, 0, None, :] + a[:, 1, :, None] * b[:, 1, None, :]
