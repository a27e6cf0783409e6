"""Detail for a skeleton, taken from pictures of the same place: the clip's own texture, and nothing else.

Every pixel of a hole looks for a place in the known pictures that is alike in its broad colours and depth, and agrees
with what surrounds the hole. What that place shows beyond its broad colours is laid on the skeleton. Places are found
as in PatchMatch (Barnes et al., 2009), from coarse to fine: neighbours want to come from neighbouring places, so what
is laid into a hole hangs together.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from fourd.inpaint.embedded import enlarge
from fourd.inpaint.embedded.enlarge import FRONT

_REACH, _BROAD = 2, 1.0
"""What is broad: means over a Gaussian of that many pixels of the skeleton, cut off at that many, on one surface."""
_DEPTH = 1.5
"""Weight of a difference in coded inverse depth against one in colour."""
_SEAM = 0.5
"""Weight of what is laid into the hole so far against what is known around it."""
_AROUND = [(y, x) for y in (-2, 0, 2) for x in (-2, 0, 2)]
"""What of its surroundings a place is compared in, in pixels of each scale."""
_FINE_PX, _FINE_REACH = 2.0, 5
"""Detail is fine if it is lost under a Gaussian of so many pixels, cut off at so many."""
_MARGIN = 2
_MOST = 4096
"""Places that are looked through at the start."""


@dataclass(frozen=True, eq=False)
class Scale:
    """Pictures at one scale: their own values, and what is broad of them."""

    values: Float32[Tensor, "n 4 h w"]
    broad: Float32[Tensor, "n 4 h w"]
    usable: Bool[Tensor, "n h w"]
    """For places to take from: known, with all that is compared. For targets: known, and not foreground."""

    def features(self) -> Float32[Tensor, "nhw 8"]:
        """What is compared, a row a pixel."""
        weight = torch.tensor([1.0, 1, 1, _DEPTH])[:, None, None]
        both = torch.cat([self.broad * weight, self.values * weight], 1)
        return both.permute(0, 2, 3, 1).reshape(-1, 8).contiguous()


def broad(values: Float32[Tensor, "n 4 h w"], weight: Float32[Tensor, "n 1 h w"]) -> Float32[Tensor, "n 4 h w"]:
    """Means over what is around and of about the same depth."""
    total, mass = values * 1e-3, torch.full_like(weight, 1e-3)
    padded = F.pad(torch.cat([values, weight], 1), [_REACH] * 4)
    h, w = values.shape[2:]
    for y in range(2 * _REACH + 1):
        for x in range(2 * _REACH + 1):
            there = padded[:, :, y : y + h, x : x + w]
            far = ((y - _REACH) ** 2 + (x - _REACH) ** 2) / (2 * _BROAD**2)
            apart = ((there[:, 3:4] - values[:, 3:]) / FRONT).square()
            share = there[:, 4:] * torch.exp(-far - apart)
            total, mass = total + share * there[:, :4], mass + share
    return total / mass


def places(
    values: Float32[Tensor, "n 4 H W"], known: Bool[Tensor, "n H W"], low: Float32[Tensor, "n 4 h w"], mass: Tensor
) -> list[Scale]:
    """Known pictures as places to take from, coarse to fine.

    Args:
        values: Pictures at full size.
        known: Which of their pixels are known.
        low: The same at the skeleton's size, 0 where unknown.
        mass: Which of these are known, [n, 1, h, w], 1 or 0.
    """
    wide = broad(low, mass)
    scales = []
    for hw in _sizes((low.shape[2], low.shape[3]), (values.shape[2], values.shape[3])):
        own = values if hw == tuple(values.shape[2:]) else F.interpolate(values, hw, mode="area")
        there = F.interpolate(known[:, None].float(), hw, mode="area") > 0.999
        inside = -F.max_pool2d(F.pad(-there.float(), [_MARGIN] * 4, value=0.0), 2 * _MARGIN + 1, 1)
        scales.append(Scale(own, _guided(wide, mass, own[:, 3:]), inside[:, 0] > 0.5))
    return scales


def none_of(scale: Scale) -> Scale:
    """No pictures, of that scale."""
    return Scale(scale.values[:0], scale.broad[:0], scale.usable[:0])


def joined(clip: list[Scale], own: list[Scale], i: int) -> list[Scale]:
    """Places of the clip and of picture ``i``, scale by scale."""
    return [
        Scale(*(torch.cat([getattr(a, name), getattr(b, name)[i : i + 1]]) for name in ("values", "broad", "usable")))
        for a, b in zip(clip, own, strict=True)
    ]


def _sizes(low: tuple[int, int], full: tuple[int, int]) -> list[tuple[int, int]]:
    """From the skeleton's size to the full one, doubling."""
    sizes = [low]
    while 2.8 * sizes[-1][0] < full[0]:
        sizes.append((2 * sizes[-1][0], 2 * sizes[-1][1]))
    return [*sizes, full] if full != low else sizes


def _guided(low: Tensor, mass: Tensor, depth: Tensor) -> Tensor:
    """Enlarged to the size of ``depth``, mixed over pixels of about the same depth only."""
    n, _, H, W = depth.shape
    h, w = low.shape[2:]
    y = (torch.arange(H) + 0.5) * h / H - 0.5
    x = (torch.arange(W) + 0.5) * w / W - 0.5
    total, sum_ = torch.zeros(n, 4, H, W), torch.full((n, 1, H, W), 1e-6)
    for dy in (0, 1):
        for dx in (0, 1):
            rows, columns = (torch.floor(y) + dy).long(), (torch.floor(x) + dx).long()
            near = (1 - (y - rows).abs())[:, None] * (1 - (x - columns).abs())
            rows, columns = rows.clamp(0, h - 1), columns.clamp(0, w - 1)
            there = low[:, :, rows][..., columns]
            share = near * mass[:, :, rows][..., columns]
            share = share * (torch.exp(-((there[:, 3:] - depth) / FRONT).square()) + 1e-4)
            total, sum_ = total + share * there, sum_ + share
    return total / sum_


def lay(
    skeleton: Float32[Tensor, "4 h w"],
    hole_low: Float32[Tensor, "1 h w"],
    values: Float32[Tensor, "4 H W"],
    known: Bool[Tensor, "H W"],
    hole: Bool[Tensor, "H W"],
    sources: list[Scale],
    random: torch.Generator,
    strength: float,
    base: Float32[Tensor, "4 H W"] | None = None,
) -> Float32[Tensor, "4 H W"]:
    """Fill one picture's hole: the skeleton, with detail.

    Args:
        skeleton: The filled picture, small.
        hole_low: Its hole, 1 or 0.
        values: The picture at full size, anything where unknown.
        known: Which of it is known.
        hole: What to fill.
        sources: Places to take from.
        random: Of what is tried.
        strength: Of the detail that is laid on; 1 is as it was found, 0 leaves the skeleton.
        base: What takes the skeleton's place in the hole, if something does: smooth, and of full size.
    """
    back = enlarge.background(skeleton[None], hole_low[None])
    wide = broad(skeleton[None], back)
    full = int(hole.shape[0]), int(hole.shape[1])
    if strength == 0 or not all(scale.usable.any() for scale in sources):
        return enlarge.upsampled(skeleton[None], back, full)[0] if base is None else base
    at, search = None, None
    for scale in sources:
        hw = int(scale.values.shape[2]), int(scale.values.shape[3])
        smooth = enlarge.upsampled(wide, back, hw) if base is None else _at_size(base, hw)
        own = _at_size(values, hw)
        opened = _at_size(hole[None].float(), hw)[0, 0] > 0
        there = _at_size(known[None].float(), hw)[0, 0] > 0.999
        front = F.interpolate(1 - back, hw, mode="nearest")[0, 0] > 0.5
        target = Scale(torch.where(opened, smooth, own), smooth, (there & ~front & ~opened)[None])
        finer = Search(target, opened, scale, random)
        start = finer.begin() if at is None or search is None else _finer(at, search, finer)
        at, search = finer.improve(start, rounds=4 if at is None else 2), finer
    assert search is not None and at is not None  # There is one scale at least.
    return search.composed(at, strength)


def only(scales: list[Scale], part: Bool[Tensor, "n H W"]) -> list[Scale]:
    """Places of a part of the pictures, scale by scale."""
    picked = []
    for scale in scales:
        there = F.interpolate(part[:, None].float(), (scale.values.shape[2], scale.values.shape[3]), mode="area")[:, 0]
        picked.append(Scale(scale.values, scale.broad, scale.usable & (there > 0.999)))
    return picked


def fine(detail: Float32[Tensor, "c h w"], part: Bool[Tensor, "h w"]) -> Float32[Tensor, "c h w"]:
    """What of a detail that is laid on a part of a picture is finer than a few pixels."""
    at = torch.arange(-_FINE_REACH, _FINE_REACH + 1, dtype=torch.float32)
    bell = torch.exp(-(at**2) / (2 * _FINE_PX**2))
    bell = bell / bell.sum()
    maps = torch.cat([detail * part, part[None].float()])[:, None]
    for weight in (bell[:, None], bell[None, :]):
        maps = F.conv2d(maps, weight[None, None], padding=(weight.shape[0] // 2, weight.shape[1] // 2))
    return torch.where(part, detail - maps[:-1, 0] / maps[-1:, 0].clamp(min=1e-6), 0.0)


def _at_size(maps: Float32[Tensor, "c H W"], hw: tuple[int, int]) -> Float32[Tensor, "1 c h w"]:
    """By area, unless it is of that size."""
    return maps[None] if tuple(maps.shape[1:]) == hw else F.interpolate(maps[None], hw, mode="area")


def _finer(at: Int64[Tensor, "h w"], coarse: Search, fine: Search) -> Int64[Tensor, "H W"]:
    """Places of a finer scale, each where its coarser one was."""
    h, w, H, W = coarse.h, coarse.w, fine.h, fine.w
    rows, columns = torch.arange(H) * h // H, torch.arange(W) * w // W
    at = at[rows][:, columns]
    picture, y, x = at // (h * w), at // w % h, at % w
    y = torch.arange(H)[:, None] + ((y - rows[:, None]) * H / h).round().long()
    x = torch.arange(W) + ((x - columns) * W / w).round().long()
    moved = (picture * H + y.clamp(0, H - 1)) * W + x.clamp(0, W - 1)
    return torch.where(at >= 0, moved, -1)


class Search:
    """Places for the pixels of one hole at one scale. A place is a flat index over pictures, rows and columns."""

    def __init__(self, target: Scale, hole: Bool[Tensor, "h w"], source: Scale, random: torch.Generator) -> None:
        self.target, self.hole, self.source, self.random = target, hole, source, random
        self.h, self.w = hole.shape
        self.ys, self.xs = hole.nonzero(as_tuple=True)
        self.there = source.features()
        self.usable = source.usable.flatten()
        self.extra = (source.values - source.broad).permute(0, 2, 3, 1).reshape(-1, 4)
        self._tell(target.values)

    def _tell(self, values: Tensor) -> None:
        """Say what the target looks like now."""
        here = Scale(values, self.target.broad, self.target.usable).features()
        trust = self.target.usable[0].float() + _SEAM * self.hole.float()
        weight = torch.stack([self.hole.float(), trust], -1).repeat_interleave(4, -1).view(-1, 8)
        rows, weights = [], []
        for dy, dx in _AROUND:
            y, x = self.ys + dy, self.xs + dx
            ok = (y >= 0) & (y < self.h) & (x >= 0) & (x < self.w)
            at = y.clamp(0, self.h - 1) * self.w + x.clamp(0, self.w - 1)
            rows.append(here[at])
            weights.append(weight[at] * ok[:, None])
        self.here, self.weights = torch.stack(rows, 1), torch.stack(weights, 1)
        self.total = self.weights.sum((1, 2)).clamp(min=1e-6)

    def cost(self, at: Int64[Tensor, " m"], pixels: Int64[Tensor, " m"] | None = None) -> Float32[Tensor, " m"]:
        """How unlike the places are; infinite where there is none.

        Args:
            at: The places.
            pixels: For which of the hole's pixels; for all of them, if not given.
        """
        here, weights, sums = self.here, self.weights, self.total
        if pixels is not None:
            here, weights, sums = here[pixels], weights[pixels], sums[pixels]
        total = torch.zeros(len(at))
        safe = at.clamp(_MARGIN * (self.w + 1), len(self.usable) - 1 - _MARGIN * (self.w + 1))
        for k, (dy, dx) in enumerate(_AROUND):
            off = self.there[safe + dy * self.w + dx] - here[:, k]
            total += (off.square_() * weights[:, k]).sum(1)
        fits = (at >= 0) & self.usable[at.clamp(0, len(self.usable) - 1)]
        return torch.where(fits, total / sums, torch.inf)

    def begin(self) -> Int64[Tensor, "h w"]:
        """The best of many places for each pixel, by what is broad of them."""
        usable = self.usable.nonzero()[:, 0]
        some = usable[torch.randperm(len(usable), generator=self.random)[:_MOST]]
        offsets = torch.tensor([dy * self.w + dx for dy, dx in _AROUND])
        there = self.there[some[:, None] + offsets].flatten(1)
        weight, here = self.weights.flatten(1), self.here.flatten(1)
        # (a - b)^2 with weights, as products of matrices; what is the same for all places is left out.
        best = (weight @ there.square().T - 2 * (weight * here) @ there.T).argmin(1)
        at = torch.full((self.h, self.w), -1)
        at[self.ys, self.xs] = some[best]
        return at

    def improve(self, at: Int64[Tensor, "h w"], rounds: int) -> Int64[Tensor, "h w"]:
        """Try what the neighbours have, moved along, and places near one's own."""
        best = at[self.ys, self.xs]
        lowest = self.cost(best)
        for k in range(rounds):
            for step in (4, 1) if k == 0 else (2, 1):
                for dy, dx in ((0, step), (0, -step), (step, 0), (-step, 0)):
                    best, lowest = self._better(best, lowest, self._beside(at, dy, dx))
                    at[self.ys, self.xs] = best
            radius = 6 if k == 0 else 2
            jump = torch.randint(-radius, radius + 1, (2, len(best)), generator=self.random)
            best, lowest = self._better(best, lowest, best + jump[0] * self.w + jump[1])
            at[self.ys, self.xs] = best
            self._tell(self.composed(at, 1.0)[None])
            lowest = self.cost(best)
        return at

    def _better(self, best: Tensor, lowest: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        # Neighbours mostly come from neighbouring places, and what they would have chosen is what one has.
        new = torch.nonzero((other != best) & (other >= 0))[:, 0]
        cost = self.cost(other[new], new)
        lower = cost < lowest[new]
        best, lowest, new = best.clone(), lowest.clone(), new[lower]
        best[new], lowest[new] = other[new], cost[lower]
        return best, lowest

    def _beside(self, at: Int64[Tensor, "h w"], dy: int, dx: int) -> Int64[Tensor, " m"]:
        """The places that the pixels so far away would have chosen for ours, -1 where there is none."""
        y, x = self.ys + dy, self.xs + dx
        ok = (y >= 0) & (y < self.h) & (x >= 0) & (x < self.w)
        theirs = at[y.clamp(0, self.h - 1), x.clamp(0, self.w - 1)]
        moved = theirs - dy * self.w - dx
        return torch.where(ok & (theirs >= 0) & (moved >= 0) & (moved < len(self.usable)), moved, -1)

    def composed(self, at: Int64[Tensor, "h w"], strength: float) -> Float32[Tensor, "4 h w"]:
        """The target with the mean of the detail that each pixel and those around it would lay there.

        Where they agree it stays sharp; where they do not, it fades instead of making noise.
        """
        total, count = torch.zeros(len(self.ys), 4), torch.zeros(len(self.ys), 1)
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                place = self._beside(at, dy, dx)
                ok = (place >= 0)[:, None]
                total += torch.where(ok, self.extra[place.clamp(min=0)], 0.0)
                count += ok
        out = self.target.values[0].clone()
        detail = strength * total / count.clamp(min=1)
        out[:, self.ys, self.xs] = self.target.broad[0][:, self.ys, self.xs] + detail.T
        return out
