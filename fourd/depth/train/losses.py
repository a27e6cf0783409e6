"""What training minimises, and what it reports."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32
from torch import Tensor

from fourd.depth.embedded.network import Guess
from fourd.depth.train.batches import Batch

_STRIDES = (1, 2, 4, 8)


def centred(values: Float[Tensor, "b h w"], weight: Float[Tensor, "b h w"]) -> Float[Tensor, "b h w"]:
    """Take each picture's weighted mean away: no picture tells the scale of the world."""
    mean = (values * weight).sum((1, 2)) / weight.sum((1, 2)).clamp(min=1)
    return values - mean[:, None, None]


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    return (values * weight).sum() / weight.sum().clamp(min=1)


def loss(guess: Guess, batch: Batch, sharpness: float) -> dict[str, Tensor]:
    """All terms, already weighted.

    Args:
        guess: Of the network.
        batch: The truth.
        sharpness: Weight of the gradients, 0 at first: too early it freezes a blurred map.

    Returns:
        ``depth``: mean error of log inverse depth after one constant a picture. ``normal``: how far surfaces lean from
        the true ones. ``sharp``: error of the differences between neighbours at four distances (Ranftl et al., 2020).
        ``error``: how badly the network knows its own error (the likelihood of a Laplace distribution). ``alive``.
    """
    error = centred(guess.log_rho - batch.log_rho, batch.weight)
    terms = {"depth": _mean(error.abs(), batch.weight)}
    terms["normal"] = 0.4 * sum((_leaning(guess.log_rho, batch, s) for s in (1, 3)), torch.zeros(()).to(error)) / 2
    if sharpness > 0:
        terms["sharp"] = sharpness * sum((_steps(error, batch.weight, s) for s in _STRIDES), torch.zeros(()).to(error))
    spread = guess.log_error
    terms["error"] = 0.05 * _mean(error.detach().abs() * torch.exp(-spread) + spread, batch.weight)
    known = (batch.alive >= 0).float()
    each = F.binary_cross_entropy_with_logits(guess.alive, batch.alive.clamp(min=0), reduction="none")
    terms["alive"] = 0.05 * _mean(each, known)
    return terms


def _steps(error: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Mean difference of the error between pixels ``stride`` apart."""
    total = torch.zeros((), device=error.device)
    for axis in (1, 2):
        n = error.shape[axis] - stride
        if n > 0:
            a, b = (error.narrow(axis, k, n) for k in (0, stride))
            both = weight.narrow(axis, 0, n) * weight.narrow(axis, stride, n)
            total = total + _mean((a - b).abs(), both)
    return total


def _normals(log_rho: Tensor, focal: Tensor, centre: Tensor, stride: int) -> Tensor:
    """Normals of the surface, from how its inverse depth changes over ``2 stride`` pixels.

    On a plane n . X = d the inverse depth is linear in the picture, rho = n . K^-1 (x, y, 1) / d; so n is along
    (f drho/dx, f drho/dy, rho - (x - cx) drho/dx - (y - cy) drho/dy).
    """
    rho = torch.exp(log_rho.clamp(-12, 12))
    s = stride
    inner = rho[:, s:-s, s:-s]
    dx = (rho[:, s:-s, 2 * s :] - rho[:, s:-s, : -2 * s]) / (2 * s)
    dy = (rho[:, 2 * s :, s:-s] - rho[:, : -2 * s, s:-s]) / (2 * s)
    h, w = rho.shape[1:]
    y = torch.arange(s, h - s, device=rho.device)[:, None] + 0.5 - centre[:, 1, None, None]
    x = torch.arange(s, w - s, device=rho.device)[None] + 0.5 - centre[:, 0, None, None]
    f = focal[:, None, None]
    normal = torch.stack([f * dx, f * dy, inner - x * dx - y * dy], -1)
    return F.normalize(normal, dim=-1, eps=1e-9)


def _leaning(log_rho: Tensor, batch: Batch, stride: int) -> Tensor:
    own = _normals(log_rho - log_rho.detach().mean((1, 2), keepdim=True), batch.focal, batch.centre, stride)
    mean = centred(batch.log_rho, batch.weight)
    true = _normals(mean, batch.focal, batch.centre, stride)
    # Only where the truth has a surface: all the pixels around known and none of them sky.
    solid = (batch.weight > 0.9).float()
    solid = -F.max_pool2d(-solid[:, None], 2 * stride + 1, 1)[:, 0]
    return _mean(1 - (own * true).sum(-1), solid)


@torch.no_grad()
def abs_rel(
    log_rho: Float32[Tensor, "b h w"], true: Float32[Tensor, "b h w"], weight: Float32[Tensor, "b h w"]
) -> list[float]:
    """Mean error of depth relative to the truth, after the best scale and shift of inverse depth, for each picture."""
    out = []
    for guess, truth, w in zip(log_rho.double(), true.double(), weight, strict=True):
        known = w > 0.9
        if known.sum() < 10:
            continue
        g, t = torch.exp(guess[known] - guess[known].median()), torch.exp(truth[known] - truth[known].median())
        design = torch.stack([g, torch.ones_like(g)], 1)
        fit = design @ torch.linalg.lstsq(design, t[:, None]).solution
        out.append(float((t / fit[:, 0].clamp(min=0.04) - 1).abs().mean()))
    return out
