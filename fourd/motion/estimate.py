"""From a clip to its motion, before any camera is known."""

from __future__ import annotations

import numpy as np
import torch

from fourd.checked import checked
from fourd.events import Progress, Steps
from fourd.motion.dominant import moving_guess
from fourd.motion.flow import Dis, consistent, grey, map_size
from fourd.types import Clip, Motion


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
    dis = Dis()
    here = grey(pictures[0], hw)
    for i in range(t - 1):
        yield Progress("motion", i, t)
        there = grey(pictures[i + 1], hw)
        # Pairs of equal pictures are common (duplicated frames), and DIS is not exactly zero on them.
        if np.array_equal(here, there):
            seen_forward[i] = seen_backward[i + 1] = True
        else:
            f, b = dis(here, there), dis(there, here)
            forward[i], backward[i + 1] = f, b
            seen_forward[i], seen_backward[i + 1] = consistent(f, b), consistent(b, f)
            _merge(moving, i, moving_guess(f, seen_forward[i]))
            _merge(moving, i + 1, moving_guess(b, seen_backward[i + 1]))
        here = there
    yield Progress("motion", t, t)
    return Motion(*(torch.from_numpy(a) for a in (forward, backward, seen_forward, seen_backward, moving)))


def _merge(moving: np.ndarray, i: int, guess: np.ndarray | None) -> None:
    """Keep the larger of the guesses that the two neighbours of a frame give."""
    if guess is not None:
        np.maximum(moving[i], guess, out=moving[i], casting="same_kind")
