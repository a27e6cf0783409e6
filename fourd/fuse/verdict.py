"""What moves, as depth itself tells: a still point is found again where other moments look; a moving one is not."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool
from torch import Tensor

from fourd.fuse.neighbours import around
from fourd.native.fusion import Planes, consistency
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
        # Room for the frames that one frame may ask, each in the place of its number modulo the room.
        self._room = min(len(maps), 2 * max(AHEAD) + 1)
        self._planes: Planes | None = None
        self._holds = [-1] * self._room
        self._known: dict[int, tuple[Tensor, Tensor]] = {}

    def of(self, i: int) -> tuple[Bool[Tensor, "h w"], Bool[Tensor, "h w"]]:
        """Which pixels of frame ``i`` surely move, and which surely stand still; most are neither if depth is poor."""
        if i not in self._known:
            self._known[i] = self._judge(i)
        return self._known[i]

    def _judge(self, i: int) -> tuple[Tensor, Tensor]:
        maps = self._maps
        sure = (maps.confidence[i] >= SURE) & torch.isfinite(maps.depth_m[i])
        others = around(i, AHEAD, len(maps))
        if not others or not bool(sure.any()):
            nothing = torch.zeros(maps.hw, dtype=torch.bool)
            return nothing, nothing
        places = [self._place(j) for j in (i, *others)]
        assert self._planes is not None  # `_place` has made it.
        said = consistency(self._planes, places[0], places[1:], self._tolerance)
        total = said.support + said.contradiction
        gone = sure & (said.contradiction > GONE * total) & (said.contradiction > 0.8)
        stays = sure & ~gone & (said.support > 2.5)
        moves = _majority(gone)
        return moves, stays & ~moves

    def _place(self, i: int) -> int:
        """Where frame ``i`` is kept; it is brought there if need be."""
        place, maps = i % self._room, self._maps
        if self._planes is None:
            K, pose = maps.K[: self._room].clone(), self._cameras.world_from_cam[: self._room].clone()
            self._planes = Planes.empty(K, pose, maps.hw)
        if self._holds[place] != i:
            self._holds[place] = i
            self._planes.K[place], self._planes.world_from_cam[place] = maps.K[i], self._cameras.world_from_cam[i]
            self._planes.fill(place, maps.depth_m[i], maps.confidence[i], torch.ones(maps.hw, dtype=torch.uint8))
        return place


def _majority(mask: Tensor) -> Tensor:
    """What most pixels of a neighbourhood of five by five say: things move as wholes, errors are specks."""
    return F.avg_pool2d(mask[None, None].float(), 5, 1, 2, count_include_pad=False)[0, 0] > 0.4
