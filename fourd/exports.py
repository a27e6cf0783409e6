"""A scene as other programs read it: which kind and which suffix make which file. Formats write, renders see."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import torch

from fourd import events, formats, render
from fourd.checked import checked
from fourd.errors import InputError
from fourd.files import growing
from fourd.formats import colmap, depth_pictures, glb, html, sequence, surface, trajectory, transforms
from fourd.formats.cameras import write_npz
from fourd.geometry import clock
from fourd.types import Cameras, Provenance, Sound, Splats

Kind = Literal["splats", "points", "mesh", "depth", "cameras"]

_MOMENT = "one moment"
KINDS: dict[Kind, dict[str, str]] = {
    "splats": {
        ".glb": "the scene in few bytes",
        ".4dgs": "the scene",
        ".splatv": "the scene",
        **dict.fromkeys(formats.OF_ONE_MOMENT, _MOMENT),
        "": "a folder of a .ply for each frame",
        ".json": "the source cameras",
        ".html": "a page",
    },
    "points": dict.fromkeys(surface.KINDS, _MOMENT),
    "mesh": dict.fromkeys(surface.KINDS, _MOMENT),
    "depth": dict.fromkeys(depth_pictures.KINDS, _MOMENT) | {"": "a folder of a .png for each frame"},
    "cameras": {".json": "transforms.json", ".npz": "arrays", ".txt": "a trajectory", "": "a folder of a COLMAP model"},
}
"""What each kind and suffix makes; the empty suffix stands for a new folder."""
_MESH_VIEWS = 5
"""From so many of the source cameras, spread along their way, a surface is seen."""


def of_one_moment(kind: Kind, path: Path) -> bool:
    """Whether a file of this kind and name holds one moment only."""
    return KINDS[kind].get(path.suffix.lower()) == _MOMENT


@checked
def write(
    path: Path,
    *,
    splats: Splats,
    cameras: Cameras,
    sound: Sound | None,
    provenance: Provenance,
    time_s: float | None = None,
    kind: Kind = "splats",
    exact: bool = False,
    spz_version: Literal[3, 4] = 3,
) -> None:
    """Write a scene; see ``Scene.export``.

    Raises:
        InputError: If kind and suffix make nothing together, or the scene does not fit into the format.
        OutputError: If the file system refuses.
    """
    suffix = path.suffix.lower()
    if suffix not in KINDS[kind]:
        can = ", ".join(f"NAME{end}" if end else "a folder" for end in KINDS[kind])
        raise InputError(f"Cannot export {kind} to '{path.name}'. Known are {can}.")
    middle_s = float(cameras.time_s[0] + cameras.time_s[-1]) / 2
    moment_s = middle_s if time_s is None else time_s
    whole: dict[str, Any] = {"splats": splats, "cameras": cameras, "sound": sound, "provenance": provenance}
    if kind == "cameras":
        _write_cameras(path, cameras)
    elif kind == "points":
        surface.write_points(path, splats, moment_s)
    elif kind == "mesh":
        views = _at(cameras, moment_s)
        surface.write_mesh(path, render.render(splats, views), views)
    elif kind == "depth":
        _write_depth(path, splats, cameras, moment_s)
    elif suffix == ".glb":
        glb.write(path, **whole, quantised=not exact)
    elif suffix in formats.OF_ALL_MOMENTS:
        formats.write_scene(path, **whole)
    elif suffix == ".spz":
        formats.write_moment(path, splats, moment_s, version=spz_version)
    elif suffix in formats.OF_ONE_MOMENT:
        formats.write_moment(path, splats, moment_s)
    elif suffix == ".json":
        transforms.write(path, cameras)
    elif suffix == ".html":
        html.write(path, html.page(splats, cameras, sound, provenance))
    else:
        events.result(sequence.write(path, splats, cameras.time_s))


def _at(cameras: Cameras, moment_s: float) -> Cameras:
    """Cameras spread along the way of all, at one moment; the one that filmed it comes first."""
    first = int((cameras.time_s - moment_s).abs().argmin())
    others = clock.spread(len(cameras), _MESH_VIEWS).tolist()
    chosen = cameras[torch.tensor(list(dict.fromkeys([first, *others])))]
    return chosen.replace(time_s=torch.full_like(chosen.time_s, moment_s))


def _write_cameras(path: Path, cameras: Cameras) -> None:
    kinds: dict[str, Callable[[Path, Cameras], None]]
    kinds = {".json": transforms.write, ".npz": write_npz, ".txt": trajectory.write, "": colmap.write}
    kinds[path.suffix.lower()](path, cameras)


def _write_depth(path: Path, splats: Splats, cameras: Cameras, moment_s: float) -> None:
    if path.suffix:
        seen = render.render(splats, _at(cameras, moment_s)[:1])
        depth_pictures.write(path, seen.depth_m[0], seen.alpha[0])
        return
    with growing(path) as folder:
        for i, seen in enumerate(render.stream(splats, cameras)):
            depth_pictures.write(folder / f"{i:05}.png", seen.depth_m[0], seen.alpha[0])
