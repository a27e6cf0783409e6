"""Pictures as the network sees them: small, colour from -1 to 1, and inverse depth in a code from -1 to 1."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float32
from torch import Tensor

from fourd.inpaint.nouns import Holes, Pictures

STEP = 8
"""Sizes of skeletons are multiples of this."""


@dataclass(frozen=True, eq=False)
class Small:
    """Pictures at the skeleton's size, colour and coded inverse depth in four channels."""

    values: Float32[Tensor, "n 4 h w"]
    """0 where unknown."""
    known: Float32[Tensor, "n 1 h w"]
    """1 or 0."""

    def __len__(self) -> int:
        return len(self.known)

    def __getitem__(self, index: Tensor) -> Small:
        return Small(self.values[index], self.known[index])


def unit_of(pictures: Pictures) -> float:
    """The inverse depth that the code calls 0: the median of what is known, over all pictures."""
    rho = pictures.inverse_depth[pictures.known]
    rho = rho[rho > 0]
    # A few thousand are enough for a median, and sorting millions is not free.
    return float(rho[:: max(1, len(rho) // 65536)].median()) if len(rho) else 1.0


def encode(inverse_depth: Tensor, unit: float) -> Tensor:
    """Code of inverse depths: -1 is infinitely far, 0 the unit, 1 at the eye."""
    return 2 * (inverse_depth / (inverse_depth + unit)) - 1


def decode(code: Tensor, unit: float) -> Tensor:
    """Inverse depths of codes."""
    share = (0.5 * (code + 1)).clamp(0, 0.995)
    return unit * share / (1 - share)


def skeleton_hw(hw: tuple[int, int], longer: int) -> tuple[int, int]:
    """Size of the skeleton of pictures of size ``hw``: of their shape, its longer side about ``longer``."""
    scale = min(1.0, longer / max(hw))
    h, w = (max(STEP, STEP * round(x * scale / STEP)) for x in hw)
    return h, w


def shrunk(rgb: Tensor, code: Tensor, known: Tensor, hw: tuple[int, int]) -> Small:
    """Means over what is known; a pixel is known if half of what it stands for is.

    Args:
        rgb: [n, h, w, 3], 0 to 1.
        code: [n, h, w].
        known: [n, h, w].
        hw: The size wanted.
    """
    mass = known[:, None].float()
    values = torch.cat([2 * rgb.permute(0, 3, 1, 2) - 1, code[:, None]], 1) * mass
    maps = _resized(torch.cat([values, mass], 1), hw)
    share = maps[:, 4:]
    kept = (share >= 0.5).float()
    return Small(kept * maps[:, :4] / share.clamp(min=0.5), kept)


def small(pictures: Pictures, unit: float, hw: tuple[int, int]) -> Small:
    """Pictures at the skeleton's size."""
    return shrunk(pictures.rgb, encode(pictures.inverse_depth, unit), pictures.known, hw)


def _resized(maps: Tensor, hw: tuple[int, int]) -> Tensor:
    """By area where it shrinks, bilinear where it grows."""
    if maps.shape[2] >= hw[0] and maps.shape[3] >= hw[1]:
        return F.interpolate(maps, hw, mode="area")
    return F.interpolate(maps, hw, mode="bilinear", align_corners=False)


def plain(values: Float[Tensor, "n c h w"], known: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "n c h w"]:
    """Fill by the mean of what is known around, the nearer the more: averages at every scale, laid over each other."""
    levels, v, m = [], values * known, known
    while True:
        levels.append((v, m))
        if max(v.shape[2:]) == 1:
            break
        padded = (F.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2)) for x in (v, m))
        v, m = (F.avg_pool2d(x, 2) for x in padded)
        # Each scale forgets a little of how sparse it is, so that one known pixel is enough in the end.
        v, m = v * (1 / m.clamp(min=0.25)), m / m.clamp(min=0.25)
    out = levels[-1][0] / levels[-1][1].clamp(min=1e-6)
    for v, m in reversed(levels[:-1]):
        out = v + (1 - m) * F.interpolate(out, v.shape[2:], mode="bilinear", align_corners=False)
    return out


def told(own: Small, hole: Tensor, evidence: Small, trust: Tensor, bound: Tensor) -> Float32[Tensor, "n 14 h w"]:
    """What the network is told, beside the noise.

    Args:
        own: The pictures.
        hole: [n, 1, h, w], 1 or 0.
        evidence: What other moments and views saw.
        trust: [n, 1, h, w], 0 to 1.
        bound: Code of the inverse depth that the filling may not exceed, [n, 1, h, w]; 1 where unknown.
    """
    n, _, h, w = hole.shape
    # What was seen elsewhere is a filling too, where it is to be trusted.
    trust = trust * evidence.known * hole
    base = plain(own.values, own.known)
    base = torch.where(hole > 0, trust * evidence.values + (1 - trust) * base, own.values * own.known)
    row = torch.linspace(-1, 1, h).view(1, 1, h, 1).expand(n, 1, h, w)
    column = torch.linspace(-1, 1, w).view(1, 1, 1, w).expand(n, 1, h, w)
    return torch.cat([base, own.known, hole, evidence.values * evidence.known, trust, bound, row, column], 1)


def of_holes(holes: Holes, unit: float, hw: tuple[int, int]) -> tuple[Small, Tensor, Tensor]:
    """Pictures, holes and what the network is told of them, at the skeleton's size.

    Returns:
        The pictures; the holes [n, 1, h, w], 1 or 0; and what ``told`` makes.
    """
    own = small(holes.pictures, unit, hw)
    hole = (_resized(holes.hole[:, None].float(), hw) > 0).float() * (1 - own.known)
    bound = encode(holes.behind, unit)[:, None].nan_to_num(1.0)
    evidence = small(holes.evidence, unit, hw)
    maps = _resized(torch.cat([bound, holes.trust[:, None]], 1), hw)
    return own, hole, told(own, hole, evidence, maps[:, 1:], maps[:, :1])


def as_bool(x: Tensor) -> Bool[Tensor, "n h w"]:
    """A mask of one channel as booleans."""
    return x[:, 0] > 0.5
