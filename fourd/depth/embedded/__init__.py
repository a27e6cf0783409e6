"""Depth as a small network guesses it from single pictures: for cameras that stand still or only turn.

    frames ─> Reader ─> a few guesses ─> StillWorld ─> one map of the still world, seen from every frame
                 └────> every guess ──────────────────> the shapes of what moves, laid over it

The weights lie beside this module, if there are any; ``weights.md`` says what they were trained on.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from jaxtyping import Float32
from numpy import ndarray as Array

from fourd.depth import fill, movers
from fourd.depth.common import STAGE, Rig, carried, check, moving_mask, shrink, working_hw
from fourd.depth.embedded import weights
from fourd.depth.embedded.reader import Reader, Reading
from fourd.depth.embedded.still import StillWorld, keys
from fourd.events import Progress, Steps
from fourd.types import Cameras, Clip, DepthMaps, Motion

MOST = 0.45
"""Confidence of a guess at most: it was not measured."""


class Embedded:
    """The backend."""

    def __init__(self) -> None:
        """Load the weights.

        Raises:
            MissingError: If they are not there.
        """
        self._reader = Reader()

    def __call__(self, clip: Clip, cameras: Cameras, motion: Motion) -> Steps[DepthMaps]:
        """See ``fourd.depth.Backend``. The camera's travel is not looked at; the unit is the scene's typical depth."""
        check(clip, cameras, motion)
        rig = Rig.of(cameras, working_hw(clip.hw))
        world, trust = StillWorld(rig), StillWorld(rig)
        chosen = keys(len(clip))
        total = len(chosen) + 2 * len(clip)
        for done, i in enumerate(chosen):
            picture = clip.frames[i].cpu().numpy()
            reading = self._reader.look(picture)
            still = ~moving_mask(motion, i, rig.hw, 0.3)
            world.add(i, sharpened(reading, shrink(picture, rig.hw)), still)
            trust.keep(i, np.asarray(cv2.resize(confidence(reading), rig.hw[::-1]), np.float32), still)
            yield Progress(STAGE, done + 1, total)

        things, before = movers.Things(motion, rig), None
        for i in range(len(clip)):
            moving = moving_mask(motion, i, rig.hw)
            shape = None
            if moving.any():
                picture = clip.frames[i].cpu().numpy()
                # Told what it said of the frame before, the network changes its mind less.
                reading = self._reader.look(picture, None if before is None else carried(before.rho, motion, i))
                shape = sharpened(reading, shrink(picture, rig.hw))
                before = reading
            else:
                before = None
            things.look(i, world.seen_from(i), shape)
            yield Progress(STAGE, len(chosen) + i + 1, total)
        regions = things.placed()
        depth_m, sure = torch.empty((len(clip), *clip.hw)), torch.empty((len(clip), *clip.hw))
        for i in range(len(clip)):
            picture = clip.frames[i].cpu().numpy()
            rho = fill.enlarge(world.seen_from(i), shrink(picture, rig.hw), picture)
            rho, laid = movers.paint(rho, moving_mask(motion, i, clip.hw), regions[i])
            known = np.asarray(cv2.resize(trust.seen_from(i), clip.hw[::-1]), np.float32)
            known[laid] = movers.CONFIDENCE
            depth_m[i], sure[i] = torch.from_numpy(1 / rho), torch.from_numpy(known)
            yield Progress(STAGE, len(chosen) + len(clip) + i + 1, total)
        return DepthMaps(depth_m=depth_m, confidence=sure, K=cameras.K)


def confidence(reading: Reading) -> Float32[Array, "h w"]:
    """How often such a guess lies within a tenth of the truth, if its errors follow a Laplace distribution."""
    return np.minimum(1 - np.exp(-0.1 / np.maximum(reading.error, 1e-3)), MOST).astype(np.float32)


def sharpened(reading: Reading, small: Array) -> Float32[Array, "h w"]:
    """A guess at the size of ``small``, its soft steps moved to the picture's edges.

    Where inverse depth changes much, the network does not know to which side a pixel belongs; there it is completed
    from either side along the picture's edges.
    """
    rho = fill.enlarge(reading.rho, reading.small, small)
    slope = cv2.morphologyEx(np.log(rho), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    flat = np.exp(-((slope / _STEEP) ** 2)).astype(np.float32)
    whole, _ = fill.complete(rho, flat, np.ones_like(rho), small)
    return whole


_STEEP = 0.08
"""Change of log inverse depth over three pixels that is too steep for a surface."""


def available() -> bool:
    """Whether the weights are there."""
    return weights.SHIPPED.is_file()


def load() -> Embedded:
    """The backend ``"embedded"``."""
    return Embedded()
