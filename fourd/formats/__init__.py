"""Files of scenes, cameras and depth: one module a format.

``glb`` is the scene's own file; ``ply``, ``transforms``, ``colmap``, ``camera_path`` are what other
programs read and write. The readers of this page find out by themselves what a file is.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from fourd.types import Cameras, DepthMaps, Splats

OF_ONE_MOMENT = (".ply", ".spz", ".splat")
"""Suffixes of what holds splats without time; each has the module of that name."""


def read_cameras(path: str | Path, *, hw: tuple[int, int] | None = None, time_s: Tensor | None = None) -> Cameras:
    """Cameras from COLMAP text, transforms.json or .npz; see ``fourd.formats.cameras.read_cameras``."""
    from fourd.formats import cameras

    return cameras.read_cameras(path, hw=hw, time_s=time_s)


def read_depth(
    path: str | Path, K: Tensor, hw: tuple[int, int], *, scale: float | None = None, metric: bool = True
) -> DepthMaps:
    """Depth from .npz or 16-bit PNGs; see ``fourd.formats.depth.read_depth``."""
    from fourd.formats import depth

    return depth.read_depth(path, K, hw, scale=scale, metric=metric)


def write_moment(path: str | Path, splats: Splats, time_s: float) -> None:
    """The moment ``time_s`` of a scene in a format of ``OF_ONE_MOMENT``, which the suffix of ``path`` chooses."""
    suffix = Path(path).suffix.lower()
    importlib.import_module(f"fourd.formats{suffix}").write(path, splats, time_s)
