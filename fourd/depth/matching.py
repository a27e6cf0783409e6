"""One frame against its neighbours: features, plane sweep and semi-global matching."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64, UInt8
from numpy import ndarray as Array

from fourd.depth.common import Rig, edges, lab
from fourd.native import sweep

_TRUNCATION = 0.75
_STEP = 7
"""Penalty for a step of one plane between neighbours, of a cost of 255."""
_JUMP = 41
"""Penalty for a jump, where the picture has no edge."""
_ISLAND = 0.0014
"""Share of the map that the largest island has which is not believed."""
_COLOUR = 10.0
"""Distance in Lab that makes an edge."""


@dataclass(frozen=True, eq=False)
class Match:
    """What matching says of one frame."""

    rho: Float32[Array, "h w"]
    lead: Float32[Array, "h w"]
    """Lead of the winner over the runner-up; about 0 where nothing speaks for one plane above another."""
    residual: Float32[Array, "h w"]
    """Matching cost of the winner, 0 to 1."""


def features(picture: UInt8[Array, "h w 3"], moving: Bool[Array, "h w"]) -> Float32[Array, "h w 4"]:
    """What is compared: brightness less its local mean over its local contrast, its two gradients; and validity.

    The local normalisation makes exposure and vignetting cancel.
    """
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    mean = cv2.GaussianBlur(grey, (0, 0), 4)
    contrast = np.sqrt(np.maximum(cv2.GaussianBlur((grey - mean) ** 2, (0, 0), 4), 0)) + 0.04
    dx, dy = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    valid = (~moving).astype(np.float32)
    return np.dstack([(grey - mean) / contrast * 0.5, dx / contrast * 0.15, dy / contrast * 0.15, valid])


def planes(low: float, high: float, pixels_per_rho: float) -> Float64[Array, " d"]:
    """Inverse depths, evenly spaced, at most about one pixel apart at the longest baseline; 32 to 128 of them."""
    count = int(np.clip(np.ceil((high - low) * pixels_per_rho / 0.75), 32, 128))
    return np.linspace(low, high, count)


def match(
    rig: Rig,
    i: int,
    others: list[int],
    rho: Float64[Array, " d"],
    seen: dict[int, Float32[Array, "h w 4"]],
    picture: UInt8[Array, "h w 3"],
) -> Match:
    """Match frame i with frames ``others``.

    Args:
        rig: Cameras at the working size.
        i: The frame.
        others: Its neighbours.
        rho: Planes to try.
        seen: Features of the frame and of its neighbours.
        picture: Frame i at the working size.
    """
    warps = [rig.warp(i, j) for j in others]
    cost = sweep.plane_sweep(
        torch.from_numpy(seen[i]),
        torch.from_numpy(np.stack([seen[j] for j in others])),
        torch.tensor(np.stack([turn for turn, _ in warps]), dtype=torch.float32),
        torch.tensor(np.stack([shift for _, shift in warps]), dtype=torch.float32),
        torch.tensor(rho, dtype=torch.float32),
        _TRUNCATION,
    )
    across, down = (
        torch.from_numpy(((e + 0.15) * _JUMP).round().astype(np.int16)) for e in edges(lab(picture), _COLOUR)
    )
    plane, lead, residual = (x.numpy() for x in sweep.semi_global(cost, across, down, _STEP))
    # What is pressed against an end of the range is outside of it; only infinity is an end of its own right.
    outside = plane > len(rho) - 2
    if rho[0] > 0:
        outside |= plane < 1
    lead[outside | ~solid(plane, plane >= 0)] = 0
    return Match(np.interp(plane, np.arange(len(rho)), rho).astype(np.float32), lead, residual)


def solid(plane: Float32[Array, "h w"], known: Bool[Array, "h w"]) -> Bool[Array, "h w"]:
    """Which known pixels are no islands.

    A few pixels that lie at another depth than all around them, or alone among unknown ones, are mismatches far more
    often than things.

    Args:
        plane: Inverse depths, counted in planes.
        known: Which of them mean something.
    """
    steps = np.where(known, np.clip(plane * 16, 0, 32000), -1).astype(np.int16)
    cv2.filterSpeckles(steps, -1, round(_ISLAND * steps.size), 32)
    return steps >= 0
