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

from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor

from benchmarks.truth import Truth, View
from fourd.checked import checked
from fourd.geometry import pinhole
from fourd.types import Cameras, DepthMaps

TOLERANCE = 0.025
"""Relative difference of depths that still are the same: half a pixel on a surface seen at a slant."""


@dataclass(frozen=True)
class _Lifted:
    """Pixels as points in the world, flat."""

    points: Tensor
    """[n, 3]; directions where ``sky``."""
    known: Tensor
    sky: Tensor
    moves: Tensor


def _lift(cameras: Cameras, depth: DepthMaps, moving: Tensor | None, i: int) -> _Lifted:
    known, sky = depth.confidence[i] > 0, torch.isinf(depth.depth_m[i])
    pose = cameras.world_from_cam[i]
    rays = pinhole.rays(depth.K[i], depth.hw)
    near = rays * torch.where(known & ~sky, depth.depth_m[i], 1.0)[..., None]
    points = torch.where(sky[..., None], rays @ pose[:3, :3].mT, pinhole.transform(pose, near))
    moves = torch.zeros_like(known) if moving is None else moving[i]
    return _Lifted(*(x.flatten(0, 1) for x in (points, known, sky, moves)))


def _fall(points: Tensor, sky: Tensor, cameras: Cameras, i: int) -> tuple[Tensor, Tensor, Tensor]:
    """Flat index of the pixel of camera ``i`` that each point [n, 3] falls into, if it does, and its depth."""
    pose = cameras.world_from_cam[i]
    seen = torch.where(sky[:, None], points, points - pose[:3, 3]) @ pose[:3, :3]
    pixels, z = pinhole.project(seen, cameras.K[i])
    x, y = pixels.unbind(1)
    h, w = cameras.hw
    inside = (z > 0) & (x >= 0) & (y >= 0) & (x < w) & (y < h)
    return y.clamp(0, h - 1).long() * w + x.clamp(0, w - 1).long(), inside, z


def _looked_up(view: View, k: int, truth: Truth, depth: DepthMaps, own: DepthMaps) -> Tensor:
    """Co-visible pixels of the view's picture ``k``, by its own depth."""
    here = _lift(view.cameras, own, view.moving, k)
    same = int(view.source_index[k])
    found = torch.zeros_like(here.known)
    for i in _nearest_first(view, k, truth):
        left = (here.known & ~found & (~here.moves | (i == same))).nonzero()[:, 0]
        index, inside, z = _fall(here.points[left], here.sky[left], truth.cameras, i)
        found[left] = inside & _agrees(depth, truth.moving, i, index, z, here.sky[left], here.moves[left])
    return found.view(own.hw)


def _agrees(
    depth: DepthMaps, moving: Tensor | None, i: int, index: Tensor, z: Tensor, sky: Tensor, moves: Tensor
) -> Tensor:
    """Whether map ``i`` holds at ``index`` the depth ``z`` (or the sky), of a thing that moves as we do."""
    there = depth.depth_m[i].flatten()[index]
    same_kind = ~moves if moving is None else moving[i].flatten()[index] == moves
    close = torch.where(sky, there.isinf(), (there - z).abs() <= TOLERANCE * z)
    return close & same_kind & (depth.confidence[i].flatten()[index] > 0)


def _nearest_first(view: View, k: int, truth: Truth) -> list[int]:
    """The source's frames, the nearest in time first: most pixels are found there, and need no other."""
    return [int(i) for i in (truth.cameras.time_s - view.cameras.time_s[k]).abs().argsort(stable=True)]


def _carried(view: View, k: int, source: list[_Lifted]) -> Tensor:
    """Pixels of the view's picture ``k`` into which some source pixel falls."""
    h, w = view.cameras.hw
    found = torch.zeros(h * w, dtype=torch.bool)
    same = int(view.source_index[k])
    for i, there in enumerate(source):
        usable = there.known & (~there.moves | (i == same))
        index, fits, z = _fall(there.points, there.sky, view.cameras, k)
        fits &= usable
        if view.depth is not None:
            fits &= _agrees(view.depth, view.moving, k, index, z, there.sky, there.moves)
        found[index[fits]] = True
    return found.view(h, w)


@checked
def sampled(view: View, truth: Truth) -> Bool[Tensor, "t h w"] | None:
    """Masks of the pixels of ``view`` into which some source pixel falls, carried by the truth's depth.

    Returns:
        None if the truth holds no depth for the source.
    """
    if truth.depth is None:
        return None
    source = [_lift(truth.cameras, truth.depth, truth.moving, i) for i in range(len(truth.cameras))]
    return torch.stack([_carried(view, k, source) for k in range(len(view))])


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
