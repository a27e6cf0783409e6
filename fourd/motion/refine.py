"""What moves on its own, once the cameras are known."""

from __future__ import annotations

from fourd.checked import checked
from fourd.types import Cameras, DepthMaps, Motion


@checked
def refine(motion: Motion, cameras: Cameras, depth: DepthMaps | None = None) -> Motion:
    """Judge anew which pixels move on their own, by the solved cameras."""
    return motion
