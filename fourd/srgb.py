"""The transfer function of sRGB (IEC 61966-2-1), there and back. Values keep their floating type."""

from __future__ import annotations

import numpy as np


def encoded(light: np.ndarray) -> np.ndarray:
    """Display values from linear light, both 0 to 1."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055)


def linear(code: np.ndarray) -> np.ndarray:
    """Linear light from display values, both 0 to 1."""
    return np.where(code <= 0.04045, code / 12.92, ((np.maximum(code, 0) + 0.055) / 1.055) ** 2.4)
