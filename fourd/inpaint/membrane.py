"""The smoothest surface through what is known: Laplace's equation, solved from coarse to fine."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32
from numpy import ndarray as Array

_SWEEPS = 40
"""Relaxations at each scale; the scale above left only what is local to do."""
_SMALLEST = 8
"""Shorter side in pixels below which a map is not halved again."""


def membrane(
    values: Float32[Array, "h w"], anchors: Bool[Array, "h w"], free: Bool[Array, "h w"]
) -> Float32[Array, "h w"]:
    """Span a membrane over the free pixels, held at the anchors and loose at all other borders.

    Linear functions are reproduced where anchors surround the free pixels; the inverse depth of a plane is one.

    Args:
        values: Heights of the anchors, and a first guess of the free pixels, kept where no anchor is connected.
        anchors: Where the membrane is held.
        free: Where its height is wanted; disjoint from ``anchors``.

    Returns:
        ``values``, with the free pixels replaced.
    """
    start = values.astype(np.float32)
    h, w = values.shape
    if min(h, w) > 2 * _SMALLEST and free.any():
        held = _pooled(values * anchors, anchors)
        some = _pooled(np.ones_like(start), free)[1] > 0
        mass = held[1]
        loose = some & (mass == 0)
        guess = _pooled(values * free, free)
        coarse = np.where(mass > 0, held[0], np.where(loose, guess[0], 0)).astype(np.float32)
        solved = membrane(coarse, mass > 0, loose)
        lifted = _lifted(solved, (mass > 0) | loose, (h, w))
        start = np.where(free, lifted, start)
    inside = (anchors | free).astype(np.float32)
    count = _around(inside)
    usable = free & (count > 0)
    height = start * inside
    for _ in range(_SWEEPS):
        height = np.where(usable, _around(height) / np.maximum(count, 1), height)
    return np.where(free, height, values).astype(np.float32)


def _around(x: Float32[Array, "h w"]) -> Float32[Array, "h w"]:
    """Sum of the four neighbours."""
    total = np.zeros_like(x)
    total[1:] += x[:-1]
    total[:-1] += x[1:]
    total[:, 1:] += x[:, :-1]
    total[:, :-1] += x[:, 1:]
    return total


def _pooled(x: Float32[Array, "h w"], mask: Bool[Array, "h w"]) -> tuple[Float32[Array, "a b"], Float32[Array, "a b"]]:
    """Means of 2 x 2 pixels over the mask, and how many of them it has."""
    h, w = x.shape
    pad = ((0, h % 2), (0, w % 2))
    total, count = (
        np.pad(m.astype(np.float32), pad).reshape((h + 1) // 2, 2, (w + 1) // 2, 2).sum((1, 3))
        for m in (x * mask, mask)
    )
    return total / np.maximum(count, 1), count


def _lifted(x: Float32[Array, "a b"], known: Bool[Array, "a b"], hw: tuple[int, int]) -> Float32[Array, "h w"]:
    """Twice the size, interpolated between what is known."""
    h, w = hw
    total, mass = (_bilinear(m.astype(np.float32), hw) for m in (x * known, known))
    near = np.repeat(np.repeat(x, 2, 0), 2, 1)[:h, :w]
    return np.where(mass > 1e-3, total / np.maximum(mass, 1e-3), near).astype(np.float32)


def _bilinear(x: Float32[Array, "a b"], hw: tuple[int, int]) -> Float32[Array, "h w"]:
    h, w = hw
    y = np.clip((np.arange(h) - 0.5) / 2, 0, x.shape[0] - 1)
    c = np.clip((np.arange(w) - 0.5) / 2, 0, x.shape[1] - 1)
    for at, axis in ((y, 0), (c, 1)):
        low = at.astype(np.int64)
        high = np.minimum(low + 1, x.shape[axis] - 1)
        share = (at - low).astype(np.float32)
        share = share[:, None] if axis == 0 else share[None, :]
        x = np.take(x, low, axis) * (1 - share) + np.take(x, high, axis) * share
    return x
