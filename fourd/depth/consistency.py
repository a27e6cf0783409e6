"""Do the depths of neighbouring frames agree? Where they do, they are averaged; where none does, they are doubted."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float32
from numpy import ndarray as Array

from fourd.depth.common import Rig, homogeneous

_TOLERANCE = 0.05
"""Relative difference in inverse depth that still agrees."""


def agree(
    rig: Rig,
    i: int,
    others: list[int],
    rho: dict[int, Float32[Array, "h w"]],
    weight: dict[int, Float32[Array, "h w"]],
    slack: float,
    tolerance: float = _TOLERANCE,
) -> tuple[Float32[Array, "h w"], Float32[Array, "h w"], Float32[Array, "h w"]]:
    """Look each pixel of frame i up in its neighbours, and bring their inverse depths back.

    Args:
        rig: Cameras at the working size.
        i: The frame.
        others: Its neighbours.
        rho: Inverse depths of the frame and its neighbours.
        weight: How much each of these counts in the mean; 0 is not asked.
        slack: Absolute difference that always agrees: what half a plane is worth.
        tolerance: Relative difference that agrees.

    Returns:
        How many neighbours agree, the weighted mean over the frame itself and those, and how many of them see
        the pixel at all.
    """
    own = rho[i]
    count, looked = np.zeros_like(own), np.zeros_like(own)
    mass = np.maximum(weight[i], 1e-3)
    mean = own * mass
    for j in others:
        x, y, depth = rig.places(i, j, own)
        z = np.maximum(depth, np.float32(1e-3))
        found = cv2.remap(rho[j], x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=-1)
        trust = cv2.remap(weight[j], x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
        # A point at inverse depth rho here is at rho / z there, and the other way round.
        here = found * z
        inside = (found >= 0) & (trust > 0)
        fits = inside & (np.abs(here - own) < tolerance * own + slack)
        count += fits
        looked += inside
        mean += np.where(fits, here * trust, 0)
        mass += np.where(fits, trust, 0)
    return count, mean / mass, looked


def lend(
    rig: Rig,
    i: int,
    others: list[int],
    rho: dict[int, Float32[Array, "h w"]],
    sure: dict[int, Float32[Array, "h w"]],
    slack: float,
) -> tuple[Float32[Array, "h w"], Float32[Array, "h w"]]:
    """Carry what neighbours are sure of over to frame i, nearer things before farther ones.

    Args:
        rig: Cameras at the working size.
        i: The frame.
        others: Its neighbours.
        rho: Inverse depths of the neighbours.
        sure: How sure each is; above 0.5 it is carried.
        slack: Absolute difference that agrees.

    Returns:
        Inverse depth, and how many neighbours agree on it; 0 where none has anything to give.
    """
    h, w = rig.hw
    held, votes = np.zeros(h * w, np.float32), np.zeros(h * w, np.float32)
    grid = homogeneous(rig.hw)
    for j in others:
        turn, shift = rig.warp(j, i)
        sent = sure[j] > 0.5
        p = grid[sent] @ turn.T + rho[j][sent][:, None] * shift
        z = p[:, 2]
        x, y = (np.floor(p[:, k] / np.maximum(z, 1e-3)).astype(np.int64) for k in (0, 1))
        inside = (z > 1e-3) & (x >= 0) & (x < w) & (y >= 0) & (y < h)
        landed = np.zeros(h * w, np.float32)
        np.maximum.at(landed, y[inside] * w + x[inside], (rho[j][sent][inside] / z[inside]).astype(np.float32))
        fits = (landed > 0) & (np.abs(landed - held) < _TOLERANCE * held + slack)
        nearer = (landed > held) & ~fits
        held = np.where(fits, (held * votes + landed) / (votes + 1), np.where(nearer, landed, held))
        votes = np.where(nearer, 1, votes + fits)
    return held.reshape(h, w).astype(np.float32), votes.reshape(h, w).astype(np.float32)
