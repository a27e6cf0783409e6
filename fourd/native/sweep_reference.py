"""What the operators of ``sweep.py`` compute, in plain torch: for judging them, never for using."""

from __future__ import annotations

import torch
from torch import Tensor

UNKNOWN = 0.5
"""Cost of matching with nothing."""


def plane_sweep(
    reference: Tensor, others: Tensor, turn: Tensor, shift: Tensor, rho: Tensor, truncation: float
) -> Tensor:
    """See ``sweep.plane_sweep``."""
    h, w, _ = reference.shape
    n, d = len(others), len(rho)
    y, x = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
    cost = torch.full((max(n, 1), h, w, d), UNKNOWN)
    for j in range(n):
        far = [turn[j, k, 0] * x + turn[j, k, 1] * y + turn[j, k, 2] for k in range(3)]
        p = [far[k][..., None] + rho * shift[j, k] for k in range(3)]
        inverse = torch.where(p[2] > 1e-6, 1 / p[2], torch.nan)
        u, v = p[0] * inverse - 0.5, p[1] * inverse - 0.5
        inside = (u >= 0) & (u < w - 1) & (v >= 0) & (v < h - 1)  # False for what is not a number.
        u, v = torch.where(inside, u, 0.0), torch.where(inside, v, 0.0)
        x0, y0 = u.long(), v.long()
        x1, y1 = (x0 + 1).clamp(max=w - 1), (y0 + 1).clamp(max=h - 1)
        fx, fy = (u - x0)[..., None], (v - y0)[..., None]
        top = others[j, y0, x0] + fx * (others[j, y0, x1] - others[j, y0, x0])
        low = others[j, y1, x0] + fx * (others[j, y1, x1] - others[j, y1, x0])
        seen = top + fy * (low - top)
        difference = (seen[..., :3] - reference[:, :, None, :3]).abs().sum(-1)
        valid = inside & (seen[..., 3] >= 0.9) & (reference[:, :, None, 3] >= 0.5)
        cost[j] = torch.where(valid, difference.clamp(max=truncation) / truncation, UNKNOWN)
    keep = max((n + 1) // 2, 1)
    better = cost.sort(0).values[:keep].mean(0)
    return _mean_of_nine((better * 255 + 0.5).to(torch.uint8))


def _mean_of_nine(cost: Tensor) -> Tensor:
    total, count = torch.zeros_like(cost, dtype=torch.int64), torch.zeros(cost.shape[:2], dtype=torch.int64)
    h, w, _ = cost.shape
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            here = (slice(max(-dy, 0), h - max(dy, 0)), slice(max(-dx, 0), w - max(dx, 0)))
            there = (slice(max(dy, 0), h - max(-dy, 0)), slice(max(dx, 0), w - max(-dx, 0)))
            total[here] += cost[there]
            count[here] += 1
    return ((total + count[..., None] // 2) // count[..., None]).to(torch.uint8)


def semi_global(cost: Tensor, across: Tensor, down: Tensor, p1: int) -> tuple[Tensor, Tensor, Tensor]:
    """See ``sweep.semi_global``."""
    own = cost.long()
    total = torch.zeros_like(own)
    for axis, penalty in ((1, across), (0, down)):
        along = own.movedim(axis, 0)
        gaps = penalty.long().movedim(axis, 0)
        for flip in (False, True):
            c, g = (along.flip(0), gaps.flip(0)) if flip else (along, gaps)
            path = [c[0]]
            for i in range(1, len(c)):
                before = path[-1]
                least = before.min(-1, keepdim=True).values
                wall = torch.full_like(least, 10**6)
                beside = torch.minimum(torch.cat([wall, before[..., :-1]], -1), torch.cat([before[..., 1:], wall], -1))
                jump = least + g[i - 1][..., None]
                path.append(c[i] + torch.minimum(torch.minimum(before, beside + p1), jump) - least)
            summed = torch.stack(path)
            total += (summed.flip(0) if flip else summed).movedim(0, axis)

    d = cost.shape[2]
    best = total.argmin(-1, keepdim=True)
    at = [total.gather(-1, (best + k).clamp(0, d - 1)).float() for k in (-1, 0, 1)]
    bend = at[0] - 2 * at[1] + at[2]
    refine = (best > 0) & (best < d - 1) & (bend > 0)
    offset = torch.where(refine, 0.5 * (at[0] - at[2]) / torch.where(refine, bend, 1.0), 0.0)
    apart = (torch.arange(d) - best).abs() > 2
    second = torch.where(apart, total, 65535).min(-1, keepdim=True).values
    lead = (second - total.gather(-1, best)).float() / (4 * 255) if d > 5 else torch.zeros_like(offset)
    residual = cost.gather(-1, best).float() / 255
    return (best + offset)[..., 0], lead[..., 0], residual[..., 0]


def smooth_along_edges(maps: Tensor, across: Tensor, down: Tensor, strength: float, rounds: int) -> Tensor:
    """See ``sweep.smooth_along_edges``; in double precision, by dense solves."""
    u = maps.double()
    for k in range(rounds):
        share = 3 * 4.0 ** (rounds - 1 - k) / (4.0**rounds - 1)
        rows = _laplacians(across) * strength * share + torch.eye(u.shape[2], dtype=torch.float64)
        u = torch.linalg.solve(rows, u[..., None])[..., 0]
        columns = _laplacians(down.mT) * strength * share + torch.eye(u.shape[1], dtype=torch.float64)
        u = torch.linalg.solve(columns, u.mT[..., None])[..., 0].mT
    return u


def _laplacians(alike: Tensor) -> Tensor:
    """The graph Laplacian of each line of a picture, whose neighbours are connected with weights ``alike``."""
    weight = torch.diag_embed(alike.double(), 1)
    weight = weight + weight.mT
    return torch.diag_embed(weight.sum(-1)) - weight
