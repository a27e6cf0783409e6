"""What moves, as depth itself tells: a still point is found again where other moments look; a moving one is not."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from jaxtyping import Bool, UInt8
from torch import Tensor

from fourd.fuse.surface import flat
from fourd.geometry import pinhole
from fourd.native.evidence import FLAT, STILL, evidence
from fourd.types import Cameras, DepthMaps

AHEAD = (2, 5, 10, 16)
"""Frames forward and backward that are asked; slow things need the far ones, fast ones the near."""

SURE = 0.9
"""Confidence from which depth may overrule what flow says of motion."""

GONE = 0.2
"""Share of the frames with an opinion that must look through a point before it counts as moving."""


class Verdicts:
    """Judges pixels of sure depth by the depth of other frames. Works on maps of any size."""

    def __init__(self, maps: DepthMaps, cameras: Cameras, tolerance: float) -> None:
        self._maps, self._cameras, self._tolerance = maps, cameras, tolerance
        self._cam_from_world = cameras.cam_from_world
        self._kept: dict[int, Tensor] = {}

    def of(self, i: int) -> tuple[Bool[Tensor, "h w"], Bool[Tensor, "h w"]]:
        """Which pixels of frame ``i`` surely move, and which surely stand still; most are neither if depth is poor."""
        maps = self._maps
        h, w = maps.hw
        moves = torch.zeros(h, w, dtype=torch.bool)
        sure = (maps.confidence[i] >= SURE) & torch.isfinite(maps.depth_m[i])
        others = list(self._others(i))
        if not others or not bool(sure.any()):
            return moves, moves.clone()
        seen_from = pinhole.unproject(torch.where(sure, maps.depth_m[i], 1.0), maps.K[i])[sure]
        points = pinhole.transform(self._cameras.world_from_cam[i], seen_from)
        nothing = torch.zeros(len(points), 3)
        found = evidence(
            points,
            nothing[:, 0],
            nothing,
            maps.K[others],
            self._cam_from_world[others],
            torch.zeros(len(others), h, w, 3, dtype=torch.uint8),
            torch.where(torch.isfinite(maps.depth_m[others]), maps.depth_m[others], 1e9),
            maps.confidence[others],
            torch.stack([self._flags(j) for j in others]),
            self._tolerance,
            1.0,
            1.0,
        )
        said = found.support + found.contradiction
        gone = (found.contradiction > GONE * said) & (found.contradiction > 0.8)
        stays = ~gone & (found.support > 2.5)
        still = moves.clone()
        moves[sure], still[sure] = gone, stays
        return _majority(moves), still & ~_majority(moves)

    def _others(self, i: int) -> Iterator[int]:
        yield from sorted({j for a in AHEAD for j in (i - a, i + a) if 0 <= j < len(self._maps)})

    def _flags(self, i: int) -> UInt8[Tensor, "h w"]:
        if i not in self._kept:
            known = self._maps.confidence[i] > 0
            self._kept[i] = ((STILL + FLAT * flat(self._maps.depth_m[i])) * known).to(torch.uint8)
            if len(self._kept) > 2 * max(AHEAD) + 2:
                del self._kept[next(iter(self._kept))]
        return self._kept[i]


def _majority(mask: Tensor) -> Tensor:
    """What most pixels of a neighbourhood of five by five say: things move as wholes, errors are specks."""
    return F.avg_pool2d(mask[None, None].float(), 5, 1, 2, count_include_pad=False)[0, 0] > 0.4
