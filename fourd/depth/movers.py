"""The depth of what moves on its own: a thing stands on what is under it.

Two views of a moving thing do not triangulate, so its depth is read off the still world around it: it is in front of
everything that it hides, and where its lower border meets the ground it is as far as that ground. Each connected
moving region becomes one upright sheet at that depth, bent as the network's guess of the frame is bent there, if there
is one. A thing in the air is placed too far, on what is seen below it; the confidence says how little this is worth.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int32
from numpy import ndarray as Array

from fourd.depth.common import carried, flow_at
from fourd.types import Motion

CONFIDENCE = 0.25
_SMALLEST = 1 / 500
"""Share of the picture below which a region is a flaw of the mask and belongs to its surroundings."""
_GAP = 1 / 60
"""Parts of a region may be this far apart, of the longer side of the picture: masks tear where texture is poor."""
_FOOT = 0.2
"""Share of a region's columns, the lowest ones, that are taken for its feet."""
_RELIEF = 1.08
"""Parts of a region are so many times nearer or farther than its middle at most: a guess may not tear it apart."""
_MEMORY = 0.75
"""How much of the depth a frame before or after keeps."""


@dataclass(frozen=True, eq=False)
class Regions:
    """The moving regions of one frame."""

    label: Int32[Array, "h w"]
    """0 for what is still, else the number of the region, from 1."""
    rho: Float32[Array, " n"]
    """Inverse depth of each region."""
    relief: Float32[Array, "h w"] | None = None
    """Inverse depth over that of the region; 1 outside. None: all are flat."""


def find(
    moving: Bool[Array, "h w"], still: Float32[Array, "h w"], shape: Float32[Array, "h w"] | None = None
) -> Regions:
    """Split what moves into regions, and place each on what is under it.

    Args:
        moving: Which pixels move on their own.
        still: Inverse depth of the still world, also behind what moves.
        shape: A guess of the frame's inverse depth with what moves in it, up to a factor; it gives regions relief.
    """
    h = len(moving)
    size = 2 * round(max(moving.shape) * _GAP / 2) + 1
    joined = cv2.dilate(moving.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
    count, found = cv2.connectedComponents(joined, connectivity=8)
    label = np.asarray(found, np.int32) * moving
    area = np.bincount(label.ravel(), minlength=count)
    kept = [k for k in range(1, count) if area[k] >= max(_SMALLEST * moving.size, 4)]
    names = np.zeros(count, np.int32)
    names[kept] = np.arange(1, len(kept) + 1)
    rho = []
    for k in kept:
        inside = label == k
        columns = np.nonzero(inside.any(0))[0]
        bottom = h - 1 - inside[::-1, columns].argmax(0)
        feet = bottom >= np.quantile(bottom, 1 - _FOOT)
        ground = still[np.minimum(bottom[feet] + 2, h - 1), columns[feet]]
        rho.append(max(float(np.median(ground)), float(np.quantile(still[inside], 0.9))))
    label = names[label]
    relief = None if shape is None or not kept else _relief(label, shape, len(kept))
    return Regions(label, np.array(rho, np.float32), relief)


def _relief(label: Int32[Array, "h w"], shape: Float32[Array, "h w"], count: int) -> Float32[Array, "h w"]:
    """The guess within each region over its median there, within limits; smooth, and 1 outside."""
    ratio = np.ones_like(shape)
    for k in range(1, count + 1):
        inside = label == k
        ratio[inside] = shape[inside] / np.median(shape[inside])
    # Averaged within the region alone, so that what is beside it does not bend its borders.
    size = max(label.shape) / 25
    inside = (label > 0).astype(np.float32)
    logs = np.log(np.clip(ratio, 1 / _RELIEF, _RELIEF)) * inside
    total, mass = (np.asarray(cv2.GaussianBlur(x, (0, 0), size)) for x in (logs, inside))
    return np.exp(total / np.maximum(mass, 1e-3)).astype(np.float32)


def steady(regions: list[Regions], motion: Motion) -> list[Regions]:
    """Follow regions from frame to frame and smooth their inverse depth over time, so that nothing jumps.

    A region is the same as that of the frame before onto which most of its pixels flow. Depths (their logarithms)
    are averaged with weights that fall off by the frame, both ways.
    """
    back = [_links(regions[i], regions[i - 1], motion, i, -1) if i else np.zeros(0, int) for i in range(len(regions))]
    last = len(regions) - 1
    ahead = [
        _links(regions[i], regions[i + 1], motion, i, 1) if i < last else np.zeros(0, int) for i in range(last + 1)
    ]
    logs = [np.log(r.rho.astype(np.float64)) for r in regions]
    earlier = _carry(logs, back, range(len(regions)), -1)
    later = _carry(logs, ahead, range(last, -1, -1), 1)
    result = []
    for i, r in enumerate(regions):
        # Each pass holds the frame's own value once; together they would count it twice.
        total = earlier[i][0] + later[i][0] - logs[i]
        mass = earlier[i][1] + later[i][1] - 1
        result.append(replace(r, rho=np.exp(total / mass).astype(np.float32)))
    return _steady_relief(result, motion)


def _steady_relief(regions: list[Regions], motion: Motion) -> list[Regions]:
    """Mix each frame's relief with that of the frame before, carried along by the flow."""
    result: list[Regions] = []
    for i, r in enumerate(regions):
        before = result[-1].relief if result else None
        if r.relief is not None and before is not None:
            here = carried(before, motion, i)
            r = replace(r, relief=(_MEMORY * here + (1 - _MEMORY) * r.relief).astype(np.float32))
        result.append(r)
    return result


def _links(here: Regions, there: Regions, motion: Motion, i: int, way: int) -> Array:
    """For each region the number (from 1) of the region of the next frame in that direction; 0 for none."""
    if len(here.rho) == 0 or len(there.rho) == 0:
        return np.zeros(len(here.rho), int)
    h, w = here.label.shape
    flow = flow_at(motion, i, way, (h, w))
    y, x = np.nonzero(here.label)
    xs = np.clip((x + flow[y, x, 0]).round().astype(int), 0, w - 1)
    ys = np.clip((y + flow[y, x, 1]).round().astype(int), 0, h - 1)
    votes = np.zeros((len(here.rho), len(there.rho) + 1))
    np.add.at(votes, (here.label[y, x] - 1, there.label[ys, xs]), 1)
    return np.where(votes[:, 1:].max(1) > 0.25 * votes.sum(1), votes[:, 1:].argmax(1) + 1, 0)


def _carry(logs: list[Array], links: list[Array], order: range, step: int) -> list[tuple[Array, Array]]:
    """Sums of the values along the links, fading, and of their weights."""
    sums: list[tuple[Array, Array]] = [(np.zeros(0), np.zeros(0))] * len(logs)
    for i in order:
        total, mass = logs[i].copy(), np.ones(len(logs[i]))
        for k, link in enumerate(links[i]):
            if link:
                before, weight = sums[i + step]
                total[k] += _MEMORY * before[link - 1]
                mass[k] += _MEMORY * weight[link - 1]
        sums[i] = total, mass
    return sums


def paint(
    rho: Float32[Array, "h w"], moving: Bool[Array, "h w"], regions: Regions
) -> tuple[Float32[Array, "h w"], Bool[Array, "h w"]]:
    """Lay the moving regions over the still world, at full size.

    Args:
        rho: Inverse depth of the still world at full size.
        moving: Which pixels move, at full size: the border of what is laid over.
        regions: The regions, at any size.

    Returns:
        Inverse depth with the regions, and where they are.
    """
    if len(regions.rho) == 0:
        return rho, np.zeros_like(moving)
    h, w = moving.shape
    # Borders at full size run a little outside of the small regions: let these grow to meet them.
    grown = cv2.dilate(regions.label.astype(np.int16), np.ones((5, 5), np.uint8))
    label = np.where(regions.label > 0, regions.label, grown).astype(np.int16)
    label = np.asarray(cv2.resize(label, (w, h), interpolation=cv2.INTER_NEAREST), np.int32)
    laid = moving & (label > 0)
    out = rho.copy()
    out[laid] = regions.rho[label[laid] - 1]
    if regions.relief is not None:
        out[laid] *= np.asarray(cv2.resize(regions.relief, (w, h), interpolation=cv2.INTER_LINEAR))[laid]
    return out, laid
