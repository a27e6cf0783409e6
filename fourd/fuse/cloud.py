"""What fusion works on: splats with the extra facts that only fusion needs."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int32, Int64
from torch import Tensor

from fourd.types import SEEN, SH_C0, Splats

OPACITY = 0.995
"""A surface that was filmed is opaque; a little less than 1 keeps its logit finite in other formats."""

SIGMA_PX = 0.5
"""Standard deviation of a disc in pixels of its own frame. Measured on single frames drawn again: 0.6 without
an undercoat gives 29.0 dB, 0.5 with one 32.6 dB; smaller leaves too much to the undercoat."""

UNDERCOAT = 2.4
"""How much broader than the discs their undercoat is; there is one for every two by two pixels."""


@dataclass(frozen=True, eq=False)
class Cloud:
    """Discs of surface in the world, each made by one pixel of one frame."""

    mean_m: Float[Tensor, "n 3"]
    quat_wxyz: Float[Tensor, "n 4"]
    scale_m: Float[Tensor, "n 3"]
    rgb: Float[Tensor, "n 3"]
    soft_rgb: Float[Tensor, "n 3"]
    """Mean colour around the pixel that made it."""
    backs: Bool[Tensor, " n"]
    """True for the quarter of the discs behind which the undercoat is laid."""
    behind_m: Float[Tensor, "n 3"]
    """From a disc to its undercoat: away from the camera that made it."""

    def __len__(self) -> int:
        return len(self.mean_m)

    def __getitem__(self, index: Tensor) -> Cloud:
        return Cloud(*(getattr(self, f.name)[index] for f in dataclasses.fields(self)))

    @staticmethod
    def concat(parts: list[Cloud]) -> Cloud:
        """Lay several clouds together, in order."""
        # numpy takes huge pages, and leaves torch's threads asleep, which would wait busily beside the next kernel's.
        each = ([getattr(p, f.name).numpy() for p in parts] for f in dataclasses.fields(Cloud))
        return Cloud(*(torch.from_numpy(np.concatenate(arrays)) for arrays in each))

    def undercoat(self) -> Cloud:
        """Broad discs just behind the surface, in its blurred colour.

        Discs small enough to be sharp leave gaps between them through which the background would
        shine. These close the gaps; where the surface is whole nobody sees them.
        """
        c = self[self.backs]
        scale = c.scale_m * torch.tensor([UNDERCOAT, UNDERCOAT, 1.0])
        return dataclasses.replace(c, mean_m=c.mean_m + c.behind_m, scale_m=scale, rgb=c.soft_rgb)

    def coated(self) -> Cloud:
        """The discs, and after them their undercoat."""
        return Cloud.concat([self, self.undercoat()])

    def disc_of(self, index: Int32[Tensor, "*b"]) -> Int64[Tensor, "*b"]:
        """The discs that splats of ``coated`` belong to; the first where ``index`` is negative."""
        owner = torch.cat([torch.arange(len(self)), torch.nonzero(self.backs)[:, 0]])
        return owner[index.long().clamp(min=0)]

    def painted(self, rgb: Float[Tensor, "n 3"]) -> Cloud:
        """The same discs in other colours; the undercoat changes by as much."""
        return dataclasses.replace(self, rgb=rgb, soft_rgb=self.soft_rgb + rgb - self.rgb)

    def splats(
        self,
        velocity_mps: Float[Tensor, "n 3"] | None = None,
        time_s: Float[Tensor, " n"] | None = None,
        duration_s: float = math.inf,
    ) -> Splats:
        """The discs as splats; static unless told otherwise."""
        n = len(self)
        return Splats(
            mean_m=self.mean_m,
            quat_wxyz=self.quat_wxyz,
            scale_m=self.scale_m,
            opacity=torch.full((n,), OPACITY),
            colour=((self.rgb - 0.5) / SH_C0)[:, None],
            velocity_mps=torch.zeros(n, 3) if velocity_mps is None else velocity_mps,
            time_s=torch.zeros(n) if time_s is None else time_s,
            duration_s=torch.full((n,), duration_s),
            source=torch.full((n,), SEEN, dtype=torch.uint8),
        )
