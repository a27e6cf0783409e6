"""Cameras from points that are known: one at a time by random samples, or all at once by descent."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import torch
from jaxtyping import Float64

from fourd.camera.model import Model, Seen, orthonormal, rotation, tangent
from fourd.native import bundle

_FEWEST = 8
_RANSAC_PX = 3.0
_TRUSTED = 0.6
"""Share of the points at which a pose is good enough to try no other start."""
_AT_ONCE = 64
"""Cameras that are settled together."""


def resect(
    X: Float64[np.ndarray, "n 4"],
    xy: Float64[np.ndarray, "n 2"],
    focal: float,
    starts: list[tuple[Float64[np.ndarray, "3 3"], Float64[np.ndarray, " 3"]]],
) -> tuple[Float64[np.ndarray, "3 3"], Float64[np.ndarray, " 3"], float]:
    """The pose from which most points are seen where they were observed.

    Args:
        X: Homogeneous points.
        xy: Their places, in pixels from the principal point.
        focal: In pixels.
        starts: Poses (R, t) to start from, the likeliest first.

    Returns:
        R, t, and the share of the points that agree; the first start and 0 where there are too few.
    """
    R, t = starts[0]
    near = X[:, 3] > 1e-6
    if near.sum() < _FEWEST:
        return R, t, 0.0
    points, places = X[near, :3] / X[near, 3:], np.ascontiguousarray(xy[near])
    K = np.diag([focal, focal, 1.0])
    best: tuple[int, np.ndarray, np.ndarray, np.ndarray] | None = None
    for R0, t0 in starts:
        turn = cv2.Rodrigues(R0)[0]
        found, turn, shift, inliers = cv2.solvePnPRansac(
            points, places, K, None, turn, t0.reshape(3, 1).copy(), True, 100, _RANSAC_PX, 0.999
        )
        usable = found and inliers is not None and np.isfinite(turn).all() and np.isfinite(shift).all()
        if usable and (best is None or len(inliers) > best[0]):
            best = len(inliers), turn, shift, inliers[:, 0]
        if best is not None and best[0] > _TRUSTED * len(points):
            break
    if best is None or best[0] < _FEWEST:
        return R, t, 0.0
    count, turn, shift, inliers = best
    turn, shift = cv2.solvePnPRefineLM(points[inliers], places[inliers], K, None, turn, shift)
    if not (np.isfinite(turn).all() and np.isfinite(shift).all()):
        return R, t, 0.0
    return cv2.Rodrigues(turn)[0], shift[:, 0], count / len(points)


def settle(seen: Seen, model: Model, sigmas_px: tuple[float, ...], translation: bool = True) -> Model:
    """Improve all poses at once, points and focal length held, robustly.

    Gauss-Newton with the weights of Geman and McClure, one descent for each of ``sigmas_px``; a
    camera takes a step only if the step lowers its cost. Cameras that see nothing stay.
    """
    if not len(seen.point):
        return model
    # Points are held, so cameras know nothing of each other; a part at a time keeps matrices small.
    for begin in range(0, seen.frames, _AT_ONCE):
        here = (seen.frame >= begin) & (seen.frame < begin + _AT_ONCE)
        if here.any():
            part, points, frames = seen.pick(here).compact()
            model = model.put(points, frames, _settle(part, model.pick(points, frames), sigmas_px, translation))
    return model


def _settle(seen: Seen, model: Model, sigmas_px: tuple[float, ...], translation: bool) -> Model:
    columns = 6 if translation else 3
    noted, basis, every = seen.noted(), torch.from_numpy(tangent(model.X)), np.arange(seen.frames)

    def over_frames(values: np.ndarray) -> np.ndarray:
        return np.bincount(seen.frame, values, minlength=seen.frames)

    for sigma in sigmas_px:
        damping = np.full(seen.frames, 1e-3)
        for _ in range(8):
            r = model.residual(seen)
            w = 1 / (1 + (r**2).sum(1) / sigma**2) ** 2
            found = bundle.equations(noted, model.guess(), torch.from_numpy(np.sqrt(w)), basis, columns)
            blocks = found.U.numpy()[: -bundle.LENS, : -bundle.LENS].reshape(seen.frames, columns, seen.frames, columns)
            A, b = blocks[every, :, every].copy(), found.pull.numpy()[: -bundle.LENS].reshape(seen.frames, columns)
            diagonal = np.arange(columns)
            A[:, diagonal, diagonal] += damping[:, None] * A[:, diagonal, diagonal] + 1e-9
            step = -np.linalg.solve(A, b[..., None])[..., 0]
            R = rotation(step[:, :3]) @ model.R
            t = model.t + step[:, 3:] if translation else model.t
            tried = replace(model, R=R, t=t)
            before = over_frames(w * (r**2).sum(1))
            after = over_frames(w * (tried.residual(seen) ** 2).sum(1))
            better = np.isfinite(after) & (after < before)
            model = replace(
                model,
                R=np.where(better[:, None, None], R, model.R),
                t=np.where(better[:, None], t, model.t),
            )
            damping = np.where(better, damping / 5, damping * 10)
            if float(np.abs(step[better]).max(initial=0)) < 1e-6:
                break
    return replace(model, R=orthonormal(model.R))
