"""Confidence that means something: how often such a depth is within a tenth of the truth.

Three kinds of depth are told apart: measured by parallax, lying on a plane that was found, and guessed or completed.
Of each kind, those that the frames around agree on are right more often. How often was read off six scenes with true
depth, four of them made and two recorded, and differs little from one to the other (docs/benchmarks.md).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32
from numpy import ndarray as Array

from fourd.depth.prior import CONFIDENCE as PLAIN

_AGREED = (0.35, 0.67, 0.88, 0.97)
"""Shares of the frames around that agree, for which the following are known."""
_MEASURED = (0.5, 0.72, 0.95, 0.98)
_ON_A_PLANE = (0.48, 0.75, 0.88, 0.89)
"""Cut off though more are right: from 0.9 on depth may overrule what flow says of motion, and a plane shall not."""
_GUESSED = (0.33, 0.45, 0.49, 0.49)
"""Likewise: others measure by what is above 0.5, and a guess is no measure."""
_SPARSE = 0.1
"""Share of the frame that has to be measured for a guess to be tied to it. Where nothing is, the guesses of all frames
agree, because they are made alike."""


def confidence(
    agreed: Float32[Array, "h w"], measured: Bool[Array, "h w"], planar: Bool[Array, "h w"]
) -> Float32[Array, "h w"]:
    """How far the depth of a frame is to be trusted.

    Args:
        agreed: Share of the frames around that see the same depth there (``steady.agreement``).
        measured: Where parallax told the depth.
        planar: Where else a plane did.
    """
    tied = min(float(measured.mean()) / _SPARSE, 1.0)
    guessed = PLAIN + tied * (np.interp(agreed, _AGREED, _GUESSED) - PLAIN)
    plane = np.interp(agreed, _AGREED, _ON_A_PLANE)
    return np.where(measured, np.interp(agreed, _AGREED, _MEASURED), np.where(planar, plane, guessed)).astype(
        np.float32
    )
