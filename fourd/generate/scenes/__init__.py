"""Ready-made scenes: something to see, a camera, and the point about which views are held out."""

from __future__ import annotations

import numpy as np

from fourd.errors import InputError
from fourd.generate.scenes.base import Builder, Film, Scene
from fourd.generate.scenes.garden import garden
from fourd.generate.scenes.jumble import jumble
from fourd.generate.scenes.room import room
from fourd.generate.scenes.tabletop import tabletop
from fourd.generate.scenes.terrace import terrace

_SCENES: dict[str, Builder] = {
    "room": room,
    "garden": garden,
    "tabletop": tabletop,
    "terrace": terrace,
    "jumble": jumble,
}
SCENES = tuple(_SCENES)
"""Names of the ready-made scenes."""


def scene(name: str, seed: int = 0, *, hw: tuple[int, int] = (216, 384), frames: int = 36, fps: float = 24.0) -> Scene:
    """Build one of the ready-made scenes.

    Args:
        name: ``room`` (indoors, the camera on an arc), ``garden`` (outdoors, a dolly under the sky), ``tabletop``
            (a camera that stands still), ``terrace`` (the sample clip: an arc, with sound) or ``jumble`` (another
            place, other things and another camera for every seed, for training).
        seed: Colours, textures, places and speeds follow it.
        hw: Size of the pictures.
        frames: How many.
        fps: How many a second.

    Raises:
        InputError: If there is no such scene, or nothing to film.
    """
    if name not in _SCENES:
        raise InputError(f"There is no scene '{name}'. Choose one of: {', '.join(_SCENES)}.")
    return _SCENES[name](np.random.default_rng(seed), Film(hw, frames, fps))


__all__ = ["SCENES", "Scene", "scene"]
