"""Nouns of plain numbers and words that tell about the others. ``fourd.types`` hands them on, with all other nouns."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from fourd.errors import InputError


@dataclass(frozen=True)
class Uncertainty:
    """How far cameras may be off: standard deviations, over all frames their root mean square."""

    position: float
    """Of where a camera stands (the length of the vector), as a share of the length of the path; 0 if it only turns."""
    rotation_deg: float
    """Of where it looks."""
    focal: float | None
    """Of the focal length, as a share of it; None if the clip does not tell it, and it was guessed."""

    def __post_init__(self) -> None:
        for name in ("position", "rotation_deg", "focal"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise InputError(f"Uncertainty.{name} is {value}; it must be finite, and 0 or more.")


@dataclass(frozen=True)
class Provenance:
    """Where a scene comes from, kept with it in its file. Plain JSON values only."""

    clip: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    """Wall time of each stage."""
    warnings: list[str] = field(default_factory=list)
    metric: bool = False
    """False: the unit is the median depth of the first frame, not the metre."""
    evidence: float | None = None
    """Of what single frames leave open in the views that were filled, the share that other moments of the clip show.
    The rest was made up. None where nothing was filled."""
    up: list[float] | None = None
    """The world's direction up, a unit vector, where the clip says it. None where it does not; the mean up of the
    cameras stands in then."""
    uncertainty: Uncertainty | None = None
    """Of the cameras, where they were found in the clip. None where they were given, or stand still."""
