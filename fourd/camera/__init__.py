"""From a clip and its motion to cameras. One backend a file; the table is the list of them."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from fourd import backends
from fourd.camera.gravity import Gravity, find_up
from fourd.camera.lens import straighten
from fourd.camera.scale import rescale
from fourd.errors import InputError
from fourd.events import Steps
from fourd.types import Cameras, Clip, Motion

__all__ = ["Backend", "Gravity", "find_up", "load", "rescale", "straighten"]


@runtime_checkable
class Backend(Protocol):
    """Finds the camera of every frame of a clip."""

    def __call__(self, clip: Clip, motion: Motion) -> Steps[Cameras]:
        """Solve; the world is the first camera's frame, and its unit the median depth of the first frame."""
        ...


# name -> (module that defines load(name), what must be importable, what to install)
_BACKENDS = {
    "flow": ("fourd.camera.flow", "cv2", "fourd"),
    "still": ("fourd.camera.still", "cv2", "fourd"),
    "colmap": ("fourd.camera.colmap", "pycolmap", "fourd[colmap]"),
}
NAMES = tuple(_BACKENDS)


def load(name: str, **options: Any) -> Backend:
    """The camera backend of that name.

    Args:
        name: As in the table.
        options: Of the backend: ``may_bend`` of "flow".

    Raises:
        InputError: If there is none, or if it has no such option.
        MissingError: If what it needs is not installed.

    Example:
        >>> load("still")  # doctest: +ELLIPSIS
        Still(fov_deg=60.0)
    """
    if name not in _BACKENDS:
        names = ", ".join(f"'{known}'" for known in _BACKENDS)
        raise InputError(f"There is no camera backend '{name}'. Use one of: {names}.")
    return backends.loaded(f"Camera backend '{name}'", name, _BACKENDS[name], options, "flow")
