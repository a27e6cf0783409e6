"""OpenCV's inpainting: Telea's fast marching and Navier-Stokes. Depth comes from the background around."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float32
from numpy import ndarray as Array

from fourd.inpaint.background import Background
from fourd.inpaint.stretch import Stretch

_METHODS = {"telea": cv2.INPAINT_TELEA, "ns": cv2.INPAINT_NS}


class OpenCV(Stretch):
    """The backend."""

    def __init__(self, method: int, radius_px: float) -> None:
        self._method, self._radius_px = method, radius_px

    def drawn(self, near: Background, known: Bool[Array, "h w"]) -> Float32[Array, "h w 3"]:
        """The picture as OpenCV fills it."""
        # The foreground at the rim takes no part: its colours would run into what lies behind it.
        bgr = np.ascontiguousarray((near.cleared[..., ::-1] * 255 + 0.5).astype(np.uint8))
        if known.any() and not known.all():
            bgr = cv2.inpaint(bgr, (~known).astype(np.uint8), self._radius_px, self._method)
        return bgr[..., ::-1].astype(np.float32) / 255


def load(name: str, radius_px: float = 5.0) -> OpenCV:
    """The backends ``"telea"`` and ``"ns"``.

    Args:
        name: Which of the two.
        radius_px: How far around a pixel they look, in pixels.
    """
    return OpenCV(_METHODS[name], radius_px)
