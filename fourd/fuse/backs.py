"""Sides and backs of things that move: made up, in the things' own colours, and moving along.

Nobody filmed them. Without them such a thing is a shell, past whose rim one sees into it as soon as the camera turns.

outline ─> geometry.inflated ─> how thick ─┐
colours ─> turned over at the outline ─────┴─> small balls on sides and back, marked ``INVENTED``
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from fourd import native
from fourd.checked import checked
from fourd.events import Progress, Steps
from fourd.fuse.cloud import OPACITY
from fourd.fuse.harm import worst
from fourd.geometry import pinhole
from fourd.geometry.inflated import beside, inflated
from fourd.geometry.masks import grown, nearest, pieces
from fourd.types import INVENTED, SH_C0, Cameras, Splats

CELL_PX = 2
"""Bodies are made of columns so many pixels wide."""

BEFORE = 0.03
"""A thing that moves stands before what stands still by at least this share of its distance; shadows do not."""

LEAST = 0.003
"""Share of a picture below which a thing stays as it is."""

CLEAR = 0.01
"""A body ends before what stands still behind it, by this share of the distance."""

RIM_PX = 3
"""Colours are taken from so far inside of an outline, which is mixed with what is behind it."""

INSIDE_PX = 2
"""Bodies begin so far inside of their outlines, so that no ball sticks out of them where the camera filmed."""

WIDTH = 0.5
"""Standard deviation of a ball, in cells."""

UNDER = 0.4
"""Balls lie at least so many cells behind the front."""

TURNED = 0.7
"""How far inside of its outline a thing lends its colour to what is one pixel past it, over the edge. The middle of a
round back then has the colour of the middle of the front."""

LIFE = 0.6
"""Backs live shorter than fronts, so that those of the moments before and after do not stand out beside a front."""

UNCHANGED_DB = 60.0
"""A filmed picture changes by less than this for the bodies behind its fronts."""

_ROUNDS = 4
_DEEPEST = 400
"""Cells from front to back at most."""


class _Balls(NamedTuple):
    """Places on the sides and backs of bodies, one row each."""

    row: Int64[Tensor, " n"]
    column: Int64[Tensor, " n"]
    depth_m: Float32[Tensor, " n"]
    off: Float32[Tensor, " n"]
    """Distance along the ray from the middle between front and back, in cells."""


@checked
def grow(splats: Splats, cameras: Cameras, standing: Splats) -> Steps[Splats]:
    """Make up the sides and backs of what moves, for each moment at which it was filmed.

    Args:
        splats: What was filmed. What lives for a moment only, and stands clearly before what stands still, moves.
        cameras: Those that filmed.
        standing: All that stands still, into which no body reaches.

    Returns:
        Splats that live and move as the fronts before them do.
    """
    momentary = splats[torch.isfinite(splats.duration_s)]
    times = momentary.time_s.unique()
    parts = [splats[:0]]
    for k, time_s in enumerate(times):
        i = (cameras.time_s - time_s).abs().argmin().reshape(1)
        parts.append(_of(momentary[momentary.time_s == time_s], standing, cameras[i]))
        yield Progress("inpaint", k + 1, len(times))
    return Splats.concat(parts)


def _of(fronts: Splats, standing: Splats, camera: Cameras) -> Splats:
    """The sides and backs of what lives at one moment."""
    at = camera.K[0], camera.world_from_cam[0], camera.hw, float(fronts.time_s[0])
    seen, ground = native.rasterize(fronts, *at), native.rasterize(standing, *at)
    ground_m = torch.where(ground.alpha > 0.5, ground.median_m, torch.inf)
    shown = (seen.alpha > 0.5) & (seen.median_m > 0)
    body = _things(shown & (seen.median_m * (1 + BEFORE) < ground_m))
    if not bool(body.any()):
        return fronts[:0]
    depth = torch.where(body, seen.median_m, 0.0)
    hider = ~body & (ground_m < depth.flatten()[nearest(body)])
    inner = body & ~(grown(~body, INSIDE_PX) & ~grown(hider, INSIDE_PX))

    middle = slice(CELL_PX // 2, None, CELL_PX)
    thing, before, depth, ground_m = (x[middle, middle].contiguous() for x in (inner, hider, depth, ground_m))
    # The middle of a cell of the small maps is the centre of the pixel that was picked.
    K = camera.K[0].clone()
    K[:2] /= CELL_PX
    K[:2, 2] += 0.5 - (CELL_PX // 2 + 0.5) / CELL_PX
    balls = _outside(depth, thing, inflated(depth, thing, before), ground_m, float(K[0, 0]))
    row, column = (x * CELL_PX + CELL_PX // 2 for x in (balls.row, balls.column))
    rgb = (seen.rgb / seen.alpha.clamp(min=1e-6)[..., None]).clamp(0, 1)
    colour = ((rgb[_turned_over(body, hider, row, column, balls.off * CELL_PX)] - 0.5) / SH_C0)[:, None]
    ray = pinhole.rays(K, (int(depth.shape[0]), int(depth.shape[1])))[balls.row, balls.column]
    own = seen.index[row, column].long().clamp(min=0)
    n = len(balls.depth_m)
    made = Splats(
        mean_m=pinhole.transform(camera.world_from_cam[0], ray * balls.depth_m[:, None]),
        quat_wxyz=torch.tensor([1.0, 0, 0, 0]).repeat(n, 1),
        scale_m=(WIDTH * balls.depth_m / K[0, 0])[:, None].repeat(1, 3),
        opacity=torch.full((n,), OPACITY),
        colour=torch.cat([colour, torch.zeros(n, fronts.colour.shape[1] - 1, 3)], 1),
        velocity_mps=fronts.velocity_mps[own],
        time_s=fronts.time_s[own],
        duration_s=LIFE * fronts.duration_s[own],
        source=torch.full((n,), INVENTED, dtype=torch.uint8),
    )
    return _hidden(made, fronts, ground.rgb, camera)


def _hidden(made: Splats, fronts: Splats, ground: Tensor, camera: Cameras) -> Splats:
    """Let go of the balls that the camera before the fronts would see.

    As in ``invent.unobtrusive``, but of one moment and quickly: before a picture of what stands still. That one looks
    at all moments and all that was made up, and would let go of walls for the sake of a few balls.
    """
    at = camera.K[0], camera.world_from_cam[0], camera.hw, float(fronts.time_s[0])

    def seen(splats: Splats) -> Tensor:
        drawn = native.draw(splats, *at)
        return drawn.rgb + (1 - drawn.alpha)[..., None] * ground

    before = seen(fronts)
    budget = before.numel() * 10 ** (-UNCHANGED_DB / 10)
    for _ in range(_ROUNDS):
        opacity = made.opacity.clone().requires_grad_(True)
        change = (seen(Splats.concat([fronts, made.replace(opacity=opacity)])) - before).square().sum()
        if len(made) == 0 or float(change.detach()) <= budget:
            break
        (slope,) = torch.autograd.grad(change, opacity)
        stays = torch.ones(len(made), dtype=torch.bool)
        stays[worst((slope * made.opacity).clamp(min=0), 0.5 * budget / float(change.detach()))] = False
        made = made[stays]
    return made


def _things(mask: Bool[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
    """The parts of a mask that are neither speckles nor threads."""
    square = np.ones((3, 3), np.uint8)
    closed = cv2.morphologyEx(mask.numpy().astype(np.uint8), cv2.MORPH_CLOSE, square)
    whole = torch.from_numpy(cv2.morphologyEx(closed, cv2.MORPH_OPEN, square)) > 0
    label, area = pieces(whole & mask)
    large = area >= LEAST * mask.numel()
    large[0] = False
    return large[label]


def _outside(depth: Tensor, body: Tensor, half: Tensor, ground_m: Tensor, f_px: float) -> _Balls:
    """Sample sides and backs of bodies, about once a cell in every direction.

    A body is made of columns, from the front to the back along the ray. A column shows where one of its four neighbours
    does not reach.
    """
    cell = depth / f_px
    thick_m = 2 * half * cell * (1 + half / f_px)  # The outline is about half a body behind the front.
    back = torch.maximum(torch.minimum(depth + thick_m, ground_m * (1 - CLEAR)), depth)
    front, end = torch.where(body, depth, torch.inf), torch.where(body, back, 0.0)
    begin = beside(front, torch.inf).amax(0)
    reach = beside(end, 0.0).amin(0)
    # No ball sticks out of the front of a neighbour.
    sunk = F.max_pool2d(torch.where(body, depth, 0.0)[None], 3, 1, 1)[0] + UNDER * cell
    row, column = torch.nonzero(body).unbind(1)
    steps = ((back - depth) / cell.clamp(min=1e-9))[row, column].ceil().long().clamp(0, _DEEPEST) + 1
    owner = torch.repeat_interleave(torch.arange(len(row)), steps)
    step = torch.arange(len(owner)) - (steps.cumsum(0) - steps)[owner]
    at = row[owner], column[owner]
    place = back[at] - step * cell[at]
    shows = (step == 0) | (place < begin[at]) | (place > reach[at])
    shows &= place > sunk[at]
    off = (place - (depth[at] + back[at]) / 2).abs() / cell[at]
    return _Balls(at[0][shows], at[1][shows], place[shows], off[shows])


def _turned_over(body: Tensor, hider: Tensor, row: Tensor, column: Tensor, off_px: Tensor) -> tuple[Tensor, Tensor]:
    """From which pixels places that stand ``off_px`` from the middle of their columns have their colours.

    The picture is turned over at the outline: a place has the colour of what is as far inside of the outline as
    itself is behind it. So texture goes on at its own scale, and does not become streaks on the sides.
    """
    away = cv2.distanceTransform((body | hider).numpy().astype(np.uint8), cv2.DIST_L2, 5)
    away = np.minimum(away, sum(body.shape))  # There may be no outline in the picture, and then no end to it.
    way = np.stack(np.gradient(cv2.GaussianBlur(away, (0, 0), RIM_PX)))
    way /= np.maximum(np.hypot(*way), 1e-3)
    own = torch.from_numpy(away)[row, column]
    dy, dx = torch.from_numpy(way.astype(np.float32))[:, row, column] * (TURNED * torch.hypot(own, off_px) - own)
    h, w = body.shape
    y, x = (row + dy).round().long().clamp(0, h - 1), (column + dx).round().long().clamp(0, w - 1)
    pure = body & torch.from_numpy(away > RIM_PX)
    index = nearest(pure if bool(pure.any()) else body)[y, x]
    return index // w, index % w
