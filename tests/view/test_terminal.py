"""Work in progress: bars for people, lines for logs, and the result for the caller."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from fourd import events
from fourd.events import Steps
from fourd.view import terminal


def work() -> Steps[str]:
    yield events.Started("motion")
    for i in range(1, 5):
        yield events.Progress("motion", i, 4)
    yield events.Finished("motion", None, 1.26)
    yield events.Started("depth")
    yield events.Warned("depth", "the camera [turns] on the spot")
    yield events.Finished("depth", None, 61.0)
    yield events.Finished("motion", None, 0.0)
    yield events.Finished("lift", None, 62.26)
    return "scene"


def shown(terminal_: bool) -> tuple[str, str]:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal_, width=100, color_system=None, legacy_windows=False)
    result = terminal.follow(work(), console)
    return result, re.sub(r"\x1b\[[0-9?;]*[A-Za-z]", "", out.getvalue())


def test_a_log_gets_one_line_for_each_stage_and_warning() -> None:
    result, text = shown(False)
    assert result == "scene"
    assert text.splitlines() == [
        "motion: done in 1.3 s",
        "warning: depth: the camera [turns] on the spot",
        "depth: done in 1 min 1 s",
    ]


def test_a_log_hears_from_a_long_stage_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr(terminal.time, "monotonic", lambda: next(clock))
    _, text = shown(False)
    # Begun at 0 s; 2 of 4 at 20 s is the first that is 15 s later.
    assert "motion: 2 of 4, about 20.0 s left" in text.splitlines()
    assert text.count(" left") == 1


def test_the_time_left_is_that_of_the_part_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    def parts() -> Steps[None]:
        for total in (10, 4):
            for i in range(1, total + 1):
                yield events.Progress("fuse", i, total)

    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr(terminal.time, "monotonic", lambda: next(clock))
    out = io.StringIO()
    terminal.follow(parts(), Console(file=out, width=100))
    # The second part began with its first report, at 100 s; the third came at 120 s.
    assert out.getvalue().splitlines()[-1] == "fuse: 3 of 4, about 6.7 s left"


def test_a_terminal_gets_a_full_bar_for_each_stage_and_the_warning() -> None:
    result, text = shown(True)
    assert result == "scene"
    last = [line.rstrip() for line in text.splitlines()][-2:]
    assert re.fullmatch(r"✓ motion +━+ 100% 0:00:0\d", last[0])
    assert re.fullmatch(r"✓ depth +━+ 100% 0:00:0\d", last[1])
    assert "warning: depth: the camera [turns] on the spot" in text
    assert "lift" not in text


@pytest.mark.parametrize("terminal_", [False, True])
def test_errors_pass_through(terminal_: bool) -> None:
    def broken() -> Steps[None]:
        yield events.Started("motion")
        raise KeyError("x")

    with pytest.raises(KeyError):
        terminal.follow(broken(), Console(file=io.StringIO(), force_terminal=terminal_))
