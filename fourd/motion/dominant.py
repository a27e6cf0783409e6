"""A first guess at what moves on its own, before any camera is known.

Between two frames most pixels follow one simple law: a homography where the camera stands, turns
or sees a plane, and an epipolar geometry where it travels. What breaks the law moves on its own.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Float64

from fourd.motion.flow import grid

_SAMPLES = 3000
_TOLERANCE_PX = 1.0
_SAYS_ENOUGH = 0.85
"""Share of the samples that a homography must explain to be taken for the law."""


def epipolar_residual(
    F: Float64[np.ndarray, "3 3"], x: Float32[np.ndarray, "*batch 2"], y: Float32[np.ndarray, "*batch 2"]
) -> Float32[np.ndarray, "*batch"]:
    """Sampson distance in pixels of matches ``x -> y`` to the epipolar geometry ``y^T F x = 0``.

    Source: Hartley and Zisserman, "Multiple View Geometry", equation 11.9.
    """
    rows = F.astype(np.float32)
    line_y = x @ rows[:, :2].T + rows[:, 2]
    line_x = y @ rows[:2, :] + rows[2]
    product = (line_y[..., :2] * y).sum(-1) + line_y[..., 2]
    slope = (line_y[..., :2] ** 2).sum(-1) + (line_x[..., :2] ** 2).sum(-1)
    return np.abs(product) / np.sqrt(np.maximum(slope, 1e-20))


def homography_residual(
    H: Float64[np.ndarray, "3 3"], x: Float32[np.ndarray, "*batch 2"], y: Float32[np.ndarray, "*batch 2"]
) -> Float32[np.ndarray, "*batch"]:
    """Distance in pixels between ``y`` and where the homography takes ``x``."""
    rows = H.astype(np.float32)
    mapped = x @ rows[:, :2].T + rows[:, 2]
    w = mapped[..., 2:]
    safe = np.where(np.abs(w) < 1e-6, np.float32(1e-6), w)
    return np.linalg.norm(mapped[..., :2] / safe - y, axis=-1)


def moving_guess(
    flow: Float32[np.ndarray, "h w 2"], visible: Bool[np.ndarray, "h w"]
) -> Float32[np.ndarray, "h w"] | None:
    """Probability that each pixel breaks the dominant law; None where no law can be found.

    Where the flow is not ``visible`` the probability is 0: nothing can be said.
    """
    x = grid(visible.shape)
    y = x + flow
    where = np.flatnonzero(visible)
    if len(where) < 50:
        return None
    picked = where[np.linspace(0, len(where) - 1, min(_SAMPLES, len(where))).astype(np.int64)]
    a, b = x.reshape(-1, 2)[picked], y.reshape(-1, 2)[picked]
    H, inliers = cv2.findHomography(a, b, cv2.RANSAC, _TOLERANCE_PX, maxIters=500)
    residual = None
    if H is not None and inliers.mean() >= _SAYS_ENOUGH:
        residual = homography_residual(H, x, y)
    else:
        F, _ = cv2.findFundamentalMat(a, b, cv2.FM_RANSAC, _TOLERANCE_PX / 2, 0.99, 500)
        if F is not None and F.shape == (3, 3):
            residual = epipolar_residual(F, x, y)
        elif H is not None:
            residual = homography_residual(H, x, y)
    if residual is None:
        return None
    at_samples = residual.reshape(-1)[picked]
    noise = max(0.35, 1.4826 * float(np.median(at_samples)))
    return np.where(visible, probability(residual / noise), np.float32(0))


def probability(excess: Float32[np.ndarray, "*batch"], even: float = 3.0) -> Float32[np.ndarray, "*batch"]:
    """Turn residuals in units of their noise into probabilities: one half at ``even``."""
    return (1 / (1 + np.exp(-2 * np.clip(excess - even, -20, 20)))).astype(np.float32)
