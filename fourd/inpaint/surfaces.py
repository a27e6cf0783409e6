"""Large surfaces go on in their own colours: a floor in the floor's, a wall in the wall's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool
from torch import Tensor

from fourd.inpaint.embedded.code import plain
from fourd.inpaint.nouns import Holes, Pictures

_BESIDE = 0.02
"""What is seen is the surface that lies there, and nothing before it, if their inverse depths differ by less than this
share."""
_SLACK = 0.005
"""The same for what is far: this share of the median inverse depth of what is seen."""
_RIM_PX = 3
"""What is seen of a surface is taken so many pixels away from where it ends: outlines are mixed with what is beside."""
_LEAST = 64
"""Pixels of a surface that must be seen for its colours to go on."""


def bare(holes: Holes, i: int) -> Bool[Tensor, "h w"]:
    """Where picture ``i`` shows a large surface, and nothing stands before it."""
    had = holes.pictures
    if holes.surface is None or holes.lies is None:
        return torch.zeros_like(had.known[i])
    lies = holes.lies[i]
    known = had.known[i]
    slack = _SLACK * float(had.inverse_depth[i][known].median()) if bool(known.any()) else 0.0
    same = (had.inverse_depth[i] - lies).abs() <= _BESIDE * lies + slack
    return known & same & (holes.surface[i] >= 0)


class Painted(NamedTuple):
    """Pictures with their large surfaces filled in, smoothly."""

    pictures: Pictures
    done: Bool[Tensor, "n h w"]
    """Which part of the holes was filled."""


def painted(holes: Holes) -> Painted:
    """Fill pictures where large surfaces lie, smoothly, each from what is seen of itself."""
    had = holes.pictures
    if holes.surface is None or holes.lies is None:
        return Painted(had, torch.zeros_like(had.known))
    rgb, done = had.rgb.clone(), torch.zeros_like(had.known)
    for i, surface in enumerate(holes.surface):
        seen, hole = bare(holes, i), holes.hole[i]
        for number in surface[hole & (surface >= 0)].unique().tolist():
            own, there = seen & (surface == number), hole & (surface == number)
            if int(own.sum()) < _LEAST:
                continue
            inner = _inner(own)
            own = inner if int(inner.sum()) >= _LEAST else own
            smooth = plain(had.rgb[i].permute(2, 0, 1)[None], own[None, None].float())[0].permute(1, 2, 0)
            rgb[i] = torch.where(there[..., None], smooth.clamp(0, 1), rgb[i])
            done[i] |= there
    return Painted(Pictures(rgb, torch.where(done, holes.lies, had.inverse_depth), had.known | done), done)


def apart(holes: Holes, done: Bool[Tensor, "h w"], i: int) -> Iterator[tuple[int, Bool[Tensor, "h w"]]]:
    """For each surface that was filled in into picture ``i``: its number, and which part was filled."""
    if holes.surface is not None:
        for number in holes.surface[i][done].unique().tolist():
            yield number, done & (holes.surface[i] == number)


def filmed(holes: Holes, number: int) -> Bool[Tensor, "n h w"]:
    """Where pictures show a surface bare, as it was filmed; as it was filled in before where it was hardly filmed."""
    assert holes.surface is not None
    shown = torch.stack([bare(holes, i) for i in range(len(holes))]) & (holes.surface == number)
    known = shown & holes.filmed
    return known if int(known.sum()) >= _LEAST else shown


def _inner(mask: Bool[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
    """The part of a mask that is ``_RIM_PX`` away from where it ends; at the border of the picture it does not end."""
    outside = F.max_pool2d((~mask).float()[None, None], 2 * _RIM_PX + 1, 1, _RIM_PX)[0, 0]
    return outside == 0
