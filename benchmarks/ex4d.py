"""Fly EX-4D's own camera path, beside what its video model made of it: ``python -m benchmarks.ex4d FOLDER``.

The folder is that of EX-4D's example: ``input.mp4``, ``camera_180.npz`` (``extrinsics`` [t, 4, 4] in OpenGL axes,
from the world, whose axes are those of the first camera of OpenCV) and, if it is there, ``their_output.mp4``. Leaves
``ours.mp4`` and ``sheet.png``: some moments as filmed, as EX-4D's model drew them, and as ours are.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import torch
import tyro
from torch import Tensor
from tyro.conf import Positional, arg

import fourd
from benchmarks import sheets
from fourd.errors import FormatError, FourdError
from fourd.types import Cameras, Clip

SHOWN = (6, 12, 24, 36, 42)
"""Frames of the sheet."""


@dataclass(frozen=True)
class Options:
    """What to fly along, and how to lift."""

    folder: Annotated[Positional[Path], arg(metavar="FOLDER")]
    """Of EX-4D's example."""
    scene: Path | None = None
    """A scene of that clip that was lifted before; else it is lifted, which takes minutes."""
    range_deg: float = 60.0
    """How far to fill: their path turns by 45 degrees and rises by 22."""
    size: int = 384
    """Longer side of the working picture in pixels."""
    inpaint: str = "embedded"
    """What fills."""
    out: Path = Path("out/ex4d")
    """Where the film and the sheet go."""


def swing(path: Path) -> tuple[Tensor, float]:
    """The cameras of the file, world_from_cam [t, 4, 4] in OpenCV axes, and how far ahead of the first their pivot is.

    Raises:
        FormatError: If the file is not one of EX-4D's.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            extrinsics = file["extrinsics"].astype(np.float64)
        poses = np.linalg.inv(extrinsics) @ np.diag([1.0, -1, -1, 1])
    except (OSError, ValueError, KeyError, np.linalg.LinAlgError) as error:
        raise FormatError(f"{path} is no camera path of EX-4D ({error}).") from None
    # The point nearest to all optical axes, in the mean of squares.
    forward, centre = poses[:, :3, 2], poses[:, :3, 3]
    across = np.eye(3) - forward[:, :, None] * forward[:, None]
    pivot = np.linalg.lstsq(across.sum(0), (across @ centre[..., None]).sum(0)[:, 0], rcond=None)[0]
    return torch.from_numpy(poses), float((pivot - centre[0]) @ forward[0])


def flown(scene: fourd.Scene, path: Path) -> Cameras:
    """The path through a scene, whose subject lies where theirs does."""
    poses, away = swing(path)
    source = scene.cameras
    poses[:, :3, 3] *= scene.focus_m() / away
    world = source.world_from_cam[0].double() @ poses
    at = torch.arange(len(poses)).clamp(max=len(source) - 1)
    return source[at].replace(world_from_cam=world.float())


def _strip(name: str, film: Clip, width: int) -> np.ndarray:
    """Some frames of a film side by side, brought to one width."""
    hw = width, round(film.hw[0] * width / film.hw[1])
    picked = [(k, film.frames[min(k, len(film) - 1)].numpy()) for k in SHOWN]
    tiles = [sheets.tile(cv2.resize(x, hw, interpolation=cv2.INTER_AREA), f"{name} {k}") for k, x in picked]
    return np.concatenate(tiles, 1)


def main(options: Options) -> int:
    """Lift, fly and draw; returns the exit status.

    Raises:
        FourdError: If the folder cannot be used.
    """
    clip = Clip.open(options.folder / "input.mp4")
    if options.scene is None:
        config = fourd.Config(size=options.size, range_deg=options.range_deg, inpaint=options.inpaint)
        scene = fourd.lift(clip, config)
    else:
        scene = fourd.Scene.open(options.scene)
    cameras = flown(scene, options.folder / "camera_180.npz")
    options.out.mkdir(parents=True, exist_ok=True)
    scene.write_video(options.out / "ours.mp4", cameras)
    theirs = options.folder / "their_output.mp4"
    films = {"filmed": clip, **({"EX-4D": Clip.open(theirs)} if theirs.is_file() else {})}
    films["ours"] = Clip.open(options.out / "ours.mp4")
    width = films["ours"].hw[1]
    rows = [_strip(name, film, width) for name, film in films.items()]
    sheets.write_sheet(options.out / "sheet.png", rows)
    print(f"Film: {options.out / 'ours.mp4'}\nBeside theirs: {options.out / 'sheet.png'}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(tyro.cli(Options, prog="python -m benchmarks.ex4d")))
    except FourdError as error:
        sys.exit(f"{error}")
