"""One row of a scene: align, render what was held out, and compare."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks import align, errors, metrics, sheets
from benchmarks.covisible import covisible, sampled
from benchmarks.rows import Attempt
from benchmarks.truth import Truth, View
from fourd.errors import InputError
from fourd.types import Frames


@dataclass(frozen=True, eq=False)
class Parts:
    """Masks of a view's pictures."""

    covisible: Tensor | None
    sampled: Tensor | None

    def of(self, k: int) -> dict[str, Tensor | None]:
        """The parts of picture ``k``."""
        parts: dict[str, Tensor | None] = {"whole": None}
        if self.covisible is not None and self.sampled is not None:
            parts |= {"covisible": self.covisible[k], "sampled": self.sampled[k]}
        return parts


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Keep torch to one thread: small maps gain nothing from more, and on a busy machine lose much."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@one_thread()
def parts(truth: Truth) -> dict[str, Parts]:
    """For each view what is co-visible; made once a scene, since rows do not change it."""
    return {view.name: Parts(covisible(view, truth), sampled(view, truth)) for view in truth.views}


def alignment(truth: Truth, attempt: Attempt) -> align.Similarity:
    """From the truth's world to the scene's: by the camera path, or by the median depth if it is still.

    Raises:
        InputError: If the camera is still and there is no depth to tell the scale.
    """
    if not align.is_still(truth.cameras, truth.depth):
        return align.similarity(truth.cameras, attempt.cameras)
    if truth.depth is None:
        raise InputError(f"The camera of '{truth.name}' is still and the truth has no depth: nothing tells the scale.")
    picked, seen = attempt.seen_depth()
    there = truth.depth[picked]
    scale = align.depth_scale(there, errors.at_size(seen, there.hw))
    if not scale > 0:
        raise InputError(f"The scene of '{truth.name}' shows no depth where the truth has some; the scale is unknown.")
    return align.similarity(truth.cameras, attempt.cameras, scale)


def _mean(figures: list[dict[str, float]]) -> dict[str, float]:
    """Mean of each figure over pictures; those that could not be judged (NaN) are left out."""
    keys = figures[0].keys() if figures else ()
    means = {}
    for key in keys:
        values = [f[key] for f in figures if not math.isnan(f[key])]
        means[key] = float(np.mean(values)) if values else math.nan
    return means


def _view(view: View, masks: Parts, attempt: Attempt, found: align.Similarity) -> tuple[dict[str, Any], np.ndarray]:
    """Figures of a view, each the mean over its pictures, and the strip of its middle one."""
    start = time.perf_counter()
    frames = attempt.render(found.cameras(view.cameras)).to("cpu")
    seconds = (time.perf_counter() - start) / len(view)
    with one_thread():
        figures, strip = _compared(view, masks, frames)
    return {"pictures": len(view), "render_s": seconds, **figures}, strip


def _compared(view: View, masks: Parts, frames: Frames) -> tuple[dict[str, dict[str, float]], np.ndarray]:
    judged: dict[str, list[dict[str, float]]] = {}
    for k in range(len(view)):
        true, ours, hole = view.frames[k].float() / 255, frames.rgb[k].float().clamp(0, 1), frames.hole[k]
        chosen = masks.of(k)
        for name, figures in metrics.judge(true, ours, chosen).items():
            mask = chosen[name]
            pixels = hole.numel() if mask is None else int(mask.sum())
            holes = float((hole if mask is None else hole & mask).sum()) / pixels if pixels else math.nan
            judged.setdefault(name, []).append({**figures, "holes": holes, "share": pixels / hole.numel()})
    k = len(view) // 2
    mask = None if masks.covisible is None else masks.covisible[k]
    strip = sheets.strip(view.name, view.frames[k].float() / 255, frames.rgb[k].float().clamp(0, 1), mask)
    return {name: _mean(values) for name, values in judged.items()}, strip


def judge(truth: Truth, masks: dict[str, Parts], attempt: Attempt) -> tuple[dict[str, Any], list[np.ndarray]]:
    """All figures of a row, and a strip of pictures for each view.

    Returns:
        ``views`` (for each: ``whole``, ``covisible`` and ``sampled``), ``mean`` over the views,
        ``camera`` and ``depth`` (None where they were given), ``seconds`` of each stage, ``splats``.

    Raises:
        InputError: If the scene cannot be aligned with the truth.
    """
    found = alignment(truth, attempt)
    views, strips = {}, []
    for view in truth.views:
        views[view.name], strip = _view(view, masks[view.name], attempt, found)
        strips.append(strip)
    names = dict.fromkeys(name for figures in views.values() for name in figures if isinstance(figures[name], dict))
    depth = None
    if attempt.depth is not None and truth.depth is not None:
        depth = errors.depth_errors(truth.depth, attempt.depth, truth.moving)
    camera = None
    if attempt.estimated_cameras:
        camera = errors.camera_errors(truth.cameras, attempt.cameras, found, truth.depth)
    figures = {
        "mean": {name: _mean([v[name] for v in views.values() if name in v]) for name in names},
        "views": views,
        "camera": camera,
        "depth": depth,
        "seconds": attempt.seconds,
        "splats": attempt.splats,
    }
    return figures, strips


def still(truth: Truth) -> bool:
    """Whether the camera of a truth stands still."""
    return align.is_still(truth.cameras, truth.depth)


__all__ = ["Parts", "alignment", "judge", "parts", "still"]
