"""How a surface goes on where nobody saw it: planes stay planes.

Inverse depth is linear in the picture's coordinates on every plane, so floors and walls are continued by the slope that
they have beside the hole.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float32
from torch import Tensor

from fourd.checked import checked

RADIUS = 14
"""Planes are fitted to the pixels so far to every side."""

SAME = 0.15
"""Relative difference of inverse depth within which two neighbouring pixels belong to one surface."""

ROUGH = 0.01
"""Relative error of a fitted plane at which half of its slope is believed."""

REACH = 3.0
"""A surface comes at most so many times nearer than the filling says, or goes so many times as far."""

_SEEDS = 1200
"""At most so many planes."""
_AT_ONCE = 4096


@checked
def continued(
    filled: Float32[Tensor, "h w"], known: Bool[Tensor, "h w"], hole: Bool[Tensor, "h w"]
) -> Float32[Tensor, "h w"]:
    """Continue the surfaces that a filling is attached to by their own slope.

    A plane is fitted around known pixels beside the hole, those that the filling goes on from without a jump; what
    a hole hides behind stays out of it. Each pixel of the hole takes the mean of the planes, the near ones by far the
    most (Shepard, 1968).

    Args:
        filled: Inverse depth; in the hole as it was filled, which says what it is attached to.
        known: Where it was seen.
        hole: Where it was filled.

    Returns:
        Inverse depth, changed in the hole only.
    """
    row, column = torch.nonzero(attached(filled, known, hole)).unbind(1)
    step = -(-len(row) // _SEEDS) if len(row) else 1
    row, column = row[::step].float(), column[::step].float()
    if len(row) == 0:
        return filled
    level, slope = planes(filled, known, row, column)
    y, x = torch.nonzero(hole).unbind(1)
    result = filled.clone()
    offset = level - slope[:, 0] * column - slope[:, 1] * row
    plane = torch.cat([offset[:, None], slope], 1)
    for start in range(0, len(y), _AT_ONCE):
        py, px = (v[start : start + _AT_ONCE].float()[:, None] for v in (y, x))
        weight = ((px - column) ** 2 + (py - row) ** 2 + 1).pow(-2)
        mean = (weight @ plane) / weight.sum(1, keepdim=True)
        value = mean[:, 0] + mean[:, 1] * px[:, 0] + mean[:, 2] * py[:, 0]
        there = y[start : start + _AT_ONCE], x[start : start + _AT_ONCE]
        result[there] = torch.minimum(torch.maximum(value, filled[there] / REACH), filled[there] * REACH)
    return result


@checked
def attached(
    filled: Float32[Tensor, "h w"], known: Bool[Tensor, "h w"], hole: Bool[Tensor, "h w"]
) -> Bool[Tensor, "h w"]:
    """Known pixels at most two pixels beside a hole from which its filling goes on without a jump.

    Args:
        filled: Inverse depth; in the hole as it was filled.
        known: Where it was seen.
        hole: Where it was filled.
    """
    nearest = F.max_pool2d(torch.where(hole, filled, -torch.inf)[None, None], 5, 1, 2)[0, 0]
    farthest = -F.max_pool2d(torch.where(hole, -filled, -torch.inf)[None, None], 5, 1, 2)[0, 0]
    return known & (filled > 0) & (filled <= nearest * (1 + SAME)) & (filled >= farthest / (1 + SAME))


def planes(inverse: Tensor, known: Tensor, row: Tensor, column: Tensor) -> tuple[Tensor, Tensor]:
    """Level and slope (x, y) of the plane around each seed; slopes shrink where the surface is rough."""
    side = torch.arange(-RADIUS, RADIUS + 1, 2).float()
    dy, dx = (v.flatten() for v in torch.meshgrid(side, side, indexing="ij"))
    h, w = inverse.shape
    y, x = row[:, None] + dy, column[:, None] + dx
    inside = (y >= 0) & (y < h) & (x >= 0) & (x < w)
    at = y.clamp(0, h - 1).long(), x.clamp(0, w - 1).long()
    own = inverse[row.long(), column.long()][:, None]
    value = inverse[at] / own - 1
    usable = (inside & known[at]).float()
    ones = torch.ones_like(dx)
    basis = torch.stack([ones, dx / RADIUS, dy / RADIUS], 1).double()
    guess = torch.zeros(len(row), 3, dtype=torch.float64)
    off = torch.zeros_like(value)
    # Iterated and reweighted: what is of another surface soon counts for nothing (Holland and Welsch, 1977).
    for width in (SAME, SAME / 2, SAME / 4, SAME / 4):
        off = value - (guess @ basis.T).float()
        weight = (usable / (1 + (off / width) ** 2) ** 2).double()
        normal = torch.einsum("sp,pi,pj->sij", weight, basis, basis) + 0.5 * torch.diag(torch.tensor([1e-6, 1.0, 1.0]))
        right = torch.einsum("sp,pi,sp->si", weight, basis, value.double())
        guess = torch.linalg.solve(normal, right)
    counted = usable / (1 + (off / (SAME / 4)) ** 2) ** 2
    rough = (counted * off.square()).sum(1) / counted.sum(1).clamp(min=1e-6)
    trust = 1 / (1 + rough / ROUGH**2)
    guess = guess.float()
    level = own[:, 0] * (1 + guess[:, 0])
    return level, own * guess[:, 1:] / RADIUS * trust[:, None]
