"""How good is the depth of clips, is it steady, is its confidence true? ``python -m benchmarks.clip_depth FOLDER...``.

The cameras, what moves, and depth are found with nothing given, as the pipeline finds them, and compared with the
truth after one scale for the clip. docs/benchmarks.md says what each figure means.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from jaxtyping import Float64
from rich.console import Console
from rich.table import Table
from torch import Tensor
from tyro.conf import Positional, arg

from benchmarks import errors, staged, truth
from benchmarks.flicker import flicker
from benchmarks.reliability_chart import draw
from fourd import pipeline
from fourd.errors import FourdError, InputError
from fourd.events import Finished
from fourd.types import Clip, DepthMaps

HEADS = ("scene", "static", "moving", "whole", "delta1", "flicker, %", "mask IoU", "calibration error")


@dataclass(frozen=True)
class Options:
    """What to judge."""

    folders: Annotated[Positional[tuple[Path, ...]], arg(metavar="[FOLDER ...]")] = ()
    """Folders of truth with depth."""
    stage: tuple[str, ...] = ()
    """Scenes of the stage, such as room."""
    depth: str = "parallax"
    """The depth backend, as ``fourd lift --depth`` takes it."""
    chart: Path | None = None
    """Where to leave a chart of confidence against the share of pixels that are right."""


def found(clip: Clip, depth: str) -> DepthMaps:
    """Depth as the pipeline finds it, at the clip's own size."""
    config = pipeline.Config(depth=depth, size=None, inpaint="none")
    for event in pipeline.steps(clip, config):
        if isinstance(event, Finished) and isinstance(event.result, DepthMaps):
            return event.result
    raise InputError(f"The pipeline found no depth for '{clip.name}'.")


def judge(told: truth.Truth, ours: DepthMaps) -> tuple[dict[str, float], Float64[Tensor, "bins 3"]]:
    """The figures of one clip, and how right its depth is by confidence (``errors.reliability``).

    Raises:
        InputError: If the truth has no depth.
    """
    if told.depth is None:
        raise InputError(f"'{told.name}' has no true depth; leave it out.")
    parts = errors.depth_errors(told.depth, ours, told.moving)
    still = parts.get("static", parts["all"])
    masks = None if told.moving is None or ours.moving is None else (told.moving, ours.moving)
    bins = errors.reliability(told.depth, ours)
    figures = {
        "static": still["absrel"],
        "moving": parts["moving"]["absrel"] if "moving" in parts else float("nan"),
        "whole": parts["all"]["absrel"],
        "delta1": parts["all"]["delta1"],
        "flicker": 100 * flicker(told.cameras, told.depth, ours, told.moving),
        "mask": errors.mask_iou(*masks) if masks else float("nan"),
        "calibration": errors.calibration_error(bins),
    }
    return figures, bins


def said(figures: dict[str, float]) -> list[str]:
    """Cells of the table; what cannot be told is a dash."""
    return ["–" if x != x else f"{x:.2f}" if name == "flicker" else f"{x:.3f}" for name, x in figures.items()]


def main(options: Options) -> None:
    """Judge and print a table.

    Raises:
        FourdError: If there is nothing to judge, or a folder is broken.
    """
    if not options.folders and not options.stage:
        raise InputError("Name folders of truth, or scenes of the stage: --stage room garden.")
    console, table, bins = Console(width=120), Table(*HEADS, box=None), {}
    for source in (*options.folders, *options.stage):
        told = staged.make(source, views=("R10",)) if isinstance(source, str) else truth.read(source)
        figures, bins[told.name] = judge(told, found(told.clip, options.depth))
        table.add_row(told.name, *said(figures))
    console.print(table)
    if options.chart is not None:
        draw(bins, options.chart)
        console.print(f"Chart: {options.chart}")


if __name__ == "__main__":
    try:
        main(tyro.cli(Options, prog="python -m benchmarks.clip_depth"))
    except FourdError as error:
        sys.exit(f"{error}")
