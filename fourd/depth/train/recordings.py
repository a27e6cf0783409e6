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
_LONGER = 256
"""Longer side of the pictures kept."""


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
    frames = Clip.open(folder / "source.mp4").frames.numpy()[: len(depth_m)]
    depth_m = depth_m[: len(frames)]
    alive = np.full(depth_m.shape, 255, np.uint8) if moves is None else moves[: len(frames)].astype(np.uint8)
    return shrunk(frames, depth_m, alive, focal)


def shrunk(frames: np.ndarray, depth_m: np.ndarray, alive: np.ndarray, focal_px: float) -> Shard:
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
        np.full(len(frames), focal_px * scale, np.float32),
    )


def collect(folder: Path, truths: tuple[Path, ...]) -> Steps[None]:
    """Make the shards of recordings that are not there yet.

    Args:
        folder: Where they go.
        truths: Folders with measured depth.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number, truth in enumerate(truths):
        path = folder / f"film-{number:05d}.npz"
        if not path.exists():
            write(path, measured(truth))
        yield Progress(STAGE, number + 1, len(truths))
