"""What a file of splats holds, whichever format it is: the readers of formats of others return it."""

from __future__ import annotations

from dataclasses import dataclass, field

from fourd.types import Cameras, Provenance, Sound, Splats


@dataclass(frozen=True, eq=False)
class Contents:
    """Splats, and what else was there."""

    splats: Splats
    cameras: Cameras | None = None
    """The cameras that filmed, if the file knows them."""
    sound: Sound | None = None
    provenance: Provenance = field(default_factory=Provenance)
    warnings: tuple[str, ...] = ()
    """What could not be read as it was meant."""
    span_s: tuple[float, float] | None = None
    """The first and the last moment, if the file says so."""
