"""A published model as a reader of single pictures."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, UInt8
from numpy import ndarray as Array
from torch import Tensor

from fourd.depth.hub.meaning import Meaning
from fourd.depth.reading import Reading
from fourd.errors import InputError

_ERROR = 0.1
"""Expected relative error: published models do not say theirs, and are judged at 0.05 to 0.1 on pictures of others."""
_FARTHEST = 50.0
"""Inverse depth up to scale and shift may be 0 or below; so many times as far as the near parts is far enough."""
_NEAREST_M, _FARTHEST_M = 0.01, 1000.0
_NARROWEST, _FEWEST = 4, 32
"""Longer side over shorter, and pixels of a side, that models can be shown."""

Shown = Callable[[UInt8[Array, "h w 3"]], Float[Tensor, "1 3 h2 w2"]]


class Reader:
    """A model of transformers: a ``fourd.depth.reading.Reader``. What was read before does not move it."""

    overrules = True

    def __init__(
        self, name: str, model: Any, shown: Shown, meaning: Meaning, border: Callable[[int], int] | None = None
    ) -> None:
        """Take a model that is loaded.

        Args:
            name: How messages call it.
            model: The network, where it is to work.
            shown: Makes of a picture what the network wants to see.
            meaning: What its numbers mean.
            border: Pixels that ``shown`` adds at either end of a side of so many pixels; None for none.
        """
        self.name = name
        self._model, self._shown, self._border = model, shown, border
        self._meaning: Meaning = meaning

    def look(self, picture: UInt8[Array, "h w 3"], before: Float32[Array, "h2 w2"] | None = None) -> Reading:
        """See ``fourd.depth.reading.Reader``.

        Raises:
            InputError: If the model gives something else than a map of numbers.
        """
        sturdy = _sturdy(picture)
        with torch.inference_mode():
            said = self._model(pixel_values=self._shown(sturdy).to(self._model.device))
        told = getattr(said, "predicted_depth", None)
        if told is None or told.ndim != 3 or min(told.shape) < 1:
            raise InputError(f"'{self.name}' gives no map of depth ({type(said).__name__}); use another model.")
        values = self._without_border(told[0].float().cpu().numpy(), (sturdy.shape[0], sturdy.shape[1]))
        check_numbers(self.name, np.isfinite(values), picture)
        field = getattr(said, "field_of_view", None)
        rho, metric = _inverse(values, self._meaning, None if field is None else float(field.reshape(-1)[0]))
        return reading(rho, picture, metric)

    def _without_border(self, values: Float32[Array, "h w"], hw: tuple[int, int]) -> Float32[Array, "h2 w2"]:
        """What belongs to the picture itself."""
        if self._border is None:
            return values
        for axis, length in enumerate(hw):
            more = self._border(length)
            cut = round(values.shape[axis] * more / (length + 2 * more))
            values = np.take(values, np.arange(cut, max(values.shape[axis] - cut, cut + 1)), axis)
        return np.ascontiguousarray(values)


def _sturdy(picture: UInt8[Array, "h w 3"]) -> UInt8[Array, "h2 w2 3"]:
    """The picture, stretched if it is so small or narrow that models would see nothing of it."""
    h, w = picture.shape[:2]
    larger = max(h, math.ceil(w / _NARROWEST), _FEWEST), max(w, math.ceil(h / _NARROWEST), _FEWEST)
    if larger == (h, w):
        return picture
    return np.asarray(cv2.resize(picture, larger[::-1], interpolation=cv2.INTER_LINEAR), np.uint8)


def check_numbers(name: str, good: Bool[Array, "h w"], picture: UInt8[Array, "h2 w2 3"]) -> None:
    """Refuse a map that holds what is no number.

    Raises:
        InputError: Then.
    """
    if not good.all():
        raise InputError(
            f"'{name}' gives {int((~good).sum())} of {good.size} depths that are no numbers for a picture of"
            f" {picture.shape[0]}x{picture.shape[1]}. Its weights are broken; load it anew or use another model."
        )


def _inverse(values: Float32[Array, "h w"], meaning: Meaning, fov_deg: float | None) -> tuple[Array, bool]:
    """Inverse depth, and whether it is in 1/m."""
    if meaning == "depth":
        return from_metres(values), True
    if meaning == "canonical" and fov_deg is not None and 0 < fov_deg < 180:
        # The picture's width over the focal length.
        span = 2 * math.tan(math.radians(fov_deg) / 2)
        return np.clip(values * span, 1 / _FARTHEST_M, 1 / _NEAREST_M).astype(np.float32), True
    near = float(np.quantile(values, 0.98))
    if near <= 0:
        return np.ones_like(values), False  # It sees nothing at all: black pictures do that.
    return np.maximum(values, near / _FARTHEST), False


def from_metres(values: Float32[Array, "h w"]) -> Float32[Array, "h w"]:
    """Inverse depth in 1/m, within what a camera can see sharply."""
    return (1 / np.clip(values, _NEAREST_M, _FARTHEST_M)).astype(np.float32)


def reading(rho: Float32[Array, "h w"], picture: UInt8[Array, "h2 w2 3"], metric: bool) -> Reading:
    """A map as a reading, at the smaller of its own size and that of the picture."""
    h, w = (min(a, b) for a, b in zip(rho.shape, picture.shape[:2], strict=True))
    both = (x if x.shape[:2] == (h, w) else cv2.resize(x, (w, h), interpolation=cv2.INTER_AREA) for x in (rho, picture))
    rho, small = both
    rho, small = np.asarray(rho, np.float32), np.ascontiguousarray(small, np.uint8)
    if not metric:
        rho = (rho / np.exp(np.log(rho).mean())).astype(np.float32)
    return Reading(rho, np.full_like(rho, _ERROR), small, metric=metric)
