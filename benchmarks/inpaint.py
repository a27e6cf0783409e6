"""How good is what was made up? ``python -m benchmarks.inpaint FOLDER... --stage room``.

Scenes are lifted with the cameras and depth of the truth, filled in several ways, and compared with the pictures that
were held out: in the pixels that no frame of the source saw, which nothing but making up can fill, and in those
that the frame of the same moment did not see, of which others may have. Leaves ``inpaint.json`` and sheets of pictures.
"""

from __future__ import annotations

import dataclasses
import json
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
from rich.console import Console
from rich.table import Column, Table
from torch import Tensor
from tyro.conf import Positional, arg

from benchmarks import filling, quality
from benchmarks.covisible import covisible
from benchmarks.filling import Filler
from benchmarks.truth import Truth
from fourd import events, inpaint, pipeline
from fourd.errors import FourdError, InputError
from fourd.files import replacing
from fourd.filling import fill
from fourd.types import Splats

ROWS = {
    "none": "holes left empty",
    "telea": "Telea, each picture by itself",
    "ns": "Navier-Stokes, each picture by itself",
    "stretch": "nearest background, each picture by itself",
    "copy": "from other moments, then nearest background",
    "alone": "ours without evidence",
    "plain": "ours without diffusion",
    "ours": "ours",
}


@dataclass(frozen=True)
class Options:
    """What to judge, and how."""

    folders: Annotated[Positional[tuple[Path, ...]], arg(metavar="[FOLDER ...]")] = ()
    """Folders of truth."""
    stage: tuple[str, ...] = ()
    """Scenes of the stage, such as room."""
    rows: tuple[str, ...] = tuple(ROWS)
    """Of: none, telea, ns, stretch, copy, alone, plain, ours."""
    views: tuple[str, ...] = ("R20", "L30", "R45")
    """Names of held-out views."""
    inpainter: str = "embedded"
    """What "ours" fills with."""
    range_deg: float = 45.0
    """How far the loop goes."""
    quality: pipeline.Quality = "standard"
    """How the scenes are lifted."""
    seed: int = 0
    stage_frames: int = 36
    stage_hw: tuple[int, int] = (216, 384)
    out: Path = Path("out/inpaint")
    """Where figures and pictures go."""


def judge(known: Truth, options: Options) -> dict[str, Any]:
    """All rows of a scene; writes its sheets and returns its figures."""
    if known.depth is None:
        raise InputError(f"The truth of '{known.name}' has no depth, with which its scene would be lifted.")
    config = pipeline.Config(
        camera=known.cameras, depth=known.depth, inpaint="none", quality=options.quality, seed=options.seed
    )
    scene = pipeline.lift(known.clip, config)
    unseen = {view.name: _unseen(covisible(view, known), view.name) for view in known.views}
    closed = {view.name: filling.unseen_at_its_moment(view, known) for view in known.views}
    judged = []
    strips: dict[str, list[Tensor]] = {}
    for row in options.rows:
        start = time.perf_counter()
        made = _fill(row, known, scene.splats, config, options)
        figures: dict[str, Any] = {"row": row, "title": ROWS[row], "seconds": time.perf_counter() - start}
        figures["memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        same = row in ("plain", "ours")  # The others are not filled scenes of all frames.
        figures["change_db"] = filling.change_db(scene.splats, made.splats, known.cameras) if same else None
        figures["open"] = filling.open_shares(made.splats, known.cameras, options.range_deg) if same else None
        figures["views"] = {}
        for view in known.views:
            picked = [len(view) // 2] if row == "alone" else list(range(len(view)))
            pictures = made.pictures(view.cameras[torch.tensor(picked)])
            figures["views"][view.name] = filling.figures(
                pictures, view, picked, {"unseen": unseen[view.name], "closed": closed[view.name]}
            )
            if row != "alone":
                figures["views"][view.name]["flicker"] = filling.flicker(made, scene.splats, view, known)
            middle = pictures.rgb[picked.index(len(view) // 2)]
            strips.setdefault(view.name, []).append(middle)
        judged.append(figures)
        print(f"{known.name}, {ROWS[row]}: {figures['seconds']:.0f} s", flush=True)
    for view in known.views:
        filling.sheet(options.out / f"{known.name}-{view.name}.png", view, strips[view.name], options.rows)
    told = {v.name: filling.evidence(scene.splats, v.cameras, known.cameras[v.source_index]) for v in known.views}
    return {"name": known.name, "hw": list(known.clip.hw), "frames": len(known.clip), "evidence": told, "rows": judged}


def _unseen(mask: Tensor | None, name: str) -> Tensor:
    if mask is None:
        raise InputError(f"The truth of view '{name}' has no depth: nobody can say what the source saw of it.")
    return ~mask


def _fill(row: str, known: Truth, splats: Splats, config: pipeline.Config, options: Options) -> Filler:
    """The scene of a row, and how pictures are made of it."""
    config = dataclasses.replace(config, range_deg=options.range_deg)
    if row in ("plain", "ours"):
        backend = inpaint.backend("stretch" if row == "plain" else options.inpainter)
        filled = events.result(fill(splats, known.clip, known.cameras, backend, config.range_deg, config.seed))
        return Filler(filled.splats)
    if row == "alone":
        # One frame knows nothing of other moments; the middle one, at which each view's middle picture was taken.
        at = known.views[0].source_index[len(known.views[0]) // 2].reshape(1)
        clip = known.clip.replace(frames=known.clip.frames[at], time_s=known.clip.time_s[at], sound=None)
        cameras, maps = known.cameras[at], known.depth
        assert maps is not None  # Views have depth, so the source has.
        alone = pipeline.lift(clip, dataclasses.replace(config, camera=cameras, depth=maps[at]))
        backend = inpaint.backend(options.inpainter)
        filled = events.result(fill(alone.splats, clip, cameras, backend, config.range_deg, config.seed))
        return Filler(filled.splats)
    backend = None if row == "none" else inpaint.backend(row)
    return Filler(splats, backend, source=known.cameras if row == "copy" else None)


def table(figures: dict[str, Any]) -> list[list[str]]:
    """The figures as cells, the heading first."""
    head = ["scene", "filled by", "view", "PSNR", "SSIM", "detail", "flicker", "empty", "closed PSNR", "seen PSNR"]
    lines = [head]
    for scene in figures["scenes"]:
        for row in scene["rows"]:
            for name, view in row["views"].items():
                unseen = view["unseen"]
                flicker = f"{100 * view['flicker']:.2f} %" if view.get("flicker") is not None else "–"
                line = [scene["name"], row["title"], name, f"{unseen['psnr']:.2f}", f"{unseen['ssim']:.3f}"]
                line += [f"{unseen['detail']:.2f}", flicker, f"{100 * unseen['empty']:.1f} %"]
                line += [f"{view['closed']['psnr']:.2f}", f"{view['seen']['psnr']:.2f}"]
                lines.append(line)
    return lines


def main(options: Options) -> int:
    """Judge, write and print; returns the exit status.

    Raises:
        FourdError: If the input cannot be used.
    """
    if wrong := [row for row in options.rows if row not in ROWS]:
        raise InputError(f"There is no row '{wrong[0]}'. Choose of: {', '.join(ROWS)}.")
    inpaint.backend(options.inpainter)  # Fail before the work.
    console = Console(width=150)
    asked = quality.Options(
        folders=options.folders,
        stage=options.stage,
        views=options.views,
        seed=options.seed,
        stage_frames=options.stage_frames,
        stage_hw=options.stage_hw,
    )
    todo = quality.jobs(asked)
    options.out.mkdir(parents=True, exist_ok=True)
    figures: dict[str, Any] = {"options": quality._plain(dataclasses.asdict(options)), "scenes": []}
    for job in todo:
        figures["scenes"].append(judge(job.truth(), options))
        with replacing(options.out / "inpaint.json") as fresh:
            fresh.write_text(json.dumps(quality._plain(figures), indent=1, allow_nan=False) + "\n", encoding="utf-8")
        head, *lines = table({"scenes": figures["scenes"][-1:]})
        shown = Table(*(Column(name, justify="left" if k < 3 else "right") for k, name in enumerate(head)), box=None)
        for line in lines:
            shown.add_row(*line)
        console.print(shown)
        told = figures["scenes"][-1]["evidence"]
        console.print(
            "Evidence fills of the holes of single frames: " + ", ".join(f"{k} {v:.0%}" for k, v in told.items())
        )
        for row in figures["scenes"][-1]["rows"]:
            said = f"{row['title']}: {row['seconds']:.0f} s; at most {row['memory_mb']:.0f} MB so far"
            if row["change_db"] is not None:
                half, tenth = (f"{row['open'][name]:.2%}" for name in ("half", "tenth"))
                said += f"; filmed pixels change by {row['change_db']:.1f} dB;"
                said += f" orbits are covered by less than half in {half} and by less than 0.9 in {tenth}"
            console.print(said)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(tyro.cli(Options, prog="python -m benchmarks.inpaint")))
    except FourdError as error:
        sys.exit(f"{error}")
