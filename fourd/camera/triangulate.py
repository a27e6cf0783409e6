"""Points from cameras that are known."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from fourd.camera.model import Model, Seen

_ROUNDS = 3
_SOFT_PX = 2.0
_CAP_PX = 30.0


def triangulate(seen: Seen, model: Model) -> tuple[Float64[np.ndarray, "n 4"], Float64[np.ndarray, " n"]]:
    """The point that explains each track best, and how well it does.

    The direct linear method (Hartley and Zisserman, section 12.2), iterated so that it minimises
    errors in the picture and disbelieves the worst of them.

    Returns:
        Homogeneous points of unit length, in front of most of their cameras, and the root mean
        square of the error of each, in pixels, no observation counting more than 30. Points that
        are not observed come back as they were, with an error of infinity.
    """
    X, error = model.X.copy(), np.full(seen.points, np.inf)
    if len(seen.point):
        part, points, frames = seen.compact()
        X[points], error[points] = _triangulate(part, model.pick(points, frames))
    return X, error


def _triangulate(seen: Seen, model: Model) -> tuple[np.ndarray, np.ndarray]:
    pose = np.concatenate([model.R, model.t[:, :, None]], 2)[seen.frame]
    x = seen.xy / model.focal
    rows = np.stack([x[:, :1] * pose[:, 2] - pose[:, 0], x[:, 1:] * pose[:, 2] - pose[:, 1]], 1)
    squares = rows.transpose(0, 2, 1) @ rows
    starts = np.flatnonzero(np.diff(seen.point, prepend=-1))
    w = np.ones(len(x))
    X = np.zeros((seen.points, 4))
    error = np.zeros(len(x))
    for _ in range(_ROUNDS):
        X = np.linalg.eigh(np.add.reduceat(w[:, None, None] * squares, starts, axis=0))[1][:, :, 0]
        Y = (pose @ X[seen.point][..., None])[..., 0]
        sign = np.where(seen.per_point(np.sign(Y[:, 2])) < 0, -1.0, 1.0)
        X *= sign[:, None]
        Y *= sign[seen.point][:, None]
        z = np.maximum(Y[:, 2], 1e-9)
        error = np.minimum(np.linalg.norm(model.focal * (Y[:, :2] / z[:, None] - x), axis=1), 100.0)
        w = 1 / np.maximum(z, 1e-3) ** 2 / (1 + (error / _SOFT_PX) ** 2)
    count = np.maximum(np.bincount(seen.point, minlength=seen.points), 1)
    return X, np.sqrt(seen.per_point(np.minimum(error, _CAP_PX) ** 2) / count)
