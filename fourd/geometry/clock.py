"""The film's time and the scene's: when each frame of a camera path is, and how far along the path."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from fourd.checked import checked
from fourd.errors import LimitError
from fourd.types import Cameras, Limits

STILL_S = 4.0
"""How long a film lasts, in seconds, where the scene's time stands still and nothing else is asked."""


@checked
def frame_count(seconds: float, fps: float) -> int:
    """How many frames a film has; at least one.

    Raises:
        LimitError: If there would be more than ``Limits.frames``.
    """
    if seconds * fps > Limits().frames:
        raise LimitError(
            f"The film would have {seconds * fps:.0f} frames; at most {Limits().frames} are made at once."
            " Lower fps or duration_s, or raise speed."
        )
    return max(round(seconds * fps), 1)


@checked
def run(
    source: Cameras, *, fps: float | None, own_fps: float, speed: float, duration_s: float | None, at_s: float | None
) -> tuple[Float64[Tensor, " n"], bool]:
    """The scene's moment at each frame of a film, and whether time stands still in it.

    Args:
        source: The cameras that filmed.
        fps: Frames a second of the film; None for those of the source, which may be uneven.
        own_fps: What to take for the source's frame rate where even frames are needed.
        speed: Seconds of the scene for each second of film.
        duration_s: Length of the film. None: until the source ends, or ``STILL_S`` if time stands still.
        at_s: Where time stands still, clamped to the source; None lets it run.
    """
    first, last = float(source.time_s[0]), float(source.time_s[-1])
    rate = own_fps if fps is None else fps
    if at_s is not None or first == last:
        moment = first if at_s is None else min(max(at_s, first), last)
        frames = frame_count(STILL_S if duration_s is None else duration_s, rate)
        return torch.full((frames,), moment, dtype=torch.float64), True
    if fps is None and speed == 1 and duration_s is None:
        return source.time_s, False
    if duration_s is None:
        length_s = (last - first) / speed
        frame_count(length_s, rate)
        frames = 1 + math.floor(length_s * rate + 1e-6)  # Rounding must not cost the source's last frame.
    else:
        frames = frame_count(duration_s, rate)
    return (first + torch.arange(frames, dtype=torch.float64) * (speed / rate)).clamp(max=last), False


@checked
def even_fps(time_s: Float64[Tensor, " n"]) -> float:
    """The steady frame rate that fits the times of some frames best; 24 if there is only one.

    It is the mean rate, which rounded time stamps cannot upset; or the median rate, where the mean
    is far off because the recording pauses.
    """
    steps = time_s.diff()
    if len(steps) == 0:
        return 24.0
    mean, median = 1 / float(steps.mean()), 1 / float(steps.median())
    return mean if abs(mean / median - 1) < 0.05 else median


@checked
def spread(count: int, most: int) -> Int64[Tensor, " n"]:
    """At most ``most`` of ``count`` frames, evenly spread: the first and the last, and one in the order of time once.

    Example:
        >>> spread(9, 3).tolist()
        [0, 4, 8]
    """
    return torch.linspace(0, count - 1, max(1, min(most, count)), dtype=torch.float64).round().long()[:count]


@checked
def phase(frames: int, *, closed: bool) -> Float64[Tensor, " n"]:
    """How far along a path each frame is, from 0; the last is at 1, or one step short of it if ``closed``.

    Example:
        >>> phase(4, closed=True)
        tensor([0.0000, 0.2500, 0.5000, 0.7500], dtype=torch.float64)
    """
    return torch.arange(frames, dtype=torch.float64) / (frames if closed else max(frames - 1, 1))
