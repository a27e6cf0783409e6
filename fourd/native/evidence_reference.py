"""What ``fourd::evidence`` means, in plain torch: slow, and the judge of the kernel."""

from __future__ import annotations

import torch
from torch import Tensor

from fourd.native.evidence import Evidence
from fourd.native.fusion import Planes

_LUMA = torch.tensor([0.299, 0.587, 0.114])


def evidence(
    mean_m: Tensor,
    radius_m: Tensor,
    own_rgb: Tensor,
    planes: Planes,
    rgb: Tensor,
    tolerance: float,
    sigma_px: float,
    same_colour: float,
) -> Evidence:
    """The arguments and the result of ``fourd.native.evidence.evidence``."""
    n, (v, h, w) = len(mean_m), planes.inverse.shape
    support, contradiction, finest = torch.zeros(n), torch.zeros(n), torch.full((n,), torch.inf)
    colours, weights = torch.zeros(n, v, 3), torch.zeros(n, v)
    for i in range(v):
        K, pose = planes.K[i], planes.cam_from_world[i]
        p = mean_m @ pose[:3, :3].T + pose[:3, 3]
        z = p[:, 2]
        x = (K[0, 0] * p[:, 0] + K[0, 1] * p[:, 1]) / z + K[0, 2]
        y = K[1, 1] * p[:, 1] / z + K[1, 2]
        inside = (z > 1e-6) & (x >= 0.5) & (y >= 0.5) & (x < w - 0.5) & (y < h - 0.5)
        x, y = torch.where(inside, x, 0.5), torch.where(inside, y, 0.5)
        col, row = x.long(), y.long()
        sure = inside * planes.sure[i, row, col] / 255.0
        grid = torch.stack([x / w, y / h], -1)[None, None] * 2 - 1
        flat = planes.inverse[i, row, col] > 0
        between = _bilinear(planes.inverse[i, ..., None].abs(), grid)[:, 0]
        away = z * torch.where(flat, between, planes.inverse[i, row, col].abs()) - 1
        allowed = tolerance * (2 - sure)
        agrees = (sure > 0) & (away.abs() < allowed)
        support += sure * agrees
        c, r = (x - 0.5).long(), (y - 0.5).long()
        around = [(r + b, c + a) for a in (0, 1) for b in (0, 1)]
        nearest = torch.stack([planes.inverse[i, b, a].abs() for b, a in around]).amax(0)
        contradiction += sure * (~agrees & (z * nearest - 1 < -1.5 * allowed))
        finest = torch.where(agrees & flat, torch.minimum(finest, planes.pitch_m[i, row, col]), finest)
        colours[:, i] = _bilinear(rgb[i].float() / 255, grid)
        sharp = (radius_m * K[0, 0] / z / sigma_px).clamp(max=1.5)
        weights[:, i] = torch.where(agrees, sharp**4 * sure + 1e-6, 0.0)
    out = own_rgb.clone()
    for k in torch.nonzero(weights.sum(1) > 0)[:, 0].tolist():
        out[k] = _robust_mean(colours[k, weights[k] > 0], weights[k, weights[k] > 0], same_colour)
    return Evidence(support, contradiction, out, finest)


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
