"""Which side of a hole is its background, and how that goes on behind the foreground.

A hole that opens when the camera turns lies between a foreground and what it hid; only the latter goes on in it.
From every pixel of the hole eight rays look for what is known. Where two opposite ones end at very different depths,
the nearer end is foreground. Of what is left, each pixel takes the nearest.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float32, Int32, Int64
from numpy import ndarray as Array

from fourd.geometry import masks
from fourd.inpaint.membrane import membrane
from fourd.inpaint.nouns import Holes

_DIRECTIONS = ((0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1))
"""Steps (row, column); the one four places on is the opposite."""
_STEP = 1.25
"""Ratio of inverse depths at two opposite ends that makes the nearer one foreground."""
_SLACK = 1.02
"""How much nearer than it may be something is still taken for background."""
_RIM = 13
"""Width of the square around a pixel of the hole in which foreground is told from background, in pixels."""


@dataclass(frozen=True, eq=False)
class Background:
    """One picture, its hole filled by what is nearest to it and lies behind."""

    rgb: Float32[Array, "h w 3"]
    inverse_depth: Float32[Array, "h w"]
    """In the hole as smooth as its background's rim allows."""
    cleared: Float32[Array, "h w 3"]
    """The picture with the foreground that is not far from the hole painted over by the background too."""


def stretched(holes: Holes, i: int) -> Background:
    """Fill the hole of picture ``i`` from its background; grey and infinitely far where nothing at all is known."""
    had = holes.pictures
    rgb, rho = had.rgb[i].cpu().numpy().copy(), had.inverse_depth[i].cpu().numpy().copy()
    known, hole = had.known[i].cpu().numpy(), holes.hole[i].cpu().numpy()
    behind = holes.behind[i].cpu().numpy()
    if not hole.any():
        return Background(rgb, rho, rgb)
    if not known.any():
        rgb[hole] = 0.5
        return Background(rgb, rho, rgb)
    source = nearest(rho, known, hole, behind)
    drawn = rgb.reshape(-1, 3)[source]
    rgb[hole] = drawn[hole]
    coarse = np.where(hole, rho.ravel()[source], rho)
    # What is nearer than the background beside it bounds the hole, but does not go on in it.
    far = np.where(hole, coarse, np.inf).astype(np.float32)
    beside, around = (cv2.erode(far, np.ones((size, size), np.uint8), borderValue=np.inf) for size in (3, _RIM))
    foreground = known & (rho > _STEP * around)
    anchors = known & np.isfinite(beside) & ~foreground
    smooth = membrane(coarse, anchors, hole)
    cleared = np.where(foreground[..., None], drawn, rgb)
    return Background(rgb, np.minimum(smooth, np.where(hole, behind, np.inf)).astype(np.float32), cleared)


def nearest(
    rho: Float32[Array, "h w"], known: Bool[Array, "h w"], hole: Bool[Array, "h w"], behind: Float32[Array, "h w"]
) -> Int64[Array, "h w"]:
    """For every pixel the flat index of the nearest one at the hole's rim that is background."""
    at, away = _ends(known)
    at, away = at[:, hole], away[:, hole]
    lost = at < 0
    ends = np.where(lost, 0, rho.ravel()[at])
    opposite = np.roll(ends, 4, 0)
    apart = ~lost & ~np.roll(lost, 4, 0)
    in_front = apart & (ends > _STEP * opposite)
    in_front |= ends > _SLACK * behind[hole]
    # A pixel is foreground if most of the rays that end at it say so.
    said = np.bincount(at[~lost], minlength=rho.size)
    front = np.bincount(at[in_front & ~lost], minlength=rho.size)
    rim = (said > 0).reshape(rho.shape)
    back = rim & (2 * front <= said).reshape(rho.shape)
    seeds = back if back.any() else rim if rim.any() else known
    return masks.nearest(torch.from_numpy(seeds)).numpy()


def _ends(known: Bool[Array, "h w"]) -> tuple[Int32[Array, "8 h w"], Float32[Array, "8 h w"]]:
    """Where each of eight rays from each pixel first meets something known (flat index, -1 if never), and how far."""
    h, w = known.shape
    own = np.where(known, np.arange(h * w, dtype=np.int32).reshape(h, w), -1)
    at = np.full((8, h, w), -1, np.int32)
    away = np.zeros((8, h, w), np.float32)
    for k, (dy, dx) in enumerate(_DIRECTIONS):
        if dy == 0:
            turned = own if dx < 0 else own[:, ::-1]
            columns = np.where(turned >= 0, np.arange(w), -1)
            last = np.maximum.accumulate(columns, axis=1)
            found = np.where(last >= 0, np.take_along_axis(turned, np.maximum(last, 0), 1), -1)
            far = (np.arange(w) - last).astype(np.float32)
            at[k], away[k] = (found, far) if dx < 0 else (found[:, ::-1], far[:, ::-1])
            continue
        before, so_far = np.full(w, -1, np.int32), np.zeros(w, np.float32)
        for y in range(h) if dy < 0 else range(h - 1, -1, -1):
            before, so_far = np.roll(before, -dx), np.roll(so_far, -dx) + np.hypot(dy, dx)
            if dx:
                before[-1 if dx > 0 else 0] = -1
            before = np.where(own[y] >= 0, own[y], before)
            so_far = np.where(own[y] >= 0, 0, so_far).astype(np.float32)
            at[k, y], away[k, y] = before, so_far
    return at, away
