"""Rims of things that move: pixels that show half the thing and half what stands behind it.

Depth has no halves. A rim that depth puts on the wall behind would lie there as a line that follows the outline, seen
as soon as the camera goes aside. It is told by its colour, which lies between those of both sides.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, UInt8
from torch import Tensor

from fourd.fuse.views import View
from fourd.geometry.masks import grown, nearest

WIDE_PX = 1
"""Pixels that an outline mixes."""

_SHARE = (-0.2, 1.3)
"""How much of a mixture is the thing; more and less than all of it, for its colours change."""

_ASIDE = 25.0
"""How far the colour of a mixture lies from the line between its parts (0 to 255), at most."""


class Rims(NamedTuple):
    """What becomes of mixed pixels."""

    frame_rgb: UInt8[Tensor, "h w 3"]
    """The picture, in which they have the colour of what stands behind."""
    mixed: Bool[Tensor, "h w"]


def unmixed(view: View, there: Bool[Tensor, "h w"]) -> Rims:
    """Find the pixels of a frame that are mixed at outlines of what moves.

    Args:
        view: The frame.
        there: Which of its pixels lie on the still surface.
    """
    thing = view.moving & ~there
    rim = grown(thing, WIDE_PX) & there
    beside = there & ~grown(thing, WIDE_PX)
    if not bool(rim.any()) or not bool(beside.any()):
        return Rims(view.frame_rgb, torch.zeros_like(rim))
    colours = view.frame_rgb.reshape(-1, 3).float()
    here, front, back = colours[rim.flatten()], colours[nearest(thing)[rim]], colours[nearest(beside)[rim]]
    line = front - back
    share = ((here - back) * line).sum(1) / line.square().sum(1).clamp(min=1)
    aside = (here - back - share[:, None] * line).norm(dim=1)
    between = (share > _SHARE[0]) & (share < _SHARE[1]) & (aside < _ASIDE)
    mixed = torch.zeros_like(rim).masked_scatter(rim, between)
    frame_rgb = view.frame_rgb.clone()
    frame_rgb[mixed] = back[between].to(torch.uint8)
    return Rims(frame_rgb, mixed)
