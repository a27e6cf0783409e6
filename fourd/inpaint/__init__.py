"""Filling what nobody saw: pictures with holes go in, whole pictures with their depth come out.

The stage sees pictures, masks and depth and nothing else: never a splat, a camera or a clip.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Bool
from torch import Tensor

from fourd import backends
from fourd.errors import InputError
from fourd.events import Steps
from fourd.inpaint.nouns import Holes, Pictures

__all__ = ["BACKENDS", "Holes", "Inpainter", "Pictures", "backend"]


@runtime_checkable
class Inpainter(Protocol):
    """What fills holes."""

    def learn(self, clip: Pictures, masks: Bool[Tensor, "m h w"], seed: int) -> Steps[None]:
        """Learn what this clip looks like; models that need no lessons return at once.

        Args:
            clip: Pictures of the clip itself: keyframes and warps of them, mostly known.
            masks: Shapes of holes that the clip's own warps make, of the pictures' size.
            seed: Of all that is drawn at random.
        """
        ...

    def fill(self, holes: Holes, seed: int) -> Steps[Pictures]:
        """Fill the holes: known wherever there was one, and what was known before keeps its bits.

        Args:
            holes: What to fill.
            seed: Of all that is drawn at random.
        """
        ...


# name -> (module that defines load(name, **options), what must be importable, what to install)
BACKENDS = {
    "embedded": ("fourd.inpaint.embedded", "torch", "fourd"),
    "stretch": ("fourd.inpaint.stretch", "numpy", "fourd"),
    "copy": ("fourd.inpaint.temporal", "numpy", "fourd"),
    "telea": ("fourd.inpaint.opencv", "cv2", "fourd"),
    "ns": ("fourd.inpaint.opencv", "cv2", "fourd"),
    "wan-vace": ("fourd.inpaint.hub", "diffusers", "fourd[hub]"),
    "sd": ("fourd.inpaint.hub", "diffusers", "fourd[hub]"),
    "sdxl": ("fourd.inpaint.hub", "diffusers", "fourd[hub]"),
    "flux-fill": ("fourd.inpaint.hub", "diffusers", "fourd[hub]"),
    "qwen-image": ("fourd.inpaint.hub", "diffusers", "fourd[hub]"),
    "z-image": ("fourd.inpaint.hub", "diffusers", "fourd[hub]"),
}
"""``embedded``: a diffusion network that is taught by the clip itself. ``stretch``: the nearest background, drawn out
into the hole. ``copy``: what other moments saw there, then stretch. ``telea``, ``ns``: OpenCV's, which follow the lines
that end at the hole. The others are published models, which are large and want a GPU."""


def backend(name: str | Path, **options: Any) -> Inpainter:
    """Get an inpainter.

    Args:
        name: One of ``BACKENDS``, or a folder that holds a published model.
        options: What that backend's ``load`` takes.

    Raises:
        InputError: If there is no backend of that name, it has no such option, or the folder holds no model.
        MissingError: If what the backend needs is not installed.
    """
    folder = name not in BACKENDS and (isinstance(name, Path) or os.sep in name or Path(name).exists())
    if name not in BACKENDS and not folder:
        raise InputError(f"There is no inpainter '{name}'. Choose one of: {', '.join(BACKENDS)}, or name a folder.")
    return backends.loaded(
        f"Inpainter '{name}'", str(name), BACKENDS["sd" if folder else str(name)], options, "stretch"
    )
