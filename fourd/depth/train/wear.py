"""What cameras and codecs do to pictures: exposure, tint, haze, blur, grain, compression. On any device."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


class Chances:
    """Random numbers for a batch. Few are drawn on the CPU, and many (grain) where they are needed."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self.device = device
        self._generator = torch.Generator().manual_seed(seed)
        self._grain = torch.Generator(device).manual_seed(seed)

    def uniform(self, n: int, low: float = 0.0, high: float = 1.0) -> Float[Tensor, " n"]:
        """Numbers between two others."""
        return (low + (high - low) * torch.rand(n, generator=self._generator)).to(self.device)

    def normal(self, *shape: int) -> Tensor:
        """Normal deviates."""
        return torch.randn(shape, generator=self._grain, device=self.device)

    def some(self, n: int, share: float) -> Float[Tensor, " n"]:
        """1 for that share of them, 0 for the others."""
        return (torch.rand(n, generator=self._generator) < share).float().to(self.device)

    def below(self, n: int) -> int:
        """A whole number from 0 to n - 1."""
        return int(torch.randint(n, (), generator=self._generator))


def worn(rgb: Float[Tensor, "b 3 h w"], chances: Chances) -> Float[Tensor, "b 3 h w"]:
    """Pictures of 0 to 1 as another camera would have taken, compressed and handed them on. Sides in steps of 8."""
    b = len(rgb)

    def each(values: Tensor) -> Tensor:
        return values[:, None, None, None]

    # Any exposure: the stage is often darker than films are.
    wanted = chances.uniform(b, 0.25, 0.6)
    gamma = (wanted.log() / (rgb.mean((1, 2, 3)) + 0.02).clamp(0.02, 0.95).log()).clamp(0.4, 1.6)
    x = rgb.clamp(min=1e-4) ** each(torch.where(chances.some(b, 0.8) > 0, gamma, torch.ones_like(gamma)))
    x = x * (1 + 0.07 * chances.normal(b, 3))[:, :, None, None]
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * each(chances.uniform(b, 0.4, 1.2) * (1 - chances.some(b, 0.06)))
    mean = x.mean((1, 2, 3), keepdim=True)
    x = mean + (x - mean) * each(chances.uniform(b, 0.7, 1.35))
    haze = chances.some(b, 0.15) * chances.uniform(b, 0, 0.4)  # Or glare, over everything.
    x = x + (each(chances.uniform(b, 0.5, 1)) - x) * each(haze)
    x = torch.lerp(x, _blurred(_blurred(x)), each(chances.some(b, 0.45) * chances.uniform(b)))
    x = x + each(chances.some(b, 0.5) * chances.uniform(b, 0, 0.05)) * chances.normal(*x.shape)
    x = torch.lerp(x, _compressed(x, chances.uniform(b, -5.0, -1.3).exp()), each(chances.some(b, 0.4)))
    return (x.clamp(0, 1) * 255).round() / 255


def _blurred(x: Tensor) -> Tensor:
    """Binomial weights over 3 x 3 pixels."""
    kernel = torch.tensor([0.25, 0.5, 0.25], device=x.device, dtype=x.dtype)
    kernel = (kernel[:, None] * kernel).expand(x.shape[1], 1, 3, 3)
    return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), kernel, groups=x.shape[1])


def _compressed(x: Tensor, coarse: Tensor) -> Tensor:
    """Blocks of 8 x 8, their cosine transform rounded: fine waves more coarsely than broad ones, as JPEG does.

    Args:
        x: Pictures [b, 3, h, w].
        coarse: Step of the rounding of each picture's broadest waves, in the unit of the pictures.
    """
    b, c, h, w = x.shape
    k = torch.arange(8, device=x.device, dtype=x.dtype)
    cosine = torch.cos(math.pi / 8 * (k + 0.5) * k[:, None]) * 0.5
    cosine[0] *= math.sqrt(0.5)  # Orthonormal: the inverse is the transpose.
    blocks = x.reshape(b, c, h // 8, 8, w // 8, 8)
    waves = torch.einsum("ui,vj,bcyixj->bcyuxv", cosine, cosine, blocks)
    step = (1 + k[:, None] + k)[None, None, None, :, None, :] * coarse.reshape(b, 1, 1, 1, 1, 1)
    waves = (waves / step).round() * step
    return torch.einsum("ui,vj,bcyuxv->bcyixj", cosine, cosine, waves).reshape(b, c, h, w)
