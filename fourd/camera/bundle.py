"""Robust bundle adjustment: cameras, points and a lens that explain tracks best.

Levenberg-Marquardt on the reduced camera system (Triggs et al., "Bundle adjustment: a modern
synthesis", 2000). Each observation is weighted by Geman and McClure's function of its own error and
of the mean error of its track: what moves on its own is wrong as a whole track and not here and there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from fourd.camera import lens
from fourd.camera.model import HALF_PX, NEAREST, Model, Seen, orthonormal, rotation, tangent

_TRIES = 8
_TRACK_CAP = 25.0
_LARGEST_FOCAL_STEP, _LARGEST_BEND_STEP = 0.3, 0.1
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
    bend: bool = False
    """Solve for how the lens bends, too."""
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
    return _last(seen, model, Task(sigma_px, 1, translation=translation))[1]


def bend_score(seen: Seen, model: Model, sigma_px: float, translation: bool = True) -> float:
    """How clearly the errors ask for another bend of the lens, in standard deviations.

    The score test (Rao, 1948): nothing is adjusted, one step is looked at.
    """
    step, deviation = _last(seen, model, Task(sigma_px, 1, bend=True, translation=translation))
    return abs(step) / deviation / float(np.sqrt(_alike(seen))) if np.isfinite(deviation) else 0.0


def preference(seen: Seen, model: Model, other: Model, sigma_px: float) -> float:
    """How clearly observations prefer a model that has one more unknown, in standard deviations.

    The likelihood ratio test, with the robust cost in place of the squares.
    """
    if not len(seen.point):
        return 0.0
    e, f = ((m.residual(seen) ** 2).sum(1) / sigma_px**2 for m in (model, other))
    w = weights(seen, other, sigma_px)
    noise = max(float((w * f).sum() / max(w.sum(), 1e-9) / 2), (_LEAST_NOISE_PX / sigma_px) ** 2)
    gain = float((e / (1 + e) - f / (1 + f)).sum()) / noise / _alike(seen)
    return float(np.sqrt(max(gain, 0.0)))


def _alike(seen: Seen) -> float:
    """How many observations count as one.

    All places of a track are registered on one picture, so their errors are not independent: each track counts once.
    """
    return len(seen.point) / max(len(np.unique(seen.point)), 1)


def _last(seen: Seen, model: Model, task: Task) -> tuple[float, float]:
    """The step that the last unknown would take, and its standard deviation, if errors were independent."""
    if not len(seen.point):
        return 0.0, np.inf
    seen, points, frames = seen.compact()
    model = model.pick(points, frames)
    w = weights(seen, model, task.sigma_px)
    noise = np.sqrt(_cost(seen, model, w) / max(float(w.sum()), 1e-9) / 2)
    try:
        reduced, pull, _, _ = _System(seen, model, w / max(noise, _LEAST_NOISE_PX) ** 2, task).reduced(1e-9)
        inverse = np.linalg.inv(reduced)
    except np.linalg.LinAlgError:
        return 0.0, np.inf
    variance = inverse[-1, -1]
    return float(inverse[-1] @ pull), float(np.sqrt(variance)) if variance > 0 else np.inf


def _cost(seen: Seen, model: Model, w: Float64[np.ndarray, " m"]) -> float:
    return float((w * (model.residual(seen) ** 2).sum(1)).sum())


class _System:
    """The normal equations at one model: cameras (turn, shift), the logarithm of the focal length, the bend if wanted.

    Values of observations lie along the last axis, so that numpy works through them in long strides.
    """

    def __init__(self, seen: Seen, model: Model, w: Float64[np.ndarray, " m"], task: Task) -> None:
        self.model = model
        n, t = seen.points, seen.frames
        self.basis = tangent(model.X)
        self.per_camera = 6 if task.translation else 3
        self.cameras = self.per_camera * t
        lenses = 2 if task.bend else 1
        self.free = np.ones(self.cameras + lenses, bool)
        self.free[: self.per_camera] = False  # The first camera holds the world in place.
        self.free[self.cameras] = task.focal

        to_point, to_camera, to_lens, r = slopes(seen, model, self.basis, np.sqrt(w))
        to_camera, to_lens = to_camera[:, : self.per_camera], to_lens[:, :lenses]
        starts = np.flatnonzero(np.diff(seen.point, prepend=-1))
        # Products of what has few columns, and of what has three: one pass over the observations.
        tail = np.concatenate([to_lens, r], 1)
        own = np.add.reduceat(_products(to_point, np.concatenate([to_point, tail], 1)), starts, axis=-1)
        own = own.transpose(2, 0, 1)
        self.V, self.point_pull = own[:, :, :3].copy(), own[:, :, -1]
        self.W = np.zeros((n, 3, len(self.free)))
        blocks = np.zeros((n, t, 3, self.per_camera))
        blocks[seen.point, seen.frame] = _products(to_point, to_camera).transpose(2, 0, 1)
        self.W[:, :, : self.cameras] = blocks.transpose(0, 2, 1, 3).reshape(n, 3, -1)
        self.W[:, :, self.cameras :] = own[:, :, 3:-1]

        order = np.argsort(seen.frame, kind="stable")
        ends = np.cumsum(np.bincount(seen.frame, minlength=t))[:-1]
        rows = np.concatenate([to_camera, tail], 1)[:, :, order]
        cameras = np.stack([sum(part @ part.transpose(0, 2, 1)) for part in np.split(rows, ends, axis=2)])
        cameras = cameras[:, : self.per_camera]
        self.U = np.zeros((len(self.free),) * 2)
        for k in range(t):
            here = slice(self.per_camera * k, self.per_camera * (k + 1))
            self.U[here, here] = cameras[k, :, : self.per_camera]
        across = cameras[:, :, self.per_camera : -1].reshape(-1, lenses)
        self.U[: self.cameras, self.cameras :], self.U[self.cameras :, : self.cameras] = across, across.T
        own = _products(to_lens, tail).sum(-1)
        self.U[self.cameras :, self.cameras :] = own[:, :-1]
        self.pull = np.append(cameras[:, :, -1].ravel(), own[:, -1])

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
        camera = change[: self.cameras].reshape(-1, self.per_camera)
        stretch = np.exp(np.clip(change[self.cameras], -_LARGEST_FOCAL_STEP, _LARGEST_FOCAL_STEP))
        bend = self.model.bend
        if len(change) > self.cameras + 1:
            bend = float(np.clip(bend + np.clip(change[-1], -_LARGEST_BEND_STEP, _LARGEST_BEND_STEP), *lens.LIMITS))
        return Model(
            R=rotation(camera[:, :3]) @ self.model.R,
            t=self.model.t + camera[:, 3:] if self.per_camera == 6 else self.model.t,
            X=X / np.linalg.norm(X, axis=1, keepdims=True),
            focal=float(self.model.focal * stretch),
            bend=bend,
        )


def slopes(
    seen: Seen, model: Model, basis: Float64[np.ndarray, "n 4 3"], root: Float64[np.ndarray, " m"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Derivatives of the residuals, times ``root``, and the residuals themselves.

    Returns:
        By the point along ``basis`` [2, 3, m]; by the camera's turn (from the left) and its shift
        [2, 6, m]; by the logarithm of the focal length and by the bend [2, 2, m]; residuals [2, 1, m].
        All zero where the point is behind the camera.
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
    to_point = np.asarray(sum(by_space[:, k, None] * turning[k] for k in range(4)))
    # With p the turned point and J a row of the projection's derivative, the turn's row is p x J.
    p = Y - pose[:, 3] * X[3]
    gx, gy, gw, zero = g * x[0], g * x[1], g * X[3], np.zeros_like(g)
    to_camera = np.stack(
        [
            np.stack([-p[1] * gx, p[2] * g + p[0] * gx, -p[1] * g, gw, zero, -gw * x[0]]),
            np.stack([-p[2] * g - p[1] * gy, p[0] * gy, p[0] * g, zero, gw, -gw * x[1]]),
        ]
    )
    place = model.focal * x
    s = (place**2).sum(0) / HALF_PX**2
    factor, q = lens.roots(s, model.bend)
    to_lens = np.stack([place, s * factor**2 / q * place], 1) * root
    r = (factor * place - seen.xy.T) * root
    if model.bend:
        # A place on a circle moves with the factor, and along its radius with more.
        outward = 2 * model.bend * factor**2 / q / HALF_PX**2 * place
        for columns in (to_point, to_camera, to_lens[:, :1]):
            columns[:] = factor * columns + outward[:, None] * (place[:, None] * columns).sum(0)
    return to_point, to_camera, to_lens, r[:, None]


def _products(a: Float64[np.ndarray, "2 i m"], b: Float64[np.ndarray, "2 j m"]) -> Float64[np.ndarray, "i j m"]:
    """``a^T b`` for every observation."""
    return a[0][:, None] * b[0] + a[1][:, None] * b[1]
