"""Where something may stand that no camera saw: neither in the open nor in front of what a camera filmed.

A camera that saw a wall looked through everything before it. What is made up later may stand only where no camera
looked: behind what was seen, or outside of all pictures (space carving: Kutulakos and Seitz, 2000).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float32
from torch import Tensor

from fourd import poses
from fourd.checked import checked
from fourd.geometry import pinhole
from fourd.types import Cameras

BEHIND = 0.01
"""So much further off than what was seen, relatively, is behind it: discs on a slant are a little deep."""

FARTHEST = 60.0
"""How many times as far off as it is wanted a point may be moved."""

_STEPS = 24
"""Places along a ray that are tried from the wanted one to the farthest."""
_HALVINGS = 4


class Unseen:
    """The space that some cameras did not look through."""

    def __init__(
        self,
        inverse_depth: Float32[Tensor, "m h w"],
        known: Bool[Tensor, "m h w"],
        cameras: Cameras,
        thin: Bool[Tensor, "m h w"] | None = None,
    ) -> None:
        """Keep what was seen.

        Args:
            inverse_depth: What each camera saw, in 1/m along its optical axis.
            known: Where it saw something; elsewhere it looked through nothing that we know of.
            cameras: Of these maps, at their size.
            thin: Where what it saw hides nothing, so that nothing may stand there or beside it.
        """
        inverse = torch.where(known, inverse_depth, torch.inf)
        # The farthest of the pixels around: beside an outline, only what stands behind both sides of it is hidden.
        self._nearest = -F.max_pool2d(-inverse[:, None], 5, 1, 2)[:, 0] / (1 + BEHIND)
        if thin is not None:
            self._nearest[F.max_pool2d(thin.float()[:, None], 3, 1, 1)[:, 0] > 0] = 0.0
        self._cameras = cameras
        self._cam_from_world = poses.inverse(cameras.world_from_cam)

    @checked
    def allows(self, point_m: Float[Tensor, "n 3"]) -> Bool[Tensor, " n"]:
        """Which points no camera looked through."""
        h, w = self._cameras.hw
        free, left = torch.ones(len(point_m), dtype=torch.bool), torch.arange(len(point_m))
        for K, pose, nearest in zip(self._cameras.K, self._cam_from_world, self._nearest, strict=True):
            x, y, z = (point_m @ pose[:3, :3].mT + pose[:3, 3]).unbind(1)
            ahead = z > 1e-6
            inverse = 1 / z.clamp(min=1e-6)
            column = ((K[0, 0] * x + K[0, 1] * y) * inverse + K[0, 2]).floor()
            row = (K[1, 1] * y * inverse + K[1, 2]).floor()
            inside = ahead & (column >= 0) & (row >= 0) & (column < w) & (row < h)
            index = row.clamp(0, h - 1).long() * w + column.clamp(0, w - 1).long()
            seen = inside & (inverse > nearest.flatten()[index])
            free[left[seen]] = False
            if 2 * int(seen.sum()) > len(left):  # The other cameras need not be asked again.
                point_m, left = point_m[~seen], left[~seen]
        return free

    @checked
    def nearest(
        self,
        camera: Cameras,
        wanted: Bool[Tensor, "h w"],
        inverse_depth: Float32[Tensor, "h w"],
        farthest: float = FARTHEST,
    ) -> Float32[Tensor, "h w"]:
        """Move pixels of a camera away from it, each to the nearest place on its ray where it is allowed.

        Args:
            camera: One.
            wanted: Which pixels.
            inverse_depth: Where they would be, in 1/m; positive.
            farthest: How many times as far off a pixel may be moved.

        Returns:
            Inverse depth, never more than before; that of the farthest place tried where none is allowed.
        """
        pose = camera.world_from_cam[0]
        ray = pinhole.rays(camera.K[0], camera.hw)[wanted] @ pose[:3, :3].mT
        result = inverse_depth.clone()
        result[wanted] = self._along(pose[:3, 3], ray, inverse_depth[wanted], farthest)
        return result

    def _along(self, origin_m: Tensor, ray: Tensor, inverse: Tensor, farthest: float) -> Tensor:
        """What is at inverse depth w stands at ``origin_m + ray / w``."""
        shares = torch.logspace(0, -1, _STEPS, base=farthest, dtype=inverse.dtype).tolist()
        good, bad = torch.full_like(inverse, shares[-1]), torch.ones_like(inverse)
        left = torch.arange(len(inverse))
        for share in shares:
            there = self.allows(origin_m + ray[left] / (inverse[left] * share)[:, None])
            good[left[there]] = share
            left = left[~there]
            if len(left) == 0 or share == shares[-1]:
                break
            bad[left] = share
        moved = torch.nonzero(good < 1)[:, 0]
        for _ in range(_HALVINGS):  # Between the last place that was not allowed and the first that was.
            middle = (good[moved] * bad[moved]).sqrt()
            there = self.allows(origin_m + ray[moved] / (inverse[moved] * middle)[:, None])
            good[moved[there]], bad[moved[~there]] = middle[there], middle[~there]
        return inverse * good
