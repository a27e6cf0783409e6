"""One random place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fourd.errors import InputError
from fourd.generate.props import Stage
from fourd.generate.tracing import Geometry
from fourd.generate.wild import light, places, viewpoint
from fourd.generate.wild.materials import Bank
from fourd.generate.wild.places import Ground
from fourd.generate.wild.site import Site
from fourd.types import Cameras


@dataclass(frozen=True, eq=False)
class Place:
    """A place, and cameras that see something of it."""

    kind: str
    stage: Stage
    cameras: Cameras
    """Each is a picture of its own, with a focal length of its own; nothing moves between them."""
    geometry: Geometry
    """The stage, prepared for rays."""


_KINDS: Sequence[tuple[str, float, Callable[[Site], Ground]]] = (
    ("room", 0.48, places.room),
    ("tabletop", 0.14, places.tabletop),
    ("street", 0.16, places.street),
    ("park", 0.22, places.park),
)


def wild(rng: np.random.Generator, bank: Bank, hw: tuple[int, int], views: int = 6) -> Place:
    """Build one random place and find cameras in it.

    Args:
        rng: All of its chances are drawn from this.
        bank: Textures to choose from.
        hw: Size of the pictures.
        views: How many cameras at most.

    Raises:
        InputError: If ``views`` is below 1.
    """
    if views < 1:
        raise InputError(f"views is {views}; a place needs at least 1.")
    while True:
        k = int(rng.choice(len(_KINDS), p=[share for _, share, _ in _KINDS]))
        site = Site(rng, bank)
        ground = _KINDS[k][2](site)
        stage = light.lit(site, ground, site.props())
        geometry = Geometry(stage)
        cameras = viewpoint.views(site, ground, geometry, hw, views)
        if cameras is not None:
            return Place(_KINDS[k][0], stage, cameras, geometry)
