"""The command that times the way to depth: every second is counted, in the part that it belongs to."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import speed
from fourd.events import Finished, Progress, Started

SAMPLE = Path(__file__).parents[2] / "data" / "sample.mp4"


def test_events_tell_the_parts_apart() -> None:
    events = [
        Started("motion"),
        Progress("motion", 1, 2),
        Finished("motion", None, 0.0),
        Started("camera"),
        Progress("camera", 1, 8),
        Progress("camera", 4, 8),
        Finished("camera", None, 0.0),
        Started("depth"),
        Progress("depth", 3, 12),
        Progress("depth", 4, 12),
    ]
    part, parts = "mask", []
    for event in events:
        part = speed.part_of(event, part)
        parts.append(part)
    assert parts == "flow flow mask follow follow solve mask match match complete".split()


def test_the_parts_are_all_the_time_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(100))
    monkeypatch.setattr(speed.time, "perf_counter", lambda: float(next(now)))
    monkeypatch.setattr(speed.time, "process_time", lambda: 0.5)
    watch = speed.Stopwatch()
    for part in ("flow", "follow", "flow"):
        watch.enter(part)
    assert watch.wall["read"] == 1 and watch.wall["flow"] == 1 and watch.wall["follow"] == 1
    assert sum(watch.wall.values()) == 3 and sum(watch.cpu.values()) == 0


@pytest.mark.needs("native")
def test_a_clip_is_timed_as_far_as_depth(capsys: pytest.CaptureFixture[str]) -> None:
    speed.main(speed.Options((SAMPLE,), seconds=(0.2,), size=96))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:10] == ["clip", "frames", *speed.PARTS, "cameras"]
    assert lines[1].split()[:4] == ["sample", "96x54", "5", "wall"] and lines[2].split()[3] == "CPU"
    assert speed.largest_mb() > 10
