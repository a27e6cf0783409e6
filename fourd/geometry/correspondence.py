"""Following pixels through flow, over several frames at once. Pure functions on tensors."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fourd.checked import checked
from fourd.geometry.pinhole import pixel_grid


@checked
def sample(field: Float[Tensor, "h w c"], at_px: Float[Tensor, "*batch 2"]) -> Float[Tensor, "*batch c"]:
    """Read a map between its pixels, bilinearly; beyond its border the border is repeated.

    Args:
        field: A map with channels last.
        at_px: Where to read (x, y); the centre of the first pixel is (0.5, 0.5).

    Example:
        >>> field = torch.tensor([[[0.0], [10.0]]])
        >>> sample(field, torch.tensor([[0.5, 0.5], [1.0, 0.5], [9.0, 0.5]]))[:, 0]
        tensor([ 0.,  5., 10.])
    """
    h, w, c = field.shape
    scale = torch.tensor([2.0 / w, 2.0 / h], dtype=field.dtype, device=field.device)
    grid = (at_px.to(field.dtype) * scale - 1).reshape(1, 1, -1, 2)
    read = torch.nn.functional.grid_sample(
        field.permute(2, 0, 1)[None], grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    return read[0, :, 0].T.reshape(*at_px.shape[:-1], c)


_KEPT = 16


class Chains:
    """Flow over 1, 2, 4, 8, ... frames, put together from flow between neighbours.

    A chain of 2n frames is a chain of n and another one where the first ends. Chains of the frames
    near to the last one asked for are kept, so ask in the order of time.
    """

    def __init__(
        self, flow: Float[Tensor, "t h w 2"], visible: Bool[Tensor, "t h w"], direction: int, hw: tuple[int, int]
    ) -> None:
        """Prepare chains.

        Args:
            flow: From each frame to the next (``direction`` 1) or to the one before (-1), in pixels.
            visible: Where it can be believed.
            direction: 1 or -1.
            hw: Size of the maps in which chains are wanted; flow is resized to it.
        """
        self._flow, self._visible, self._direction, self.hw = flow, visible, direction, hw
        self._kept: dict[tuple[int, int], Tensor] = {}
        self._grid = pixel_grid(hw, flow.device)
        self._size = torch.tensor([hw[1], hw[0]], device=flow.device)

    def reach(self, i: int, steps: int) -> int | None:
        """The frame that lies ``steps`` ahead in this direction; None beyond the clip."""
        j = i + self._direction * steps
        return j if 0 <= j < len(self._flow) else None

    def __call__(self, i: int, steps: int) -> tuple[Float[Tensor, "h w 2"], Bool[Tensor, "h w"]]:
        """Where every pixel of frame ``i`` goes in ``steps`` frames, a power of two, and whether it was followed."""
        # What lies far off is not needed again if frames are asked for in order.
        self._kept = {key: value for key, value in self._kept.items() if abs(key[0] - i) <= _KEPT}
        field = self._chain(i, steps)
        return field[..., :2], field[..., 2] > 0.99

    def _chain(self, i: int, steps: int) -> Tensor:
        key = (i, steps)
        if key not in self._kept:
            self._kept[key] = self._single(i) if steps == 1 else self._double(i, steps // 2)
        return self._kept[key]

    def _double(self, i: int, half: int) -> Tensor:
        first = self._chain(i, half)
        then = sample(self._chain(i + self._direction * half, half), self._grid + first[..., :2])
        place = self._grid + first[..., :2] + then[..., :2]
        followed = (first[..., 2] > 0.99) & (then[..., 2] > 0.99) & ((place > 0) & (place < self._size)).all(-1)
        return torch.cat([first[..., :2] + then[..., :2], followed[..., None].float()], -1)

    def _single(self, i: int) -> Tensor:
        field = torch.cat([self._flow[i].float(), self._visible[i, ..., None].float()], -1)
        h, w = field.shape[:2]
        if (h, w) == self.hw:
            return field
        small = torch.nn.functional.interpolate(field.permute(2, 0, 1)[None], self.hw, mode="area")[0].permute(1, 2, 0)
        small[..., 0] *= self.hw[1] / w
        small[..., 1] *= self.hw[0] / h
        small[..., 2] = (small[..., 2] > 0.5).float()
        return small
