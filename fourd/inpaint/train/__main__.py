"""``python -m fourd.inpaint.train``: make pictures, teach the network, write its weights.

Everything can be interrupted and goes on where it was when the same command is given again.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import torch
import tyro
from rich.console import Console

from fourd.depth.train import rendering
from fourd.errors import FourdError
from fourd.events import Event, Progress, Steps, T, result
from fourd.inpaint.embedded import weights
from fourd.inpaint.train import fitting


@dataclass(frozen=True)
class Options:
    """What to make, and from what."""

    data: Path = Path.home() / ".cache" / "fourd" / "inpaint-train"
    """Folder of training pictures; what is missing there is rendered."""
    out: Path = weights.SHIPPED
    """Where the weights go."""
    state: Path | None = None
    """Where the state of training is kept; train.safetensors in the data folder by default."""
    shards: int = 40
    """Files of rendered pictures."""
    pictures: int = 240
    """Pictures a file."""
    hw: tuple[int, int] = (112, 192)
    """Size of the rendered pictures."""
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    """Processes that render, and threads that train."""
    recipe: fitting.Recipe = field(default_factory=fitting.Recipe)
    """How to train."""


def main(options: Options) -> None:
    """Render, fit and write."""
    console = Console(stderr=True)
    torch.set_num_threads(options.workers)
    wanted = options.data, options.shards, options.recipe.seed, options.hw, options.pictures, options.workers
    _shown(rendering.render(*wanted), console, 1)
    state = options.state or options.data / "train.safetensors"
    fitted = _shown(fitting.fit(options.data, options.shards, state, options.recipe), console, 500)
    told = dict(steps=fitted.steps, batch=options.recipe.batch, seed=options.recipe.seed, loss=round(fitted.loss, 4))
    weights.save(fitted.network, options.out, told)
    console.print(f"{options.out} holds the weights: {told}")


def _shown(steps: Steps[T], console: Console, every: int) -> T:
    """Run to the end, with a line now and then."""

    def show(event: Event) -> None:
        if isinstance(event, Progress) and event.done % every == 0:
            console.print(f"{event.stage}: {event.done} of {event.total}", highlight=False)

    return result(steps, show)


if __name__ == "__main__":
    try:
        main(tyro.cli(Options))
    except FourdError as error:
        raise SystemExit(f"Error: {error}") from None
