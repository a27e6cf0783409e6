"""From a clip to its motion, before any camera is known."""

from __future__ import annotations

import threading
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float32

from fourd.checked import checked
from fourd.events import Progress, Steps
from fourd.motion.dominant import moving_guess
from fourd.motion.flow import Dis, consistent, grey, map_size
from fourd.types import Clip, Motion
from fourd.workers import each


@checked
def estimate(clip: Clip) -> Steps[Motion]:
    """Flow to both neighbours of every frame, where it can be believed, and a first guess at what moves.

    The maps have the size of the pictures, or are smaller if those are longer than
    ``flow.LONGEST_PX``. ``moving`` is a guess without cameras; ``refine`` makes it better.

    Yields:
        Progress of stage "motion", one part a frame.
    """
    hw = map_size(clip.hw)
    t = len(clip)
    pictures = clip.frames.cpu().numpy()
    forward, backward = (np.zeros((t, *hw, 2), np.float16) for _ in range(2))
    seen_forward, seen_backward = (np.zeros((t, *hw), bool) for _ in range(2))
    moving = np.zeros((t, *hw), np.float16)
    held = threading.local()

    def between(i: int) -> _Pair | None:
        here, there = (grey(pictures[k], hw) for k in (i, i + 1))
        # Pairs of equal pictures are common (duplicated frames), and DIS is not exactly zero on them.
        if np.array_equal(here, there):
            return None
        held.dis = getattr(held, "dis", None) or Dis()
        f, b = held.dis(here, there), held.dis(there, here)
        seen = consistent(f, b), consistent(b, f)
        return _Pair(f, b, *seen, moving_guess(f, seen[0]), moving_guess(b, seen[1]))

    for i, pair in enumerate(each(between, range(t - 1))):
        yield Progress("motion", i, t)
        if pair is None:
            seen_forward[i] = seen_backward[i + 1] = True
            continue
        forward[i], backward[i + 1] = pair.forward, pair.backward
        seen_forward[i], seen_backward[i + 1] = pair.seen_forward, pair.seen_backward
        _merge(moving, i, pair.moving)
        _merge(moving, i + 1, pair.moving_after)
    yield Progress("motion", t, t)
    return Motion(*(torch.from_numpy(a) for a in (forward, backward, seen_forward, seen_backward, moving)))


class _Pair(NamedTuple):
    """What two neighbouring frames say: flow from the first to the second and back, and what moves in either."""

    forward: Float32[np.ndarray, "h w 2"]
    backward: Float32[np.ndarray, "h w 2"]
    seen_forward: Bool[np.ndarray, "h w"]
    seen_backward: Bool[np.ndarray, "h w"]
    moving: Float32[np.ndarray, "h w"] | None
    moving_after: Float32[np.ndarray, "h w"] | None


def _merge(moving: np.ndarray, i: int, guess: np.ndarray | None) -> None:
    """Keep the larger of the guesses that the two neighbours of a frame give."""
    if guess is not None:
        np.maximum(moving[i], guess, out=moving[i], casting="same_kind")
