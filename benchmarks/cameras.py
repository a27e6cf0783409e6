"""How good are cameras? ``python -m benchmarks.cameras FOLDER... [--stage room] [--backends flow] [--up 0 0 1]``.

Each backend finds the cameras of each folder's clip; they are compared with the true ones after the best similarity.
Instead of ``truth.npz`` a folder may hold ``clip.mp4`` and what another system estimated, ``poses.npy`` and
``intrinsics.npy`` (see ``estimates``). The clip is brought to a longer side of 640 pixels, as the pipeline does.
"Sure to" are the standard deviations that the backend gives with position, rotation and focal length; the columns of
pixels say how well the true cameras, and the found ones, agree with the true depth and with points that were followed
(``benchmarks.reprojection``). With ``--up``, the world's direction up in the folders, depth is sought along the first
backend's cameras, and the direction up that they tell is compared with it, beside the mean up of the cameras.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro
from jaxtyping import Int64
from rich.console import Console
from rich.table import Table
from torch import Tensor
from tyro.conf import Positional, arg

from benchmarks import align, staged, truth
from benchmarks.errors import camera_errors
from benchmarks.reprojection import reprojection_px
from fourd import camera, depth, motion, poses
from fourd.camera.tracks import follow
from fourd.errors import FormatError, InputError
from fourd.events import Event, Warned, result
from fourd.geometry import paths, rigid
from fourd.media.cutting import spans
from fourd.types import Cameras, Clip, DepthMaps, Motion, Uncertainty

_SIZE = 640
"""Longer side of the pictures of clips with estimates."""


@dataclass(frozen=True)
class Options:
    """What to judge."""

    folders: Annotated[Positional[tuple[Path, ...]], arg(metavar="FOLDER ...")] = ()
    """Folders of truth, or of estimates."""
    stage: tuple[str, ...] = ()
    """Scenes of the stage, such as room."""
    seeds: int = 1
    """How many of each scene of the stage, by chance different."""
    backends: tuple[str, ...] = ("flow", "colmap")
    """Camera backends."""
    up: tuple[float, float, float] | None = None
    """The world's direction up in the folders."""


@dataclass(frozen=True, eq=False)
class Case:
    """A clip, and the cameras of some of its frames."""

    clip: Clip
    cameras: Cameras
    index: Int64[Tensor, " n"]
    """The clip's frame of each camera."""
    depth: DepthMaps | None = None


def estimates(folder: Path) -> Case:
    """A clip with cameras at every so many frames, as SpatialVID stores them.

    ``poses.npy`` [n, 7]: cam from world, tx ty tz and the quaternion xyzw. ``intrinsics.npy`` [n, 4]: fx, fy, cx, cy as
    shares of the picture's width and height.

    Raises:
        FormatError: If a file is missing or broken, or they do not fit each other.
        MediaError: If the clip cannot be read as pictures.
    """
    arrays = []
    for name, width in (("poses.npy", 7), ("intrinsics.npy", 4)):
        try:
            array = np.load(folder / name, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise FormatError(f"Cannot read {folder / name} as an array of numbers: {error}") from error
        if array.dtype.kind != "f" or array.ndim != 2 or array.shape[1] != width or len(array) == 0:
            raise FormatError(f"{folder / name} is {array.dtype} {array.shape}; it must hold numbers [n, {width}].")
        arrays.append(array.astype(np.float64))
    pose, lenses = arrays
    clip = Clip.open(folder / "clip.mp4", size=_SIZE).replace(name=folder.resolve().name)
    step = -(-len(clip) // len(pose))
    if len(lenses) != len(pose) or -(-len(clip) // step) != len(pose):
        raise FormatError(
            f"{folder} has {len(pose)} poses, {len(lenses)} lenses and {len(clip)} frames: they do not fit."
        )
    index = torch.arange(len(pose)) * step
    cam_from_world = torch.eye(4, dtype=torch.float64).repeat(len(pose), 1, 1)
    cam_from_world[:, :3, :3] = rigid.matrix_from_quat(torch.from_numpy(pose[:, [6, 3, 4, 5]]))
    cam_from_world[:, :3, 3] = torch.from_numpy(pose[:, :3])
    h, w = clip.hw
    fx, fy, cx, cy = (torch.from_numpy(lenses) * torch.tensor([w, h, w, h])).T
    K = torch.eye(3, dtype=torch.float64).repeat(len(pose), 1, 1)
    K[:, 0, 0], K[:, 1, 1], K[:, 0, 2], K[:, 1, 2] = fx, fy, cx, cy
    cameras = Cameras(K.float(), poses.inverse(cam_from_world).float(), (h, w), clip.time_s[index])
    return Case(clip, cameras, index)


def cases(options: Options) -> Iterator[Case]:
    """What is to be judged, one after the other."""
    for folder in options.folders:
        yield from apart(case(folder))
    for name, seed in product(options.stage, range(options.seeds)):
        told = staged.make(name, seed=seed, views=("R10",))
        yield Case(told.clip.replace(name=f"{name} {seed}"), told.cameras, torch.arange(len(told.clip)), told.depth)


def apart(told: Case) -> Iterator[Case]:
    """The shots of a clip with estimates; frames in which two are mixed are in none."""
    found = spans(told.clip) if told.depth is None else []
    if len(found) < 2:
        yield told
        return
    for first, end in found:
        frames, time_s = told.clip.frames[first:end], told.clip.time_s[first:end]
        inside = (told.index >= first) & (told.index < end)
        part = told.clip.replace(frames=frames, time_s=time_s, name=f"{told.clip.name}, {first} to {end - 1}")
        yield Case(part, told.cameras[inside], told.index[inside] - first)


def case(folder: Path) -> Case:
    """A folder of truth or of estimates.

    Raises:
        FormatError: If it is neither.
    """
    if (folder / "poses.npy").is_file():
        return estimates(folder)
    told = truth.read(folder)
    return Case(told.clip, told.cameras, torch.arange(len(told.clip)), told.depth)


def unmoved(frames: int) -> Motion:
    """What "flow" is handed, which follows points of its own: minutes of optical flow would go unread."""
    unseen, none = torch.zeros(frames, 1, 1, dtype=torch.bool), torch.zeros(frames, 1, 1, 2)
    return Motion(none, none, unseen, unseen, torch.zeros(frames, 1, 1))


def angle_deg(a: Tensor, b: Tensor) -> float:
    """Between two directions."""
    a, b = (torch.nn.functional.normalize(x.double(), dim=0) for x in (a, b))
    return float(torch.rad2deg(2 * torch.asin(((a - b).norm() / 2).clamp(max=1))))


def sure(uncertainty: Uncertainty | None) -> str:
    """Standard deviations of position, rotation and focal length, in the units of the table's errors."""
    if uncertainty is None:
        return ""
    focal = "guessed" if uncertainty.focal is None else f"{100 * uncertainty.focal:.2f}"
    return f"{100 * uncertainty.position:.2f}, {uncertainty.rotation_deg:.2f}, {focal}"


def reprojections(told: Case, found: Cameras) -> list[str]:
    """How well the true cameras and the found ones agree with what can be followed; nothing without true depth."""
    if told.depth is None:
        return ["", ""]
    tracks = result(follow(told.clip))
    scale = align.similarity(told.cameras, found).scale
    found = found.scaled(1 / scale)
    return [f"{reprojection_px(tracks, told.depth, cameras):.2f}" for cameras in (told.cameras, found)]


def judge(told: Case, name: str, moves: Motion) -> tuple[list[str], Cameras | None]:
    """A row of the table, and the cameras."""
    said: list[Event] = []
    start = np.array([time.process_time(), time.perf_counter()])
    try:
        found = result(camera.load(name)(told.clip, moves), said.append)
        seconds = np.array([time.process_time(), time.perf_counter()]) - start
        there = found[told.index]
        errors = camera_errors(told.cameras, there, align.similarity(told.cameras, there), told.depth)
    except InputError as error:
        return [told.clip.name, name, *[""] * 9, str(error)], None
    warnings = " ".join(event.message for event in said if isinstance(event, Warned))
    figures = [100 * errors["position_of_path"], errors["rotation_deg"], 100 * errors["focal"]]
    shown = [f"{x:.2f}" for x in figures] + [f"{found.bend:.3f}", sure(found.uncertainty), *reprojections(told, found)]
    shown += [*(f"{x:.1f}" for x in seconds), warnings]
    return [told.clip.name, name, *shown], found


def up_errors(told: Case, found: Cameras, moves: Motion, up: Tensor) -> list[str]:
    """A row of the other table."""
    clip, straight = camera.straighten(told.clip, found)
    if clip is not told.clip:
        found, moves = straight, result(motion.estimate(clip))
    moves = motion.refine(moves, found, clip=clip)
    maps = result(depth.load("parallax")(clip, found, moves))
    true = align.similarity(told.cameras, found[told.index]).R @ up.double()
    moves = motion.refine(moves, found, maps, clip)
    start = time.process_time()
    gravity = camera.find_up(clip, found, maps, moves)
    seconds = time.process_time() - start
    mean = angle_deg(paths.mean_up(found), true)
    return [
        clip.name,
        f"{angle_deg(gravity.up, true):.2f}",
        f"{mean:.2f}",
        f"{gravity.confidence:.2f}",
        f"{seconds:.1f}",
    ]


def main(options: Options) -> None:
    """Judge and print tables."""
    console = Console()
    judged = ("position, % of path", "rotation, deg", "focal, %", "bend", "sure to", "px, theirs", "px, found")
    table = Table("scene", "backend", *judged, "CPU s", "s", "said")
    ups = Table("scene", "up, deg", "mean up, deg", "confidence", "CPU s")
    for told in cases(options):
        asked = options.up is not None or options.backends != ("flow",)
        moves = result(motion.estimate(told.clip)) if asked else unmoved(len(told.clip))
        for i, name in enumerate(options.backends):
            row, found = judge(told, name, moves)
            table.add_row(*row)
            if i == 0 and options.up is not None and found is not None:
                ups.add_row(*up_errors(told, found, moves, torch.tensor(options.up)))
    console.print(table)
    if options.up is not None:
        console.print(ups)


if __name__ == "__main__":
    main(tyro.cli(Options))
