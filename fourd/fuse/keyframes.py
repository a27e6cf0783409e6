"""The frames that build the still surface, side by side, and what they agree on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, UInt8
from torch import Tensor

from fourd.events import Progress, Steps
from fourd.fuse.cloud import SIGMA_PX, Cloud
from fourd.fuse.neighbours import around
from fourd.fuse.views import View, Views
from fourd.geometry.masks import grown
from fourd.native.evidence import Evidence, evidence
from fourd.native.fusion import Planes, consistency, redundant

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
    """Frames, and all that is needed to look into them."""

    views: list[View]
    planes: Planes
    rgb: UInt8[Tensor, "m h w 3"]

    @staticmethod
    def of(views: list[View]) -> Keyframes:
        """Lay frames of one size side by side; there must be at least one."""
        K, pose, rgb = (torch.stack([getattr(v, x) for v in views]) for x in ("K", "world_from_cam", "frame_rgb"))
        planes = Planes.empty(K, pose, views[0].hw)
        for k, view in enumerate(views):
            # Nobody looks at what moves, nor just beside it.
            planes.fill(k, view.depth_m, view.confidence, ~grown(view.moving, 2))
        return Keyframes(views, planes, rgb)

    def every(self, step: int) -> Keyframes:
        """One in ``step`` of them, beginning with the first."""
        return Keyframes(self.views[::step], Planes(*(x[::step].contiguous() for x in self.planes)), self.rgb[::step])

    def saying(self, rgb: UInt8[Tensor, "m h w 3"], sure: UInt8[Tensor, "m h w"]) -> Keyframes:
        """The same frames with other pictures, and believed elsewhere."""
        return self._replace(rgb=rgb, planes=self.planes._replace(sure=sure))

    def agree(self, tolerance: float) -> None:
        """Move every pixel to where the frames see it in the mean, and forget those that they look through."""
        fused, lost = torch.empty_like(self.planes.inverse), torch.empty_like(self.planes.sure)
        for k in range(len(self.views)):
            others = around(k, APART, len(self.views))
            said = consistency(self.planes, k, others, tolerance)
            fused[k] = said.fused
            allowed = said.support.add_(self.planes.sure[k], alpha=1 / 255).mul_(LOST).add_(0.5)
            torch.gt(said.contradiction, allowed, out=lost[k])
        self.planes.inverse.copy_(fused)
        self.planes.sure.mul_(1 - lost)

    def fresh(self, k: int, tolerance: float) -> Bool[Tensor, "h w"]:
        """Pixels of frame ``k`` that stand still and that no frame before it shows; frames are taken in order."""
        before = range(k - 1, -1, -1)
        shown = redundant(self.planes, self.rgb, k, before, tolerance, COARSE, ALIKE)
        return (self.planes.sure[k] > 0) & (shown == 0)

    def ask(self, cloud: Cloud, tolerance: float) -> Evidence:
        """What the frames say of the discs of ``cloud``."""
        radius = cloud.scale_m[:, :2].prod(1).sqrt()
        return evidence(cloud.mean_m, radius, cloud.rgb, self.planes, self.rgb, tolerance, SIGMA_PX, SAME_COLOUR)


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
