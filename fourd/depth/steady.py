"""Depth that does not flicker: each frame's still world against what the frames around it say of the same places.

Frames are completed one by one, so where little was measured, and along edges, each decides anew. Here each pixel is
looked up in the frames before and after it, along the cameras; what they say is brought back, and the weighted median
of all is believed, averaged with those who say nearly the same. What only one frame believes is outvoted; an edge
stays an edge, since a median is one of the values that it is taken of. How many agree says how sure the depth is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import cv2
import numpy as np
from jaxtyping import Float32
from numpy import ndarray as Array

from fourd.depth.common import Rig
from fourd.workers import each

_AWAY = (-8, -4, -2, -1, 1, 2, 4, 8)
"""Frames that are asked."""
_OWN = 1.5
"""Weight of a frame's own word against that of an equally sure other."""
_ALIKE = 0.06
"""Relative difference from the median (one standard deviation of a Gaussian) at which others count less in the mean."""
_ROUNDS = 2
_SAME = 0.05
"""Relative difference that agrees."""


def steadied(
    rig: Rig, rho: Sequence[Float32[Array, "h w"]], trust: Sequence[Float32[Array, "h w"]]
) -> list[Float32[Array, "h w"]]:
    """The same inverse depths, each frame's brought in line with those around it.

    Args:
        rig: Cameras at the size of the maps.
        rho: Inverse depths above 0, without holes.
        trust: How far each is to be trusted, above 0.
    """
    for _ in range(_ROUNDS):
        rho = list(each(partial(_voted, rig, rho=rho, trust=trust), range(len(rho))))
    return list(rho)


def agreement(
    rig: Rig, i: int, rho: Sequence[Float32[Array, "h w"]], before: Sequence[Float32[Array, "h w"]]
) -> Float32[Array, "h w"]:
    """Which share of the frames around frame ``i`` had by themselves come to what is now believed of it.

    Args:
        rig: Cameras at the size of the maps.
        i: The frame.
        rho: Inverse depths that are believed.
        before: Those of each frame by itself.

    Returns:
        Shares between 0 and 1, one half where nobody sees the pixel, and drawn to it the fewer do.
    """
    own = rho[i]
    agree, told = np.zeros_like(own), np.zeros_like(own)
    for here in _said(rig, i, own, before):
        seen = here[0] > 0
        told += seen
        agree += seen & (np.abs(here[0] / own - 1) < _SAME)
    return (agree + 0.5) / (told + 1)


def _said(
    rig: Rig, i: int, own: Float32[Array, "h w"], rho: Sequence[Float32[Array, "h w"]]
) -> Iterator[tuple[Float32[Array, "h w"], int, tuple[Array, Array]]]:
    """Ask the frames around about the pixels of frame ``i``.

    Returns:
        For each of them what it says (inverse depths in frame ``i``; 0 where it does not see the pixel), its number,
        and the places at which it was asked.
    """
    for j in (i + away for away in _AWAY if 0 <= i + away < len(rho)):
        x, y, z = rig.places(i, j, own)
        found = _sampled(rho[j], x, y)
        # A point at inverse depth rho here is at rho / z there, and the other way round.
        yield np.where((z > 1e-3) & (found > 0), found * z, 0).astype(np.float32), j, (x, y)


def _sampled(rho: Float32[Array, "h w"], x: Array, y: Array) -> Float32[Array, "h w"]:
    """A map between its pixels, and at its edges that of the nearest pixel; -1 outside."""
    between, nearest = (
        cv2.remap(rho, x, y, mode, borderMode=cv2.BORDER_CONSTANT, borderValue=-1)
        for mode in (cv2.INTER_LINEAR, cv2.INTER_NEAREST)
    )
    return np.where(np.abs(between - nearest) < _ALIKE * nearest, between, nearest).astype(np.float32)


def _voted(
    rig: Rig, i: int, rho: Sequence[Float32[Array, "h w"]], trust: Sequence[Float32[Array, "h w"]]
) -> Float32[Array, "h w"]:
    own = rho[i]
    said: list[Array] = [own]
    weight: list[Array] = [_OWN * trust[i]]
    for here, j, at in _said(rig, i, own, rho):
        heard = cv2.remap(trust[j], *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
        said.append(np.where(here > 0, here, own))
        weight.append(np.where(here > 0, heard, 0).astype(np.float32))
    values, mass = np.stack(said), np.stack(weight)
    order = values.argsort(0, kind="stable")
    ranked = np.take_along_axis(mass, order, 0).cumsum(0)
    middle = (ranked < 0.5 * ranked[-1]).sum(0)
    median = np.take_along_axis(values, np.take_along_axis(order, middle[None], 0), 0)[0]
    alike = mass * np.exp(-(((values / median - 1) / _ALIKE) ** 2) / 2)
    return ((alike * values).sum(0) / alike.sum(0)).astype(np.float32)
