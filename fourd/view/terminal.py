"""Work in progress, on a terminal or in a log: what the events of the engine look like to a person."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    Task,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from fourd import events
from fourd.events import Event, Steps, result

T = TypeVar("T")

EVERY_S = 15.0
"""How often a log hears from a stage that takes its time."""

_TELLING = 0.05
"""The share of the work that must be done before the time left can be guessed."""


def console() -> Console:
    """The standard error, which is where progress belongs."""
    return Console(stderr=True)


def say(console: Console, text: str | Text) -> None:
    """Print a line as it is: no markup, and no breaks but its own."""
    console.print(text, soft_wrap=True, highlight=False, markup=False)


def table(rows: Sequence[Sequence[str | Text]]) -> None:
    """Print columns to the standard output; cells take several lines where they must."""
    grid = Table.grid(padding=(0, 2))
    for _ in rows[0]:
        grid.add_column(overflow="fold")
    for row in rows:
        grid.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    Console(highlight=False).print(grid)


def follow(steps: Steps[T], console: Console) -> T:
    """Run ``steps`` to the end, showing on ``console`` how it goes, and return the result."""
    with watching(console) as show:
        return result(steps, show)


def watching(console: Console) -> AbstractContextManager[Callable[[Event], None]]:
    """A function that shows events on ``console``, as long as the context lasts.

    A terminal gets a bar for each stage, with the time it took and the time left; a log gets a line
    for each stage, and one now and then while a stage lasts.
    """
    return _bars(console) if console.is_terminal else _lines(console)


def said(seconds: float) -> str:
    """A duration, as people say it.

    Example:
        >>> said(0.04), said(8.25), said(75), said(7260)
        ('0.0 s', '8.2 s', '1 min 15 s', '2 h 1 min')
    """
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


@contextmanager
def _bars(console: Console) -> Iterator[Callable[[Event], None]]:
    columns = (
        SpinnerColumn(finished_text="[green]✓[/green]"),
        TextColumn("{task.description:<8}", markup=False),
        BarColumn(bar_width=32),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        _Left(),
    )
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=console) as progress:

        def task(stage: str) -> TaskID:
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage, total=None)
            return tasks[stage]

        def show(event: Event) -> None:
            if isinstance(event, events.Warned):
                say(progress.console, _warning(event))
            elif isinstance(event, events.Started):
                task(event.stage)
            elif isinstance(event, events.Progress):
                progress.update(task(event.stage), completed=event.done, total=event.total)
            elif event.stage in tasks:  # Finished; the last one, "lift", is no stage.
                total = progress.tasks[tasks[event.stage]].total or 1
                progress.update(tasks[event.stage], completed=total, total=total)

        yield show


class _Left(TimeRemainingColumn):
    """The time left, called so, and nothing once a stage is done."""

    def render(self, task: Task) -> Text:
        return Text("") if task.finished else super().render(task) + Text(" left")


@contextmanager
def _lines(console: Console) -> Iterator[Callable[[Event], None]]:
    begun: dict[str, float] = {}
    spoke: dict[str, float] = {}
    totals: dict[str, int] = {}
    ended: set[str] = set()

    def show(event: Event) -> None:
        if isinstance(event, events.Warned):
            say(console, _warning(event))
            return
        now = time.monotonic()
        if isinstance(event, events.Progress) and totals.setdefault(event.stage, event.total) != event.total:
            # Another part of the stage, which is counted anew.
            totals[event.stage], begun[event.stage] = event.total, now
        first = begun.setdefault(event.stage, now)
        if isinstance(event, events.Progress):
            if now - spoke.get(event.stage, first) >= EVERY_S and 0 < event.done < event.total:
                spoke[event.stage] = now
                left = (now - first) * (event.total / event.done - 1)
                about = f", about {said(left)} left" if event.done / event.total > _TELLING else ""
                say(console, f"{event.stage}: {event.done} of {event.total}{about}")
        elif isinstance(event, events.Finished) and event.stage != "lift" and event.stage not in ended:
            ended.add(event.stage)  # The pipeline finishes motion twice, and refines it in between.
            say(console, f"{event.stage}: done in {said(event.seconds)}")

    yield show


def _warning(event: events.Warned) -> Text:
    return Text.assemble(("warning: ", "yellow"), f"{event.stage}: {event.message}")
