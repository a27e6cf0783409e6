"""What ``fourd::evidence`` means, in plain torch: slow, and the judge of the kernel."""

from __future__ import annotations

import torch
from torch import Tensor

from fourd.native.evidence import FLAT, STILL, Evidence

_LUMA = torch.tensor([0.299, 0.587, 0.114])


def evidence(
    mean_m: Tensor,
    radius_m: Tensor,
    own_rgb: Tensor,
    K: Tensor,
    cam_from_world: Tensor,
    rgb: Tensor,
    depth_m: Tensor,
    confidence: Tensor,
    flags: Tensor,
    tolerance: float,
    sigma_px: float,
    same_colour: float,
) -> Evidence:
    """The arguments and the result of ``fourd.native.evidence.evidence``."""
    n, (v, h, w) = len(mean_m), depth_m.shape
    support, contradiction, shift = torch.zeros(n), torch.zeros(n), torch.zeros(n, 3)
    colours, weights = torch.zeros(n, v, 3), torch.zeros(n, v)
    for i in range(v):
        p = mean_m @ cam_from_world[i, :3, :3].T + cam_from_world[i, :3, 3]
        z = p[:, 2]
        x = (K[i, 0, 0] * p[:, 0] + K[i, 0, 1] * p[:, 1]) / z + K[i, 0, 2]
        y = K[i, 1, 1] * p[:, 1] / z + K[i, 1, 2]
        inside = (z > 1e-6) & (x >= 0.5) & (y >= 0.5) & (x < w - 0.5) & (y < h - 0.5)
        col, row = torch.where(inside, x, 0.0).long(), torch.where(inside, y, 0.0).long()
        sure, flag = confidence[i, row, col], flags[i, row, col]
        seen = inside & ((flag & STILL) > 0)
        allowed = tolerance * (2 - sure)
        grid = torch.stack([x / w, y / h], -1)[None, None] * 2 - 1
        depth = torch.where(
            (flag & FLAT) > 0, 1 / _bilinear(1 / depth_m[i, ..., None], grid)[:, 0], depth_m[i, row, col]
        )
        away = z / depth - 1
        agrees = seen & (away.abs() < allowed)
        support += sure * agrees
        contradiction += sure * (seen & ~agrees & (away < -1.5 * allowed) & ((flag & FLAT) > 0))
        centre = -cam_from_world[i, :3, :3].T @ cam_from_world[i, :3, 3]
        shift += torch.where(agrees, sure * (depth / z - 1), 0.0)[:, None] * (mean_m - centre)
        colours[:, i] = _bilinear(rgb[i].float() / 255, grid)
        sharp = (radius_m * K[i, 0, 0] / z / sigma_px).clamp(max=1.5)
        weights[:, i] = torch.where(agrees, sharp**4 * sure + 1e-6, 0.0)
    out = own_rgb.clone()
    for k in torch.nonzero(weights.sum(1) > 0)[:, 0].tolist():
        out[k] = _robust_mean(colours[k, weights[k] > 0], weights[k, weights[k] > 0], same_colour)
    shift = torch.where(support[:, None] > 0, shift / support[:, None], 0.0)
    return Evidence(support, contradiction, out, shift)


def _bilinear(image: Tensor, grid: Tensor) -> Tensor:
    """Values [n, c] of an image [h, w, c] at n points of a grid from -1 to 1."""
    picture = image.permute(2, 0, 1)[None]
    found = torch.nn.functional.grid_sample(picture, grid, padding_mode="border", align_corners=False)
    return found[0, :, 0].T


def _robust_mean(colours: Tensor, weights: Tensor, same_colour: float) -> Tensor:
    order = (colours @ _LUMA).argsort(stable=True)
    colours, weights = colours[order], weights[order]
    middle = int((weights.cumsum(0) < 0.5 * weights.sum()).sum().clamp(max=len(weights) - 1))
    off = (colours - colours[middle]).square().sum(-1)
    share = weights * torch.exp(-0.5 * off / same_colour**2)
    return (share[:, None] * colours).sum(0) / share.sum()
