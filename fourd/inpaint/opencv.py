"""OpenCV's inpainting: Telea's fast marching and Navier-Stokes. Depth comes from the background around."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from fourd.events import Progress, Steps
from fourd.inpaint import background
from fourd.inpaint.nouns import Holes, Pictures
from fourd.inpaint.stretch import STAGE

_METHODS = {"telea": cv2.INPAINT_TELEA, "ns": cv2.INPAINT_NS}


class OpenCV:
    """The backend."""

    def __init__(self, method: int, radius_px: float) -> None:
        self._method, self._radius_px = method, radius_px

    def learn(self, clip: Pictures, masks: Bool[Tensor, "m h w"], seed: int) -> Steps[None]:
        """Nothing to learn."""
        yield from ()

    def fill(self, holes: Holes, seed: int) -> Steps[Pictures]:
        """See ``fourd.inpaint.Inpainter``. Nothing is drawn at random."""
        rgb, inverse_depth = torch.empty_like(holes.pictures.rgb), torch.empty_like(holes.pictures.inverse_depth)
        for i in range(len(holes)):
            near = background.stretched(holes, i)
            inverse_depth[i] = torch.from_numpy(near.inverse_depth)
            # The foreground at the rim takes no part: its colours would run into what lies behind it.
            bgr = np.ascontiguousarray((near.cleared[..., ::-1] * 255 + 0.5).astype(np.uint8))
            mask = (~holes.pictures.known[i].cpu().numpy()).astype(np.uint8)
            if mask.any() and not mask.all():
                bgr = cv2.inpaint(bgr, mask, self._radius_px, self._method)
            rgb[i] = torch.from_numpy(bgr[..., ::-1].astype(np.float32) / 255)
            yield Progress(STAGE, i + 1, len(holes))
        return holes.filled(rgb, inverse_depth)


def load(name: str, radius_px: float = 5.0) -> OpenCV:
    """The backends ``"telea"`` and ``"ns"``.

    Args:
        name: Which of the two.
        radius_px: How far around a pixel they look, in pixels.
    """
    return OpenCV(_METHODS[name], radius_px)
