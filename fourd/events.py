"""What the engine says while it works. It prints nothing: whoever listens decides.

A stage that takes a while is a generator: it yields events and *returns* its result, so that a
caller can write ``maps = yield from depth(clip, cameras, motion)`` and stopping the iteration
cancels the work at the next event. ``result`` runs such a generator for its result alone.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

E = TypeVar("E")
T = TypeVar("T")


@dataclass(frozen=True)
class Started:
    """A stage begins."""

    stage: str


@dataclass(frozen=True)
class Progress:
    """A stage has done ``done`` of ``total`` equal parts of its work."""

    stage: str
    done: int
    total: int


@dataclass(frozen=True)
class Warned:
    """Something that the user should know and that did not stop the work."""

    stage: str
    message: str


@dataclass(frozen=True, eq=False)
class Finished:
    """A stage is done; ``result`` is the noun it made."""

    stage: str
    result: object
    seconds: float


Event: TypeAlias = Started | Progress | Warned | Finished
Steps: TypeAlias = Generator[Event, None, T]


def result(steps: Generator[E, None, T], hear: Callable[[E], object] | None = None) -> T:
    """Run a stage to its end and return what it made.

    Args:
        steps: The stage.
        hear: Told of each event; by default nobody is.

    Example:
        >>> def stage():
        ...     yield Progress("count", 1, 1)
        ...     return 42
        >>> result(stage())
        42
    """
    while True:
        try:
            event = next(steps)
        except StopIteration as end:
            return end.value
        if hear is not None:
            hear(event)
