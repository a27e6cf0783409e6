"""The camera that stands still."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from fourd.events import Progress, Steps
from fourd.geometry.pinhole import intrinsics
from fourd.types import Cameras, Clip, Motion

FOV_DEG = 60.0
"""Field of view across the longer side, where nothing tells. Phones film at 60 to 70 degrees (a lens
like 26 mm on full frame, less what stabilisation crops), cameras with a 35 mm lens at 54. A wrong
guess stretches depth and leaves the pictures from near the camera's own place as they were."""


@dataclass(frozen=True)
class Still:
    """All frames are seen from the origin."""

    fov_deg: float = FOV_DEG
    """Across the longer side of the picture."""

    def __call__(self, clip: Clip, motion: Motion) -> Steps[Cameras]:
        """One pose for all frames."""
        yield Progress("camera", 1, 1)
        return standing(clip, self.fov_deg)


def standing(clip: Clip, fov_deg: float) -> Cameras:
    """Cameras at the origin, one for every frame."""
    t = len(clip)
    K = intrinsics(clip.hw, fov_deg).expand(t, 3, 3)
    return Cameras(K, torch.eye(4).expand(t, 4, 4), clip.hw, clip.time_s)


def load(name: str = "still") -> Still:
    """The backend ``"still"``."""
    return Still()
