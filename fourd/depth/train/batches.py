"""Batches out of shards: cut out, mirrored and worn at random, on the device that trains."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float32
from torch import Tensor

from fourd.depth.train import shards
from fourd.depth.train.shards import Shard
from fourd.depth.train.wear import Chances, worn
from fourd.errors import InputError

_HELD_CPU, _HELD_GPU = 8, 400
"""Shards in memory at a time, on either device; batches mix all of them."""
_TURNOVER = 40
"""Batches after which the oldest of them makes room for another."""
_ASPECTS = (4 / 3, 4 / 3, 16 / 9, 1.0, 3 / 4, 9 / 16)
"""Width over height of the batches."""
_MOST = 25.0
"""Farther than so many times the median is as far as the sky."""
_SKY = 1e6


@dataclass(frozen=True, eq=False)
class Batch:
    """What one step of training sees."""

    rgb: Float32[Tensor, "b 3 h w"]
    """0 to 1."""
    log_rho: Float32[Tensor, "b h w"]
    """Log of the true inverse depth."""
    weight: Float32[Tensor, "b h w"]
    """How much a pixel counts: 0 where nothing is known, less in the sky."""
    alive: Float32[Tensor, "b h w"]
    """1 on what could walk or drive away, 0 elsewhere, -1 where unknown."""
    focal: Float32[Tensor, " b"]
    """In pixels of the batch."""
    centre: Float32[Tensor, "b 2"]
    """Principal point (x, y), in pixels of the batch."""


@dataclass(frozen=True, eq=False)
class _Held:
    """A shard on the device."""

    path: Path
    image: Tensor
    depth: Tensor
    alive: Tensor
    focal: Tensor

    @staticmethod
    def of(path: Path, device: torch.device) -> _Held:
        shard = shards.read(path)
        arrays = (shard.image, shard.depth, shard.alive, shard.focal)
        return _Held(path, *(torch.from_numpy(x).to(device) for x in arrays))


class Source:
    """An endless supply of batches from a folder in which more shards may appear."""

    def __init__(self, folder: Path, seed: int, recorded: float, device: torch.device, skip: int = 1) -> None:
        """Begin.

        Args:
            folder: Where the shards are.
            seed: All chances follow it.
            recorded: Share of pictures that come from recordings, if there are any.
            device: Where batches are made.
            skip: So many of the first shards are kept for validation.

        Raises:
            InputError: If there is nothing to train on.
        """
        self._folder, self._recorded, self._skip, self._device = folder, recorded, skip, device
        self._most = _HELD_GPU if device.type == "cuda" else _HELD_CPU
        self._chances = Chances(seed, device)
        self._held: list[_Held] = []
        self._films = [_Held.of(p, device) for p in shards.listed(folder, "film")]
        self._count = 0
        if len(shards.listed(folder, "wild")) <= skip:
            raise InputError(f"{folder} has no shards to train on beyond the {skip} kept aside. Render some first.")

    def batch(self, size: int, area: int) -> Batch:
        """The next batch, of pictures of about ``area`` pixels."""
        self._refresh()
        chances = self._chances
        aspect = _ASPECTS[chances.below(len(_ASPECTS))]
        hw = tuple(max(4, round((area * a) ** 0.5 / 8)) * 8 for a in (1 / aspect, aspect))
        from_film = chances.some(size, self._recorded if self._films else 0.0).tolist()
        picked = []
        for film in from_film:
            pool = self._films if film else self._held
            held = pool[chances.below(len(pool))]
            picked.append((held, chances.below(len(held.image))))
        height, width = picked[0][0].image.shape[1:3]
        shape = hw[1] / hw[0]
        w = min(width, height * shape) * (1 - 0.4 * chances.uniform(size) ** 1.5)
        h = w / shape
        left, top = chances.uniform(size) * (width - w), chances.uniform(size) * (height - h)
        box = torch.stack([left, top, w, h], 1)
        made = _cut(picked, box, chances.some(size, 0.5), (hw[0], hw[1]))
        return Batch(worn(made.rgb, chances), *(getattr(made, name) for name in list(made.__dataclass_fields__)[1:]))

    def _refresh(self) -> None:
        if self._count % _TURNOVER == 0:
            paths = shards.listed(self._folder, "wild")[self._skip :]
            taken = {held.path for held in self._held}
            fresh = [p for p in paths if p not in taken]
            while fresh:
                self._held.append(_Held.of(fresh.pop(self._chances.below(len(fresh))), self._device))
                if len(self._held) > self._most:
                    self._held.pop(0)
                    break
        self._count += 1


def whole(shard: Shard, index: list[int], hw: tuple[int, int], device: torch.device) -> Batch:
    """Pictures of a shard as they are, at another size."""
    arrays = (shard.image, shard.depth, shard.alive, shard.focal)
    held = _Held(Path(), *(torch.from_numpy(x[index]).to(device) for x in arrays))
    height, width = shard.image.shape[1:3]
    box = torch.tensor([[0.0, 0.0, width, height]], device=device).expand(len(index), 4)
    return _cut([(held, i) for i in range(len(index))], box, torch.zeros(len(index), device=device), hw)


def _cut(
    picked: list[tuple[_Held, int]], box: Float32[Tensor, "b 4"], mirrored: Float32[Tensor, " b"], hw: tuple[int, int]
) -> Batch:
    """Parts of pictures (left, top, width, height in pixels) at size ``hw``: colours blended, depth picked."""
    image = torch.stack([held.image[i] for held, i in picked]).permute(0, 3, 1, 2).float() / 255
    depth = torch.stack([held.depth[i] for held, i in picked]).float()
    alive = torch.stack([held.alive[i] for held, i in picked]).float()
    focal = torch.stack([held.focal[i] for held, i in picked])
    height, width = depth.shape[1:]
    left, top, w, h = box.unbind(1)
    sign = 1 - 2 * mirrored
    zero = torch.zeros_like(w)
    across = torch.stack([sign * w / width, zero, (2 * left + w) / width - 1], 1)
    down = torch.stack([zero, h / height, (2 * top + h) / height - 1], 1)
    grid = F.affine_grid(torch.stack([across, down], 1), [len(picked), 1, *hw], align_corners=False)
    # Blending four pixels is no average over many: halve the picture first where it is made much smaller.
    halves = max(1, round(float(w.mean()) / hw[1]))
    image = F.avg_pool2d(image, halves) if halves > 1 else image
    rgb = F.grid_sample(image, grid, "bilinear", "border", align_corners=False)
    # Infinity times no weight is not a number, so the sky goes in as a number.
    maps = torch.stack([depth.nan_to_num(posinf=_SKY), alive], 1)
    depth, alive = F.grid_sample(maps, grid, "nearest", "border", align_corners=False).unbind(1)
    known = depth > 0
    middle = torch.where(known & (depth < _SKY), depth, torch.nan).flatten(1).nanmedian(1).values.nan_to_num(1.0)
    far = (_MOST * middle)[:, None, None].expand_as(depth)
    weight = known * torch.where(depth < far, 1.0, 0.5)
    log_rho = -torch.where(known, torch.minimum(depth.clamp(min=1e-3), far), far).log()
    scale = hw[1] / w
    centre = torch.stack([(width / 2 - left) * scale, (height / 2 - top) * scale], 1)
    centre[:, 0] = torch.where(mirrored > 0, hw[1] - centre[:, 0], centre[:, 0])
    return Batch(rgb, log_rho, weight, torch.where(alive > 1, -1.0, alive), focal * scale, centre)
