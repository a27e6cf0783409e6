"""The size of the world: solved cameras and given depth brought together."""

from __future__ import annotations

from fourd.checked import checked
from fourd.types import Cameras, DepthMaps, Motion


@checked
def rescale(cameras: Cameras, depth: DepthMaps, motion: Motion) -> Cameras:
    """Scale the cameras' world so that it agrees with given depth."""
    return cameras
