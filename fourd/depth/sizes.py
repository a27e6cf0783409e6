"""How much nearer or farther a thing is in one frame than in another, from how large it looks.

A thing that keeps its size looks as large as it is near. Its size follows from frame to frame from how its flow
diverges, which a turn changes little as long as it is small, and over long times from the area that it covers, which
does not drift.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int32
from numpy import ndarray as Array

from fourd.depth.common import flow_at, visible_at
from fourd.depth.objects import affine, numbers
from fourd.types import Motion

_STEP = 0.012
"""Error of a step of the logarithm of size, beside that of its fit."""
_FLOW_PX = 0.2
_PATCH_PX = 40.0
"""Pixels of flow that are worth one independent measurement."""
_AREA = 0.1
"""Error of the logarithm of the root of the area: masks are torn, and turning things show other sides."""
_BEND = 0.015
"""Usual change of a step from frame to frame."""
_MOST = 0.25
"""Largest step that is believed."""
_STRETCH = 100
"""Frames that are solved at a time."""
_ROUNDS = 6


def growth(label: list[Int32[Array, "h w"]], motion: Motion, count: int) -> list[dict[int, float]]:
    """The logarithm of how much larger each thing looks in each frame than in the first one where it is seen.

    Its inverse depth is larger by the same factor. Robust least squares (Geman and McClure, reweighted) over steps
    from frame to frame, areas where the thing is seen whole, and even change.

    Args:
        label: The things of each frame, numbered from 1 on.
        motion: Flow, at any size.
        count: How many things there are.

    Returns:
        For each thing, in their order, the logarithm for each frame in which it is seen.
    """
    hw = (int(label[0].shape[0]), int(label[0].shape[1]))
    steps: list[dict[int, tuple[float, float]]] = [{} for _ in range(count)]
    areas: list[dict[int, float]] = [{} for _ in range(count)]
    seen: list[list[int]] = [[] for _ in range(count)]
    for i, frame in enumerate(label):
        names = numbers(frame)
        if not names:
            continue
        ways = [w for w in (1, -1) if 0 <= i + w < len(label)]
        flows = {w: (flow_at(motion, i, w, hw), visible_at(motion, i, w, hw)) for w in ways}
        for k in names:
            region = frame == k
            seen[k - 1].append(i)
            if not _cut_off(frame, region):
                areas[k - 1][i] = 0.5 * float(np.log(region.sum()))
            for way, (flow, visible) in flows.items():
                fit = affine(region, flow, visible)
                if fit is None:
                    continue
                spread = float(np.linalg.det(np.eye(2) + fit.slope))
                if spread <= 0 or abs(0.5 * np.log(spread)) > _MOST:
                    continue
                noise = (fit.error_px + _FLOW_PX) / fit.extent_px / np.sqrt(max(fit.pixels / _PATCH_PX, 1))
                first = i if way > 0 else i - 1
                _mean(steps[k - 1], first, way * 0.5 * float(np.log(spread)), float(np.hypot(noise, _STEP)))
    return [_chain(s, a, f) for s, a, f in zip(steps, areas, seen, strict=True)]


def _mean(steps: dict[int, tuple[float, float]], i: int, value: float, noise: float) -> None:
    """Join what the flow there says with what the flow back says."""
    if i in steps:
        other, its = steps[i]
        share = its**2 / (noise**2 + its**2)
        # Both look at the same two pictures: two of them are no more certain than the better one.
        value, noise = share * value + (1 - share) * other, min(noise, its)
    steps[i] = value, noise


def _cut_off(frame: Int32[Array, "h w"], region: Bool[Array, "h w"]) -> bool:
    """Whether a thing runs out of the picture, or touches another one that may hide it."""
    if region[[0, -1]].any() or region[:, [0, -1]].any():
        return True
    y, x = np.nonzero(region)
    box = frame[max(y.min() - 2, 0) : y.max() + 3, max(x.min() - 2, 0) : x.max() + 3]
    return bool(((box > 0) & (box != frame[y[0], x[0]])).any())


def _chain(steps: dict[int, tuple[float, float]], areas: dict[int, float], seen: list[int]) -> dict[int, float]:
    """Solve stretch by stretch, each beginning where the last one ends, so that the cost is linear in the length."""
    found = {seen[0]: 0.0} if seen else {}
    for k in range(0, max(len(seen) - 1, 0), _STRETCH):
        part = seen[k : k + _STRETCH + 1]
        start = found[part[0]]
        solved = _solve(steps, {i: areas[i] for i in part if i in areas}, part)
        found |= {i: start + value for i, value in solved.items()}
    return found


def _solve(steps: dict[int, tuple[float, float]], areas: dict[int, float], seen: list[int]) -> dict[int, float]:
    n = len(seen)
    at = {i: k for k, i in enumerate(seen)}
    rows: list[tuple[list[tuple[int, float]], float, float]] = []
    for i, (value, noise) in steps.items():
        if i in at and i + 1 in at:
            rows.append(([(at[i + 1], 1.0), (at[i], -1.0)], value, noise))
    loose = n  # The area of the thing at unit size, unknown.
    for i, value in areas.items():
        rows.append(([(at[i], 1.0), (loose, 1.0)], value, _AREA))
    for k in range(1, n - 1):
        rows.append(([(k - 1, 1.0), (k, -2.0), (k + 1, 1.0)], 0.0, _BEND))
    rows.append(([(0, 1.0)], 0.0, 1e-3))
    rows.append(([(loose, 1.0)], float(np.mean(list(areas.values()))) if areas else 0.0, 10.0))
    A, b = np.zeros((len(rows), n + 1)), np.zeros(len(rows))
    for r, (entries, value, noise) in enumerate(rows):
        for column, x in entries:
            A[r, column] = x / noise
        b[r] = value / noise
    # Where two frames are joined by nothing, the thing is taken to keep its size.
    A = np.concatenate([A, 0.1 * np.diff(np.eye(n + 1), axis=0)[: n - 1]]) if n > 1 else A
    b = np.concatenate([b, np.zeros(max(n - 1, 0))])
    weight, x = np.ones(len(b)), np.zeros(n + 1)
    for _ in range(_ROUNDS):
        x = np.linalg.lstsq(A * weight[:, None], b * weight, rcond=None)[0]
        weight = 1 / (1 + ((A @ x - b) / 3) ** 2)
    return {i: float(x[k] - x[0]) for i, k in at.items()}
