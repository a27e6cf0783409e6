"""Small changes of the source cameras, learnt beside the splats: a found camera may be a fraction of a pixel off."""

from __future__ import annotations

import copy
import dataclasses

import torch
from jaxtyping import Float
from torch import Tensor

from fourd.geometry import rigid
from fourd.types import Cameras

_BETA = 0.8


class Nudges:
    """A turn and a shift for every camera, in units that all move the picture by a pixel."""

    def __init__(self, cameras: Cameras, depth_m: Float[Tensor, " t"], step_px: float) -> None:
        """Start from the cameras as they are.

        Args:
            cameras: They are not changed.
            depth_m: How far away what each sees is, about: a shift of 1/focal of it moves the picture by a pixel.
            step_px: How far a step goes at its full pace, however steep it is. 0: nothing is learnt.
        """
        self.start, self._step_px = cameras, step_px
        radians = 1 / cameras.K[:, 0, 0]
        self._unit = torch.stack([radians] * 3 + [depth_m * radians] * 3, -1)
        self._value = torch.zeros_like(self._unit)
        self._first = torch.zeros_like(self._unit)

    def row(self, i: int) -> Float[Tensor, " 6"]:
        """How camera ``i`` is changed, to take gradients by if there is anything to learn."""
        return self._value[i].clone().requires_grad_(self._step_px > 0)

    def pose(self, i: int, row: Float[Tensor, " 6"] | None = None) -> Float[Tensor, "4 4"]:
        """``world_from_cam`` of camera ``i`` as it is now, or as ``row`` says."""
        change = (self._value[i] if row is None else row) * self._unit[i]
        moved = torch.cat([rigid.matrix_from_rotvec(change[:3]), change[3:, None]], 1)
        pose = self.start.world_from_cam[i]
        return torch.cat([pose[:3, :3] @ moved + torch.nn.functional.pad(pose[:3, 3:], (3, 0)), pose[3:]])

    @torch.no_grad()
    def learn(self, i: int, row: Float[Tensor, " 6"], pace: float) -> None:
        """One step against the gradient of ``row``.

        Args:
            i: Which camera.
            row: As it was used, with its gradient.
            pace: Share of a whole step to go.
        """
        if self._step_px == 0:
            return
        assert row.grad is not None  # A pose has a part in every picture.
        slope = row.grad / row.grad.norm().clamp(min=1e-20)
        self._first[i] = torch.lerp(slope, self._first[i], _BETA) if self._first[i].any() else slope
        self._value[i] -= pace * self._step_px * self._first[i]

    def cameras(self) -> Cameras:
        """The cameras as they are now."""
        return dataclasses.replace(
            self.start, world_from_cam=torch.stack([self.pose(i) for i in range(len(self.start))])
        )

    def snapshot(self) -> Nudges:
        """What has been learnt so far, to be gone back to."""
        twin = copy.copy(self)
        twin._value = self._value.clone()
        return twin
