"""Robust bundle adjustment: cameras, points and a lens that explain tracks best.

Levenberg-Marquardt on the reduced camera system (Triggs et al., "Bundle adjustment: a modern
synthesis", 2000). Each observation is weighted by Geman and McClure's function of its own error and
of the mean error of its track: what moves on its own is wrong as a whole track and not here and there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float64

from fourd.camera import lens
from fourd.camera.model import Model, Seen, orthonormal, rotation, tangent
from fourd.native import bundle as native

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
        reduced, pull, _ = _System(seen, model, w / max(noise, _LEAST_NOISE_PX) ** 2, task).reduced(1e-9)
        inverse = np.linalg.inv(reduced)
    except np.linalg.LinAlgError:
        return 0.0, np.inf
    variance = inverse[-1, -1]
    return float(inverse[-1] @ pull), float(np.sqrt(variance)) if variance > 0 else np.inf


def _cost(seen: Seen, model: Model, w: Float64[np.ndarray, " m"]) -> float:
    return float((w * (model.residual(seen) ** 2).sum(1)).sum())


class _System:
    """The normal equations at one model: cameras (turn, shift), the logarithm of the focal length, the bend."""

    def __init__(self, seen: Seen, model: Model, w: Float64[np.ndarray, " m"], task: Task) -> None:
        self.model, self.seen, self.basis = model, seen.noted(), tangent(model.X)
        self.per_camera = 6 if task.translation else 3
        self.cameras = self.per_camera * seen.frames
        self.free = np.ones(self.cameras + native.LENS, bool)
        self.free[: self.per_camera] = False  # The first camera holds the world in place.
        self.free[self.cameras :] = task.focal, task.bend
        root, basis = torch.from_numpy(np.sqrt(w)), torch.from_numpy(self.basis)
        self.equations = native.equations(self.seen, model.guess(), root, basis, self.per_camera)

    def reduced(self, damping: float) -> tuple[np.ndarray, np.ndarray, native.Reduced]:
        """The camera system without the points, its right-hand side, and what is needed to find the points again."""
        part = native.reduced(self.seen, self.equations, damping, self.per_camera)
        return part.S.numpy()[np.ix_(self.free, self.free)], part.toward.numpy()[self.free], part

    def step(self, damping: float) -> Model | None:
        """The model after one damped step; None if the system cannot be solved."""
        S, toward, part = self.reduced(damping)
        try:
            moved = np.linalg.solve(S, toward)
        except np.linalg.LinAlgError:
            return None
        if not np.isfinite(moved).all():
            return None
        change = np.zeros(len(self.free))
        change[self.free] = moved
        point = native.points(self.seen, part, torch.from_numpy(change), self.per_camera).numpy()
        X = self.model.X + (self.basis @ point[..., None])[..., 0]
        camera = change[: self.cameras].reshape(-1, self.per_camera)
        stretch = np.exp(np.clip(change[self.cameras], -_LARGEST_FOCAL_STEP, _LARGEST_FOCAL_STEP))
        bend = np.clip(change[-1], -_LARGEST_BEND_STEP, _LARGEST_BEND_STEP)
        return Model(
            R=rotation(camera[:, :3]) @ self.model.R,
            t=self.model.t + camera[:, 3:] if self.per_camera == 6 else self.model.t,
            X=X / np.linalg.norm(X, axis=1, keepdims=True),
            focal=float(self.model.focal * stretch),
            bend=float(np.clip(self.model.bend + bend, *lens.LIMITS)) if bend else self.model.bend,
        )
