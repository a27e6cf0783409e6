"""Where nothing tells the depth: the ground comes nearer towards the lower border of the picture.

The prior is one surface around the viewer. With s the height in the picture (0 at its upper border, 1 at its lower)
of a direction that is level with nothing else known, the inverse horizontal distance is

    0.7 + 0.85 s**2        (in units where its mean is about 1)

which is what the median picture of rooms, kitchens, streets and parks looks like: a far upper part, and ground that
rises towards a horizon. s is read off the first camera's picture, and the surface is a cylinder about that camera's
vertical axis, so that a camera that only turns sees one and the same surface, and a still camera one and the same map.
Nothing in it looks at the picture; its confidence says so. What moves stands upright on it (see ``movers``).
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float32
from numpy import ndarray as Array

from fourd.depth import movers
from fourd.depth.common import STAGE, Rig, check, moving_mask, working_hw
from fourd.events import Progress, Steps
from fourd.types import Cameras, Clip, DepthMaps, Motion

CONFIDENCE = 0.15
"""Of a depth that only the prior tells: about one in seven such pixels is within a tenth of the truth."""


def surface(rig: Rig, i: int) -> Float32[Array, "h w"]:
    """Inverse depth of the prior in frame i, whatever the scale; about 1 in the middle of the first picture."""
    to_first = rig.world_from_cam[0, :3, :3].T @ rig.world_from_cam[i, :3, :3]
    rays = rig.rays(i) @ to_first.T
    level = np.hypot(rays[..., 0], rays[..., 2])
    level = np.maximum(level, 1e-2 * np.linalg.norm(rays, axis=-1))  # Straight up or down.
    s = (rig.K[0, 1, 1] * rays[..., 1] / level + rig.K[0, 1, 2]) / rig.hw[0]
    # A ray with z = 1 in its own camera is at horizontal distance 1 / rho where its depth is 1 / (rho * level).
    return ((0.7 + 0.85 * np.clip(s, 0, 1.25) ** 2) * level).astype(np.float32)


class Prior:
    """The prior alone: for cameras that stand still or only turn."""

    def __call__(self, clip: Clip, cameras: Cameras, motion: Motion) -> Steps[DepthMaps]:
        """See ``fourd.depth.Backend``. The unit is about the depth in the middle of the first picture."""
        check(clip, cameras, motion)
        rig = Rig.of(cameras, clip.hw)
        small = Rig.of(cameras, working_hw(clip.hw))
        things = movers.Things(motion, small)
        for i in range(len(clip)):
            things.look(i, surface(small, i))
            yield Progress(STAGE, i + 1, 2 * len(clip))
        regions = things.placed()
        depth_m = torch.empty((len(clip), *clip.hw))
        for i in range(len(clip)):
            rho, _ = movers.paint(surface(rig, i), moving_mask(motion, i, clip.hw), regions[i])
            depth_m[i] = torch.from_numpy(1 / rho)
            yield Progress(STAGE, len(clip) + i + 1, 2 * len(clip))
        return DepthMaps(depth_m=depth_m, confidence=torch.full_like(depth_m, CONFIDENCE), K=cameras.K)


def load(name: str = "prior") -> Prior:
    """The backend ``"prior"``."""
    return Prior()
