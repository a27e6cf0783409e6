"""One still world out of the guesses of many frames, for a camera that stands or only turns.

A guess differs from frame to frame although the world does not. So a few frames spread over the clip are guessed,
brought to one scale and shift where they overlap, and averaged; every frame of the clip then looks into the same world.
What moves is left out of the average, so the world is known behind it as soon as it has moved away.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float32
from numpy import ndarray as Array

from fourd.depth import align
from fourd.depth.common import Rig, homogeneous

KEYS = 16
"""Frames that are guessed at most."""
_SAME = 1e-4
"""A turn by less than this, in radians, is none."""
_BORDER = 0.12
"""Share of the picture over which a guess fades out towards its border, where the view turns."""


def keys(count: int) -> list[int]:
    """Which frames of a clip are guessed."""
    return sorted({round(x) for x in np.linspace(0, count - 1, min(count, KEYS))})


class StillWorld:
    """Inverse depth of what stands still, seen from any frame. All maps are of the rig's size."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._rho: dict[int, Float32[Array, "h w"]] = {}
        self._mass: dict[int, Float32[Array, "h w"]] = {}
        self._last: tuple[int, Float32[Array, "h w"], Float32[Array, "h w"]] | None = None

    def add(self, i: int, rho: Float32[Array, "h w"], still: Bool[Array, "h w"]) -> Float32[Array, "h w"]:
        """Add the guess of frame ``i``, brought to the scale and shift of those before; returns it as it was kept."""
        if self._rho:
            known, mass = self._blended(i)
            both = still & (mass > 0)
            if both.mean() > 0.02:
                scale, shift = align.scale_and_shift(rho[both], known[both], np.ones(int(both.sum()), np.float32))
                rho = np.maximum(scale * rho + shift, 0.02 * float(np.median(known[both]))).astype(np.float32)
        self.keep(i, rho, still)
        return rho

    def keep(self, i: int, rho: Float32[Array, "h w"], still: Bool[Array, "h w"]) -> None:
        """Add a map as it is."""
        # Where all is said to move, something still has to be known: a little weight is left.
        self._rho[i], self._mass[i] = rho, np.where(still, np.float32(1), np.float32(1e-3))
        self._last = None

    def seen_from(self, i: int) -> Float32[Array, "h w"]:
        """Inverse depth in frame ``i``."""
        if self._last is not None and self._turn(self._last[0], i) < _SAME:
            return self._last[1]
        rho, mass = self._blended(i)
        if not (mass > 0).any():
            rho = np.full_like(rho, float(np.median(next(iter(self._rho.values())))))
        elif (mass <= 0).any():
            rho = _nearest(rho, mass > 0)
        self._last = (i, rho.astype(np.float32), mass)
        return self._last[1]

    def _turn(self, i: int, j: int) -> float:
        R = self._rig.world_from_cam[j, :3, :3].T @ self._rig.world_from_cam[i, :3, :3]
        zoom = abs(self._rig.K[i, 0, 0] / self._rig.K[j, 0, 0] - 1)
        return float(np.abs(R - np.eye(3)).max()) + float(zoom)

    def _blended(self, i: int) -> tuple[Float32[Array, "h w"], Float32[Array, "h w"]]:
        """Weighted mean of the guesses' logarithms in frame ``i``, and the weight; a median where nothing turns."""
        turns = [self._turn(j, i) for j in self._rho]
        if max(turns) < _SAME:
            return self._median()
        h, w = self._rig.hw
        total, mass = np.zeros((h, w), np.float32), np.zeros((h, w), np.float32)
        y, x = np.meshgrid(np.linspace(-1, 1, h), np.linspace(-1, 1, w), indexing="ij")
        inside = np.clip((1 - np.maximum(np.abs(x), np.abs(y))) / (2 * _BORDER) + 0.02, 0, 1).astype(np.float32)
        grid = homogeneous(self._rig.hw)
        for j, rho in self._rho.items():
            turn, _ = self._rig.warp(i, j)
            p = (grid @ turn.T).astype(np.float32)
            z = np.maximum(p[..., 2], 1e-3)
            at = p[..., 0] / z - 0.5, p[..., 1] / z - 0.5
            weight = cv2.remap(self._mass[j] * inside, *at, cv2.INTER_LINEAR, borderValue=0)
            weight = np.where(p[..., 2] > 1e-3, np.asarray(weight, np.float32), 0)
            # A point at inverse depth rho here is at rho / z there.
            there = cv2.remap(np.log(rho), *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            total += weight * (np.asarray(there, np.float32) + np.log(z))
            mass += weight
        return np.exp(total / np.maximum(mass, 1e-12)).astype(np.float32), mass

    def _median(self) -> tuple[Float32[Array, "h w"], Float32[Array, "h w"]]:
        stack, mass = np.stack(list(self._rho.values())), np.stack(list(self._mass.values()))
        # Guesses of moving pixels count only where there are no others.
        some = (mass > 0.5).any(0)
        masked = np.where((mass > 0.5) | ~some, stack, np.nan)
        return np.nanmedian(masked, axis=0).astype(np.float32), mass.sum(0)


def _nearest(rho: Float32[Array, "h w"], known: Bool[Array, "h w"]) -> Float32[Array, "h w"]:
    """Where no guess looked, what the nearest pixel has."""
    unknown = (~known).astype(np.uint8)
    _, found = cv2.distanceTransformWithLabels(unknown, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL)
    label = np.asarray(found, np.int64)
    values = np.zeros(int(label.max()) + 1, np.float32)
    values[label[known]] = rho[known]
    return values[label]
