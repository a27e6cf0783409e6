"""Which pictures of a file are wanted, and when each of them is shown."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from fourd.errors import InputError

F = TypeVar("F")

_SLACK_S = 1e-3
"""Rounding of clocks: 1/600 s and finer are usual. Far less than a frame of any camera."""

_TIE_S = 1e-6
"""What two computed times may differ by and be the same."""


@dataclass(frozen=True)
class Window:
    """What the caller asked for: a stretch of time, a frame rate and a working size."""

    start_s: float = 0.0
    """Where to begin, in seconds from the first picture of the file."""
    duration_s: float | None = None
    """How much to keep, in seconds; everything if None."""
    fps: float | None = None
    """Frames a second to resample to; the real time stamps if None."""
    size: int | None = None
    """Longer side of the working picture in pixels; as stored if None."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.start_s) and self.start_s >= 0):
            raise InputError(f"start_s is {self.start_s}; it must be a number of seconds, 0 or more.")
        if self.duration_s is not None and not self.duration_s > 0:
            raise InputError(f"duration_s is {self.duration_s}; it must be more than 0 seconds, or None for all.")
        if self.fps is not None and not (math.isfinite(self.fps) and self.fps > 0):
            raise InputError(f"fps is {self.fps}; it must be a finite number above 0, or None to keep the time stamps.")
        if self.size is not None and self.size < 1:
            raise InputError(f"size is {self.size}; it must be at least 1 pixel, or None for the stored size.")

    def is_before(self, time_s: float) -> bool:
        """True for a picture shown before the stretch begins."""
        return time_s < self.start_s - _SLACK_S

    def is_after(self, time_s: float) -> bool:
        """True for a picture first shown when the stretch is over."""
        if self.duration_s is None:
            return False
        return time_s >= self.start_s + self.duration_s - min(_SLACK_S, self.duration_s / 2)

    def picked(self, pictures: Iterable[tuple[float, F]], end_s: Callable[[], float]) -> Iterator[tuple[float, F]]:
        """Pass on the (time, picture) inside the stretch, times from the first picture of the file on.

        Where no picture begins in the stretch, it is the one on show then. ``end_s`` is called at
        the end and says when the last picture seen is over.
        """
        shown: tuple[float, F] | None = None
        kept = False
        for time_s, picture in pictures:
            if self.is_after(time_s):
                break
            if self.is_before(time_s):
                shown = time_s, picture
            else:
                kept = True
                yield time_s, picture
        if not kept and shown is not None and self.start_s < end_s() - _SLACK_S:
            yield shown

    def paced(self, pictures: Iterable[tuple[float, F]], last_s: Callable[[], float]) -> Iterator[tuple[float, F]]:
        """Resample (time, picture), times from 0, to ``fps`` if there is one; see ``resample``."""
        if self.fps is None:
            return iter(pictures)
        return resample(pictures, self.fps, last_s, math.inf if self.duration_s is None else self.duration_s)


def working_hw(hw: tuple[int, int], size: int | None) -> tuple[int, int]:
    """The size of the working picture: its longer side is ``size`` pixels, unless it was shorter.

    Example:
        >>> working_hw((1080, 1920), 640), working_hw((9, 16), 640), working_hw((1, 5000), 100)
        ((360, 640), (9, 16), (1, 100))
    """
    longer = max(hw)
    if size is None or longer <= size:
        return hw
    return max(1, round(hw[0] * size / longer)), max(1, round(hw[1] * size / longer))


def resample(
    pictures: Iterable[tuple[float, F]], fps: float, last_s: Callable[[], float], stop_s: float = math.inf
) -> Iterator[tuple[float, F]]:
    """Show, at every tick of a steady clock, the picture that is nearest in time.

    Args:
        pictures: (time, picture), times increasing from 0.
        fps: Ticks a second; the first is at 0.
        last_s: Called at the end: how long the last picture stays, in seconds.
        stop_s: Ticks from here on are not wanted.

    Yields:
        (time, picture) at ticks 0, 1, ... to the end of the last picture; a picture may come again
        or not at all.

    Example:
        >>> list(resample([(0.0, "a"), (0.5, "b"), (1.0, "c")], fps=1, last_s=lambda: 0.5))
        [(0.0, 'a'), (1.0, 'c')]
    """
    tick = 0
    before: tuple[float, F] | None = None
    for time_s, picture in pictures:
        # A tie goes to the earlier picture, which is the one on show.
        while before is not None and tick / fps <= min((before[0] + time_s) / 2 + _TIE_S, stop_s - _TIE_S):
            yield tick / fps, before[1]
            tick += 1
        before = time_s, picture
    if before is None:
        return
    end_s = min(before[0] + last_s(), stop_s)
    while tick == 0 or tick / fps < end_s - _TIE_S:
        yield tick / fps, before[1]
        tick += 1
