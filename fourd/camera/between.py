"""From the frames that were solved first to all frames."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from jaxtyping import Bool, Int64

from fourd.camera.model import Model, Seen, orthonormal, rotation
from fourd.camera.pose import settle

_SIGMAS_PX = (10.0, 3.0, 0.8)
_FEWEST = 8
_AGREES_PX = 3.0
_AGREEING = 0.3
"""Share of its known points that a camera must agree with, or it is lost."""


def pose_all(
    seen: Seen, known: Bool[np.ndarray, " n"], model: Model, keys: Int64[np.ndarray, " k"], translation: bool = True
) -> Model:
    """The poses of all frames, from those of some.

    Args:
        seen: Observations in all frames.
        known: The points to believe.
        model: Poses of the frames ``keys``, and the points.
        keys: Frames that have a pose, rising, the first and the last frame among them.
        translation: False: all cameras stand in one place.

    Returns:
        A model with a pose for every frame. Frames in which too few known points are seen lie
        evenly between their neighbours.
    """
    R, t = interpolate(model.R, model.t, keys, seen.frames)
    mask = known[seen.point]
    enough = np.bincount(seen.frame[mask], minlength=seen.frames) >= _FEWEST
    mask &= enough[seen.frame]
    mask &= ~np.isin(seen.frame, keys)
    return settle(seen.pick(mask), replace(model, R=R, t=t), _SIGMAS_PX, translation)


def hold_lost(seen: Seen, known: Bool[np.ndarray, " n"], model: Model) -> tuple[Model, list[int]]:
    """Put the cameras that agree with too few of their points evenly between those that do agree.

    Returns:
        The model, and the frames that were lost. If almost all are, they stay where they are.
    """
    part = seen.pick(known[seen.point])
    good = np.bincount(part.frame, model.error(part) < _AGREES_PX, minlength=seen.frames)
    count = np.bincount(part.frame, minlength=seen.frames)
    found = (good >= _FEWEST) & (good >= _AGREEING * count)
    lost = np.flatnonzero(~found)
    keys = np.flatnonzero(found)
    if len(keys) >= 2 and len(lost):
        R, t = interpolate(model.R[keys], model.t[keys], keys, seen.frames)
        model = replace(model, R=R, t=t)
    return model, lost.tolist()


def interpolate(R: np.ndarray, t: np.ndarray, keys: np.ndarray, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Poses of ``frames`` frames, evenly between those of ``keys``."""
    at = np.arange(frames)
    after = np.clip(np.searchsorted(keys, at), 1, max(len(keys) - 1, 1)) if len(keys) > 1 else np.zeros(frames, int)
    before = np.maximum(after - 1, 0)
    gap = np.maximum(keys[after] - keys[before], 1)
    share = np.clip((at - keys[before]) / gap, 0, 1)
    turn = np.stack([cv2.Rodrigues(m)[0][:, 0] for m in R[after] @ R[before].transpose(0, 2, 1)])
    between = orthonormal(rotation(turn * share[:, None]) @ R[before])
    centre = -(R.transpose(0, 2, 1) @ t[..., None])[..., 0]
    place = centre[before] + share[:, None] * (centre[after] - centre[before])
    return between, -(between @ place[..., None])[..., 0]
