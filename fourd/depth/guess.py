"""What is believed where parallax tells nothing.

What a reader of single pictures says of the frame, brought to the scale and shift of what parallax says of the same
frame; or, where there is no reader, the plain prior.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32, UInt8
from numpy import ndarray as Array

from fourd.depth import align, prior
from fourd.depth.common import Rig, shrink
from fourd.depth.reading import Reader, fitted

_ENOUGH = 200
"""Measured pixels that a frame needs to be aligned by itself."""
_SURE = 0.5
_NEVER = 0.3
"""A guess is cut off at this share of the least, and its inverse at the most, inverse depth that was measured."""
_UNUSUAL, _USUAL = 5.0, 0.01
"""What differs from the reading by so many times the usual (relative, at least the latter) is half believed."""


class Guess:
    """Inverse depth behind what parallax tells, frame by frame, in its unit."""

    def __init__(
        self,
        rig: Rig,
        rho: dict[int, Float32[Array, "h w"]],
        sure: dict[int, Float32[Array, "h w"]],
        reader: Reader | None,
    ) -> None:
        """Note what was measured.

        Args:
            rig: Cameras at the working size.
            rho: Inverse depths of all frames.
            sure: How sure each is; above 0.5 it is believed. A reader that overrules makes it less sure.
            reader: Who guesses; None for the prior.
        """
        self._rig, self._rho, self._sure, self._reader = rig, rho, sure, reader
        ratio = [(rho[i] / prior.surface(rig, i))[sure[i] > _SURE] for i in rho]
        every = np.concatenate(ratio)
        self._scale = float(np.median(every)) if len(every) else 1.0
        self._metres: list[float] = []
        self.seen: Float32[Array, "h w"] | None = None
        """What the reader itself saw in the frame that was asked for last, if it overrules: the shape of things is
        nothing to ask others about, whose blur is worse than to take things for round."""

        self.alive: Float32[Array, "h2 w2"] | None = None
        """What the reader said of the same frame could walk or drive away; None if it does not say."""

    @property
    def unit_m(self) -> float | None:
        """How many metres parallax's unit is, by the frames asked for so far; None if nobody speaks of metres."""
        return float(np.median(self._metres)) if self._metres else None

    def of(self, i: int, picture: UInt8[Array, "h2 w2 3"]) -> Float32[Array, "h w"]:
        """What is believed of frame ``i``."""
        ramp = (prior.surface(self._rig, i) * self._scale).astype(np.float32)
        told = self._sure[i] > _SURE
        if self._reader is None:
            return ramp
        reading = self._reader.look(picture)
        self.alive = reading.alive
        seen = fitted(reading, shrink(picture, self._rig.hw))
        self.seen = seen if self._reader.overrules else None
        if told.sum() < _ENOUGH:
            return ramp
        measured = self._rho[i][told]
        if reading.metric:
            # A depth is the unit over what was measured, and a metre over what was read.
            self._metres.append(float(np.median(measured / seen[told])))
        scale, shift = align.scale_and_shift(seen[told], measured, self._sure[i][told])
        low, high = np.quantile(measured, [0.02, 0.98])
        believed = np.clip(scale * seen + shift, _NEVER * low, high / _NEVER).astype(np.float32)
        if self._reader.overrules:
            self._doubt(i, believed, told)
            return believed
        return _weighed(believed, ramp, measured, told)

    def _doubt(self, i: int, believed: Float32[Array, "h w"], told: Bool[Array, "h w"]) -> None:
        """Be less sure of measurements of frame ``i`` that differ much more from the reading than others do."""
        away = np.abs(np.log(np.maximum(self._rho[i], 1e-6) / believed))
        usual = max(float(np.median(away[told])), _USUAL)
        less = 1 / (1 + (away / (_UNUSUAL * usual)) ** 2)
        self._sure[i] = np.where(told, self._sure[i] * less, self._sure[i]).astype(np.float32)


def _weighed(
    one: Float32[Array, "h w"], other: Float32[Array, "h w"], measured: Float32[Array, " n"], told: Bool[Array, "h w"]
) -> Float32[Array, "h w"]:
    """Two beliefs, each as much as it is right where something was measured: weights of 1 over the squared error."""
    wrong = [float(np.median(np.abs(np.log(np.maximum(measured, 1e-6) / x[told])))) for x in (one, other)]
    share = wrong[1] ** 2 / max(wrong[0] ** 2 + wrong[1] ** 2, 1e-12)
    return np.exp(share * np.log(one) + (1 - share) * np.log(other)).astype(np.float32)
