"""Depth as a model guesses it from single pictures: for cameras that stand still or only turn.

    frames ─> Reader ─> a few guesses ─> StillWorld ─> one map of the still world, seen from every frame
                 └────> every guess ──────────────────> the shapes of what moves, laid over it

Who reads is exchangeable (``reading``).
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from jaxtyping import Float32
from numpy import ndarray as Array

from fourd.depth import fill, movers
from fourd.depth.common import STAGE, Rig, carried, check, moving_mask, shrink, working_hw
from fourd.depth.reading import Reader, Reading, confidence, fitted
from fourd.depth.still import StillWorld, keys
from fourd.events import Progress, Steps
from fourd.types import Cameras, Clip, DepthMaps, Motion


class SinglePictures:
    """The backend: one reader, and nothing that is measured."""

    def __init__(self, reader: Reader) -> None:
        """Take the model that reads."""
        self._reader = reader

    def __call__(self, clip: Clip, cameras: Cameras, motion: Motion) -> Steps[DepthMaps]:
        """See ``fourd.depth.Backend``.

        The camera's travel is not looked at. The unit is the metre where the reader says so, else the scene's typical
        depth.
        """
        check(clip, cameras, motion)
        rig = Rig.of(cameras, working_hw(clip.hw))
        world, trust = StillWorld(rig), StillWorld(rig)
        chosen = keys(len(clip))
        total = len(chosen) + 2 * len(clip)
        metres: list[float] = []
        for done, i in enumerate(chosen):
            picture = clip.frames[i].cpu().numpy()
            reading = self._reader.look(picture)
            still = ~moving_mask(motion, i, rig.hw, 0.3)
            said = fitted(reading, shrink(picture, rig.hw))
            kept = world.add(i, said, still)
            if reading.metric:
                metres.append(float(np.median(kept / said)))
            trust.keep(i, _resized(confidence(reading), rig.hw), still)
            yield Progress(STAGE, done + 1, total)
        # One frame lent the world its scale; where frames speak of metres, all are asked.
        unit_m = float(np.median(metres)) if len(metres) == len(chosen) else None

        things = movers.Things(motion, rig)
        before: Reading | None = None
        for i in range(len(clip)):
            shape = None
            if moving_mask(motion, i, rig.hw).any():
                picture = clip.frames[i].cpu().numpy()
                # Told what it said of the frame before, a model changes its mind less.
                before = self._reader.look(picture, None if before is None else carried(before.rho, motion, i))
                shape = fitted(before, shrink(picture, rig.hw))
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
            known = _resized(trust.seen_from(i), clip.hw)
            known[laid] = movers.CONFIDENCE
            depth_m[i], sure[i] = torch.from_numpy((unit_m or 1.0) / rho), torch.from_numpy(known)
            yield Progress(STAGE, len(chosen) + len(clip) + i + 1, total)
        return DepthMaps(depth_m=depth_m, confidence=sure, K=cameras.K, metric=unit_m is not None)


def _resized(values: Float32[Array, "h w"], hw: tuple[int, int]) -> Float32[Array, "h2 w2"]:
    return np.asarray(cv2.resize(values, hw[::-1]), np.float32)
