"""From noise to a picture: a few steps, in each of which the network says what it sees."""

from __future__ import annotations

import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from fourd.inpaint.embedded.lessons import precision
from fourd.inpaint.embedded.network import CHANNELS, Network


def sample(
    network: Network,
    told: Float32[Tensor, "n 18 h w"],
    hole: Float32[Tensor, "n 1 h w"],
    noise: Float32[Tensor, "n 4 h w"],
    neighbours: Int64[Tensor, "n k"],
    steps: int,
) -> Float32[Tensor, "n 4 h w"]:
    """Fill the holes, in ``steps`` steps of DDIM (Song, Meng and Ermon, 2021) on the line from noise to picture.

    What is known is laid in again before every step.
    """
    n = len(told)
    known = told[:, :CHANNELS]
    x = torch.where(hole > 0, noise, known)
    clean = known
    for i in range(steps):
        share, left = 1 - i / steps, 1 - (i + 1) / steps
        with torch.no_grad(), precision():
            clean = network(x, told, torch.full((n,), share), neighbours).float().clamp(-1, 1)
        clean = torch.where(hole > 0, clean, known)
        x = torch.where(hole > 0, (1 - left) * clean + left * (x - (1 - share) * clean) / share, known)
    return clean
