"""The network: a small U-Net that says what lies in a hole, told by noise, surroundings, evidence and neighbours.

    noisy guess, what is known ─> 1/2 ─> 1/4 ─> 1/8 ── looks at its own places and those of its neighbours
                                   │      │      │                           │
    colour and inverse depth  <── 1/2 <─ 1/4 <──────────────────────────────┘

It predicts the clean picture itself (x0), as a correction of a plain filling; so a network that has learnt little
does little harm, and one step of sampling is already a picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

WIDTHS = (32, 64, 96)
"""Channels at 1/2, 1/4 and 1/8 of the skeleton's size."""
CHANNELS = 4
"""Of what is predicted: colour and coded inverse depth."""
TOLD = 18
"""Channels of what is known: a plain filling (4), known, hole, evidence (4), trust, bound, row, column, and a filling
along the rows (4)."""
_GROUPS = 8
_HEADS = 4


class Block(nn.Module):
    """Two convolutions beside a shortcut, told how noisy the input is."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(_GROUPS, inputs), nn.GroupNorm(_GROUPS, width)
        self.first, self.second = nn.Conv2d(inputs, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
        self.across = nn.Conv2d(inputs, width, 1) if inputs != width else nn.Identity()
        self.noise = nn.Linear(2 * _GROUPS, width)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        """The picture, corrected."""
        y = self.first(F.silu(self.norm1(x))) + self.noise(noise)[:, :, None, None]
        return self.across(x) + self.second(F.silu(self.norm2(y)))


class Look(nn.Module):
    """Attention from each place of a picture to all places of it and of its neighbours."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(_GROUPS, width)
        self.ask, self.tell, self.last = nn.Linear(width, width), nn.Linear(width, 2 * width), nn.Linear(width, width)
        nn.init.zeros_(self.last.weight)

    def forward(self, x: Tensor, neighbours: Tensor) -> Tensor:
        """The picture, with what was found elsewhere."""
        n, c, h, w = x.shape
        places = self.norm(x).flatten(2).mT
        asked, told = self.ask(places), self.tell(places)
        whom = torch.cat([torch.arange(n, device=x.device)[:, None], neighbours], 1)
        keys, values = told[whom].flatten(1, 2).chunk(2, -1)
        q, k, v = (t.unflatten(-1, (_HEADS, -1)).transpose(1, 2) for t in (asked, keys, values))
        found = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return x + self.last(found).mT.reshape(n, c, h, w)


class Network(nn.Module):
    """Noise and what is known in, the picture out. See the module."""

    def __init__(self, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        a, b, c = widths
        self.first = nn.Conv2d(4 * (CHANNELS + TOLD), a, 3, padding=1)
        self.down1, self.down2 = nn.Conv2d(a, b, 3, 2, 1), nn.Conv2d(b, c, 3, 2, 1)
        self.encode1, self.encode2, self.encode3 = Block(a, a), Block(b, b), Block(c, c)
        self.look, self.middle = Look(c), Block(c, c)
        self.up2, self.up1 = nn.Conv2d(c, b, 1), nn.Conv2d(b, a, 1)
        self.decode2, self.decode1 = Block(2 * b, b), Block(2 * a, a)
        self.norm, self.last = nn.GroupNorm(_GROUPS, a), nn.Conv2d(a, 4 * CHANNELS, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(
        self,
        noisy: Float[Tensor, "n 4 h w"],
        told: Float[Tensor, "n 18 h w"],
        noise: Float[Tensor, " n"],
        neighbours: Int64[Tensor, "n k"],
    ) -> Float[Tensor, "n 4 h w"]:
        """Predict the clean pictures.

        Args:
            noisy: ``(1 - noise) * clean + noise * gaussian``, clean where known. h and w are multiples of 8.
            told: What is known; the first four channels are a plain filling.
            noise: Share of noise, 0 to 1.
            neighbours: For each picture others of this batch, to look at.
        """
        angles = noise[:, None] * math.pi * 2.0 ** torch.arange(_GROUPS, device=noise.device)
        level = torch.cat([angles.sin(), angles.cos()], 1).to(noisy.dtype)
        x = self.first(F.pixel_unshuffle(torch.cat([noisy, told], 1), 2))
        x1 = self.encode1(x, level)
        x2 = self.encode2(self.down1(x1), level)
        x3 = self.encode3(self.down2(x2), level)
        x3 = self.middle(self.look(x3, neighbours), level)
        x2 = self.decode2(torch.cat([x2, F.interpolate(self.up2(x3), x2.shape[2:])], 1), level)
        x1 = self.decode1(torch.cat([x1, F.interpolate(self.up1(x2), x1.shape[2:])], 1), level)
        return told[:, :CHANNELS] + F.pixel_shuffle(self.last(F.silu(self.norm(x1))), 2)
