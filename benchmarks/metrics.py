"""How alike two pictures are: PSNR, SSIM, MS-SSIM and FLIP, over a whole picture or a part of it.

Pictures are sRGB floats, 0 to 1. A part is a boolean mask of the picture's size. Where nothing is
left to judge (an empty mask), every figure is NaN.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from flip_evaluator import evaluate
from jaxtyping import Bool, Float
from torch import Tensor

from fourd.checked import checked
from fourd.errors import InputError

WINDOW, SIGMA = 11, 1.5
"""The Gaussian window of SSIM (Wang, Bovik, Sheikh and Simoncelli, 2004)."""
C1, C2 = 0.01**2, 0.03**2
"""Its constants, for values from 0 to 1."""
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""The exponent of each scale, finest first (Wang, Simoncelli and Bovik, 2003)."""

Picture = Float[Tensor, "h w 3"]
Part = Bool[Tensor, "h w"]


def _usable(ours: Tensor) -> None:
    if not bool(torch.isfinite(ours).all()):
        raise InputError("The picture to be judged holds NaN or infinity; a renderer must never return either.")


def _mean(values: Tensor, part: Tensor | None) -> float:
    """Mean over the part; NaN if it is empty."""
    return float((values if part is None else values[part]).double().mean())


@checked
def psnr(truth: Picture, ours: Picture, part: Part | None = None) -> float:
    """Peak signal-to-noise ratio in dB, of the mean squared error over pixels and channels.

    Returns:
        Infinity for equal pictures.

    Example:
        >>> psnr(torch.zeros(4, 4, 3), torch.full((4, 4, 3), 0.1))
        20.0
    """
    _usable(ours)
    error = _mean((truth.double() - ours.double()).square().mean(-1), part)
    return math.inf if error == 0 else round(-10 * math.log10(error), 6) if error == error else math.nan


@functools.cache
def _window(size: int) -> np.ndarray:
    x = np.arange(size) - (size - 1) / 2
    weights = np.exp(-(x**2) / (2 * SIGMA**2))
    return weights / weights.sum()


@dataclass(frozen=True)
class _Level:
    """One scale of the comparison."""

    full: Tensor
    """SSIM of each channel, [h, w, 3], where the whole window lies in the picture."""
    contrast: Tensor
    """Its contrast-structure factor alone."""
    part: Tensor | None
    """Which of these pixels count, [h, w]."""


def _level(a: np.ndarray, b: np.ndarray, share: np.ndarray | None) -> _Level:
    """Compare at one scale. The window shrinks to the largest odd number that fits into a tiny picture.

    Products are held in double precision: their differences cancel where pictures are flat.
    """
    size = min(WINDOW, *a.shape[:2])
    size -= 1 - size % 2
    window, radius = _window(size), size // 2
    inside = np.s_[radius : a.shape[0] - radius, radius : a.shape[1] - radius]

    def blurred(x: np.ndarray) -> np.ndarray:
        return cv2.sepFilter2D(x, -1, window, window)[inside]

    mean_a, mean_b = blurred(a), blurred(b)
    aa, bb, ab = mean_a**2, mean_b**2, mean_a * mean_b
    contrast = (2 * (blurred(a * b) - ab) + C2) / (blurred(a * a) - aa + blurred(b * b) - bb + C2)
    full = (2 * ab + C1) / (aa + bb + C1) * contrast
    part = None if share is None else torch.from_numpy(share[inside] > 0.5)
    return _Level(torch.from_numpy(full), torch.from_numpy(contrast), part)


def _halved(maps: np.ndarray) -> np.ndarray:
    """Every two by two pixels to one; an odd side is first framed with zeros, as the original code does."""
    h, w = maps.shape[:2]
    odd = np.pad(maps, [(h % 2, h % 2), (w % 2, w % 2)] + [(0, 0)] * (maps.ndim - 2))
    odd = odd[: odd.shape[0] // 2 * 2, : odd.shape[1] // 2 * 2]
    return (odd[::2, ::2] + odd[1::2, ::2] + odd[::2, 1::2] + odd[1::2, 1::2]) / 4


def _levels(truth: Tensor, ours: Tensor, part: Tensor | None, count: int) -> Iterator[_Level]:
    a, b = truth.double().numpy(), ours.double().numpy()
    share = None if part is None else part.double().numpy()
    for i in range(count):
        if i:
            a, b, share = _halved(a), _halved(b), None if share is None else _halved(share)
        yield _level(a, b, share)


@checked
def scales(hw: tuple[int, int]) -> int:
    """How many scales MS-SSIM has for a picture: 5 from 161 pixels on the shorter side, else as many as fit."""
    fits = [n for n in range(1, len(WEIGHTS) + 1) if min(hw) > (WINDOW - 1) * 2 ** (n - 1)]
    return max(fits, default=1)


@checked
def ssim(truth: Picture, ours: Picture, part: Part | None = None) -> float:
    """Structural similarity, averaged over channels and over the pixels whose window fits the picture.

    With a mask: the same map, averaged over the pixels of the mask.
    """
    _usable(ours)
    level = next(_levels(truth, ours, part, 1))
    return _mean(level.full, level.part)


@checked
def ms_ssim(truth: Picture, ours: Picture, part: Part | None = None) -> float:
    """Multi-scale structural similarity.

    A picture of 160 pixels or less on its shorter side has fewer than five scales (``scales``); the
    weights of those it has are then brought to a sum of 1. With a mask each scale's map is averaged
    over the mask, made smaller with the picture: a pixel stays in it if more than half of it was.
    A mask that is lost on the way to a coarse scale is judged at the scales that still see it.
    """
    _usable(ours)
    count = scales((int(truth.shape[0]), int(truth.shape[1])))
    log, used = torch.zeros(3, dtype=torch.float64), 0.0
    for i, level in enumerate(_levels(truth, ours, part, count)):
        values = level.full if i == count - 1 else level.contrast
        values = values.flatten(0, 1) if level.part is None else values[level.part]
        if len(values):
            log += WEIGHTS[i] * values.mean(0).clamp_min(1e-12).log()
            used += WEIGHTS[i]
    if used == 0:
        return math.nan
    # All published weights stand as they are, although they sum to 1.0001.
    return float((log / (1 if used == sum(WEIGHTS) else used)).exp().mean())


@checked
def flip_map(truth: Picture, ours: Picture) -> Float[Tensor, "h w"]:
    """The FLIP error of each pixel, 0 to 1, as seen at 67 pixels a degree (Andersson and others, 2020)."""
    _usable(ours)
    a, b = (x.clamp(0, 1).float().contiguous().numpy() for x in (truth, ours))
    error, _, _ = evaluate(a, b, "LDR", applyMagma=False, computeMeanError=False)
    return torch.from_numpy(error.reshape(truth.shape[:2]).copy())


@checked
def judge(truth: Picture, ours: Picture, parts: dict[str, Part | None]) -> dict[str, dict[str, float]]:
    """All four figures for each part; the error map of FLIP is made once.

    Returns:
        For each name in ``parts``: ``psnr`` (dB), ``ssim``, ``ms_ssim`` (higher is better) and ``flip``
        (lower is better).
    """
    error = flip_map(truth, ours)
    return {
        name: {
            "psnr": psnr(truth, ours, part),
            "ssim": ssim(truth, ours, part),
            "ms_ssim": ms_ssim(truth, ours, part),
            "flip": _mean(error, part),
        }
        for name, part in parts.items()
    }
