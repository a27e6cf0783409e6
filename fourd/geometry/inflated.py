"""How deep a thing is that was filmed from one side: as deep as its outline is wide.

A silhouette is blown up to a body that is round everywhere and meets its outline with an upright rim. Of a disc it
makes a ball, of a strip about a round bar.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float32
from torch import Tensor

from fourd.checked import checked
from fourd.geometry.masks import pieces

JUMP = 0.08
"""Neighbours whose depths differ by more than this share belong to different things."""

_ROUND = 3.0
"""Minus the Laplacian of a squared half thickness: 4 makes a ball of a disc, 2 a round bar of a strip."""
_SWEEPS = 60
_SMALLEST = 6
"""Shorter side in pixels below which maps are not halved again."""


@checked
def inflated(
    depth_m: Float32[Tensor, "h w"], body: Bool[Tensor, "h w"], nearer: Bool[Tensor, "h w"]
) -> Float32[Tensor, "h w"]:
    """Half the thickness of bodies, in pixels, from the outlines that they show.

    The squared half thickness solves Poisson's equation with a constant on the right, and is 0 at outlines. Where
    something nearer hides the body, or the picture ends, there is no outline, and the body goes on level.

    Args:
        depth_m: Distance of the bodies along the optical axis. Jumps part one from the other.
        body: Which pixels show them.
        nearer: Other pixels, which hide what is behind them.

    Returns:
        0 outside of ``body``.
    """
    return _squared(depth_m, body, nearer & ~body).clamp(min=0).sqrt()


def _squared(depth: Tensor, body: Tensor, nearer: Tensor) -> Tensor:
    h, w = body.shape
    start = torch.zeros_like(depth)
    if min(h, w) > 2 * _SMALLEST and bool(body.any()):
        coarse = _squared(*(x[::2, ::2].contiguous() for x in (depth, body, nearer)))
        start = 4 * F.interpolate(coarse[None, None], scale_factor=2.0, mode="bilinear")[0, 0, :h, :w]
    linked, ends = zip(*(_faces(depth, body, nearer, way) for way in range(4)), strict=True)
    border = _border(body)
    # An outline runs half a pixel beyond the last pixel's centre, so its face weighs twice.
    count = sum(x.float() for x in linked) + 2 * sum(x.float() for x in ends) + border
    usable = body & (count > 0)
    value = torch.where(usable, start, 0.0)
    for _ in range(_SWEEPS):
        total = sum(_beside(value, way, 0.0) * link for way, link in enumerate(linked))
        value = torch.where(usable, (total + _ROUND) / count.clamp(min=1), 0.0)
    return value


def _faces(depth: Tensor, body: Tensor, nearer: Tensor, way: int) -> tuple[Tensor, Tensor]:
    """Through which pixels' faces to one side the body goes on, and at which it has its outline."""
    there, hidden = _beside(body, way, False), _beside(nearer, way, True)
    ratio = _beside(depth, way, 1.0) / depth.clamp(min=1e-9)
    same = (ratio < 1 + JUMP) & (ratio > 1 / (1 + JUMP))
    linked = body & there & same
    return linked, body & ~linked & ~hidden & ~(there & (ratio < 1))


def _beside(x: Tensor, way: int, border: float | bool) -> Tensor:
    """The values of the neighbours to the right, to the left, below or above."""
    result = torch.full_like(x, border)
    if way == 0:
        result[:, :-1] = x[:, 1:]
    elif way == 1:
        result[:, 1:] = x[:, :-1]
    elif way == 2:
        result[:-1] = x[1:]
    else:
        result[1:] = x[:-1]
    return result


def _border(body: Tensor) -> Tensor:
    """How firmly bodies are held where the picture ends: by one over what is missing of them beyond it, in pixels.

    Where a body becomes wider from the border inwards, a short cap is missing: that of the circle with the same chord
    and the same tangents at its ends. Where it does not, it goes on for ever.
    """
    label, _ = pieces(body)
    held = torch.zeros(body.shape)
    every = slice(None)
    borders = ((label, (0, every)), (label.flip(0), (-1, every)), (label.T, (every, 0)), (label.T.flip(0), (every, -1)))
    for lines, at in borders:  # The border is the first of its lines.
        chords = torch.bincount(lines[0])
        firm = torch.zeros(len(chords))
        for number in torch.nonzero(chords)[:, 0].tolist():
            chord = int(chords[number])
            inside = min(math.ceil(chord / 8), len(lines) - 1)
            wider = max(0, int((lines[inside] == number).sum()) - chord)
            tangent = math.tan(math.atan2(2 * inside, wider) / 2)
            firm[number] = (1 - tangent) / (chord / 2 * tangent + (1 - tangent) / 2) if number and inside else 0.0
        held[at] += firm[lines[0]]
    return held
