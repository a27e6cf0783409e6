"""Depth for every frame of a clip, from what the camera's motion tells or, failing that, from a plain prior."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Protocol, runtime_checkable

from fourd.errors import InputError, missing
from fourd.events import Steps
from fourd.types import Cameras, Clip, DepthMaps, Motion

__all__ = ["Backend", "load"]


@runtime_checkable
class Backend(Protocol):
    """What makes depth."""

    def __call__(self, clip: Clip, cameras: Cameras, motion: Motion) -> Steps[DepthMaps]:
        """Yield progress and return depth at the size of the clip's pictures, in the cameras' units.

        Args:
            clip: The pictures.
            cameras: One camera a frame, in pixels of the clip's pictures.
            motion: Flow and what moves, one map a frame, of any size.
        """
        ...


# name -> (module that defines load(), what must be importable, what to install)
_BACKENDS = {
    "parallax": ("fourd.depth.parallax", "cv2", "fourd"),
    "embedded": ("fourd.depth.embedded", "safetensors", "fourd"),
    "prior": ("fourd.depth.prior", "cv2", "fourd"),
}


def load(name: str) -> Backend:
    """Get a depth backend by its name.

    Args:
        name: ``"parallax"`` (plane sweep between frames; where the camera does not travel, the network if its weights
            are there and the plain prior if not), ``"embedded"`` (the small network alone) or ``"prior"`` (the plain
            prior alone).

    Raises:
        InputError: If there is no backend of that name.
        MissingError: If what the backend needs is not installed.
    """
    if name not in _BACKENDS:
        raise InputError(f"There is no depth backend '{name}'. Choose one of: {', '.join(_BACKENDS)}.")
    module, package, install = _BACKENDS[name]
    if importlib.util.find_spec(package) is None:
        raise missing(f"Depth backend '{name}'", package, install)
    return importlib.import_module(module).load()
