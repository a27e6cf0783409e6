"""How sure cameras are: they are adjusted again without a part of the tracks, and again without another part.

The delete-a-group jackknife (Miller, "The jackknife: a review", 1974). Tracks of one time and tracks of one part of the
picture err alike: they were registered on the same pictures, cross the same part of the lens, and may lie on one thing
that moves. So whole groups are left out, and what changes most is believed. Were the errors of tracks independent, the
cameras would be known several times as well.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int64

from fourd.camera.bundle import Task, adjust, focal_uncertainty
from fourd.camera.model import Model, Seen, orthonormal
from fourd.types import Uncertainty

_TIMES = 4
"""Groups of tracks by their time; by their place there are two by two."""
_ITERATIONS = 6
_FEWEST = 8
"""Points that a group must have to be left out."""


def jackknife(seen: Seen, model: Model, sigma_px: float, *, travels: bool, focal: bool) -> Uncertainty | None:
    """Standard deviations of cameras that were adjusted to what was seen.

    Args:
        seen: Observations that were believed.
        model: Cameras and points, adjusted to them; the lens straight.
        sigma_px: Errors much larger than this are disbelieved.
        travels: False: all cameras stand in one place.
        focal: False: the focal length was not sought.

    Returns:
        None where too few points were seen to leave some out.
    """
    if not len(seen.point):
        return None
    seen, points, frames = seen.compact()
    task = Task(sigma_px, _ITERATIONS, focal=focal, translation=travels)
    model = adjust(seen, model.pick(points, frames), task)
    worst = np.zeros(3)
    for group in _groups(seen):
        count = np.bincount(group)
        left_out = [g for g, n in enumerate(count) if n >= _FEWEST and len(group) - n >= _FEWEST]
        if len(left_out) < 2:
            return None
        without = (adjust(seen.pick((group != g)[seen.point]), model, task) for g in left_out)
        changes = [_change(model, other) for other in without]
        worst = np.maximum(worst, [_deviation(np.stack(part)) for part in zip(*changes, strict=True)])
    position, rotation_rad, log_focal = worst.tolist()
    if focal:
        log_focal = max(log_focal, focal_uncertainty(seen, model, sigma_px, travels))
    if not np.isfinite((position, rotation_rad, log_focal)).all():
        return None
    return Uncertainty(position, float(np.degrees(rotation_rad)), log_focal if focal else None)


def _groups(seen: Seen) -> list[Int64[np.ndarray, " n"]]:
    """Which group each point is in, by time and by place."""
    count = np.bincount(seen.point, minlength=seen.points)
    x, y, time = (seen.per_point(values) / count for values in (*seen.xy.T, seen.frame.astype(float)))
    ends = np.quantile(time, np.arange(1, _TIMES) / _TIMES)
    return [np.searchsorted(ends, time), 2 * (x > np.median(x)) + (y > np.median(y))]


def _change(model: Model, other: Model) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places [t, 3] as shares of the path, turns [t, 3] in radians, and the logarithm of the focal length [1, 1].

    After the similarity that fits the cameras best: the turns first, because places on a line do not tell the turn
    about it.
    """
    turn = orthonormal((model.R.transpose(0, 2, 1) @ other.R).sum(0))
    between = model.R @ (other.R @ turn.T).transpose(0, 2, 1)
    skew = between - between.transpose(0, 2, 1)
    turns = np.stack([skew[:, 2, 1], skew[:, 0, 2], skew[:, 1, 0]], 1) / 2  # Small angles: their sines.
    a, b = model.centres(), other.centres() @ turn.T
    path = np.linalg.norm(np.diff(a, axis=0), axis=1).sum()
    a, b = a - a.mean(0), b - b.mean(0)
    scale = (a * b).sum() / max((b * b).sum(), 1e-12)
    return (scale * b - a) / max(path, 1e-12), turns, np.log([[other.focal / model.focal]])


def _deviation(changes: Float64[np.ndarray, "g t c"]) -> float:
    """The jackknife's standard deviation, root mean square over cameras: of vectors, of their length."""
    groups = len(changes)
    variance = (groups - 1) / groups * ((changes - changes.mean(0)) ** 2).sum(0)
    return float(np.sqrt(variance.sum(1).mean()))
