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
    if mask.any():
        part, points, frames = seen.among(mask)
        settled = settle(part, Model(R[frames], t[frames], model.X[points], model.focal), _SIGMAS_PX, translation)
        R[frames], t[frames] = settled.R, settled.t
    return replace(model, R=R, t=t)


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
