"""Render random places into shards. A shard follows from the seed and its number alone, so any can be made anew."""

from __future__ import annotations

import time
from concurrent.futures import Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from fourd.depth.train.shards import Shard, write
from fourd.events import Progress, Steps
from fourd.generate import picture
from fourd.generate.wild import Bank, wild

STAGE = "render"
_VIEWS = 6
"""Pictures of one place: building it takes as long as four pictures do."""


def shard(seed: int, number: int, hw: tuple[int, int], pictures: int, textures: int = 80) -> Shard:
    """Render shard ``number``; its places share that many patterned textures, and as many plain ones."""
    rng = np.random.default_rng([seed, number])
    bank = Bank(rng, textures)
    images, depths, alive, focal = [], [], [], []
    while len(images) < pictures:
        place = wild(rng, bank, hw, min(_VIEWS, pictures - len(images)))
        living = np.array([p.name.startswith("alive") for p in place.stage.props])
        for i in range(len(place.cameras)):
            hits = picture.centre_hits(place.geometry, place.cameras, i)
            images.append(picture.take(place.geometry, place.cameras, i, hits, samples=1, rays=1))
            depths.append(np.minimum(hits.t, np.where(np.isfinite(hits.t), 6e4, np.inf)).reshape(hw).astype(np.float16))
            seen = np.append(living, False)[np.where(hits.face >= 0, place.geometry.prop[hits.face], -1)]
            alive.append(seen.reshape(hw).astype(np.uint8))
            focal.append(float(place.cameras.K[i, 0, 0]))
    return Shard(np.stack(images), np.stack(depths), np.stack(alive), np.array(focal, np.float32))


def _made(folder: Path, seed: int, number: int, hw: tuple[int, int], pictures: int) -> None:
    write(path(folder, number), shard(seed, number, hw, pictures))


def path(folder: Path, number: int) -> Path:
    """Where a shard lies."""
    return folder / f"wild-{number:05d}.npz"


def render(
    folder: Path, count: int, seed: int, hw: tuple[int, int], pictures: int, workers: int, seconds: float = np.inf
) -> Steps[int]:
    """Render the shards that are not there yet, in several processes; return how many there are.

    Args:
        folder: Where they go.
        count: How many there shall be.
        seed: Which ones.
        hw: Size of the pictures.
        pictures: Pictures a shard.
        workers: Processes.
        seconds: No new shard is begun after this time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [k for k in range(count) if not path(folder, k).exists()]
    done, end = count - len(missing), time.monotonic() + seconds
    # Forking after threads were started may hang; a fresh process costs two seconds.
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        running: set[Future[None]] = set()
        while running or (missing and time.monotonic() < end):
            while missing and len(running) < workers and time.monotonic() < end:
                running.add(pool.submit(_made, folder, seed, missing.pop(0), hw, pictures))
            finished, running = wait(running, return_when="FIRST_COMPLETED")
            for future in finished:
                future.result()
                done += 1
                yield Progress(STAGE, done, count)
    return done
