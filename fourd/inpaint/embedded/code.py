"""Pictures as the network sees them: small, colour from -1 to 1, and inverse depth in a code from -1 to 1."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32
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


def large(pictures: Pictures, unit: float) -> Float32[Tensor, "n 4 h w"]:
    """Pictures at their full size, in colours and code; 0 where unknown."""
    depth = encode(pictures.inverse_depth, unit)[:, None]
    return torch.cat([2 * pictures.rgb.permute(0, 3, 1, 2) - 1, depth], 1) * pictures.known[:, None]


def small(pictures: Pictures, unit: float, hw: tuple[int, int]) -> Small:
    """Pictures at the skeleton's size: means over what is known. A pixel is known if half of what it stands for is."""
    maps = _resized(torch.cat([large(pictures, unit), pictures.known[:, None].float()], 1), hw)
    share = maps[:, 4:]
    kept = (share >= 0.5).float()
    return Small(kept * maps[:, :4] / share.clamp(min=0.5), kept)


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


def fillings(own: Small, hole: Tensor, bound: Tensor) -> tuple[Tensor, Tensor]:
    """Two plain fillings from the background: what is around, and what is in the same row, [n, 4, h, w] both.

    Narrow gaps between two ends of one depth are the exception: there the thing itself goes on, whatever it is.
    """
    allowed = F.max_pool2d(torch.where(hole > 0, bound, -torch.inf), 2 * _BESIDE + 1, 1, _BESIDE)
    nearer = (allowed > -torch.inf) & (own.values[:, 3:] > allowed + _FRONT / 2)
    usable = own.known * (~nearer)
    back = usable * (1 - foreground(own))
    around, rows, gaps = plain(own.values, back), along(own.values, back), along(own.values, usable, _GAP)
    rows = torch.where(rows[:, 4:] > 0, rows[:, :4], around)
    inside = gaps[:, 4:] > 0
    return torch.where(inside, gaps[:, :4], around), torch.where(inside, gaps[:, :4], rows)


def foreground(own: Small) -> Float32[Tensor, "n 1 h w"]:
    """1 on known pixels that stand before the rest of their row.

    A row without its foreground is its opening, as morphology calls it: the farthest around, then the nearest of these.
    It keeps slopes and takes away what is narrower than two fifths of the picture.
    """
    reach = max(1, round(_NARROW * own.known.shape[3] / 2))
    window, pad = (1, 2 * reach + 1), (0, reach)
    nothing = -torch.inf
    far = -F.max_pool2d(torch.where(own.known > 0, -own.values[:, 3:], nothing), window, 1, pad)
    without = F.max_pool2d(torch.where(far < torch.inf, far, nothing), window, 1, pad)
    return own.known * (own.values[:, 3:] > without + _FRONT)


_NARROW = 0.4
"""Share of the picture's width below which what stands before its row is foreground."""
_BESIDE = 4
"""How far from a hole what may be in it says something of what is known, in pixels of the skeleton."""
_GAP = 6
"""Width of a narrow gap, in pixels of the skeleton."""


def along(
    values: Float[Tensor, "n 4 h w"], known: Float[Tensor, "n 1 h w"], gap: int | None = None
) -> Float[Tensor, "n 5 h w"]:
    """Fill along the rows: a camera that turns about an upright axis opens holes in which rows go on.

    Between two ends at different depths the farther one goes on; else they are mixed by how near they are.

    Args:
        values: What is to go on.
        known: Where it is known.
        gap: Fill only between two ends of one depth that are not farther apart, in pixels.

    Returns:
        The filling, and 1 where there is one.
    """
    (left, to_left), (right, to_right) = _ends(values, known), (x.flip(3) for x in _ends(values.flip(3), known.flip(3)))
    apart = left[:, 3:] - right[:, 3:]
    both = (to_left < torch.inf) & (to_right < torch.inf)
    by_left = torch.where(both & (apart > _FRONT), 0.0, 1 / to_left.clamp(min=1))
    by_right = torch.where(both & (apart < -_FRONT), 0.0, 1 / to_right.clamp(min=1))
    total = by_left + by_right
    some = total > 0
    if gap is not None:
        some &= both & (apart.abs() <= _FRONT) & (to_left + to_right <= gap)
    some = some.float()
    return torch.cat([(by_left * left + by_right * right) / total.clamp(min=1e-9), some], 1)


_FRONT = 0.12
"""Difference of coded inverse depth at which one end of a row is foreground to the other."""


def _ends(values: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """What is known next on the left of each pixel, itself included, and how far away it is."""
    n, c, h, w = values.shape
    column = torch.arange(w).expand(n, h, w)
    last = torch.where(known[:, 0] > 0, column, -1).cummax(2).values[:, None]
    away = torch.where(last >= 0, (column[:, None] - last).float(), torch.inf)
    return values.gather(3, last.clamp(min=0).expand(n, c, h, w)), away


def told(own: Small, hole: Tensor, evidence: Small, trust: Tensor, bound: Tensor) -> Float32[Tensor, "n 18 h w"]:
    """What the network is told, beside the noise.

    Args:
        own: The pictures.
        hole: [n, 1, h, w], 1 or 0.
        evidence: What other moments and views saw.
        trust: [n, 1, h, w], 0 to 1.
        bound: Code of the inverse depth that the filling may not exceed, [n, 1, h, w]; 1 where unknown.
    """
    n, _, h, w = hole.shape
    trust = trust * evidence.known * hole
    around, rows = fillings(own, hole, bound)
    # What was seen elsewhere is a filling too, where it is to be trusted.
    base = trust * evidence.values + (1 - trust) * 0.5 * (around + rows)
    base, rows = (torch.where(hole > 0, x, own.values * own.known) for x in (base, rows))
    row = torch.linspace(-1, 1, h).view(1, 1, h, 1).expand(n, 1, h, w)
    column = torch.linspace(-1, 1, w).view(1, 1, 1, w).expand(n, 1, h, w)
    seen = evidence.values * evidence.known
    return torch.cat([base, own.known, hole, seen, trust, bound, row, column, rows], 1)


def of_holes(holes: Holes, unit: float, hw: tuple[int, int]) -> tuple[Small, Tensor, Tensor]:
    """Pictures, holes and what the network is told of them, at the skeleton's size.

    Returns:
        The pictures; the holes [n, 1, h, w], 1 or 0; and what ``told`` makes.
    """
    own = small(holes.pictures, unit, hw)
    hole = (_resized(holes.hole[:, None].float(), hw) > 0).float() * (1 - own.known)
    bound = encode(holes.behind, unit)[:, None].nan_to_num(1.0)
    seen = small(holes.evidence, unit, hw)
    evidence = Small(seen.values * hole, seen.known * hole)  # What is known is told as such.
    maps = _resized(torch.cat([bound, holes.trust[:, None]], 1), hw)
    return own, hole, told(own, hole, evidence, maps[:, 1:], maps[:, :1])
