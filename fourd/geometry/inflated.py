"""How deep a thing is that was filmed from one side: as deep as its outline is wide.

A silhouette is blown up to a body that is round everywhere and meets its outline with an upright rim. Of a disc it
makes a ball, of a strip about a round bar.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float32, Shaped
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
def beside(x: Shaped[Tensor, "h w"], border: float | bool) -> Shaped[Tensor, "4 h w"]:
    """The values of each pixel's neighbours to the right, to the left, below and above; ``border`` past the picture."""
    wide = F.pad(x[None], (1, 1, 1, 1), value=border)[0]
    return torch.stack([wide[1:-1, 2:], wide[1:-1, :-2], wide[2:, 1:-1], wide[:-2, 1:-1]])


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
    linked, ends = _faces(depth, body, nearer)
    border = _border(body)
    # An outline runs half a pixel beyond the last pixel's centre, so its face weighs twice.
    count = linked.sum(0) + 2 * ends.sum(0) + border
    usable = body & (count > 0)
    return _settled(torch.where(usable, start, 0.0), linked * usable / count.clamp(min=1), usable / count.clamp(min=1))


def _settled(value: Tensor, weight: Tensor, own: Tensor) -> Tensor:
    """Each pixel becomes the weighted sum of its neighbours and of what is its own, again and again (Jacobi)."""
    wide = F.pad(value[None], (1, 1, 1, 1))[0]
    middle, total, own = wide[1:-1, 1:-1], torch.empty_like(value), _ROUND * own
    sides = wide[1:-1, 2:], wide[1:-1, :-2], wide[2:, 1:-1], wide[:-2, 1:-1]
    for _ in range(_SWEEPS):
        torch.addcmul(own, weight[0], sides[0], out=total)
        for k in (1, 2, 3):
            total.addcmul_(weight[k], sides[k])
        middle.copy_(total)
    return total


def _faces(depth: Tensor, body: Tensor, nearer: Tensor) -> tuple[Tensor, Tensor]:
    """Through which of pixels' four faces the body goes on, and at which it has its outline: [4, h, w] each."""
    there, hidden = beside(body, False), beside(nearer, True)
    ratio = beside(depth, 1.0) / depth.clamp(min=1e-9)
    same = (ratio < 1 + JUMP) & (ratio > 1 / (1 + JUMP))
    linked = body & there & same
    return linked, body & ~linked & ~hidden & ~(there & (ratio < 1))


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
