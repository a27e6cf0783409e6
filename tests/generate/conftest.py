"""Small stages whose pictures can be worked out by hand: a camera at the origin that looks along -z."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from fourd.generate import Prop, Sky, Stage, meshes, rigs, textures
from fourd.types import Cameras

HW = (48, 64)
FOCAL = 64 / 2 / np.tan(np.radians(30))
"""Pixels; 60 degrees across 64 columns."""


def cameras(*eyes_m: tuple[float, float, float], hw: tuple[int, int] = HW, fps: float = 10.0) -> Cameras:
    """Cameras that look along -z from the given places, one a frame."""
    eye = torch.tensor(eyes_m, dtype=torch.float64)
    return rigs.looking(eye, eye + torch.tensor([0.0, 0, -1]).double(), rigs.times(len(eye), fps), hw, 60.0)


def wall(z: float, size_m: float = 40.0, name: str = "wall", **kwargs: object) -> Prop:
    """A wall across the view at ``z`` (negative), its texture drawn from a fixed seed."""
    rng = np.random.default_rng(5)
    upright = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    mesh = meshes.sheet((size_m, size_m)).moved((0, 0, z), upright)
    return Prop(name, mesh, textures.clouded((0.1, 0.2, 0.6), (0.9, 0.8, 0.3), rng), **kwargs)  # type: ignore[arg-type]


@pytest.fixture
def even() -> Callable[..., Stage]:
    """A stage in even light: no sun, no shadows, so that only textures decide."""

    def build(*props: Prop) -> Stage:
        return Stage(props, sun=None, sky=Sky(light=(0.6,) * 3, bounce=(0.6,) * 3, clouds=0.0, reach_m=1e-4))

    return build
