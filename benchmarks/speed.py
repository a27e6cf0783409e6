"""How long from a clip to its depth? ``python -m benchmarks.speed CLIP... [--seconds 2.5 5 10]``.

The pipeline runs with nothing given, as far as depth, and is stopped there. Times are told for each stage, by the clock
and as processor time of all threads, and the largest size that the process has had so far. With several lengths it
shows whether the cost of a frame grows with the length of the clip.
"""

from __future__ import annotations

import resource
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import torch
import tyro
from rich.console import Console
from rich.table import Table
from tyro.conf import Positional, arg

from fourd import pipeline
from fourd.errors import FourdError
from fourd.events import Event, Finished, Progress, Started
from fourd.types import Clip, DepthMaps

PARTS = ("read", "flow", "follow", "solve", "mask", "match", "complete")
"""Decoding; optical flow; following points and solving for cameras; refining what moves and, if the lens bends, making
the clip straight; matching frames; and all the rest of depth."""


@dataclass(frozen=True)
class Options:
    """What to time."""

    clips: Annotated[Positional[tuple[Path, ...]], arg(metavar="CLIP ...")]
    """Videos."""
    seconds: tuple[float, ...] = (5.0,)
    """How much of each."""
    size: int = 512
    """Longer side of the working picture in pixels."""
    fps: float = 24.0
    """Frames a second."""
    quality: pipeline.Quality = "standard"
    """As of ``fourd lift``: a draft is matched at half its size."""


@dataclass(eq=False)
class Stopwatch:
    """Seconds by the clock, and of the processor, of each part."""

    wall: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PARTS, 0.0))
    cpu: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PARTS, 0.0))
    part: str = PARTS[0]
    last: tuple[float, float] = field(default_factory=lambda: (time.perf_counter(), time.process_time()))

    def enter(self, part: str) -> None:
        """What passed since the last call was the part before; from now on it is ``part``."""
        now = time.perf_counter(), time.process_time()
        self.wall[self.part] += now[0] - self.last[0]
        self.cpu[self.part] += now[1] - self.last[1]
        self.part, self.last = part, now


def part_of(event: Event, part: str) -> str:
    """The part that follows an event, if ``part`` was going on."""
    if isinstance(event, Started):
        return {"motion": "flow", "camera": "follow", "depth": "match"}.get(event.stage, part)
    if isinstance(event, Finished) and event.stage in ("motion", "camera"):
        return "mask"
    if isinstance(event, Progress) and event.stage == "camera" and 2 * event.done >= event.total:
        return "solve"
    if isinstance(event, Progress) and event.stage == "depth" and 3 * event.done >= event.total:
        return "complete"
    return part


def timed(path: Path, seconds: float, options: Options) -> tuple[Clip, Stopwatch]:
    """Read a clip and find its depth, as the pipeline does.

    Raises:
        FourdError: If the clip cannot be read.
    """
    watch = Stopwatch()
    clip = Clip.open(path, duration_s=seconds, fps=options.fps, size=options.size)
    watch.enter("mask")
    for event in pipeline.steps(clip, pipeline.Config(size=None, quality=options.quality, inpaint="none")):
        watch.enter(part_of(event, watch.part))
        if isinstance(event, Finished) and isinstance(event.result, DepthMaps):
            break
    return clip, watch


def largest_mb() -> float:
    """The largest size that this process has had."""
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest / (1e6 if sys.platform == "darwin" else 1e3)  # In bytes there, in kilobytes elsewhere.


def main(options: Options) -> None:
    """Time and print a table: a line of seconds by the clock, and one of processor seconds."""
    table = Table("clip", "frames", "", *PARTS, "cameras", "all", "ms a frame", "MB", box=None)
    for path in options.clips:
        for seconds in sorted(options.seconds):
            clip, watch = timed(path, seconds, options)
            size = f"{clip.hw[1]}x{clip.hw[0]}"
            for kind, spent in (("wall", watch.wall), ("CPU", watch.cpu)):
                every = sum(spent.values())
                shown = [f"{x:.1f}" for x in (*spent.values(), spent["follow"] + spent["solve"], every)]
                ends = [f"{1e3 * every / len(clip):.0f}", f"{largest_mb():.0f}"]
                table.add_row(f"{clip.name} {size}", str(len(clip)), kind, *shown, *ends)
    console = Console(width=160)
    console.print(table)
    console.print(f"{torch.get_num_threads()} threads.")


if __name__ == "__main__":
    try:
        main(tyro.cli(Options, prog="python -m benchmarks.speed"))
    except FourdError as error:
        sys.exit(f"{error}")
