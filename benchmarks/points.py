"""The baseline: the truth's own cameras and depth, and a point for every pixel. No splats, no repair.

Every pixel of the source becomes a point by its true depth. A picture is what the points leave behind:
in each pixel the mean of those that fall into it and are no further than ``TOLERANCE`` behind the
nearest. Points of things that move stand in the picture of their own moment only.
"""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.truth import Truth
from fourd.errors import InputError
from fourd.geometry import pinhole
from fourd.types import Cameras, Frames

TOLERANCE = 0.02
"""How far behind the nearest point of a pixel another still counts, as a share of the depth."""


class Points:
    """What ``fourd.Scene`` offers to a benchmark, made of points."""

    def __init__(self, truth: Truth) -> None:
        """Lift every pixel of the source.

        Raises:
            InputError: If the truth has no depth.
        """
        if truth.depth is None:
            raise InputError(f"The truth of '{truth.name}' has no depth; without it there are no points.")
        self.cameras = truth.cameras
        self._far = 1e4 * float(truth.depth.depth_m[truth.depth.depth_m.isfinite()].max())
        self._parts = [self._lift(truth, i) for i in range(len(truth.clip))]

    def __len__(self) -> int:
        return sum(len(points) for points, _, _ in self._parts)

    def _lift(self, truth: Truth, i: int) -> tuple[Tensor, Tensor, Tensor]:
        """Points, colours and moving flags of frame ``i``. The sky is a sphere beyond everything."""
        depth = truth.depth
        assert depth is not None  # Checked by the constructor.
        known = depth.confidence[i] > 0
        points = pinhole.unproject(depth.depth_m[i].clamp(max=self._far), depth.K[i])
        moving = torch.zeros_like(known) if truth.moving is None else truth.moving[i]
        world = pinhole.transform(truth.cameras.world_from_cam[i], points[known])
        return world, truth.clip.frames[i][known].float() / 255, moving[known]

    def render(self, cameras: Cameras) -> Frames:
        """Draw the points as each camera sees them at its own moment."""
        drawn = [self._draw(cameras, k) for k in range(len(cameras))]
        rgb, alpha, depth_m = (torch.stack(maps) for maps in zip(*drawn, strict=True))
        return Frames(rgb, alpha, depth_m, cameras.time_s)

    def _draw(self, cameras: Cameras, k: int) -> tuple[Tensor, Tensor, Tensor]:
        h, w = cameras.hw
        now = (self.cameras.time_s - cameras.time_s[k]).abs() < 1e-6
        fallen: list[tuple[Tensor, Tensor, Tensor]] = []
        for i, (points, rgb, moving) in enumerate(self._parts):
            pixels, z = pinhole.project(pinhole.transform(cameras.cam_from_world[k], points), cameras.K[k])
            inside = (z > 0) & (pixels >= 0).all(-1) & (pixels[:, 0] < w) & (pixels[:, 1] < h)
            inside &= ~moving | now[i]
            column, row = pixels[inside].long().unbind(-1)
            fallen.append((row * w + column, z[inside], rgb[inside]))
        index, z, rgb = (torch.cat(part) for part in zip(*fallen, strict=True))
        nearest = torch.full((h * w,), torch.inf).scatter_reduce_(0, index, z, "amin")
        kept = z <= nearest[index] * (1 + TOLERANCE)
        index = index[kept]
        sums = torch.zeros(h * w, 5).index_add_(0, index, torch.cat([rgb, z[:, None], torch.ones(len(z), 1)], 1)[kept])
        mean = sums[:, :4] / sums[:, 4:].clamp_min(1)
        depth_m = torch.where(mean[:, 3] > self._far / 2, torch.inf, mean[:, 3])
        return mean[:, :3].view(h, w, 3), (sums[:, 4] > 0).float().view(h, w), depth_m.view(h, w)
