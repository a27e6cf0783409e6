"""Things that move, found whole: what flow and colour notice of a thing is grown to its outlines.

A leg that stands while the body walks on looks like the still world. But it was seen to move before, or will be; it has
the colours of what moves, and not of the ground beside it; and whoever reads single pictures may know that it could
walk away. None of these makes a thing of what nobody noticed: only what hangs together with something that was noticed
in the frame, or just before or after, is taken.

    odds by flow and by colour ─> seeds ─┬─> carried along the flow, both ways ──┐
                                  ^      ├─> colours of things, and beside them ─┼─> odds ─> outlines
          what could move ────────┼──────┴───────────────────────────────────────┘              │
                                  └──────────── colours again ──────────────────────────────────┘
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float32, Int16, UInt8
from numpy import ndarray as Array

from fourd.depth import hues
from fourd.depth.backdrop import Told
from fourd.depth.common import MOVING, UNHEARD, edges, flow_at, lab, lengths, moving_at, shrink, visible_at
from fourd.geometry.regions import whole
from fourd.native import sweep
from fourd.types import Motion

_UNKNOWN = -0.4
"""Log-odds of moving where flow was not heard: no evidence that a pixel stands."""
_REACH, _COLOUR = 100.0, 4.0
"""How far log-odds are spread over the picture, and the difference in colour (Lab) that stops them."""
_FLOW, _RESTS = (-1.5, 3.0), -1.0
"""Log-odds of flow beside a thing that moves, and the least of colour: limbs rest, and flow ends beside outlines."""
_CARRIED = 4.0
"""Log-odds of what surely belonged to a thing just before or after."""
_HALF_S = 0.7
"""Seconds after which this is half forgotten."""
_LOST, _FOUND = 0.5, 0.95
"""What is left of it where the flow cannot be followed and leads to another colour, for there the thing only uncovered
what is behind it; and where it leads to the same colour."""
_ALIKE = 8.0
"""Difference in colour (Lab) up to which that is so."""
_FADES = 1.5
"""Log-odds of going on from frame to frame for what looks like a thing as much as like what is beside it; the colours
add twice theirs. So what slips from a thing to the ground fades within some frames."""
_NEWLY = 1.0
"""Log-odds against what was no part of a thing before, nor will be."""
_BELONGS = 0.5
"""What is carried as surely as this is noticed."""
_AROUND = 0.5
"""How far beside a thing its parts are looked for, in roots of the area that was noticed."""
_LIVES, _ALIVE = (-1.5, 3.0), 0.12
"""Log-odds that single pictures may add, and the probability of being able to move that says nothing."""
_MAYBE = 1.5
"""Log-odds by single pictures from which a pixel may be a part of a thing, and its colour is not one beside it."""
_LEAST = -2.5
"""Colours and single pictures take away no more than this: things may look like what is beside them."""
_SHADOW = 0.2
"""How much of the log-odds of being a shadow count against what flow notices: shadows move with their things."""
_WINDOW_S = 1.0
"""The colours of things are those of so many seconds before and after."""
_ROUNDS = 2
"""How often colours are learnt, the first time from what was noticed."""


def flow_odds(motion: Motion, i: int, hw: tuple[int, int]) -> Float32[Array, "h w"]:
    """Log-odds of moving in frame ``i``, from the probability that flow gives."""
    p = np.clip(moving_at(motion, i, hw), 0.02, 0.98)
    return np.where((p > UNHEARD[0]) & (p < UNHEARD[1]), np.float32(_UNKNOWN), np.log(p / (1 - p))).astype(np.float32)


def covered(mask: Bool[Array, "h2 w2"], hw: tuple[int, int]) -> Bool[Array, "h w"]:
    """Pixels of a smaller map that a mask covers by half."""
    return cv2.resize(mask.astype(np.float32), (hw[1], hw[0]), interpolation=cv2.INTER_AREA) >= 0.5


class Outlines:
    """Gathers what is known of a clip's pixels, frame by frame, and finds the things that move."""

    def __init__(
        self,
        picture: Callable[[int], UInt8[Array, "h2 w2 3"]],
        motion: Motion,
        hw: tuple[int, int],
        frame_s: float,
    ) -> None:
        """Get ready.

        Args:
            picture: Gives a frame at full size.
            motion: Flow, at any size.
            hw: The working size.
            frame_s: Seconds from frame to frame.
        """
        self._picture, self._motion, self._hw = picture, motion, hw
        self._keep = 0.5 ** (frame_s / _HALF_S)
        self._window = max(1, round(_WINDOW_S / frame_s))
        self._flow: list[Float32[Array, "h w"]] = []
        self._colour: list[Float32[Array, "h w"]] = []
        self._stands: list[Float32[Array, "h w"]] = []
        self._lives: list[Float32[Array, "h w"]] = []
        self._index: list[Int16[Array, "h w"]] = []
        self._seeds: list[Bool[Array, "h w"]] = []

    def add(
        self, flow: Float32[Array, "h w"], colour: Told | None = None, alive: Float32[Array, "h3 w3"] | None = None
    ) -> None:
        """Note what is known of the next frame.

        Args:
            flow: Log-odds of moving by flow.
            colour: How the picture differs from the still world; None if nobody can say.
            alive: See ``told``.
        """
        colour = colour or Told.nothing(self._hw)
        small = shrink(self._picture(len(self._flow)), self._hw)
        self._index.append(hues.index(lab(small)))
        self._seeds.append(
            whole(_probability(_spread(flow + colour.moves - _SHADOW * (colour.shaded - colour.stands), small)))
            > MOVING
        )
        self._flow.append(flow)
        self._colour.append(colour.moves)
        self._stands.append(colour.stands)
        self._lives.append(np.zeros_like(flow))
        self.told(len(self._lives) - 1, alive)

    def told(self, i: int, alive: Float32[Array, "h3 w3"] | None) -> None:
        """Note what in frame ``i`` could walk or drive away, as a probability at any size; None if nobody says."""
        if alive is not None:
            self._lives[i] = _lives(alive, self._hw)

    def noticed(self, i: int) -> bool:
        """Whether anything was noticed to move in frame ``i``."""
        return bool(self._seeds[i].any())

    def masks(self) -> Iterator[Bool[Array, "h2 w2"]]:
        """The things of each frame, whole and at full size."""
        found, odds = self._seeds, self._flow
        if not any(map(self.noticed, range(len(self._seeds)))):
            yield from (np.zeros(self._picture(i).shape[:2], bool) for i in range(len(self._seeds)))
            return
        for n in range(_ROUNDS):
            unsure = [lives > _MAYBE for lives in self._lives]
            told = hues.likelier(self._index, found, unsure, self._window, _AROUND)
            carried = self._carried(told)
            odds = [self._odds(i, told(i), c) for i, c in enumerate(carried)]
            known = [s | (c > _BELONGS) for s, c in zip(self._seeds, carried, strict=True)]
            if n < _ROUNDS - 1:
                found = [self._outline(shrink(self._picture(i), self._hw), odds[i], k) for i, k in enumerate(known)]
            else:
                found = known
        for i, known in enumerate(found):
            yield self._outline(self._picture(i), odds[i], known)

    def _carried(self, told: Callable[[int], Float32[Array, "h w"]]) -> list[Float32[Array, "h w"]]:
        """How surely each pixel belonged to a thing that was noticed in a frame before or after, 0 to 1."""
        t = len(self._seeds)
        most = [np.zeros(self._hw, np.float32) for _ in range(t)]
        y, x = np.mgrid[: self._hw[0], : self._hw[1]].astype(np.float32)
        block = np.ones((3, 3), np.uint8)
        for order, way in ((range(t), -1), (range(t - 1, -1, -1), 1)):
            before, colours = None, None
            for i in order:
                last, colours = colours, lab(shrink(self._picture(i), self._hw))
                # Not the rim, which may already be the ground.
                here = cv2.erode(self._seeds[i].astype(np.float32), block)
                if before is not None and last is not None and before.any():
                    flow, seen = flow_at(self._motion, i, way, self._hw), visible_at(self._motion, i, way, self._hw)
                    at = x + flow[..., 0], y + flow[..., 1]
                    there = cv2.remap(before, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
                    kept = np.where(seen, 1, _LOST + (_FOUND - _LOST) * _alike(colours, last, at))
                    there = there * self._keep * kept * _probability(2 * told(i) + _FADES)
                    most[i] = np.maximum(most[i], there.astype(np.float32))
                    here = np.maximum(here, there.astype(np.float32))
                before = np.where(here > 0.01, here, np.float32(0))
        return most

    def _odds(self, i: int, hue: Float32[Array, "h w"], carried: Float32[Array, "h w"]) -> Float32[Array, "h w"]:
        """Log-odds of belonging to a thing."""
        seed, plain = self._seeds[i], self._flow[i] + self._colour[i]
        if not seed.any() and not (carried > _BELONGS).any():
            return plain
        odds = np.clip(self._flow[i], *_FLOW) + np.maximum(self._colour[i], _RESTS) + _CARRIED * carried
        near = carried
        if seed.any():
            away = cv2.distanceTransform((~seed).astype(np.uint8), cv2.DIST_L2, 3)
            near = np.maximum(near, np.clip(2 - away / (_AROUND * np.sqrt(seed.sum())), 0, 1))
        odds = odds + np.maximum(near * hue + self._lives[i], _LEAST) - _NEWLY * (1 - np.maximum(carried, seed))
        odds = odds - self._stands[i]
        return np.where(near > 0, odds, np.minimum(odds, plain)).astype(np.float32)

    def _outline(
        self, picture: UInt8[Array, "h2 w2 3"], odds: Float32[Array, "h w"], known: Bool[Array, "h w"]
    ) -> Bool[Array, "h2 w2"]:
        """Likely pixels that hang together with ``known`` ones, at the size of the picture."""
        hw = picture.shape[:2]
        if not known.any():
            return np.zeros(hw, bool)
        odds, known = (_resized(x.astype(np.float32), hw) for x in (odds, known))
        likely = (whole(_probability(_spread(odds, picture))) > MOVING).astype(np.uint8)
        count, found = cv2.connectedComponents(likely, connectivity=8)
        label = np.asarray(found, np.int64)
        kept = np.bincount(label[known > 0.5], minlength=count) > 0
        kept[0] = False
        return kept[label]


def _lives(alive: Float32[Array, "h w"], hw: tuple[int, int]) -> Float32[Array, "h2 w2"]:
    """Log-odds of belonging to a thing, of the probability that this could move."""
    p = np.clip(_resized(alive, hw), 0.01, 0.99)
    return np.clip(np.log(p / (1 - p)) - np.log(_ALIVE / (1 - _ALIVE)), *_LIVES).astype(np.float32)


def _resized(values: Float32[Array, "h w"], hw: tuple[int, ...]) -> Float32[Array, "h2 w2"]:
    return values if values.shape == hw else np.asarray(cv2.resize(values, hw[::-1], interpolation=cv2.INTER_LINEAR))


def _spread(odds: Float32[Array, "h w"], picture: UInt8[Array, "h w 3"]) -> Float32[Array, "h w"]:
    """Log-odds, smoothed within what is of one colour."""
    across, down = (torch.from_numpy(e) for e in edges(lab(picture), _COLOUR))
    return sweep.smooth_along_edges(torch.from_numpy(odds[None]), across, down, _REACH)[0].numpy()


def _probability(odds: Float32[Array, "h w"]) -> Float32[Array, "h w"]:
    return (1 / (1 + np.exp(-odds))).astype(np.float32)


def _alike(here: Float32[Array, "h w 3"], there: Float32[Array, "h w 3"], at: tuple[Array, Array]) -> Array:
    """Whether places of another frame have the colours (Lab) of the pixels of this one, 0 to 1."""
    apart = lengths(cv2.remap(there, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) - here)
    return np.exp(-((cv2.blur(apart, (3, 3)) / _ALIKE) ** 2)).astype(np.float32)
