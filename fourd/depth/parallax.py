"""Depth from the camera's travel: plane sweep, agreement between frames, completion along edges.

    motion, cameras ─> triangulate ─> range of depths, and whether there is any travel
                            │ (none: whoever reads single pictures, or the plain prior)
    pictures ─> match each frame with its neighbours ─> do the frames agree? ─> complete ─> movers, sky ─> enlarge
                (plane sweep, semi-global matching)       (fuse, lend)

Confidence: how often such a depth is within a tenth of the truth (``trust``).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64, UInt8
from numpy import ndarray as Array

from fourd.depth import (
    consistency,
    embedded,
    fill,
    matching,
    movers,
    neighbours,
    planar,
    prior,
    sky,
    steady,
    triangulate,
    trust,
)
from fourd.depth.backdrop import Backdrop
from fourd.depth.common import STAGE, UNHEARD, Rig, check, matching_hw, moving_mask, shrink, working_hw
from fourd.depth.guess import Guess
from fourd.depth.outlines import Outlines, covered, flow_odds
from fourd.depth.reading import Reader
from fourd.depth.single import SinglePictures
from fourd.events import Progress, Steps, Warned
from fourd.types import Cameras, Clip, DepthMaps, Motion
from fourd.workers import each

_STANDS, _MAY_MOVE = UNHEARD
"""Probability of moving on its own below which matching may be sure of a pixel: where flow cannot be believed, matching
cannot be either. And above which a pixel is not compared with other frames."""
_PARTNERS = 7
"""Frames that a frame is compared with at most."""
_HELD = 64
"""Frames whose features are kept at a time."""


@dataclass(frozen=True)
class Parallax:
    """Plane sweep between the frames of a camera that travels; a guess where it does not, and behind it."""

    reader: Reader | None
    """Who guesses; None for the plain prior."""
    coarse: bool = False
    """Whether frames are matched at half their size, which takes a third of the time."""

    def __call__(self, clip: Clip, cameras: Cameras, motion: Motion) -> Steps[DepthMaps]:
        """See ``fourd.depth.Backend``."""
        check(clip, cameras, motion)
        hw = working_hw(clip.hw) if self.coarse else matching_hw(clip.hw)
        evidence = triangulate.gather(Rig.of(cameras, hw), motion)
        if evidence.travels():
            low, high, middle = evidence.span()
            # Inside, the middle of the scene is at depth 1, so that no threshold depends on the unit.
            rig = Rig.of(cameras, hw, scale=middle)
            near = [neighbours.choose(rig, 1.0, i) for i in range(len(clip))]
            if any(near):
                work = _Work(clip, motion, rig, near, low / middle, high / middle, self.reader)
                yield from work.match()
                work.fuse()
                return (yield from work.finish(cameras, middle))
        instead = f"{self.reader.name}'s guess" if self.reader is not None else "a plain prior"
        yield Warned(STAGE, f"The camera hardly travels, so depth cannot be measured: {instead} stands in.")
        stand_in = SinglePictures(self.reader) if self.reader is not None else prior.load()
        return (yield from stand_in(clip, cameras, motion))


def load(name: str = "parallax") -> Parallax:
    """The backend ``"parallax"``, with the embedded network where its weights are there."""
    return Parallax(embedded.Reader() if embedded.available() else None)


@dataclass(eq=False)
class _Work:
    """One clip on its way. Maps are inverse depths at the working size, about 1 in the middle of the scene."""

    clip: Clip
    motion: Motion
    rig: Rig
    near: list[list[int]]
    """With which frames each frame is matched."""
    low: float
    high: float
    reader: Reader | None
    """Who guesses where nothing was measured."""
    rho: dict[int, Float32[Array, "h w"]] = field(default_factory=dict)
    sure: dict[int, Float32[Array, "h w"]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.moving: list[Bool[Array, "h w"]] = [
            moving_mask(self.motion, i, self.rig.hw, _MAY_MOVE) for i in range(len(self.clip))
        ]
        longest = [neighbours.shifts(self.rig, 1.0, i, js)[0].max() for i, js in enumerate(self.near) if js]
        self.planes: Float64[Array, " d"] = matching.planes(self.low, self.high, float(np.median(longest)))
        self.step = float(self.planes[1] - self.planes[0])

    def full(self, i: int) -> UInt8[Array, "h2 w2 3"]:
        """Frame i."""
        return self.clip.frames[i].cpu().numpy()

    def small(self, i: int) -> UInt8[Array, "h w 3"]:
        """Frame i at the working size."""
        return shrink(self.full(i), self.rig.hw)

    def match(self) -> Steps[None]:
        """Match every frame with its neighbours."""
        seen: dict[int, Float32[Array, "h w 4"]] = {}
        for i, others in enumerate(self.near):
            for j in [i, *others]:
                if j not in seen:
                    seen[j] = matching.features(self.small(j), self.moving[j])
            if others:
                found = matching.match(self.rig, i, others, self.planes, seen, self.small(i))
                clear = (
                    np.clip((found.lead - 0.03) / 0.07, 0, 1)
                    * (found.residual < 0.4)
                    * ~moving_mask(self.motion, i, self.rig.hw, _STANDS)
                )
                self.rho[i], self.sure[i] = found.rho, clear.astype(np.float32)
            else:
                self.rho[i], self.sure[i] = np.ones(self.rig.hw, np.float32), np.zeros(self.rig.hw, np.float32)
            for j in sorted(seen, key=lambda j: abs(j - i))[_HELD:]:
                del seen[j]
            yield Progress(STAGE, i + 1, 3 * len(self.clip))

    def fuse(self) -> None:
        """Keep what neighbouring frames agree on, and let those who know lend to those who do not."""
        partners = _partners(self.near)
        slack = 0.5 * self.step
        fused, known = {}, {}

        def agreed(i: int) -> tuple[Array, Array]:
            count, mean, _ = consistency.agree(self.rig, i, partners[i], self.rho, self.sure, slack)
            share = np.clip((count - 0.5) / 1.5, 0, 1) * np.clip(self.sure[i] * 2, 0, 1)
            return mean, (share * matching.solid(mean / self.step, share > 0)).astype(np.float32)

        def lent(i: int) -> tuple[Array, Array]:
            given, votes = consistency.lend(self.rig, i, partners[i], fused, known, slack)
            take = (known[i] < 0.5) & (votes >= 2)
            return np.where(take, given, fused[i]), np.where(take, 0.6, known[i]).astype(np.float32)

        for i, found in enumerate(each(agreed, range(len(partners)))):
            fused[i], known[i] = found
        for i, found in enumerate(each(lent, range(len(partners)))):
            self.rho[i], self.sure[i] = found

    def finish(self, cameras: Cameras, middle: float) -> Steps[DepthMaps]:
        """Complete every frame, find what moves and place it, find the sky, and bring all to full size."""
        t = len(self.clip)
        farthest, guess = self._farthest(), Guess(self.rig, self.rho, self.sure, self.reader)
        flat = planar.find(self.rig, self.rho, self.sure)
        behind, shape, alive = [], [], []
        for i in range(t):
            behind.append(guess.of(i, self.full(i)))
            shape.append(guess.seen)
            alive.append(guess.alive)
            yield Progress(STAGE, t + i, 3 * t)

        def completed(i: int) -> tuple[Array, Array, Array]:
            return self._completed(i, flat, behind[i], farthest)

        moving = yield from self._moving([filled for filled, _, _ in each(completed, range(t))], alive)

        small = [covered(mask, self.rig.hw) for mask in moving]
        things = movers.Things(self.motion, self.rig, small)
        for i in range(t):
            self.sure[i] = np.where(things.label[i] > 0, 0, self.sure[i]).astype(np.float32)
        alone, trusted, planes = zip(*each(completed, range(t)), strict=True)
        still = steady.steadied(self.rig, alone, trusted)
        agreements = each(lambda i: steady.agreement(self.rig, i, still, alone), range(t))
        for i, (filled, agreement) in enumerate(zip(still, agreements, strict=True)):
            right = trust.confidence(agreement, self.sure[i] > 0.5, planes[i])
            things.look(i, filled, shape[i])
            if self.low == 0:
                blue, pale = sky.find(self.small(i), self.rho[i], self.sure[i], max(2 * self.step, 1.5 * farthest))
                filled[blue], right[blue] = 0, sky.CONFIDENCE
                filled[pale], right[pale] = farthest, sky.PALE_CONFIDENCE
            self.rho[i], self.sure[i] = filled, right
        regions = things.placed()

        size = (t, *self.clip.hw)
        depth_m, confidence = torch.empty(size), torch.empty(size)

        def enlarged(i: int) -> tuple[Array, Array, Array]:
            rho = fill.enlarge(self.rho[i], self.small(i), self.full(i))
            rho, laid = movers.paint(rho, moving[i], regions[i])
            sure = cv2.resize(self.sure[i], self.clip.hw[::-1], interpolation=cv2.INTER_LINEAR)
            sure[laid] = movers.CONFIDENCE
            return np.divide(1 / middle, rho, out=np.full_like(rho, np.inf), where=rho > 0), sure, laid

        for i, (depth, sure, laid) in enumerate(each(enlarged, range(t))):
            depth_m[i], confidence[i], moving[i] = torch.from_numpy(depth), torch.from_numpy(sure), laid
        yield Progress(STAGE, 3 * t, 3 * t)
        # Lengths inside are `middle` times those outside.
        unit_m = None if guess.unit_m is None else guess.unit_m * middle
        return DepthMaps(depth_m, confidence, cameras.K, moving=torch.from_numpy(np.stack(moving)), unit_m=unit_m)

    def _completed(
        self, i: int, flat: planar.Planar, behind: Float32[Array, "h w"], farthest: float
    ) -> tuple[Float32[Array, "h w"], Float32[Array, "h w"], Bool[Array, "h w"]]:
        """The still world of a frame without holes, its weight among those of other frames, and what a plane told."""
        rho, sure, picture = self.rho[i], self.sure[i], self.small(i)
        behind, weight = flat.over(i, rho, sure, behind, picture)
        rho, sure = np.where(weight > 0, behind, rho), np.maximum(sure, weight)
        filled, reached = fill.complete(rho, sure, behind, picture)
        return np.maximum(filled, farthest), np.maximum(self.sure[i], 0.15 + 0.3 * reached), weight > 0

    def _moving(
        self, still: list[Float32[Array, "h w"]], alive: list[Float32[Array, "h3 w3"] | None]
    ) -> Steps[list[Bool[Array, "h2 w2"]]]:
        """What moves, at full size: what flow says, mended by what the picture shows before the still world."""
        backdrop, t = Backdrop(self.rig, self.full, still, self.moving), len(self.clip)
        outlines = Outlines(self.full, self.motion, self.rig.hw, self.clip.frame_s)
        for i in range(t):
            outlines.add(flow_odds(self.motion, i, self.rig.hw), backdrop.told(i), alive[i])
            yield Progress(STAGE, 2 * t + i, 3 * t)
        return list(outlines.masks())

    def _farthest(self) -> float:
        """The least inverse depth that is believed, over the whole clip."""
        every = np.concatenate([self.rho[i][self.sure[i] > 0.5] for i in self.rho])
        if len(every) == 0:
            return max(self.low, self.step)
        # Shadows that travel with the camera look infinitely far; a few of them must not pull the fill away.
        return max(0.8 * float(np.quantile(every, 0.01)), 0.5 * self.step)


def _partners(near: list[list[int]]) -> list[list[int]]:
    """With whom each frame compares its depth: those it was matched with, and those that were matched with it."""
    partners = [set(js) for js in near]
    for i, js in enumerate(near):
        for j in js:
            if len(partners[j]) < _PARTNERS and near[j]:
                partners[j].add(i)
    return [sorted(js) for js in partners]
