"""Which moving pixels are one thing, from frame to frame.

Connected regions of a frame are its things, until two of them touch: then each pixel stays with the thing it flowed
from. This is done forward and then backward in time, so things that part later are told apart before. What is torn
apart by a gap in the mask and still moves as one is joined again.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32, Int64
from numpy import ndarray as Array

from fourd.depth.common import flow_at, moving_mask, visible_at
from fourd.types import Motion

_SMALLEST = 1 / 500
"""Share of the picture below which a region is a flaw of the mask and belongs to its surroundings."""
_GAP = 1 / 60
"""Parts of a region may be this far apart, of the longer side of the picture: masks tear where texture is poor."""
_JUMP = 0.35
"""Change of the flow from pixel to pixel, in pixels, that parts two things; turning things change theirs by less."""
_PART = 0.2
"""Share of a region that must flow from another thing for it to be two."""
_KNOWN = 4
"""Frames that a thing must have been seen by itself before it can claim a part of a region."""
_AS_ONE = 0.1, 0.3
"""Two things are one if, where they meet, their motions differ by less than this share of their motion, in the mean
over the frames, or by less than so many pixels."""
_BRIEF = 10
"""What is seen in no more frames than this, or than a third of the clip, and touches another thing is a part of it."""
_PATCH = 0.4
"""If it is smaller than this share of that."""
_LEAST = 25
"""Pixels from which the motion of a region is read."""
_ROUNDS = 5
_HEARD = 0.03
"""Share of a thing's pixels, over all frames, that flow itself must take to move."""
_FROM = 0.4
"""Share of a thing's pixels that flow from things, for it to be a part of one of them that went its own way."""


def regions(moving: Bool[Array, "h w"], flow: Float32[Array, "h w 2"] | None = None) -> Int32[Array, "h w"]:
    """Number the connected regions of a mask from 1; specks become 0.

    Args:
        moving: Which pixels move on their own.
        flow: If given, regions are cut where it jumps.
    """
    size = 2 * round(max(moving.shape) * _GAP / 2) + 1
    joined = cv2.dilate(moving.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
    count, found = cv2.connectedComponents(joined, connectivity=8)
    label = np.asarray(found, np.int32) * moving
    area = np.bincount(label.ravel(), minlength=count)
    kept = [k for k in range(1, count) if area[k] >= max(_SMALLEST * moving.size, 4)]
    names = np.zeros(count, np.int32)
    names[kept] = np.arange(1, len(kept) + 1)
    label = names[label]
    return label if flow is None else _cut(label, flow)


def _cut(label: Int32[Array, "h w"], flow: Float32[Array, "h w 2"]) -> Int32[Array, "h w"]:
    """Cut regions where the flow jumps; what lies on the cut goes to the nearest part."""
    bend = np.zeros(label.shape, np.float32)
    for axis in (0, 1):
        steps = np.linalg.norm(np.diff(flow, axis=axis), axis=-1)
        bend += np.maximum(
            *(np.pad(steps, [side if a == axis else (0, 0) for a in (0, 1)]) for side in ((0, 1), (1, 0)))
        )
    count, parts = cv2.connectedComponents(((bend < _JUMP) & (label > 0)).astype(np.uint8), connectivity=4)
    parts = np.asarray(parts, np.int32)
    area = np.bincount(parts.ravel(), minlength=count)
    large = [k for k in range(1, count) if area[k] >= _SMALLEST * label.size]
    out, named = np.zeros_like(label), 0
    for region in (label == k for k in numbers(label)):
        inside = [k for k in large if (region & (parts == k)).any()]
        if len(inside) < 2:
            named += 1
            out[region] = named
            continue
        out[region] = (named + 1 + _nearest(parts, inside))[region]
        named += len(inside)
    return out


def follow(label: list[Int32[Array, "h w"]], motion: Motion) -> list[Int32[Array, "h w"]]:
    """Give every thing one number through all frames in which it is seen without a break.

    Args:
        label: The regions of each frame, numbered in any way; 0 is what stands still.
        motion: Flow, at any size.

    Returns:
        The same regions, some of them split, numbered from 1 on without gaps.
    """
    ahead = _pass(label, motion, range(len(label)), -1)
    both = _pass(ahead, motion, range(len(label) - 1, -1, -1), 1)
    return _join(both, motion)


def heard(label: list[Int32[Array, "h w"]], motion: Motion) -> list[Int32[Array, "h w"]]:
    """Leave out the things that flow never heard move, and number the others from 1 on without gaps.

    Colour can tell how far a thing reaches, but a still world that is not where it is believed to be has other colours
    than expected, too. What parts from a thing that was heard, or becomes one with it, is as good as heard.

    Args:
        label: The things of each frame, numbered from 1 on.
        motion: What moves, at any size.
    """
    most = max(int(frame.max()) for frame in label)
    pixels, moving = np.zeros(most + 1), np.zeros(most + 1)
    for i, frame in enumerate(label):
        hw = (int(frame.shape[0]), int(frame.shape[1]))
        pixels += np.bincount(frame.ravel(), minlength=most + 1)
        moving += np.bincount(frame.ravel(), moving_mask(motion, i, hw).ravel(), most + 1)
    kept = moving >= np.maximum(_HEARD * pixels, 1)
    kept[0] = False
    kin = _kin(label, motion) if not kept[1:].all() and kept.any() else []
    for _ in kin:
        for a, b in kin:
            kept[a] = kept[b] = kept[a] or kept[b]
    names = np.where(kept, kept.cumsum(), 0).astype(np.int32)
    return [names[frame] for frame in label]


def _kin(label: list[Int32[Array, "h w"]], motion: Motion) -> list[tuple[int, int]]:
    """Pairs of things of which one flows out of the other where it is first seen, or into it where it is last seen."""
    found: list[tuple[int, int]] = []
    for i, frame in enumerate(label):
        for way in (-1, 1):
            there = label[i + way] if 0 <= i + way < len(label) else None
            fresh = [] if there is None else [k for k in numbers(frame) if not (there == k).any()]
            if there is None or not fresh:
                continue
            carried = _carried(there, motion, i, way)
            for k in fresh:
                votes = np.bincount(carried[frame == k])
                if votes[1:].sum() >= _FROM * votes.sum():
                    found.append((k, int(votes[1:].argmax()) + 1))
    return found


def _pass(label: list[Int32[Array, "h w"]], motion: Motion, order: range, way: int) -> list[Int32[Array, "h w"]]:
    """Carry numbers along the flow in one direction of time; ``way`` leads to the frame visited before."""
    result = list(label)
    age: dict[int, int] = {}
    fresh = 1
    for n, i in enumerate(order):
        carried = _carried(result[i + way], motion, i, way) if n else np.zeros_like(label[i])
        claims: list[tuple[int, int, Array]] = []  # Who claims which pixels, and by how many votes.
        for region in (label[i] == k for k in numbers(label[i])):
            claims += _claims(region, carried, age)
        out = np.zeros_like(label[i])
        taken: set[int] = set()
        for _, name, pixels in sorted(claims, key=lambda c: -c[0]):
            if name == 0 or name in taken:
                name, fresh = fresh, fresh + 1
            taken.add(name)
            age[name] = age.get(name, 0) + 1
            out[pixels] = name
        result[i] = out
    return result


def _claims(
    region: Bool[Array, "h w"], carried: Int32[Array, "h w"], age: dict[int, int]
) -> list[tuple[int, int, Array]]:
    """Split a region among the things that flowed into it."""
    names, votes = np.unique(carried[region], return_counts=True)
    votes = votes[names > 0]
    names = names[names > 0]
    if len(names) == 0:
        return [(0, 0, region)]
    strong = [
        int(k) for k, v in zip(names, votes, strict=True) if v >= _PART * region.sum() and age.get(int(k), 0) >= _KNOWN
    ]
    if len(strong) < 2:
        best = int(votes.argmax())
        return [(int(votes[best]), int(names[best]), region)]
    owner = _nearest(carried, strong)
    return [(int(((owner == n) & region).sum()), k, (owner == n) & region) for n, k in enumerate(strong)]


def numbers(label: Int32[Array, "h w"]) -> list[int]:
    """The things that a frame shows."""
    return [int(k) for k in np.unique(label) if k > 0]


def _nearest(label: Int32[Array, "h w"], some: list[int]) -> Int64[Array, "h w"]:
    """For each pixel which of some labels (its place among them) is nearest."""
    away = [cv2.distanceTransform((label != k).astype(np.uint8), cv2.DIST_L2, 3) for k in some]
    return np.stack(away).argmin(0)


def _carried(there: Int32[Array, "h w"], motion: Motion, i: int, way: int) -> Int32[Array, "h w"]:
    """The labels of a neighbouring frame at the places to which the pixels of frame i flow."""
    h, w = there.shape
    flow = flow_at(motion, i, way, (h, w))
    y, x = np.mgrid[:h, :w]
    xs, ys = (x + flow[..., 0]).round().astype(int), (y + flow[..., 1]).round().astype(int)
    inside = (xs >= 0) & (xs < w) & (ys >= 0) & (ys < h)
    return np.where(inside, there[np.clip(ys, 0, h - 1), np.clip(xs, 0, w - 1)], 0)


@dataclass(frozen=True, eq=False)
class Affine:
    """How a region flows: ``flow = slope @ (p - centre) + shift``, in pixels."""

    slope: Float64[Array, "2 2"]
    shift: Float64[Array, " 2"]
    centre: Float64[Array, " 2"]
    error_px: float
    """Median distance of the flow from this."""
    extent_px: float
    """Root mean square distance of the pixels from their centre."""
    pixels: int

    def at(self, p: Float64[Array, " 2"]) -> Float64[Array, " 2"]:
        """The flow at a place."""
        return self.slope @ (p - self.centre) + self.shift


def affine(region: Bool[Array, "h w"], flow: Array, visible: Bool[Array, "h w"]) -> Affine | None:
    """Fit an affine motion to the flow of a region, deaf to outliers (Geman and McClure, reweighted).

    The rim is left out where there is enough inside: there the flow mixes with that of the surroundings.

    Returns:
        None if too few pixels can be believed.
    """
    inner = (cv2.erode(region.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=1) > 0) & visible
    if inner.sum() < max(_LEAST, 0.2 * region.sum()):
        inner = region & visible
    y, x = np.nonzero(inner)
    if len(x) < _LEAST:
        return None
    p = np.stack([x, y], 1) + 0.5
    centre = p.mean(0)
    to = flow[y, x].astype(np.float64)
    rows = np.concatenate([p - centre, np.ones((len(p), 1))], 1)
    weight, error = np.ones(len(p)), np.zeros(len(p))
    fitted = np.zeros((3, 2))
    for _ in range(_ROUNDS):
        normal = (rows * weight[:, None]).T @ rows + 1e-6 * np.eye(3)
        fitted = np.linalg.solve(normal, (rows * weight[:, None]).T @ to)
        error = np.linalg.norm(to - rows @ fitted, axis=1)
        weight = 1 / (1 + (error / max(1.5 * float(np.median(error)), 0.05)) ** 2) ** 2
    extent = float(np.sqrt(((p - centre) ** 2).sum(1).mean()))
    return Affine(fitted[:2].T, fitted[2], centre, float(np.median(error)), extent, len(p))


def _join(label: list[Int32[Array, "h w"]], motion: Motion) -> list[Int32[Array, "h w"]]:
    """Join what touches and moves as one, and what touches and is seen but briefly; number all from 1 on."""
    gaps, touching = _neighbours(label, motion)
    lasts: dict[int, int] = {}
    pixels: dict[int, int] = {}
    for frame in label:
        for k, area in zip(*np.unique(frame[frame > 0], return_counts=True), strict=True):
            lasts[int(k)] = lasts.get(int(k), 0) + 1
            pixels[int(k)] = pixels.get(int(k), 0) + int(area)
    area = {k: pixels[k] / lasts[k] for k in lasts}
    owner: dict[int, int] = {}

    def root(k: int) -> int:
        while k in owner:
            k = owner[k]
        return k

    def merge(a: int, b: int) -> None:
        short, long = sorted((root(a), root(b)), key=lambda k: (lasts[k], -k))
        if short != long:
            owner[short] = long

    for (a, b), pairs in sorted(gaps.items()):
        apart, motion_px = np.mean(pairs, axis=0)
        if apart < max(_AS_ONE[0] * motion_px, _AS_ONE[1]):
            merge(a, b)
    brief = min(_BRIEF, len(label) // 3)
    for k in sorted(lasts, key=lambda k: (lasts[k], k)):
        near = touching.get(k, {}).items()
        beside = {b: n for b, n in near if lasts[b] > lasts[k] and area[k] < _PATCH * area[b]}
        if lasts[k] <= brief and k not in owner and beside:
            merge(k, max(beside, key=lambda b: (beside[b], -b)))
    every = sorted({root(k) for k in lasts})
    rank = {k: n + 1 for n, k in enumerate(every)}
    table = np.zeros(max(lasts, default=0) + 1, np.int32)
    for k in lasts:
        table[k] = rank[root(k)]
    return [table[frame] for frame in label]


def _neighbours(
    label: list[Int32[Array, "h w"]], motion: Motion
) -> tuple[dict[tuple[int, int], list[tuple[float, float]]], dict[int, dict[int, int]]]:
    """Which things touch: how far their motions are apart there and how large these are; and along how many pixels."""
    gaps: dict[tuple[int, int], list[tuple[float, float]]] = {}
    touching: dict[int, dict[int, int]] = {}
    size = 2 * round(max(label[0].shape) * _GAP) + 1
    reach = np.ones((size, size), np.uint8)
    for i in range(len(label)):
        names = numbers(label[i])
        if len(names) < 2:
            continue
        hw = (int(label[i].shape[0]), int(label[i].shape[1]))
        way = 1 if i < len(label) - 1 else -1
        flow, seen = flow_at(motion, i, way, hw), visible_at(motion, i, way, hw)
        fits = {k: affine(label[i] == k, flow, seen) for k in names}
        grown = {k: cv2.dilate((label[i] == k).astype(np.uint8), reach) > 0 for k in names}
        for n, a in enumerate(names):
            for b in names[n + 1 :]:
                y, x = np.nonzero(grown[a] & grown[b])
                if len(x) == 0:
                    continue
                for k, other in ((a, b), (b, a)):
                    beside = touching.setdefault(k, {})
                    beside[other] = beside.get(other, 0) + len(x)
                one, other = fits[a], fits[b]
                if one is not None and other is not None:
                    p = np.array([x.mean() + 0.5, y.mean() + 0.5])
                    apart = float(np.linalg.norm(one.at(p) - other.at(p)))
                    gaps.setdefault((a, b), []).append((apart, float(np.linalg.norm(one.at(p) + other.at(p)) / 2)))
    return gaps, touching
