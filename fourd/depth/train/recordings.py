"""Shards from recordings with measured depth."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from fourd.depth.train.shards import Shard, write
from fourd.errors import FormatError
from fourd.events import Progress, Steps
from fourd.types import Clip

STAGE = "recordings"


def measured(folder: Path, hw: tuple[int, int]) -> Shard:
    """A folder of ``source.mp4`` and ``truth.npz`` with depth and K (see benchmarks/truth.py), at size ``hw``.

    Raises:
        FormatError: If the truth has no depth.
    """
    with np.load(folder / "truth.npz") as truth:
        if "depth" not in truth or "K" not in truth:
            raise FormatError(
                f"{folder / 'truth.npz'} has no arrays 'depth' and 'K'; there is nothing to learn from it."
            )
        depth_m, focal_px = truth["depth"].astype(np.float32), float(truth["K"][0, 0])
        moves = truth["dynamic"] if "dynamic" in truth else None
    frames = Clip.open(folder / "source.mp4").frames.numpy()[: len(depth_m)]
    depth_m = depth_m[: len(frames)]
    alive = np.full(depth_m.shape, 255, np.uint8) if moves is None else moves[: len(frames)].astype(np.uint8)
    return _fitting(frames, depth_m, alive, focal_px, hw)


def _fitting(frames: np.ndarray, depth_m: np.ndarray, alive: np.ndarray, focal_px: float, hw: tuple[int, int]) -> Shard:
    """The largest middle part of the shape that is wanted, at that size: colours averaged, depth picked."""
    h, w = frames.shape[1:3]
    scale = max(hw[0] / h, hw[1] / w)
    y = h / 2 + (np.arange(hw[0]) + 0.5 - hw[0] / 2) / scale
    x = w / 2 + (np.arange(hw[1]) + 0.5 - hw[1] / 2) / scale
    top, left = round(h / 2 - hw[0] / 2 / scale), round(w / 2 - hw[1] / 2 / scale)
    middle = frames[:, max(top, 0) : h - max(top, 0), max(left, 0) : w - max(left, 0)]
    rows = np.clip((y * depth_m.shape[1] / h).astype(int), 0, depth_m.shape[1] - 1)
    columns = np.clip((x * depth_m.shape[2] / w).astype(int), 0, depth_m.shape[2] - 1)
    picked = np.ix_(range(len(depth_m)), rows, columns)
    far = np.where(np.isfinite(depth_m), np.clip(depth_m, 0, 6e4), np.inf)
    mode = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return Shard(
        np.stack([np.asarray(cv2.resize(f, hw[::-1], interpolation=mode), np.uint8) for f in middle]),
        far[picked].astype(np.float16),
        alive[picked],
        np.full(len(frames), focal_px * scale, np.float32),
    )


def collect(folder: Path, truths: tuple[Path, ...], hw: tuple[int, int]) -> Steps[None]:
    """Make the shards of recordings that are not there yet.

    Args:
        folder: Where they go.
        truths: Folders with measured depth.
        hw: Size of the pictures, that of the rendered ones.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number, truth in enumerate(truths):
        path = folder / f"film-{number:05d}.npz"
        if not path.exists():
            write(path, measured(truth, hw))
        yield Progress(STAGE, number + 1, len(truths))
