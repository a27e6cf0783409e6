"""Depth from the camera's travel: plane sweep, agreement between frames, completion along edges.

motion, cameras ─> triangulate ─> range of depths, and whether there is any travel
                        │ (none: the prior)
pictures ─> features ─> match each frame with its neighbours ─> do the frames agree? ─> complete ─> enlarge
                        (plane sweep, semi-global matching)        (fuse)
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float32
from numpy import ndarray as Array

from fourd.depth import consistency, fill, matching, neighbours, prior, triangulate
from fourd.depth.common import STAGE, Rig, check, moving_mask, shrink
from fourd.events import Progress, Steps, Warned
from fourd.types import Cameras, Clip, DepthMaps, Motion

_LARGEST = 320
"""Longer side of the working map at most, in pixels."""
_SMALLEST = 192
"""And at least, if the picture is that large."""


def working_hw(hw: tuple[int, int]) -> tuple[int, int]:
    """Half the size of the picture, within limits: matching costs its cube, and noise averages out."""
    longer = max(hw)
    scale = min(1.0, min(max(longer / 2, _SMALLEST), _LARGEST) / longer)
    return max(round(hw[0] * scale), 1), max(round(hw[1] * scale), 1)


class Parallax:
    """Plane sweep between the frames of a camera that travels; the prior where it does not."""

    def __call__(self, clip: Clip, cameras: Cameras, motion: Motion) -> Steps[DepthMaps]:
        """See ``fourd.depth.Backend``."""
        check(clip, cameras, motion)
        hw = working_hw(clip.hw)
        evidence = triangulate.gather(Rig.of(cameras, hw), motion)
        if not evidence.travels():
            yield Warned(STAGE, "The camera hardly travels, so depth cannot be measured: a plain prior stands in.")
            return (yield from prior.Prior()(clip, cameras, motion))
        return (yield from _sweep(clip, cameras, motion, evidence))


def load() -> Parallax:
    """The backend ``"parallax"``."""
    return Parallax()


def _sweep(clip: Clip, cameras: Cameras, motion: Motion, evidence: triangulate.Evidence) -> Steps[DepthMaps]:
    low, high, middle = evidence.span()
    # Inside, the middle of the scene is at depth 1, so that no threshold depends on the unit.
    hw = working_hw(clip.hw)
    rig = Rig.of(cameras, hw, scale=middle)
    low, high = low / middle, high / middle
    total = 2 * len(clip)

    near = [neighbours.choose(rig, 1.0, i) for i in range(len(clip))]
    longest = [max(neighbours.shifts(rig, 1.0, i, js)[0]) for i, js in enumerate(near) if js]
    if not longest:
        yield Warned(STAGE, "No two frames see the same things from far enough apart: a plain prior stands in.")
        return (yield from prior.Prior()(clip, cameras, motion))
    planes = matching.planes(low, high, float(np.median(longest)))
    slack = 0.5 * (planes[1] - planes[0])

    moving = [moving_mask(motion, i, hw, 0.3) for i in range(len(clip))]
    small: dict[int, Array] = {}
    seen: dict[int, Float32[Array, "h w 4"]] = {}
    rho: dict[int, Float32[Array, "h w"]] = {}
    weight: dict[int, Float32[Array, "h w"]] = {}
    for i, others in enumerate(near):
        for j in [i, *others]:
            if j not in seen:
                small[j] = shrink(clip.frames[j].cpu().numpy(), hw)
                seen[j] = matching.features(small[j], moving[j])
        if others:
            found = matching.match(rig, i, others, planes, seen, small[i])
            rho[i] = found.rho
            weight[i] = (~moving[i] * np.clip(found.lead / 0.03, 0.02, 1) * (found.residual < 0.4)).astype(np.float32)
        else:
            rho[i] = np.ones(hw, np.float32)
            weight[i] = np.zeros(hw, np.float32)
        yield Progress(STAGE, i + 1, total)

    depth_m, confidence = torch.empty((len(clip), *clip.hw)), torch.empty((len(clip), *clip.hw))
    scale = None
    for i, others in enumerate(near):
        count, fused, _ = consistency.agree(rig, i, others, rho, weight, slack)
        sure = (np.clip((count - 0.5) / 1.5, 0, 1) * (weight[i] > 0) * np.clip(weight[i] * 4, 0, 1)).astype(np.float32)
        guess = prior.surface(rig, i)
        if scale is None and (sure > 0.5).any():
            scale = float(np.median((fused / guess)[sure > 0.5]))
        guess = guess * (scale or 1.0)
        whole, reached = fill.complete(fused, sure, guess, small[i])
        picture = clip.frames[i].cpu().numpy()
        large = fill.enlarge(whole, small[i], picture)
        trust = np.maximum(sure, 0.15 + 0.35 * np.clip(reached, 0, 1))
        depth_m[i] = torch.from_numpy(1 / (np.maximum(large, 0.25 * slack) * middle))
        confidence[i] = torch.from_numpy(fill.enlarge(trust, small[i], picture)).clamp(0.05, 1)
        yield Progress(STAGE, len(clip) + i + 1, total)
    return DepthMaps(depth_m=depth_m, confidence=confidence, K=cameras.K)
