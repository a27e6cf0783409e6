"""``python -m fourd.depth.train``: make pictures, fit the network, write its weights.

Everything that takes long can be interrupted and goes on where it was when the same command is given again.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

import torch
import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from fourd.depth.embedded import weights
from fourd.depth.train import fitting, recordings, rendering
from fourd.errors import FourdError, InputError
from fourd.events import Event, Progress, Steps, Warned, result

T = TypeVar("T")


@dataclass(frozen=True)
class Options:
    """What to make, and from what."""

    data: Path = Path.home() / ".cache" / "fourd" / "depth-train"
    """Folder of training pictures; what is missing there is rendered."""
    out: Path = weights.SHIPPED
    """Where the weights go."""
    state: Path | None = None
    """Where the state of training is kept; train.safetensors in the data folder by default."""
    shards: int = 40
    """Files of rendered pictures."""
    pictures: int = 240
    """Pictures a file."""
    hw: tuple[int, int] = (144, 192)
    """Size of the rendered pictures."""
    render_minutes: float = float("inf")
    """Begin no further file after this time."""
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    """Processes that render, and threads that train."""
    truth: tuple[Path, ...] = ()
    """Recordings with measured depth: folders as benchmarks/truth.py describes them."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train."""
    recipe: fitting.Recipe = field(default_factory=fitting.Recipe)
    """How to train."""


def main(options: Options) -> None:
    """Render, fit and write."""
    console = Console(stderr=True)
    device = torch.device(_device(options.device))
    torch.set_num_threads(options.workers)
    work = rendering.render(
        options.data,
        options.shards,
        options.recipe.seed,
        options.hw,
        options.pictures,
        options.workers,
        60 * options.render_minutes,
    )
    _shown(work, console)
    _shown(recordings.collect(options.data, options.truth, options.hw), console)
    if options.recipe.minutes <= 0:
        return
    state = options.state or options.data / "train.safetensors"
    fitted = _shown(fitting.fit(options.data, state, options.recipe, device), console)
    error = fitted.judge(options.data)
    told = dict(
        area=options.recipe.area,
        widths=options.recipe.widths,
        blocks=options.recipe.blocks,
        backbone=options.recipe.backbone,
        pictures=fitted.samples,
        steps=fitted.steps,
        seconds=round(fitted.seconds),
        seed=options.recipe.seed,
        kept_aside=round(error, 4),
    )
    weights.save(fitted.mean, options.out, told)
    console.print(f"{options.out} holds the weights: {told}")


def _device(wanted: str) -> str:
    found = torch.cuda.is_available()
    if wanted == "cuda" and not found:
        raise InputError("--device is cuda, and PyTorch finds no CUDA device. Use --device cpu.")
    return "cuda" if found and wanted != "cpu" else "cpu"


def _shown(steps: Steps[T], console: Console) -> T:
    """Run a stage to its end, with a bar on a terminal and its remarks as lines."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Bars(*columns, console=console, disable=not console.is_terminal) as bars:
        tasks: dict[str, TaskID] = {}

        def show(event: Event) -> None:
            if isinstance(event, Progress):
                if event.stage not in tasks:
                    tasks[event.stage] = bars.add_task(event.stage)
                bars.update(tasks[event.stage], completed=event.done, total=event.total)
            elif isinstance(event, Warned):
                console.print(event.message, highlight=False)

        return result(steps, show)


if __name__ == "__main__":
    try:
        main(tyro.cli(Options))
    except FourdError as error:
        raise SystemExit(f"Error: {error}") from None
