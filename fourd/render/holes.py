"""What a view does not see: true disocclusions, parted from thin cracks between splats that stand far apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float32
from torch import Tensor

from fourd import native
from fourd.checked import checked
from fourd.geometry.masks import grown
from fourd.types import SEEN, Cameras, Splats

COVERED = 0.5
"""A pixel covered less is a hole; as ``Frames.hole``."""

WHOLE = 0.95
"""Beside a hole, a pixel covered less belongs to it: the outline of what stands before it shines through there."""

CRACK_PX = 2
"""Holes are regions that hold a square of twice as many pixels and one; what is thinner is a crack."""

FRINGE_PX = 2
"""How far beside a hole pixels may belong to it."""

SLACK = 1.1
"""How much nearer than the further of its two sides a filling may be."""

NEIGHBOURHOODS_PX = (2, 4, 8)
"""So far around a thin place its background is looked for; further only if there is none."""

BACKGROUND = 0.9
"""What is at least so near as the farthest around, in inverse depth, is background too."""

FARTHER = 0.995
"""A lining lies a little behind the farthest that it continues, in inverse depth."""

THING = 0.05
"""Things go on behind what hides them for so much of the picture's width."""


@dataclass(frozen=True, eq=False)
class Seen:
    """What some cameras see, and what they do not. n pictures of h x w."""

    rgb: Float32[Tensor, "n h w 3"]
    """sRGB, 0 to 1; cracks are closed. 0 where not known."""
    inverse_depth: Float32[Tensor, "n h w"]
    """1/m along the optical axis; 0 where not known."""
    known: Bool[Tensor, "n h w"]
    """Pixels that splats cover, and cracks, which their surroundings close."""
    hole: Bool[Tensor, "n h w"]
    """Regions that nothing covers, with the fringe around them: all the rest."""
    crack: Bool[Tensor, "n h w"]
    """The part of ``known`` that no splat covers."""
    thin: Bool[Tensor, "n h w"]
    """The part of ``known`` that splats cover, but not wholly: what is black behind them shines through."""
    filmed: Bool[Tensor, "n h w"]
    """The part of ``known`` that shows what was filmed, at whatever moment, and not what was made up."""


class Lining(NamedTuple):
    """What belongs behind cracks and thin places of a picture."""

    rgb: Float32[Tensor, "h w 3"]
    inverse_depth: Float32[Tensor, "h w"]
    wanted: Bool[Tensor, "h w"]
    """Where; elsewhere the maps are those of the picture."""


@checked
def look(splats: Splats, cameras: Cameras) -> Seen:
    """Draw splats and find what is missing.

    Args:
        splats: On the CPU.
        cameras: One for each picture.
    """
    parts = [_look(splats, cameras, i) for i in range(len(cameras))]
    return Seen(*(torch.stack([part[k] for part in parts]) for k in range(len(parts[0]))))


def _look(splats: Splats, cameras: Cameras, i: int) -> tuple[Tensor, ...]:
    """The fields of ``Seen``, of one picture."""
    raster = native.rasterize(splats, cameras.K[i], cameras.world_from_cam[i], cameras.hw, float(cameras.time_s[i]))
    rgb = (raster.rgb / raster.alpha.clamp(min=1e-6)[..., None]).clamp(0, 1)
    inverse = torch.where(raster.median_m > 0, 1 / raster.median_m.clamp(min=1e-9), 0.0)
    open_ = raster.alpha < COVERED
    region = regions(open_)
    hole = region | (grown(region, FRINGE_PX) & (raster.alpha < WHOLE))
    crack = open_ & ~hole
    sure = (raster.alpha >= COVERED) & ~hole
    closed = _closed(torch.cat([rgb, inverse[..., None]], -1), sure, crack)
    known = sure | crack
    return (
        torch.where(known[..., None], closed[..., :3], 0.0),
        torch.where(known, closed[..., 3], 0.0),
        known,
        hole,
        crack,
        sure & (raster.alpha < WHOLE),
        sure & (splats.source == SEEN)[raster.index.long()] if len(splats) else sure,
    )


@checked
def lining(seen: Seen, i: int) -> Lining:
    """What to lay behind the cracks and thin places of picture ``i``, and behind the pixels beside them.

    It continues the farthest that is around: before an outline that is torn the background, on a torn surface the
    surface itself.
    """
    loose = seen.crack[i] | seen.thin[i]
    solid, wanted = seen.known[i] & ~loose, grown(loose, 1) & ~seen.hole[i]
    rgb, inverse = seen.rgb[i].clone(), seen.inverse_depth[i].clone()
    left, (h, w) = wanted.clone(), wanted.shape
    for radius in NEIGHBOURHOODS_PX:
        row, column = torch.nonzero(left).unbind(1)
        step = torch.arange(-radius, radius + 1)
        y, x = (row[:, None, None] + step[:, None]), (column[:, None, None] + step)
        at = (y.clamp(0, h - 1) * w + x.clamp(0, w - 1)).flatten(1)
        there, around = solid.flatten()[at], seen.inverse_depth[i].flatten()[at]
        farthest = torch.where(there, around, torch.inf).amin(1)
        some = farthest.isfinite()
        at, there, around, farthest, row, column = (v[some] for v in (at, there, around, farthest, row, column))
        ground = (there & (BACKGROUND * around <= farthest[:, None]))[..., None]
        rgb[row, column] = (seen.rgb[i].reshape(-1, 3)[at] * ground).sum(1) / ground.sum(1)
        inverse[row, column] = FARTHER * farthest
        left[row, column] = False
    return Lining(rgb, inverse, wanted & ~left)


@checked
def regions(open_: Bool[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
    """The part of a mask that is more than cracks: what an opening keeps, and what hangs on to it closely.

    Beyond the border of the picture the mask goes on as it is at the border.
    """
    side = 2 * CRACK_PX + 1
    square = np.ones((side, side), np.uint8)
    mask = cv2.copyMakeBorder(open_.numpy().astype(np.uint8), side, side, side, side, cv2.BORDER_REPLICATE)
    core = cv2.morphologyEx(mask, cv2.MORPH_OPEN, square)
    near = torch.from_numpy(cv2.dilate(core, square)) & torch.from_numpy(mask)
    return near[side:-side, side:-side] > 0


def _closed(values: Tensor, sure: Tensor, crack: Tensor) -> Tensor:
    """Values [h, w, c] with the cracks closed by the mean of what is sure around them."""
    if not bool(crack.any()):
        return values
    total = torch.where(sure[..., None], values, 0.0)
    wanted = crack.clone()
    for radius in (1, 2, 4, 8):
        side = 2 * radius + 1
        stacked = torch.cat([total, sure[..., None].float()], -1).permute(2, 0, 1)
        mean = F.avg_pool2d(stacked, side, 1, radius).permute(1, 2, 0)
        share = mean[..., -1]
        found = wanted & (share > 1e-6)
        values = torch.where(found[..., None], mean[..., :-1] / share.clamp(min=1e-6)[..., None], values)
        wanted = wanted & ~found
        if not bool(wanted.any()):
            return values
    return values


@checked
def behind(inverse_depth: Float32[Tensor, "h w"], known: Bool[Tensor, "h w"]) -> Float32[Tensor, "h w"]:
    """How near a filling may come, by what is known left and right of it in the same row.

    A view that turns about the subject uncovers what is behind an outline, on the one side of the hole; on its other
    side the background goes on. So between two sides the filling is no nearer than the further of them, with some
    ``SLACK``. With one side, or none, anything may be there.

    Returns:
        Inverse depth; infinity where nothing bounds it.
    """
    left, right = _last_known(inverse_depth, known), _last_known(inverse_depth.flip(1), known.flip(1)).flip(1)
    return torch.where(left.isinf() | right.isinf(), torch.inf, torch.minimum(left, right) * SLACK)


@checked
def within(
    inverse_depth: Float32[Tensor, "h w"], known: Bool[Tensor, "h w"], thing: Bool[Tensor, "h w"]
) -> Bool[Tensor, "h w"]:
    """Where a thing goes on behind what hides it, by what is known left and right in the same row.

    The farther of the two sides goes on, as in ``behind``; not for longer than ``THING`` widths of the picture.

    Args:
        inverse_depth: 1/m.
        known: Where it was seen.
        thing: Which of that is a thing, and not what bounds the scene.
    """
    w = known.shape[1]
    side = torch.where(thing, 1.0, 0.0)
    ends = []
    for flip in (False, True):
        maps = (x.flip(1) if flip else x for x in (inverse_depth, known, side))
        depth, there, is_thing = maps
        column = torch.arange(w, dtype=torch.float32).expand_as(depth)
        away = column - _last_known(column, there)
        end = torch.stack([_last_known(depth, there), _last_known(is_thing, there), away])
        ends.append(end.flip(2) if flip else end)
    left, right = ends
    both = ~(left[0].isinf() | right[0].isinf())
    farther = torch.where(left[0] <= right[0], left, right)
    return both & ~known & (farther[1] == 1) & (farther[2] <= THING * w)


def _last_known(values: Tensor, known: Tensor) -> Tensor:
    """For each pixel the last known value to the left in its row; infinity where there is none."""
    w = values.shape[1]
    column = torch.where(known, torch.arange(w), -1).cummax(1).values
    found = values.gather(1, column.clamp(min=0))
    return torch.where(column >= 0, found, torch.inf)
