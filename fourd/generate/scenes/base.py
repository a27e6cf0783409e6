"""What a ready-made scene is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from fourd.generate.props import Stage
from fourd.types import Cameras, Sound


@dataclass(frozen=True, eq=False)
class Scene:
    """A stage with a camera in front of it."""

    name: str
    stage: Stage
    cameras: Cameras
    focus_m: tuple[float, float, float]
    """What the camera looks at; held-out views turn about it."""
    sound: Sound | None = None


@dataclass(frozen=True)
class Film:
    """How a scene is to be filmed."""

    hw: tuple[int, int]
    frames: int
    fps: float


Builder: TypeAlias = Callable[[np.random.Generator, Film], Scene]
"""Builds a scene; all of its chances are drawn from the generator."""
