"""Masks of pixels."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from fourd.checked import checked


@checked
def grown(mask: Bool[Tensor, "h w"], radius_px: int) -> Bool[Tensor, "h w"]:
    """A mask and all pixels within a square of ``radius_px`` to every side of it."""
    if not bool(mask.any()):
        return mask
    side = 2 * radius_px + 1
    return torch.from_numpy(cv2.dilate(mask.numpy().view(np.uint8), np.ones((side, side), np.uint8))) > 0
