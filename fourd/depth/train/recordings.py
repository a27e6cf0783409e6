"""Shards from recordings: with measured depth, or with the depth that parallax tells where it is sure of it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch

from fourd import camera, depth, motion
from fourd.depth.train.shards import Shard, write
from fourd.errors import FormatError
from fourd.events import Progress, Steps, T, Warned
from fourd.types import Cameras, Clip, DepthMaps

STAGE = "recordings"
_LONGER = 256
"""Longer side of the pictures kept."""
_WINDOW, _STRIDE = 48, 2
"""Frames that are solved together, and which of a film's frames these are: every second one."""
_SURE = 0.55
"""Confidence from which a depth is taken for the truth."""


def measured(folder: Path) -> Shard:
    """A folder of ``source.mp4`` and ``truth.npz`` with depth and K (see benchmarks/truth.py).

    Raises:
        FormatError: If the truth has no depth.
    """
    with np.load(folder / "truth.npz") as truth:
        if "depth" not in truth or "K" not in truth:
            raise FormatError(
                f"{folder / 'truth.npz'} has no arrays 'depth' and 'K'; there is nothing to learn from it."
            )
        depth_m, focal = truth["depth"].astype(np.float32), float(truth["K"][0, 0])
        moves = truth["dynamic"] if "dynamic" in truth else None
    frames = Clip.open(folder / "source.mp4").frames.numpy()
    alive = np.full(depth_m.shape, 255, np.uint8) if moves is None else moves.astype(np.uint8)
    return _shrunk(frames[: len(depth_m)], depth_m, alive, focal)


def walked(film: Path) -> Steps[list[Shard]]:
    """A film of a world that stands still, taken by a camera that travels: its own parallax is the teacher."""
    clip = Clip.open(film, size=2 * _LONGER)
    shards = []
    starts = range(0, max(len(clip) - _WINDOW * _STRIDE // 2, 1), _WINDOW * _STRIDE)
    for k, start in enumerate(starts):
        picked = torch.arange(start, min(start + _WINDOW * _STRIDE, len(clip)), _STRIDE)
        part = clip.replace(frames=clip.frames[picked], time_s=clip.time_s[picked], sound=None)
        maps, cameras, doubted = yield from _solved(part)
        yield Progress(STAGE, k + 1, len(starts))
        if doubted:
            continue  # A teacher that doubts itself teaches nothing.
        depth_m, trust = maps.depth_m.numpy(), maps.confidence.numpy()
        sky = np.isinf(depth_m) & (trust >= 0.5)
        depth_m = np.where((trust >= _SURE) | sky, depth_m, 0)
        if (depth_m > 0).mean() < 0.2:
            continue  # The camera hardly travelled, or nothing could be matched.
        # In shards the unit is the metre; here the median depth is taken for five.
        depth_m = depth_m * np.float32(5 / np.median(depth_m[(depth_m > 0) & np.isfinite(depth_m)]))
        alive = np.full(depth_m.shape, 255, np.uint8)
        shards.append(_shrunk(part.frames.numpy(), depth_m, alive, float(cameras.K[0, 0, 0])))
    return shards


def _solved(clip: Clip) -> Steps[tuple[DepthMaps, Cameras, bool]]:
    """Depth and cameras of a clip, and whether anything was said against them."""
    said: list[Warned] = []
    moves = yield from motion.estimate(clip)
    cameras = yield from _noted(camera.load("flow")(clip, moves), said)
    moves = motion.refine(moves, cameras, clip=clip)
    maps = yield from _noted(depth.load("parallax")(clip, cameras, moves), said)
    return maps, cameras, bool(said)


def _noted(steps: Steps[T], said: list[Warned]) -> Steps[T]:
    """Pass events on, and keep the warnings."""
    while True:
        try:
            event = next(steps)
        except StopIteration as end:
            return end.value
        if isinstance(event, Warned):
            said.append(event)
        yield event


def _shrunk(frames: np.ndarray, depth_m: np.ndarray, alive: np.ndarray, focal: float) -> Shard:
    """At the size that is kept: colours averaged, depth picked."""
    h, w = frames.shape[1:3]
    scale = min(1.0, _LONGER / max(h, w))
    hw = (round(h * scale), round(w * scale))
    rows = ((np.arange(hw[0]) + 0.5) * depth_m.shape[1] / hw[0]).astype(int)
    columns = ((np.arange(hw[1]) + 0.5) * depth_m.shape[2] / hw[1]).astype(int)
    picked = np.ix_(range(len(depth_m)), rows, columns)
    far = np.where(np.isfinite(depth_m), np.clip(depth_m, 0, 6e4), np.inf)
    return Shard(
        np.stack([np.asarray(cv2.resize(f, hw[::-1], interpolation=cv2.INTER_AREA), np.uint8) for f in frames]),
        far[picked].astype(np.float16),
        alive[picked],
        np.full(len(frames), focal * scale, np.float32),
    )


def collect(folder: Path, truths: tuple[Path, ...], films: tuple[Path, ...]) -> Steps[None]:
    """Make the shards of recordings that are not there yet.

    Args:
        folder: Where they go.
        truths: Folders with measured depth.
        films: Videos of still worlds, labelled by parallax.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number, truth in enumerate(truths):
        path = folder / f"film-{number:03d}.npz"
        if not path.exists():
            write(path, measured(truth))
        yield Progress(STAGE, number + 1, len(truths))
    for number, film in enumerate(films):
        first = folder / f"film-{100 * (number + 1)}.npz"
        if first.exists():
            continue
        # The first one is written last: it says that all are there.
        made = yield from walked(film)
        for k, shard in reversed(list(enumerate(made))):
            write(folder / f"film-{100 * (number + 1) + k}.npz", shard)
