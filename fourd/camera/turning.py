"""The camera that turns in one place: rotations and focal length, without depth.

Where the camera does not travel, tracks say nothing of depth, and a model with depth would be free
to make some up. So this simpler model is solved first; only what it cannot explain is travel.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float64

from fourd.camera.bundle import Task, adjust, focal_uncertainty
from fourd.camera.model import Model, Seen, orthonormal

_ROUNDS = 15
_SOFT_PX = 3.0
_ANNEAL = ((6.0, 6), (3.0, 8), (1.5, 8), (0.8, 10))
BELIEVED_PX = _ANNEAL[-1][0]
"""Error that the last adjustment believes."""
SURE_FOCAL = 0.02
"""Standard deviation of the logarithm of the focal length, were errors independent, at which it is
believed. They are not independent: the real error may be several times as large."""


def align(p: Float64[np.ndarray, "n 3"], q: Float64[np.ndarray, "n 3"], soft: float) -> Float64[np.ndarray, "3 3"]:
    """The rotation that takes unit vectors ``p`` to ``q``, robustly (Kabsch, reweighted).

    Args:
        p: Directions.
        q: Directions.
        soft: Differences much larger than this, in radians, are disbelieved.
    """
    R = np.eye(3)
    # Start with the scale of all differences, so that a fast turn is not taken for outliers.
    scale = max(soft, float(np.median(np.linalg.norm(q - p, axis=1))))
    for _ in range(_ROUNDS):
        w = 1 / (1 + ((q - p @ R.T) ** 2).sum(1) / scale**2) ** 2
        U, _, Vt = np.linalg.svd((w[:, None] * q).T @ p)
        R = U @ np.diag([1, 1, np.linalg.det(U @ Vt)]) @ Vt
        scale = max(soft, scale * 0.6)
    return R


def solve_turning(seen: Seen, focal: float, free_focal: bool = True) -> tuple[Model, bool]:
    """Rotations that explain the tracks best, all from one place.

    Args:
        seen: Observations; every frame should share points with the one before.
        focal: Where the search for the focal length starts, in pixels.
        free_focal: False: it is not sought.

    Returns:
        The model, and whether the turning was enough to tell the focal length; if not it is ``focal``.
    """
    start = _chained(seen, focal)
    if free_focal:
        model = _annealed(seen, start, True)
        if focal_uncertainty(seen, model, BELIEVED_PX, translation=False) < SURE_FOCAL:
            return at_infinity(model), True
    return at_infinity(_annealed(seen, start, False)), False


def _annealed(seen: Seen, model: Model, free_focal: bool) -> Model:
    for sigma, iterations in _ANNEAL:
        model = adjust(seen, model, Task(sigma, iterations, free_focal, translation=False))
    return model


def _chained(seen: Seen, focal: float) -> Model:
    """Rotations from frame to frame, and the mean direction of every track."""
    ray = np.c_[seen.xy / focal, np.ones(len(seen.xy))]
    ray /= np.linalg.norm(ray, axis=1, keepdims=True)
    R = np.tile(np.eye(3), (seen.frames, 1, 1))
    # Consecutive observations of one track, and the frame of the second.
    follows = np.flatnonzero((np.diff(seen.point) == 0) & (np.diff(seen.frame) == 1))
    arrives = seen.frame[follows + 1]
    for k in range(1, seen.frames):
        here = follows[arrives == k]
        turn = align(ray[here], ray[here + 1], _SOFT_PX / focal) if len(here) >= 8 else np.eye(3)
        R[k] = orthonormal(turn @ R[k - 1])
    world = (R[seen.frame].transpose(0, 2, 1) @ ray[..., None])[..., 0]
    mean = np.stack([seen.per_point(world[:, k]) for k in range(3)], 1)
    length = np.linalg.norm(mean, axis=1, keepdims=True)
    mean = np.where(length > 0, mean / np.maximum(length, 1e-9), [0, 0, 1])
    return Model(R, np.zeros((seen.frames, 3)), np.c_[mean, np.zeros(len(mean))], focal)


def explained(seen: Seen, model: Model, within_px: float) -> float:
    """Share of the observations that lie within some pixels of where the model puts them.

    Points with fewer than three observations do not count, if there are three frames: any model
    explains them.
    """
    count = np.bincount(seen.point, minlength=seen.points)[seen.point] >= min(3, seen.frames)
    return float((model.error(seen)[count] < within_px).mean()) if count.any() else 0.0


def at_infinity(model: Model) -> Model:
    """The same rotations and directions, with the fourth coordinates exactly zero."""
    X = model.X * [1, 1, 1, 0]
    return replace(model, X=X / np.maximum(np.linalg.norm(X, axis=1, keepdims=True), 1e-12))


def largest_turn_px(model: Model, seen: Seen) -> float:
    """How far turning moves any of the observed points, at most, in pixels."""
    turn = model.R @ model.R[0].T
    reach = np.abs(seen.xy).max(0, initial=1.0)
    corners = np.array([[x, y, model.focal] for x in (-reach[0], 0, reach[0]) for y in (-reach[1], 0, reach[1])])
    moved = np.einsum("tij,nj->tni", turn, corners)
    front = np.maximum(moved[..., 2:], 1e-6)
    return float(np.linalg.norm(model.focal * moved[..., :2] / front - corners[:, :2], axis=-1).max())
