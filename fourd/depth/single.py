"""Depth as a model guesses it from single pictures: for cameras that stand still or only turn.

    frames ─> Reader ─> a few guesses ─> StillWorld ─> one map of the still world, seen from every frame
                 └────> every guess ──────────────────> the shapes of what moves, laid over it

Who reads is exchangeable (``reading``).
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float32, UInt8
from numpy import ndarray as Array

from fourd.depth import fill, movers
from fourd.depth.backdrop import Backdrop, Told
from fourd.depth.common import STAGE, UNHEARD, Rig, carried, check, moving_mask, shrink, working_hw
from fourd.depth.outlines import Outlines, covered, flow_odds
from fourd.depth.reading import Reader, Reading, confidence, fitted
from fourd.depth.still import StillWorld, keys
from fourd.events import Progress, Steps
from fourd.types import Cameras, Clip, DepthMaps, Motion

_TRAVEL_PX = 2.0
"""A camera that goes so far, in pixels that something at the typical depth moves by, still stands."""


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

        moving, shape = yield from self._moving(clip, rig, motion, world, len(chosen), total)
        things = movers.Things(motion, rig, [covered(mask, rig.hw) for mask in moving])
        for i in range(len(clip)):
            things.look(i, world.seen_from(i), shape.get(i))
        regions = things.placed()
        depth_m, sure = torch.empty((len(clip), *clip.hw)), torch.empty((len(clip), *clip.hw))
        for i in range(len(clip)):
            picture = clip.frames[i].cpu().numpy()
            rho = fill.enlarge(world.seen_from(i), shrink(picture, rig.hw), picture)
            rho, laid = movers.paint(rho, moving[i], regions[i])
            known = _resized(trust.seen_from(i), clip.hw)
            known[laid], moving[i] = movers.CONFIDENCE, laid
            depth_m[i], sure[i] = torch.from_numpy((unit_m or 1.0) / rho), torch.from_numpy(known)
            yield Progress(STAGE, len(chosen) + len(clip) + i + 1, total)
        return DepthMaps(depth_m, sure, cameras.K, unit_m is not None, torch.from_numpy(np.stack(moving)))

    def _moving(
        self, clip: Clip, rig: Rig, motion: Motion, world: StillWorld, done: int, total: int
    ) -> Steps[tuple[list[Bool[Array, "h w"]], dict[int, Float32[Array, "h2 w2"]]]]:
        """What moves in each frame, at full size; and the shapes of frames in which something was noticed to."""

        def picture(i: int) -> UInt8[Array, "h w 3"]:
            return clip.frames[i].numpy(force=True)

        outlines = Outlines(picture, motion, rig.hw, clip.frame_s)
        # The cameras' unit is the scene's typical depth.
        still = [world.seen_from(i) for i in range(len(clip))]
        middle = float(np.median(still[0]))
        still = [(rho / middle).astype(np.float32) for rho in still]
        backdrop = None
        if _stands(rig):
            backdrop = Backdrop(
                rig, picture, still, [moving_mask(motion, i, rig.hw, UNHEARD[1]) for i in range(len(clip))]
            )
        shape: dict[int, Float32[Array, "h2 w2"]] = {}
        before: Reading | None = None
        for i in range(len(clip)):
            # Before a camera that stands things rest for longer than anyone looks: that they look the same is no proof.
            colour = None if backdrop is None else Told.nothing(rig.hw)._replace(moves=backdrop.told(i).moves)
            outlines.add(flow_odds(motion, i, rig.hw), colour)
            if outlines.noticed(i):
                # Told what it said of the frame before, a model changes its mind less.
                before = self._reader.look(picture(i), None if before is None else carried(before.rho, motion, i))
                shape[i] = fitted(before, shrink(picture(i), rig.hw))
                outlines.told(i, before.alive)
            else:
                before = None
            yield Progress(STAGE, done + i + 1, total)
        return list(outlines.masks()), shape


def _stands(rig: Rig) -> bool:
    """Whether the camera's place changes so little that one still world looks the same from all."""
    away = rig.world_from_cam[:, :3, 3] - rig.world_from_cam[:, :3, 3].mean(0)
    return float(rig.K[:, 0, 0].max() * np.linalg.norm(away, axis=1).max()) < _TRAVEL_PX


def _resized(values: Float32[Array, "h w"], hw: tuple[int, int]) -> Float32[Array, "h2 w2"]:
    return np.asarray(cv2.resize(values, hw[::-1]), np.float32)
