"""What ``fourd.native.fusion`` means, in plain torch: slow, and the judge of the kernels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from fourd.native.fusion import Planes, Said

STEEPEST, JUMP, THICKNESS, FLAT, BARE_COARSER = 5.0, 0.05, 0.1, 1.15, 2.0
"""As in cuda_ext/include/fusion.h."""


def steps(depth_m: Tensor, K: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Steps of the surface to the next pixel right and down, [h, w, 3] in the camera's frame, and where it jumps."""
    ray = _rays(K, depth_m)
    slope_x, edge_x = _slope(depth_m, 1, float(K[0, 0]))
    slope_y, edge_y = _slope(depth_m, 0, float(K[1, 1]))
    right = torch.stack([1 / K[0, 0], K.new_zeros(()), K.new_zeros(())])
    down = torch.stack([-K[0, 1] / (K[0, 0] * K[1, 1]), 1 / K[1, 1], K.new_zeros(())])
    z = depth_m[..., None]
    return ray * slope_x[..., None] + z * right, ray * slope_y[..., None] + z * down, edge_x | edge_y


def _rays(K: Tensor, like: Tensor) -> Tensor:
    """Directions through the pixels of a map [h, w], with z = 1."""
    h, w = like.shape
    y, x = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
    pixels = torch.stack([x, y, torch.ones_like(x)], -1).to(K.dtype)
    return pixels @ torch.linalg.inv(K).T


def _slope(z: Tensor, axis: int, focal_px: float) -> tuple[Tensor, Tensor]:
    """Change of depth a pixel along an axis, one-sided, and where the depth jumps.

    Differences are taken of inverse depth, which is linear on a plane, so that a plane's slope is exact.
    """
    if z.shape[axis] == 1:
        return torch.zeros_like(z), torch.zeros_like(z, dtype=torch.bool)
    step = (1 / z).diff(dim=axis)
    first, last = step.narrow(axis, 0, 1), step.narrow(axis, step.shape[axis] - 1, 1)
    before, after = torch.cat([first, step], axis) * z, torch.cat([step, last], axis) * z
    share = torch.where(before.abs() < after.abs(), before, after)
    widest = torch.maximum(before.abs(), after.abs())
    limit = STEEPEST / focal_px
    lost = share.abs() > max(limit, JUMP)
    edge = (widest > JUMP) & (widest > 2.5 * share.abs())
    return torch.where(lost, 0.0, -z * share.clamp(-limit, limit)), edge | lost


def ellipses(a: Tensor, b: Tensor, sigma_px: float) -> tuple[Tensor, Tensor]:
    """Axes, as columns, and scales of Gaussians with the covariance ``sigma_px**2 (a a^T + b b^T)``, and thin."""
    gram = torch.stack([(a * a).sum(-1), (a * b).sum(-1), (a * b).sum(-1), (b * b).sum(-1)], -1).unflatten(-1, (2, 2))
    turn = torch.linalg.eigh(gram).eigenvectors.flip(-1)
    axes = torch.stack([a, b], -1) @ turn
    length = axes.norm(dim=-2).clamp(min=1e-12)
    e1, e2 = (axes / length[..., None, :]).unbind(-1)
    scale = sigma_px * torch.cat([length, THICKNESS * length[..., 1:]], -1)
    return torch.stack([e1, e2, torch.linalg.cross(e1, e2)], -1), scale


def planes(depth_m: Tensor, confidence: Tensor, still: Tensor, K: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The maps of ``Planes``, for one frame."""
    z = depth_m.clamp(max=1e12)
    a, b, edge = steps(z, K)
    low, high = -F.max_pool2d(-z[None, None], 5, 1, 2)[0, 0], F.max_pool2d(z[None, None], 5, 1, 2)[0, 0]
    near = F.max_pool2d(edge[None, None].float(), 3, 1, 1)[0, 0]
    pitch_m = torch.linalg.cross(a, b).norm(dim=-1).sqrt() * (1 + (BARE_COARSER - 1) * near)
    level = (confidence.clamp(0, 1) * 255 + 0.5).floor().clamp(min=1).where(confidence > 0, torch.tensor(0.0))
    sure = torch.where(still > 0, level, 0.0).to(torch.uint8)
    return torch.where(high < FLAT * low, 1 / z, -1 / z), sure, pitch_m, near.to(torch.uint8)


def _look(at: Planes, frame: int, k: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """For all of ``frame``: pixel of ``k``, ratio of depths, inverse depth seen, confidence, nearest around."""
    h, w = at.inverse.shape[1:]
    pose = torch.linalg.inv(at.world_from_cam[k].double()) @ at.world_from_cam[frame].double()
    here = _rays(at.K[frame].double(), at.inverse[frame]) / at.inverse[frame].abs().double()[..., None]
    there = here @ pose[:3, :3].T + pose[:3, 3]
    x, y, z = (there @ at.K[k].double().T).unbind(-1)
    x, y = x / z, y / z
    inside = (z > 1e-6 * here[..., 2]) & (x >= 0.5) & (y >= 0.5) & (x < w - 0.5) & (y < h - 0.5)
    x, y = torch.where(inside, x, 0.5), torch.where(inside, y, 0.5)
    pixel = y.long() * w + x.long()
    own = at.inverse[k].flatten()[pixel].double()
    grid = torch.stack([x / w, y / h], -1)[None] * 2 - 1
    between = F.grid_sample(at.inverse[k].abs().double()[None, None], grid, align_corners=False)[0, 0]
    sure = inside * at.sure[k].flatten()[pixel] / 255.0
    corner = (y - 0.5).long() * w + (x - 0.5).long()
    nearest = torch.stack([at.inverse[k].abs().flatten()[corner + a] for a in (0, 1, w, w + 1)]).amax(0).double()
    return pixel, z / here[..., 2], torch.where(own > 0, between, own.abs()), sure, nearest


def consistency(at: Planes, frame: int, others: list[int], tolerance: float) -> Said:
    """As ``fourd.native.fusion.consistency``."""
    inverse = at.inverse[frame].abs().double()
    support, contradiction, total = (torch.zeros_like(inverse) for _ in range(3))
    asked = at.sure[frame] > 0
    for k in others:
        _, ratio, seen, sure, nearest = _look(at, frame, k)
        apart, limit = ratio * seen - inverse, tolerance * (2 - sure) * inverse
        agrees = (apart.abs() < limit) * sure * asked
        support += agrees
        total += agrees * apart
        through = (apart.abs() >= limit) & (ratio * nearest - inverse < -1.5 * limit)
        contradiction += through * sure * asked
    fused = inverse + torch.where(asked, total / (at.sure[frame] / 255.0 + support).clamp(min=1e-9), 0.0)
    return Said((fused * at.inverse[frame].sign()).float(), support.float(), contradiction.float())


def agree(at: Planes, others: list[list[int]], tolerance: float, share: float) -> tuple[Tensor, Tensor]:
    """As ``fourd.native.fusion.agree``: the new ``inverse`` and ``sure``."""
    said = [consistency(at, k, who, tolerance) for k, who in enumerate(others)]
    fused, support, contradiction = (torch.stack([getattr(s, name) for s in said]) for name in Said._fields)
    outvoted = contradiction > share * (support + at.sure / 255.0) + 0.5
    return fused, torch.where(outvoted, 0, at.sure)


def redundant(
    at: Planes, rgb: Tensor, frame: int, earlier: list[int], tolerance: float, coarse: float, alike: float
) -> tuple[Tensor, Tensor]:
    """As ``fourd.native.fusion.redundant``, and the new ``pitch_m`` of the frame."""
    inverse, own = at.inverse[frame].abs().double(), at.sure[frame] / 255.0
    h, w = inverse.shape
    shown, pitch_m = torch.zeros(h, w, dtype=torch.bool), at.pitch_m[frame].clone()
    for k in earlier:
        pixel, ratio, seen, sure, _ = _look(at, frame, k)
        apart = ratio * seen - inverse
        limit = tolerance * (2 - torch.minimum(own, sure)) * inverse
        off = (rgb[frame].int() - rgb[k].reshape(-1, 3)[pixel].int()).abs().sum(-1)
        close = (apart.abs() < 3 * limit) & (own <= 1.25 * sure) & ((own < 0.5) | (off < alike * 3 * 255))
        around = F.unfold(F.pad(at.inverse[k].abs()[None, None], (1, 1, 1, 1)), 3)[0].double()
        known = F.unfold(F.pad((at.sure[k] > 0).float()[None, None], (1, 1, 1, 1)), 3)[0] > 0
        beside = ((ratio.flatten() * around[:, pixel.flatten()] - inverse.flatten()).abs() < limit.flatten()) & known[
            :, pixel.flatten()
        ]
        same = (apart.abs() < limit) | close | ((apart < 0) & beside.any(0).reshape(h, w))
        theirs = at.pitch_m[k].flatten()[pixel]
        now = same & (sure > 0) & (own > 0) & ~shown & (theirs <= coarse * pitch_m)
        pitch_m = torch.where(now, theirs, pitch_m)
        shown |= now
    return shown.to(torch.uint8), pitch_m
