"""Batches out of shards: cut, turned, discoloured, blurred and compressed at random."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float32, UInt8
from numpy import ndarray as Array
from torch import Tensor

from fourd.depth.train import shards
from fourd.depth.train.shards import Shard
from fourd.errors import InputError

_HELD = 8
"""Shards in memory at a time; batches mix all of them."""
_TURNOVER = 40
"""Batches after which the oldest of them makes room for another."""
_ASPECTS = (4 / 3, 4 / 3, 16 / 9, 1.0, 3 / 4, 9 / 16)
"""Width over height of the batches."""
_MOST = 25.0
"""Farther than so many times the median is as far as the sky."""


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

    def to(self, device: torch.device) -> Batch:
        """The same on another device."""
        return Batch(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


class Source:
    """An endless supply of batches from a folder in which more shards may appear."""

    def __init__(self, folder: Path, seed: int, recorded: float, skip: int = 1) -> None:
        """Begin.

        Args:
            folder: Where the shards are.
            seed: All chances follow it.
            recorded: Share of pictures that come from recordings, if there are any.
            skip: So many of the first shards are kept for validation.

        Raises:
            InputError: If there is nothing to train on.
        """
        self._folder, self._recorded, self._skip = folder, recorded, skip
        self._rng = np.random.default_rng(seed)
        self._held: list[Shard] = []
        self._taken: list[Path] = []
        self._count = 0
        self._films: list[Shard] = []
        if len(shards.listed(folder, "wild")) <= skip:
            raise InputError(f"{folder} has no shards to train on beyond the {skip} kept aside. Render some first.")

    def batch(self, size: int, area: int) -> Batch:
        """The next batch, of pictures of about ``area`` pixels."""
        self._refresh()
        aspect = _ASPECTS[int(self._rng.integers(len(_ASPECTS)))]
        width = max(4, round(np.sqrt(area * aspect) / 8)) * 8
        height = max(4, round(np.sqrt(area / aspect) / 8)) * 8
        samples = []
        for _ in range(size):
            pool = self._films if self._films and self._rng.random() < self._recorded else self._held
            shard = pool[int(self._rng.integers(len(pool)))]
            samples.append(_sample(shard, int(self._rng.integers(len(shard))), (height, width), self._rng))
        return _stacked(samples)

    def _refresh(self) -> None:
        paths = shards.listed(self._folder, "wild")[self._skip :]
        if not self._films or self._count % 200 == 0:
            self._films = [shards.read(p) for p in shards.listed(self._folder, "film")]
        while len(self._held) < min(_HELD, len(paths)) or (self._count % _TURNOVER == 0 and len(paths) > _HELD):
            fresh = [p for p in paths if p not in self._taken]
            path = fresh[int(self._rng.integers(len(fresh)))]
            self._held.append(shards.read(path))
            self._taken.append(path)
            if len(self._held) > _HELD:
                self._held.pop(0)
                self._taken.pop(0)
                break
        self._count += 1


def whole(shard: Shard, index: list[int], hw: tuple[int, int]) -> Batch:
    """Pictures of a shard as they are, at another size."""
    return _stacked([_cut(shard, i, (0, 0, shard.image.shape[2], shard.image.shape[1]), hw) for i in index])


def _cut(shard: Shard, i: int, box: tuple[int, int, int, int], hw: tuple[int, int]) -> dict[str, Array]:
    """Part of a picture: x, y, width and height of ``box``, at size ``hw``."""
    x, y, w, h = box
    mode = cv2.INTER_AREA if h > hw[0] else cv2.INTER_LINEAR
    picture = np.asarray(cv2.resize(shard.image[i, y : y + h, x : x + w], hw[::-1], interpolation=mode), np.uint8)
    # Depth is picked and not blended: between two surfaces there is nothing.
    rows = y + ((np.arange(hw[0]) + 0.5) * h / hw[0]).astype(int)
    columns = x + ((np.arange(hw[1]) + 0.5) * w / hw[1]).astype(int)
    depth = shard.depth[i][np.ix_(rows, columns)].astype(np.float32)
    alive = shard.alive[i][np.ix_(rows, columns)].astype(np.float32)
    known = depth > 0
    middle = float(np.median(depth[known])) if known.any() else 1.0
    far = _MOST * min(middle, 1e3)
    weight = np.where(known, np.where(depth < far, 1.0, 0.5), 0.0)
    log_rho = -np.log(np.clip(np.where(known, depth, far), 1e-3, far))
    height, width = shard.image.shape[1:3]
    scale = np.array([hw[1] / w, hw[0] / h])
    return dict(
        picture=picture,
        log_rho=log_rho.astype(np.float32),
        weight=weight.astype(np.float32),
        alive=np.where(alive > 1, -1, alive),
        focal=np.array(shard.focal[i] * scale.mean(), np.float32),
        centre=((np.array([width / 2, height / 2]) - [x, y]) * scale).astype(np.float32),
    )


def _sample(shard: Shard, i: int, hw: tuple[int, int], rng: np.random.Generator) -> dict[str, Array]:
    height, width = shard.image.shape[1:3]
    aspect = hw[1] / hw[0]
    w = min(width, height * aspect) * (1 - 0.4 * rng.random() ** 1.5)
    h = w / aspect
    box = (int(rng.uniform(0, width - w + 1)), int(rng.uniform(0, height - h + 1)), int(w), int(h))
    cut = _cut(shard, i, box, hw)
    if rng.random() < 0.5:
        cut |= {k: np.ascontiguousarray(cut[k][:, ::-1]) for k in ("picture", "log_rho", "weight", "alive")}
        cut["centre"] = np.array([hw[1] - cut["centre"][0], cut["centre"][1]], np.float32)
    cut["picture"] = _worn(cut["picture"], rng)
    return cut


def _worn(picture: UInt8[Array, "h w 3"], rng: np.random.Generator) -> UInt8[Array, "h w 3"]:
    """The picture as another camera would have taken, compressed and handed it on."""
    x = picture.astype(np.float32) / 255
    # Any exposure: the stage is often darker than films are.
    wanted = float(rng.uniform(0.25, 0.6))
    x = x ** float(np.clip(np.log(wanted) / np.log(float(x.mean()) + 0.02), 0.4, 1.6) if rng.random() < 0.8 else 1.0)
    x *= (1 + rng.normal(0, 0.07, 3)).astype(np.float32)
    grey = x.mean(-1, keepdims=True)
    x = grey + (x - grey) * float(rng.choice([0.0, rng.uniform(0.4, 1.2)], p=[0.06, 0.94]))
    x = (x - x.mean()) * float(rng.uniform(0.7, 1.35)) + x.mean()
    if rng.random() < 0.15:  # Haze or glare over everything.
        x += (float(rng.uniform(0.5, 1)) - x) * float(rng.uniform(0, 0.4))
    if rng.random() < 0.4:
        x = cv2.GaussianBlur(x, (0, 0), float(rng.uniform(0.3, 1.1)))
    if rng.random() < 0.5:
        x = x + rng.normal(0, float(rng.uniform(0, 0.05)), x.shape).astype(np.float32)
    out = (np.clip(x, 0, 1) * 255 + 0.5).astype(np.uint8)
    if rng.random() < 0.4:
        _, packed = cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 95))])
        out = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
    return out


def _stacked(samples: list[dict[str, Array]]) -> Batch:
    def of(key: str) -> Tensor:
        return torch.from_numpy(np.stack([s[key] for s in samples]))

    rgb = of("picture").permute(0, 3, 1, 2).float() / 255
    return Batch(rgb, of("log_rho"), of("weight"), of("alive").float(), of("focal"), of("centre"))
