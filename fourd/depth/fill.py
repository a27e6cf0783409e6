"""Completion of depth along the picture's edges, at the working size and then at the full size."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float32, UInt8
from numpy import ndarray as Array

from fourd.depth.common import edges, lab
from fourd.native import sweep

_FAR, _FAR_COLOUR = 3000.0, 6.0
"""First pass: reaches far over the picture and leaks a little through its edges."""
_NEAR, _NEAR_COLOUR = 100.0, 3.0
"""Second pass: some ten pixels, and no leaks. The numbers are the strength of the smoothing and the difference in
colour (Lab) that makes an edge."""
_FAINT = 1e-4
"""Weight of the prior against a sure pixel in the first pass."""
_COARSE = 0.02
"""Weight of the first pass against a sure pixel in the second."""
_RAMP, _STEEPENINGS = 1.12, 3
"""Ratio of inverse depths within three pixels that makes a ramp between two surfaces worth removing, and how many
pixels of it are taken away from either side."""
_TORN = 0.05
"""Bend of the inverse depth over three pixels, as a share of it, that makes a depth edge."""


def complete(
    rho: Float32[Array, "h w"],
    weight: Float32[Array, "h w"],
    prior: Float32[Array, "h w"],
    picture: UInt8[Array, "h w 3"],
) -> tuple[Float32[Array, "h w"], Float32[Array, "h w"]]:
    """Give pixels without weight the inverse depth of what they look connected with.

    What is spread is the ratio to the prior, so that a floor goes on rising where nothing on it was measured.

    Args:
        rho: Inverse depths; meaningless where ``weight`` is 0.
        weight: How sure each is, 0 to 1.
        prior: What to believe where nothing sure is near, in the same unit.
        picture: The frame.

    Returns:
        Inverse depths without holes, and how much sure weight reached each pixel, 0 to 1.
    """
    colour = lab(picture)
    ratio = rho / prior
    coarse, _ = _spread(ratio, weight, np.ones_like(ratio), _FAINT, colour, _FAR, _FAR_COLOUR)
    fine, reached = _spread(ratio, weight, coarse, _COARSE, colour, _NEAR, _NEAR_COLOUR)
    whole = (weight * rho + (1 - weight) * fine * prior).astype(np.float32)
    return _take_sides(whole, weight < 0.5), reached


def _take_sides(rho: Float32[Array, "h w"], free: Bool[Array, "h w"]) -> Float32[Array, "h w"]:
    """Turn ramps between two surfaces into steps: what lies between takes the value of the nearer neighbour."""
    block = np.ones((3, 3), np.uint8)
    for _ in range(_STEEPENINGS):
        low, high = cv2.erode(rho, block), cv2.dilate(rho, block)
        side = np.where(rho * rho > low * high, high, low)
        rho = np.where(free & torn(rho) & (high > _RAMP * low), side, rho)
    return rho


def _spread(
    values: Float32[Array, "h w"],
    weight: Float32[Array, "h w"],
    otherwise: Float32[Array, "h w"],
    faint: float,
    colour: Float32[Array, "h w 3"],
    strength: float,
    width: float,
) -> tuple[Float32[Array, "h w"], Float32[Array, "h w"]]:
    across, down = (torch.from_numpy(e) for e in edges(colour, width))
    maps = np.stack([values * weight + faint * otherwise, weight + faint, weight]).astype(np.float32)
    total, mass, reached = sweep.smooth_along_edges(torch.from_numpy(maps), across, down, strength).numpy()
    return total / np.maximum(mass, 1e-12), np.clip(reached, 0, 1)


def torn(rho: Float32[Array, "h w"]) -> Bool[Array, "h w"]:
    """Pixels beside a depth edge.

    A plane's inverse depth is linear in the picture, however steeply it is seen; so an edge is where it bends.
    """
    kernel = np.array([[1, -2, 1]], np.float32)
    across = cv2.filter2D(rho, -1, kernel, borderType=cv2.BORDER_REFLECT_101)
    down = cv2.filter2D(rho, -1, kernel.T, borderType=cv2.BORDER_REFLECT_101)
    across[:, [0, -1]] = down[[0, -1]] = 0
    bends = np.maximum(np.abs(across), np.abs(down)) > _TORN * rho
    return cv2.dilate(bends.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0


def enlarge(
    rho: Float32[Array, "h w"], small: UInt8[Array, "h w 3"], picture: UInt8[Array, "h2 w2 3"]
) -> Float32[Array, "h2 w2"]:
    """Bring inverse depth to the picture's full size: blended on surfaces, chosen by colour at depth edges.

    At an edge a blend would be a point floating between two surfaces, so each pixel there takes the depth of that
    one of the working pixels around it whose colour is nearest to its own.

    Args:
        rho: Inverse depths at the working size.
        small: The frame at the working size.
        picture: The frame at full size.
    """
    h, w = picture.shape[:2]
    hs, ws = rho.shape
    large = cv2.resize(rho, (w, h), interpolation=cv2.INTER_LINEAR)
    edge = cv2.resize(torn(rho).astype(np.uint8), (w, h), interpolation=cv2.INTER_NEAREST)
    ys, xs = np.nonzero(cv2.dilate(edge, np.ones((3, 3), np.uint8)))
    own, colour = lab(picture)[ys, xs], lab(small)
    cy, cx = ((ys + 0.5) * hs / h).astype(np.float32), ((xs + 0.5) * ws / w).astype(np.float32)
    best, chosen = np.full(len(ys), np.inf, np.float32), large[ys, xs]
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            y, x = np.clip(cy.astype(np.int64) + dy, 0, hs - 1), np.clip(cx.astype(np.int64) + dx, 0, ws - 1)
            away = (y + 0.5 - cy) ** 2 + (x + 0.5 - cx) ** 2
            cost = np.sqrt(((colour[y, x] - own) ** 2).sum(1)) + 6 * away
            better = cost < best
            best, chosen = np.where(better, cost, best), np.where(better, rho[y, x], chosen)
    large[ys, xs] = chosen
    return large
