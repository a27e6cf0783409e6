"""Which pixels of a held-out picture some frame of the source saw, by the truth's depth.

A pixel is lifted by the view's true depth and looked up in the source frames. It is co-visible if in
one of them it falls into a pixel whose true depth is the same within ``TOLERANCE``. So that a thing
cannot stand in for what it touches, both pixels must be of things that move, or both of things that
stand. A pixel that moves is looked for only in the source frame of the same moment, since at other
times the thing was elsewhere; a pixel that stands, in all frames. The sky is looked up by direction.

Some of these pixels the source saw at so sharp a slant that hardly one of its own pixels tells about
them. ``sampled`` is therefore the stricter part: pixels of the view into which some source pixel falls
when it is carried there, with the view's depth, by the same rules.

Where a view has no depth of its own, what source pixels fall into is all that can be said.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool
from torch import Tensor

from benchmarks.truth import Truth, View
from fourd.checked import checked
from fourd.geometry import pinhole
from fourd.types import Cameras, DepthMaps

TOLERANCE = 0.025
"""Relative difference of depths that still are the same: half a pixel on a surface seen at a slant."""


def _world(cameras: Cameras, depth: DepthMaps, i: int) -> tuple[Tensor, Tensor, Tensor]:
    """Points of map ``i`` in the world (directions where it sees the sky), and masks of known and of sky."""
    known, sky = depth.confidence[i] > 0, torch.isinf(depth.depth_m[i])
    pose = cameras.world_from_cam[i].double()
    rays = pinhole.rays(depth.K[i].double(), depth.hw)
    near = rays * torch.where(known & ~sky, depth.depth_m[i], 1.0).double()[..., None]
    points = torch.where(sky[..., None], rays @ pose[:3, :3].mT, pinhole.transform(pose, near))
    return points, known, sky


def _fall(points: Tensor, sky: Tensor, cameras: Cameras, i: int) -> tuple[Tensor, Tensor, Tensor]:
    """Flat index of the pixel of camera ``i`` that each point [n, 3] falls into, if it does, and its depth."""
    pose = cameras.world_from_cam[i].double()
    seen = torch.where(sky[:, None], points, points - pose[:3, 3]) @ pose[:3, :3]
    pixels, z = pinhole.project(seen, cameras.K[i].double())
    h, w = cameras.hw
    inside = (z > 0) & (pixels >= 0).all(-1) & (pixels[:, 0] < w) & (pixels[:, 1] < h)
    column, row = pixels.nan_to_num(0).clamp(0, max(h, w)).long().unbind(-1)
    return (row.clamp(max=h - 1) * w + column.clamp(max=w - 1)), inside, z


def _looked_up(view: View, k: int, truth: Truth, depth: DepthMaps, own: DepthMaps) -> Tensor:
    """Co-visible pixels of the view's picture ``k``, by its own depth."""
    points, known, sky = (x.flatten(0, 1) for x in _world(view.cameras, own, k))
    moves = torch.zeros_like(known) if view.moving is None else view.moving[k].flatten()
    same = int(view.source_index[k])
    found = torch.zeros_like(known)
    for i in _nearest_first(same if same >= 0 else view.cameras.time_s[k], truth):
        left = (known & ~found & (~moves | (i == same))).nonzero()[:, 0]
        index, inside, z = _fall(points[left], sky[left], truth.cameras, i)
        there = depth.depth_m[i].flatten()[index].double()
        close = torch.where(sky[left], there.isinf(), (there - z).abs() <= TOLERANCE * z)
        moves_there = torch.zeros_like(inside) if truth.moving is None else truth.moving[i].flatten()[index]
        trusted = depth.confidence[i].flatten()[index] > 0
        found[left] = inside & close & trusted & (moves_there == moves[left])
    return found.view(own.hw)


def _nearest_first(moment: int | Tensor, truth: Truth) -> list[int]:
    """The source's frames, the nearest in time first: most pixels are found there, and need no other."""
    at = truth.cameras.time_s[moment] if isinstance(moment, int) else moment
    return [int(i) for i in (truth.cameras.time_s - at).abs().argsort(stable=True)]


def _carried(view: View, k: int, truth: Truth, depth: DepthMaps) -> Tensor:
    """Pixels of the view's picture ``k`` into which some source pixel falls."""
    h, w = view.cameras.hw
    found = torch.zeros(h * w, dtype=torch.bool)
    same = int(view.source_index[k])
    moves_here = torch.zeros(h * w, dtype=torch.bool) if view.moving is None else view.moving[k].flatten()
    for i in range(len(truth.cameras)):
        points, usable, sky = (x.flatten(0, 1) for x in _world(truth.cameras, depth, i))
        moves = torch.zeros_like(usable) if truth.moving is None else truth.moving[i].flatten()
        usable &= ~moves | (i == same)
        points, sky, moves = points[usable], sky[usable], moves[usable]
        index, fits, z = _fall(points, sky, view.cameras, k)
        if view.depth is not None:
            here = view.depth.depth_m[k].flatten()[index].double()
            fits &= torch.where(sky, here.isinf(), (here - z).abs() <= TOLERANCE * z)
            fits &= (view.depth.confidence[k].flatten()[index] > 0) & (moves_here[index] == moves)
        found[index[fits]] = True
    return found.view(h, w)


@checked
def sampled(view: View, truth: Truth) -> Bool[Tensor, "t h w"] | None:
    """Masks of the pixels of ``view`` into which some source pixel falls, carried by the truth's depth.

    Returns:
        None if the truth holds no depth for the source.
    """
    depth = truth.depth
    if depth is None:
        return None
    return torch.stack([_carried(view, k, truth, depth) for k in range(len(view))])


@checked
def covisible(view: View, truth: Truth) -> Bool[Tensor, "t h w"] | None:
    """Masks of the pixels of ``view`` that some frame of the source saw.

    Returns:
        None if the truth holds no depth for the source. Where only the view has none: ``sampled``.
    """
    depth, own = truth.depth, view.depth
    if depth is None or own is None:
        return sampled(view, truth)
    return torch.stack([_looked_up(view, k, truth, depth, own) for k in range(len(view))])
