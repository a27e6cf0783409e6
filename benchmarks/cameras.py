"""How good are cameras? ``python -m benchmarks.cameras FOLDER... [--backends flow colmap] [--up 0 0 1]``.

Each backend finds the cameras of each folder's clip; they are compared with the true ones after the best similarity.
With ``--up``, the world's direction up in the folders, depth is sought along the first backend's cameras, and the
direction up that they tell is compared with it, beside the mean up of the cameras.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import tyro
from rich.console import Console
from rich.table import Table
from torch import Tensor
from tyro.conf import Positional, arg

from benchmarks import align, truth
from benchmarks.errors import camera_errors
from fourd import camera, depth, motion
from fourd.errors import InputError
from fourd.events import Steps, Warned, result
from fourd.geometry import paths
from fourd.types import Cameras, Clip, Motion


@dataclass(frozen=True)
class Options:
    """What to judge."""

    folders: Annotated[Positional[tuple[Path, ...]], arg(metavar="FOLDER ...")]
    """Folders of truth."""
    backends: tuple[str, ...] = ("flow", "colmap")
    """Camera backends."""
    up: tuple[float, float, float] | None = None
    """The world's direction up in the folders."""


def warned(steps: Steps[Cameras], said: list[str]) -> Cameras:
    """The result of a stage, and in ``said`` what it warned of."""
    while True:
        try:
            event = next(steps)
        except StopIteration as end:
            return end.value
        if isinstance(event, Warned):
            said.append(event.message)


def angle_deg(a: Tensor, b: Tensor) -> float:
    """Between two directions."""
    a, b = (torch.nn.functional.normalize(x.double(), dim=0) for x in (a, b))
    return float(torch.rad2deg(2 * torch.asin(((a - b).norm() / 2).clamp(max=1))))


def judge(told: truth.Truth, name: str, moves: Motion) -> tuple[list[str], Cameras | None]:
    """A row of the table, and the cameras."""
    said: list[str] = []
    start = time.process_time()
    try:
        found = warned(camera.load(name)(told.clip, moves), said)
        seconds = time.process_time() - start
        errors = camera_errors(told.cameras, found, align.similarity(told.cameras, found), told.depth)
    except InputError as error:
        return [told.name, name, "", "", "", "", str(error)], None
    figures = [100 * errors["position_of_path"], errors["rotation_deg"], 100 * errors["focal"]]
    return [told.name, name, *(f"{x:.2f}" for x in figures), f"{seconds:.1f}", " ".join(said)], found


def up_errors(told: truth.Truth, clip: Clip, found: Cameras, moves: Motion, up: Tensor) -> list[str]:
    """A row of the other table."""
    moves = motion.refine(moves, found, clip=clip)
    maps = result(depth.load("parallax")(clip, found, moves))
    true = align.similarity(told.cameras, found).R @ up.double()
    moves = motion.refine(moves, found, maps, clip)
    start = time.process_time()
    gravity = camera.find_up(clip, found, maps, moves)
    seconds = time.process_time() - start
    mean = angle_deg(paths.mean_up(found), true)
    return [
        told.name,
        f"{angle_deg(gravity.up, true):.2f}",
        f"{mean:.2f}",
        f"{gravity.confidence:.2f}",
        f"{seconds:.1f}",
    ]


def main(options: Options) -> None:
    """Judge and print tables."""
    console = Console()
    table = Table("scene", "backend", "position, % of path", "rotation, deg", "focal, %", "CPU s", "said")
    ups = Table("scene", "up, deg", "mean up, deg", "confidence", "CPU s")
    for folder in options.folders:
        told = truth.read(folder)
        moves = result(motion.estimate(told.clip))
        for i, name in enumerate(options.backends):
            row, found = judge(told, name, moves)
            table.add_row(*row)
            if i == 0 and options.up is not None and found is not None:
                ups.add_row(*up_errors(told, told.clip, found, moves, torch.tensor(options.up)))
    console.print(table)
    if options.up is not None:
        console.print(ups)


if __name__ == "__main__":
    main(tyro.cli(Options))
