"""The frames that build the still surface, side by side, and what they agree on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float32, UInt8
from torch import Tensor

from fourd.events import Progress, Steps
from fourd.fuse.cloud import SIGMA_PX, Cloud
from fourd.fuse.neighbours import around
from fourd.fuse.views import View, Views
from fourd.geometry.masks import grown
from fourd.native.evidence import Evidence, evidence
from fourd.native.fusion import Planes, agree, redundant

COARSE = 1.6
"""A disc this many times as wide as the pixel that sees it again does not do: the pixel gets its own."""

ALIKE = 0.05
"""Difference of colour (0 to 1) below which a pixel looks like a surface close by."""

SAME_COLOUR = 0.12
"""Colours (0 to 1) further apart than a few of these are another thing: a highlight, a shadow, an error."""

LOST = 0.2
"""Frames that look through a point, as a share of those that see it, from which it is not there. Half an opinion
more is allowed, for one frame may err."""

APART = (2, 6)
"""Keyframes so far before and after a keyframe are asked about its pixels: near ones see the same things, far
ones see them from elsewhere."""


class Keyframes(NamedTuple):
    """Frames, and all that is needed to look into them.

    Between kernels it is numpy that works here: torch would wake its threads, and they would wait busily for more work
    beside the threads of the next kernel.
    """

    views: list[View]
    planes: Planes
    rgb: UInt8[Tensor, "m h w 3"]

    @staticmethod
    def of(views: list[View]) -> Keyframes:
        """Lay frames of one size side by side; there must be at least one."""
        K, pose = (torch.stack([getattr(v, x) for v in views]) for x in ("K", "world_from_cam"))
        rgb = torch.from_numpy(np.stack([v.frame_rgb.numpy() for v in views]))  # In huge pages, as planes are.
        planes = Planes.empty(K, pose, views[0].hw)
        for k, view in enumerate(views):
            # Nobody looks at what moves, nor just beside it.
            still = ~(grown(view.moving, 2) if view.moving.numpy().any() else view.moving).numpy()
            planes.fill(k, view.depth_m, view.confidence, torch.from_numpy(still))
        return Keyframes(views, planes, rgb)

    def every(self, step: int) -> Keyframes:
        """One in ``step`` of them, beginning with the first."""
        return Keyframes(self.views[::step], Planes(*(x[::step].contiguous() for x in self.planes)), self.rgb[::step])

    def saying(self, rgb: UInt8[Tensor, "m h w 3"], sure: UInt8[Tensor, "m h w"]) -> Keyframes:
        """The same frames with other pictures, and believed elsewhere."""
        return self._replace(rgb=rgb, planes=self.planes._replace(sure=sure))

    def agreed(self, tolerance: float) -> Keyframes:
        """Every pixel where the frames see it in the mean, without those that they look through."""
        others = [around(k, APART, len(self.views)) for k in range(len(self.views))]
        return self._replace(planes=agree(self.planes, others, tolerance, LOST))

    def fresh(self, k: int, tolerance: float) -> Bool[Tensor, "h w"]:
        """Pixels of frame ``k`` that stand still and that no frame before it shows; frames are taken in order."""
        before = range(k - 1, -1, -1)
        shown = redundant(self.planes, self.rgb, k, before, tolerance, COARSE, ALIKE)
        return torch.from_numpy((self.planes.sure[k].numpy() > 0) & (shown.numpy() == 0))

    def place_m(self, k: int) -> Float32[Tensor, "h w"]:
        """Depth at which the pixels of frame ``k`` stand."""
        return torch.from_numpy(1 / np.abs(self.planes.inverse[k].numpy()))

    def ask(self, cloud: Cloud, tolerance: float) -> Evidence:
        """What the frames say of the discs of ``cloud``."""
        scale_m = cloud.scale_m.numpy()
        radius_m = torch.from_numpy(np.sqrt(scale_m[:, 0] * scale_m[:, 1]))
        return evidence(cloud.mean_m, radius_m, cloud.rgb, self.planes, self.rgb, tolerance, SIGMA_PX, SAME_COLOUR)


def gather(views: Views, frames: Sequence[int]) -> Steps[Keyframes]:
    """Lay some frames side by side.

    Args:
        views: All frames of the clip.
        frames: Which.
    """
    taken = []
    for done, i in enumerate(frames):
        taken.append(views[i])
        yield Progress("fuse", done + 1, 4 * len(frames))
    return Keyframes.of(taken)
