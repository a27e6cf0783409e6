"""The network: a plain convolutional encoder and decoder with one look at the whole picture in between.

    picture, depth before, row ─> 1/2 ─> 1/4 ─> 1/8 ─> 1/16 ─> 1/32 ─> mean of all
                                   │      │      │       │        │         │
    three maps at full size   <─  1/2 <─ 1/4 <─ 1/8 <── 1/16 <── 1/32 <─────┘

It sees in log inverse depth: a picture says how much nearer one thing is than another, not how near.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from fourd.depth.embedded.backbone import published

WIDTHS = (24, 48, 96, 160, 192)
"""Channels at 1/2, 1/4, ... of the picture's size."""
BLOCKS = (0, 1, 1, 1, 1)
"""Residual blocks of the encoder at each of them."""
_INPUTS = 5
"""Red, green, blue, what was said of the frame before, and the row."""
_LOG_SPAN = 6.0
"""Log inverse depths beyond plus or minus this are flattened off: a factor of 160000 from near to far."""


@dataclass(frozen=True, eq=False)
class Guess:
    """What the network says of a batch of pictures."""

    log_rho: Float[Tensor, "b h w"]
    """Log of the inverse depth, up to one constant a picture."""
    log_error: Float[Tensor, "b h w"]
    """Log of the expected absolute error of ``log_rho``."""
    alive: Float[Tensor, "b h w"]
    """Logit of the probability that this could walk or drive away by itself."""


class Conv(nn.Module):
    """A convolution whose weights are held as a matrix, one row an output channel, as Muon wants them."""

    def __init__(self, inputs: int, outputs: int, size: int = 3, stride: int = 1, bias: bool = False) -> None:
        super().__init__()
        self.size, self.stride = size, stride
        self.weight = nn.Parameter(torch.empty(outputs, inputs * size * size))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Convolve; borders repeat the nearest pixel's nothing (zeros)."""
        kernel = self.weight.view(len(self.weight), -1, self.size, self.size)
        return F.conv2d(x, kernel, self.bias, self.stride, self.size // 2)


class Block(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = Conv(width, width), Conv(width, width)
        self.norm1, self.norm2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        nn.init.constant_(self.norm2.weight, 0.2)  # Begin near the shortcut alone.

    def forward(self, x: Tensor) -> Tensor:
        """The picture, corrected."""
        y = F.relu(self.norm1(self.first(x)))
        return F.relu(x + self.norm2(self.second(y)))


class Step(nn.Module):
    """One convolution, normalised."""

    def __init__(self, inputs: int, outputs: int, size: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.conv, self.norm = Conv(inputs, outputs, size, stride), nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve, normalise, cut off."""
        return F.relu(self.norm(self.conv(x)))


class Network(nn.Module):
    """Picture in, inverse depth out. See the module."""

    def __init__(
        self,
        widths: Sequence[int] = WIDTHS,
        blocks: Sequence[int] = BLOCKS,
        backbone: str = "",
        learnt: bool = False,
    ) -> None:
        """Begin with random weights.

        Args:
            widths: Channels of the plain encoder at 1/2, 1/4, ... of the picture's size.
            blocks: Its residual blocks there.
            backbone: A model of timm in the plain encoder's place, which then has its own widths.
            learnt: Begin with timm's weights for it.
        """
        super().__init__()
        if backbone:
            self.backbone, widths = published(backbone, _INPUTS, learnt)
        else:
            inputs = (_INPUTS, *widths[:-1])
            self.backbone = None
            self.down = nn.ModuleList(Step(a, b, 3, 2) for a, b in zip(inputs, widths, strict=True))
            self.encode = nn.ModuleList(
                nn.Sequential(*(Block(w) for _ in range(n))) for w, n in zip(widths, blocks, strict=True)
            )
        self.whole = nn.Linear(widths[-1], widths[-1])
        self.up = nn.ModuleList(Step(b, a, 1) for a, b in itertools.pairwise(widths))
        self.across = nn.ModuleList(Step(w, w, 1) for w in widths[:-1])
        self.decode = nn.ModuleList(Block(w) for w in widths[:-1])
        self.last = Conv(widths[0], 12, bias=True)
        nn.init.normal_(self.last.weight, std=0.01)

    def forward(self, rgb: Float[Tensor, "b 3 h w"], before: Float[Tensor, "b h w"]) -> Guess:
        """Guess the depth of pictures of any size from 32 pixels on.

        Args:
            rgb: Colours, normalised as ``normalised`` does it.
            before: Log inverse depth of the frame before, carried over to this one, with mean 0; all 0 for none.
        """
        h, w = before.shape[1:]
        row = torch.linspace(-1, 1, h, dtype=rgb.dtype, device=rgb.device)[None, None, :, None].expand(
            len(rgb), 1, h, w
        )
        x = torch.cat([rgb, before[:, None].to(rgb.dtype), row], 1)
        passed = self._passed(x)
        x = passed[-1]
        x = x + self.whole(x.mean((2, 3)))[:, :, None, None]
        for k in reversed(range(len(self.up))):
            skip = self.across[k](passed[k])
            x = self.decode[k](skip + F.interpolate(self.up[k](x), skip.shape[2:], mode="nearest"))
        maps = F.pixel_shuffle(self.last(x), 2)[:, :, :h, :w].float()
        return Guess(_LOG_SPAN * torch.tanh(maps[:, 0] / _LOG_SPAN), maps[:, 1].clamp(-6, 3), maps[:, 2])

    def _passed(self, x: Tensor) -> list[Tensor]:
        """What the encoder sees at 1/2, 1/4, ... of the picture's size."""
        if self.backbone is not None:
            return self.backbone(x)
        passed = []
        for down, encode in zip(self.down, self.encode, strict=True):
            x = encode(down(x))
            passed.append(x)
        return passed


def normalised(rgb: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
    """Colours of 0 to 1, made independent of a picture's exposure and contrast."""
    mean = rgb.mean((1, 2, 3), keepdim=True)
    spread = rgb.std((1, 2, 3), keepdim=True)
    return (rgb - mean) / (spread + 0.05)
