"""Files of scenes, cameras and depth: one module a format.

``glb`` is the scene's own file; ``ply``, ``transforms``, ``colmap``, ``camera_path`` are what other
programs read and write. The readers of this page find out by themselves what a file is.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from fourd.events import Steps
    from fourd.types import Cameras, DepthMaps, Provenance, Sound, Splats

OF_ONE_MOMENT = (".ply", ".spz", ".splat")
"""Suffixes of what holds splats without time; each has the module of that name."""
OF_ALL_MOMENTS = {".4dgs": "fourdgs", ".splatv": "splatv"}
"""Suffixes of scenes in formats of others, and their modules."""


def read_scene(path: str | Path) -> tuple[Splats, Cameras, Sound | None, Provenance]:
    """A scene from a GLB of ours or from a file of others; see ``fourd.formats.scenes.read``."""
    from fourd.formats import scenes

    return scenes.read(path)


def read_cameras(path: str | Path, *, hw: tuple[int, int] | None = None, time_s: Tensor | None = None) -> Cameras:
    """Cameras from COLMAP, transforms.json, a trajectory or .npz; see ``fourd.formats.cameras.read_cameras``."""
    from fourd.formats import cameras

    return cameras.read_cameras(path, hw=hw, time_s=time_s)


def reading_cameras(path: str | Path, *, hw: tuple[int, int], time_s: Tensor) -> Steps[Cameras]:
    """The same, as a generator that also says what had to be assumed."""
    from fourd.formats import cameras

    return cameras.reading(path, hw=hw, time_s=time_s)


def read_depth(
    path: str | Path, K: Tensor, hw: tuple[int, int], *, scale: float | None = None, metric: bool = True
) -> DepthMaps:
    """Depth from .npz or 16-bit PNGs; see ``fourd.formats.depth.read_depth``."""
    from fourd.formats import depth

    return depth.read_depth(path, K, hw, scale=scale, metric=metric)


def write_moment(path: str | Path, splats: Splats, time_s: float, **options: Any) -> None:
    """The moment ``time_s`` of a scene in a format of ``OF_ONE_MOMENT``, which the suffix of ``path`` chooses."""
    suffix = Path(path).suffix.lower()
    importlib.import_module(f"fourd.formats{suffix}").write(path, splats, time_s, **options)


def write_scene(path: str | Path, **whole: Any) -> None:
    """A scene in a format of ``OF_ALL_MOMENTS``, which the suffix of ``path`` chooses."""
    name = OF_ALL_MOMENTS[Path(path).suffix.lower()]
    importlib.import_module(f"fourd.formats.{name}").write(path, **whole)
