"""How good are pictures from where the camera was not? ``python -m benchmarks.quality FOLDER... --stage room``.

Folders of truth (benchmarks/truth.py says what is in them) and scenes of the stage are lifted with more
or less of the truth given; what comes out is compared with the pictures that were held out. Leaves
``quality.json``, a sheet of pictures for each row, and ``index.html``, which shows both.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import math
import os
import platform
import sys
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.table import Column, Table
from tyro.conf import Positional, arg

from benchmarks import judging, metrics, report, rows, sheets, staged, truth
from fourd.errors import FourdError, InputError
from fourd.files import replacing
from fourd.generate import SCENES
from fourd.pipeline import Quality


@dataclass(frozen=True)
class Options:
    """What to judge, and how."""

    folders: Annotated[Positional[tuple[Path, ...]], arg(metavar="[FOLDER ...]")] = ()
    """Folders of truth."""
    stage: tuple[str, ...] = ()
    """Scenes of the stage, such as room; a wrong name is answered with all of them."""
    rows: tuple[rows.Row, ...] = rows.ROWS
    """points: plain points of the truth. given: cameras and depth given. cameras: cameras given."""
    views: tuple[str, ...] = ()
    """Names of held-out views; all by default."""
    out: Path = Path("out/quality")
    """Where figures and pictures go."""
    size: int | None = None
    """Longer side of the working picture; the pipeline's own by default. Judged is at the truth's size."""
    quality: Quality = "standard"
    """How finely to fuse."""
    seed: int = 0
    """Of the pipeline and of the stage."""
    stage_frames: int = 36
    """Frames of a scene of the stage."""
    stage_hw: tuple[int, int] = (216, 384)
    """Height and width of its pictures."""
    jobs: int = 1
    """Scenes at the same time, each in a process of its own."""


@dataclass(frozen=True)
class Job:
    """One scene to judge: a folder, or the name of a scene of the stage."""

    source: Path | str
    options: Options = field(default_factory=Options)

    def truth(self) -> truth.Truth:
        """Read or film it, with the views that are asked for.

        Raises:
            FourdError: If it cannot be read, or has none of the views.
        """
        o = self.options
        if isinstance(self.source, str):
            known = tuple(name for name in staged.VIEWS if name in o.views or not o.views)
            _some_view(known, self.source, o.views, tuple(staged.VIEWS))
            return staged.make(self.source, hw=o.stage_hw, frames=o.stage_frames, seed=o.seed, views=known)
        found = truth.read(self.source)
        known = tuple(view for view in found.views if view.name in o.views or not o.views)
        _some_view(known, found.name, o.views, tuple(view.name for view in found.views))
        return replace(found, views=known)


def _some_view(known: tuple[object, ...], scene: str, wanted: tuple[str, ...], there: tuple[str, ...]) -> None:
    if not known:
        asked = f"has none of the views {', '.join(wanted)}" if wanted else "has no held-out view"
        raise InputError(f"'{scene}' {asked}; it has: {', '.join(there) or 'none'}.")


def jobs(options: Options) -> list[Job]:
    """What is to be judged, checked before anything is.

    Raises:
        InputError: If there is nothing to judge, or a scene is not known.
        FormatError: If a folder is broken.
    """
    if not options.folders and not options.stage:
        raise InputError(f"Name folders of truth, or scenes of the stage: --stage {' '.join(SCENES)}.")
    for name in options.stage:
        if name not in SCENES:
            raise InputError(f"There is no scene '{name}'. Choose of: {', '.join(SCENES)}.")
    found = [Job(source, options) for source in (*options.folders, *options.stage)]
    names = [job.truth().name if isinstance(job.source, Path) else job.source for job in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise InputError(f"Two scenes are called {', '.join(sorted(twice))}; judge them one after the other.")
    return found


def judge(job: Job) -> dict[str, Any]:
    """All rows of a scene; writes its sheets and returns its figures. What fails is said in the row's ``error``."""
    o = job.options
    known = job.truth()
    start = time.perf_counter()
    masks = judging.parts(known)
    judged = []
    overhead = time.perf_counter() - start
    for row in o.rows:
        figures: dict[str, Any] = {"row": row, "title": rows.TITLES[row]}
        judged.append(figures)
        if reason := rows.needs(row, known):
            figures["skipped"] = reason
            continue
        try:
            attempt = rows.attempt(row, known, rows.Settings(o.size, o.quality, o.seed))
            start = time.perf_counter()
            measured, strips = judging.judge(known, masks, attempt)
            overhead += time.perf_counter() - start
        except Exception as error:  # Hours of other rows shall not be lost to this one; the command ends with status 1.
            figures["error"] = str(error) if isinstance(error, FourdError) else f"{type(error).__name__}: {error}"
            traceback.print_exc()
            continue
        print(f"{known.name}, {rows.TITLES[row]}: {sum(attempt.seconds.values()):.0f} s", flush=True)
        figures |= measured
        figures["sheet"] = f"{known.name}-{row}.png"
        sheets.write_sheet(o.out / figures["sheet"], strips)
    h, w = known.clip.hw
    return {
        "name": known.name,
        "hw": [h, w],
        "frames": len(known.clip),
        "still": judging.still(known),
        "ms_ssim_scales": metrics.scales((h, w)),
        "judging_s": overhead,
        "rows": judged,
    }


def _plain(value: Any) -> Any:
    """JSON values: what is not finite becomes null, paths become text."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value) if isinstance(value, Path) else value


def _made() -> dict[str, Any]:
    packages = ("fourd", "torch", "numpy", "opencv-python-headless", "flip-evaluator")
    versions = {name: importlib.metadata.version(name) for name in packages}
    return {
        "schema": report.SCHEMA,
        "made": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version(), **versions},
        "machine": {"system": platform.system(), "architecture": platform.machine(), "cores": os.cpu_count()},
    }


def write(options: Options, scenes: list[dict[str, Any]]) -> dict[str, Any]:
    """Write figures and page, as far as they are known; returns the figures as they stand in the file."""
    settings = {key: value for key, value in asdict(options).items() if key not in ("folders", "out")}
    figures = _plain({**_made(), "options": settings, "scenes": scenes})
    with replacing(options.out / "quality.json") as fresh:
        fresh.write_text(json.dumps(figures, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    shown = [(f"{s['name']}: {r['title']}", r["sheet"]) for s in scenes for r in s["rows"] if "sheet" in r]
    sheets.write_page(options.out / "index.html", report.table(figures), shown)
    return figures


def _each(todo: list[Job], at_once: int) -> Iterator[dict[str, Any]]:
    if at_once <= 1:
        yield from map(judge, todo)
        return
    with ProcessPoolExecutor(at_once, mp_context=get_context("spawn")) as pool:
        yield from pool.map(judge, todo)


_SHOWN = (1, 2, 3, 4, 7, 8, 11, 12, 13, 14)
"""Columns of the report that fit on a terminal."""


def _show(console: Console, figures: dict[str, Any]) -> None:
    head, *lines = ([cells[i] for i in _SHOWN] for cells in report.table(figures))
    shown = Table(head[0], *(Column(name, justify="right") for name in head[1:]), box=None)
    for line in lines:
        shown.add_row(*line)
    console.print(shown)


def main(options: Options) -> int:
    """Judge, write and print; returns the exit status: 1 if some row failed.

    Raises:
        FourdError: If the input cannot be used, before anything is judged.
    """
    if options.jobs < 1:
        raise InputError(f"--jobs is {options.jobs}; it must be at least 1.")
    console = Console()
    if not console.is_terminal:
        console = Console(width=140)  # For a log, and not the 80 columns of a terminal that is not there.
    todo = jobs(options)
    options.out.mkdir(parents=True, exist_ok=True)
    scenes: list[dict[str, Any]] = []
    for scene in _each(todo, options.jobs):
        scenes.append(scene)
        figures = write(options, scenes)
        console.print(f"{scene['name']}: done ({len(scenes)} of {len(todo)})")
        _show(console, {**figures, "scenes": figures["scenes"][-1:]})
    console.print(f"Figures: {options.out / 'quality.json'}\nPictures: {options.out / 'index.html'}")
    return int(any("error" in row for scene in scenes for row in scene["rows"]))


if __name__ == "__main__":
    try:
        sys.exit(main(tyro.cli(Options, prog="python -m benchmarks.quality")))
    except FourdError as error:
        sys.exit(f"{error}")
