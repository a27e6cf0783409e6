"""Masks of pixels."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from fourd.checked import checked


@checked
def grown(mask: Bool[Tensor, "h w"], radius_px: int) -> Bool[Tensor, "h w"]:
    """A mask and all pixels within a square of ``radius_px`` to every side of it."""
    if not bool(mask.any()):
        return mask
    side = 2 * radius_px + 1
    return torch.from_numpy(cv2.dilate(mask.numpy().view(np.uint8), np.ones((side, side), np.uint8))) > 0


@checked
def nearest(mask: Bool[Tensor, "h w"]) -> Int64[Tensor, "h w"]:
    """For every pixel the flat index of the nearest one of the mask, which is not empty."""
    there = mask.numpy()
    _, label = cv2.distanceTransformWithLabels(
        (~there).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    found = np.asarray(label, np.int64)
    index = np.zeros(int(found.max()) + 1, np.int64)
    index[found[there]] = np.flatnonzero(there)
    return torch.from_numpy(index[found])


@checked
def pieces(mask: Bool[Tensor, "h w"]) -> tuple[Int64[Tensor, "h w"], Int64[Tensor, " k"]]:
    """Number the parts of a mask that hang together by the sides of pixels, from 1; 0 is what is not of the mask.

    Returns:
        The numbers, and how many pixels each has.
    """
    _, label, stats, _ = cv2.connectedComponentsWithStats(mask.numpy().astype(np.uint8), connectivity=4)
    return torch.from_numpy(np.asarray(label, np.int64)), torch.from_numpy(stats[:, cv2.CC_STAT_AREA].astype(np.int64))
