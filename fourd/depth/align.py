"""Scale and shift that bring a guessed map of inverse depth to what was measured."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32
from numpy import ndarray as Array

_ROUNDS = 6
_NOISE = 0.1
"""Relative difference that counts as half an outlier."""
_STIFF = 0.02
"""Weight of having no shift, as a share of the evidence: a guess knows ratios better than offsets."""


def scale_and_shift(
    guess: Float32[Array, " n"], measured: Float32[Array, " n"], weight: Float32[Array, " n"]
) -> tuple[float, float]:
    """Fit ``scale * guess + shift`` to what was measured, deaf to outliers (Geman and McClure, reweighted).

    Args:
        guess: Positive inverse depths up to scale and shift.
        measured: Inverse depths.
        weight: How sure each of these is.

    Returns:
        A positive scale, and a shift that leaves the guess's own range mostly positive.
    """
    floor = float(np.quantile(measured, 0.1)) if len(measured) else 0.0
    relative = 1 / np.maximum(measured, max(floor, 1e-6))  # Errors count in shares of the depth.
    ratio = float(np.median(measured / np.maximum(guess, 1e-6))) if len(guess) else 1.0
    scale, shift = max(ratio, 1e-6), 0.0
    middle = float(np.median(guess)) if len(guess) else 1.0
    for _ in range(_ROUNDS):
        error = (scale * guess + shift - measured) * relative / _NOISE
        w = weight * (relative / (1 + error * error)) ** 2
        total = max(float(w.sum()), 1e-12)
        a, b = float((w * guess * guess).sum()), float((w * guess).sum())
        stiff = _STIFF * total
        g, t = float((w * guess * measured).sum()), float((w * measured).sum())
        # The stiffness pulls the shift to 0, and the scale to the ratio of medians, in equal units.
        a, g = a + stiff * middle**2, g + stiff * middle**2 * ratio
        c = total + stiff
        det = a * c - b * b
        if det <= 1e-12 * a * c:
            return max(ratio, 1e-6), 0.0
        scale, shift = (g * c - b * t) / det, (a * t - b * g) / det
        if scale <= 0.05 * ratio:
            return max(ratio, 1e-6), 0.0
    return float(scale), float(shift)
