"""Completion of depth along the picture's edges, at the working size and then at the full size."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from jaxtyping import Float32, UInt8
from numpy import ndarray as Array

from fourd.depth.common import edges, lab
from fourd.native import sweep

_REACH = 1000.0
"""Strength of the smoothing: values reach some thirty pixels over a surface of one colour, and further if alone."""
_COLOUR = 6.0
_PRIOR = 1e-4
"""Weight of the prior against a sure pixel: it speaks only where nothing else reaches."""


def complete(
    rho: Float32[Array, "h w"],
    weight: Float32[Array, "h w"],
    prior: Float32[Array, "h w"],
    picture: UInt8[Array, "h w 3"],
) -> tuple[Float32[Array, "h w"], Float32[Array, "h w"]]:
    """Give pixels without weight the inverse depth of what they look connected with.

    Args:
        rho: Inverse depths; meaningless where ``weight`` is 0.
        weight: How sure each is, 0 to 1.
        prior: What to believe where nothing sure is near, in the same unit.
        picture: The frame.

    Returns:
        Inverse depths without holes, and how much sure weight reached each pixel, 0 to 1.
    """
    across, down = (torch.from_numpy(e) for e in edges(lab(picture), _COLOUR))
    maps = torch.from_numpy(np.stack([rho * weight + _PRIOR * prior, weight + _PRIOR, weight]).astype(np.float32))
    total, mass, reached = sweep.smooth_along_edges(maps, across, down, _REACH).numpy()
    filled = total / np.maximum(mass, 1e-12)
    return (weight * rho + (1 - weight) * filled).astype(np.float32), np.clip(reached, 0, 1)


def enlarge(
    rho: Float32[Array, "h w"], small: UInt8[Array, "h w 3"], picture: UInt8[Array, "h2 w2 3"]
) -> Float32[Array, "h2 w2"]:
    """Bring inverse depth to the picture's full size: blended on surfaces, chosen by colour at depth edges.

    At an edge a blend would be a point floating between two surfaces, so each pixel there takes the depth of that
    one of the working pixels around it whose colour is nearest to its own.
    """
    h, w = picture.shape[:2]
    if rho.shape == (h, w):
        return rho
    hs, ws = rho.shape
    smooth = cv2.resize(rho, (w, h), interpolation=cv2.INTER_LINEAR)
    low = cv2.erode(rho, np.ones((3, 3), np.uint8))
    high = cv2.dilate(rho, np.ones((3, 3), np.uint8))
    torn = cv2.resize((high > 1.06 * low).astype(np.uint8), (w, h), interpolation=cv2.INTER_NEAREST) > 0
    torn = cv2.dilate(torn.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    ys, xs = np.nonzero(torn)
    own, colour = lab(picture)[ys, xs], lab(small)
    cy, cx = (ys + 0.5) * hs / h - 0.5, (xs + 0.5) * ws / w - 0.5
    y0, x0 = np.round(cy).astype(int), np.round(cx).astype(int)
    best, chosen = np.full(len(ys), np.inf, np.float32), smooth[ys, xs]
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            y, x = np.clip(y0 + dy, 0, hs - 1), np.clip(x0 + dx, 0, ws - 1)
            far = np.hypot(y - cy, x - cx)
            cost = np.linalg.norm(colour[y, x] - own, axis=1) + 6 * far**2
            better = cost < best
            best, chosen = np.where(better, cost, best), np.where(better, rho[y, x], chosen)
    smooth[ys, xs] = chosen
    return smooth
