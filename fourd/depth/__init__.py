"""Depth for every frame of a clip, from what the camera's motion tells or, failing that, from a plain prior."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from fourd import backends
from fourd.errors import InputError
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


_HUB = ("fourd.depth.hub", "transformers", "fourd[hub]")
# name -> (module that defines load(name, **options), what must be importable, what to install)
_BACKENDS = {
    "parallax": ("fourd.depth.parallax", "cv2", "fourd"),
    "embedded": ("fourd.depth.embedded", "safetensors", "fourd"),
    "prior": ("fourd.depth.prior", "cv2", "fourd"),
    "depth-anything": _HUB,
    "depth-anything-base": _HUB,
    "depth-anything-large": _HUB,
    "depth-anything-indoor": _HUB,
    "depth-anything-outdoor": _HUB,
    "depth-pro": _HUB,
    "zoedepth": _HUB,
    "moge": ("fourd.depth.moge", "moge", "git+https://github.com/microsoft/MoGe.git"),
}


def load(name: str | Path, **options: Any) -> Backend:
    """Get a depth backend.

    Args:
        name: ``"parallax"`` (plane sweep between frames; where the camera does not travel, the network if its weights
            are there and the plain prior if not), ``"embedded"`` (the small network alone), ``"prior"`` (the plain
            prior alone), or parallax with a published model behind it: one by name, a hub id (``owner/name``,
            ``owner/name@revision``) or a folder.
        options: What that backend's ``load`` takes.

    Raises:
        InputError: If there is no backend of that name, it has no such option, or the model is none of depth.
        MissingError: If what the backend needs is not installed, or a model is neither here nor can be downloaded.
        LimitError: If a model does not fit into memory.
    """
    published = name not in _BACKENDS and (isinstance(name, Path) or "/" in name or Path(name).exists())
    if name not in _BACKENDS and not published:
        raise InputError(
            f"There is no depth backend '{name}'. Choose one of: {', '.join(_BACKENDS)}, or name a model on the hub"
            " (owner/name) or a folder."
        )
    backend = _HUB if published else _BACKENDS[str(name)]
    otherwise = "" if backend[2] == "fourd" else "parallax"
    return backends.loaded(f"Depth backend '{name}'", str(name), backend, options, otherwise)
