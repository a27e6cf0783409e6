"""The keyframes side by side, to ask them all about a surface."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import UInt8
from torch import Tensor

from fourd import native
from fourd.events import Progress, Steps
from fourd.fuse.cloud import SIGMA_PX, Cloud
from fourd.fuse.surface import flat
from fourd.fuse.views import View, dilate
from fourd.geometry import rigid
from fourd.native.evidence import FLAT, STILL, Evidence, evidence

SAME_COLOUR = 0.12
"""Colours (0 to 1) further apart than a few of these are another thing: a highlight, a shadow, an error."""

REACH = 0.15
"""How far sharpening may take a colour from the one that was filmed."""

ENOUGH = 16
"""Frames that are drawn again in each round of sharpening; more see nothing that these do not."""


class Witnesses:
    """What frames know, kept compactly while they are fused."""

    def __init__(self, views: Sequence[View] = (), flags: Sequence[Tensor] = ()) -> None:
        self.views, self._flags = list(views), list(flags)

    def add(self, view: View) -> None:
        """Remember a frame."""
        self.views.append(view)
        self._flags.append(_flags(view))

    def ask(self, cloud: Cloud, tolerance: float) -> Evidence:
        """What all remembered frames say of the discs of ``cloud``."""
        return self._ask(cloud, [v.frame_rgb for v in self.views], self._flags, cloud.rgb, tolerance)

    def sharpen(self, cloud: Cloud, tolerance: float, rounds: int = 2) -> Steps[Cloud]:
        """Give the discs the colours with which the frames, drawn again, come out as they were filmed.

        Discs overlap, so a disc drawn in the colour of its own pixel comes out blurred. Each round draws all
        frames and adds to each disc what its pixels lack (iterative back-projection: Irani and Peleg, 1991).
        """
        filmed = cloud.rgb
        every = -(-len(self.views) // ENOUGH)
        some = Witnesses(self.views[::every], self._flags[::every])
        for done in range(rounds):
            splats = cloud.coated().splats()
            lacks, flags = [], []
            for view, flag in zip(some.views, some._flags, strict=True):
                raster = native.rasterize(splats, view.K, view.world_from_cam, view.hw, view.time_s)
                lacks.append(((view.rgb - raster.rgb).clamp(-1, 1) * 127 + 128.5).to(torch.uint8))
                whole = (raster.alpha > 0.9) & ((raster.median_m / view.depth_m - 1).abs() < 2 * tolerance)
                flags.append(flag * whole)
            nothing = torch.full_like(cloud.rgb, 128 / 255)
            lack = some._ask(cloud, lacks, flags, nothing, tolerance).rgb
            better = cloud.rgb + (lack * 255 - 128) / 127
            # Where discs hide each other no colour of theirs makes up for it, and none may run away trying.
            cloud = cloud.painted(torch.minimum(torch.maximum(better, filmed - REACH), filmed + REACH).clamp(0, 1))
            yield Progress("fuse", (rounds + done + 1) * len(self.views) // rounds, 2 * len(self.views))
        return cloud

    def _ask(
        self, cloud: Cloud, pictures: list[Tensor], flags: list[Tensor], rgb: Tensor, tolerance: float
    ) -> Evidence:
        def all_of(name: str) -> Tensor:
            return torch.stack([getattr(view, name) for view in self.views])

        return evidence(
            cloud.mean_m,
            cloud.scale_m[:, :2].prod(1).sqrt(),
            rgb,
            all_of("K"),
            rigid.inverse(all_of("world_from_cam")),
            torch.stack(pictures),
            all_of("depth_m"),
            all_of("confidence"),
            torch.stack(flags),
            tolerance,
            SIGMA_PX,
            SAME_COLOUR,
        )


def _flags(view: View) -> UInt8[Tensor, "h w"]:
    """Where nothing moves within three pixels, and where the depth does not jump within two."""
    return (STILL * ~dilate(view.moving, 3) + FLAT * flat(view.depth_m)).to(torch.uint8)
