"""What a model says of one picture, and what every model that reads single pictures has to offer.

    prior:     nothing is read; a plain surface stands in        (prior.py)
    embedded:  the small network that comes with the package     (embedded/)
    published: networks from a hub or a folder                   (hub/, moge.py)

Whoever reads stands behind parallax (``guess``), and in its place where the camera does not travel (``single``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
from jaxtyping import Float32, UInt8
from numpy import ndarray as Array

from fourd.depth import fill

MOST = 0.45
"""Confidence of a guess at most: it was not measured."""
_STEEP = 0.08
"""Change of log inverse depth over three pixels that is too steep for a surface."""


@dataclass(frozen=True, eq=False)
class Reading:
    """What a model says of one picture, at a size of its own choice."""

    rho: Float32[Array, "h w"]
    """Inverse depth, above 0: in 1/m if ``metric``, else up to a factor, and its geometric mean is 1."""
    error: Float32[Array, "h w"]
    """Expected relative error of ``rho``."""
    small: UInt8[Array, "h w 3"]
    """The picture at that size."""
    alive: Float32[Array, "h w"] | None = None
    """Probability that this could walk or drive away; None if the model does not say."""
    metric: bool = False
    """Whether ``rho`` is in 1/m."""


@runtime_checkable
class Reader(Protocol):
    """A model that reads single pictures."""

    name: str
    """How messages call it."""
    overrules: bool
    """Whether it sees so well that single measurements which contradict it are to be doubted."""

    def look(self, picture: UInt8[Array, "h w 3"], before: Float32[Array, "h2 w2"] | None = None) -> Reading:
        """Guess the depth of a picture.

        Args:
            picture: sRGB, of any size.
            before: What was read of the frame before, carried over to this one; for models that listen to it.
        """
        ...


def confidence(reading: Reading) -> Float32[Array, "h w"]:
    """How often such a guess lies within a tenth of the truth, if its errors follow a Laplace distribution."""
    return np.minimum(1 - np.exp(-0.1 / np.maximum(reading.error, 1e-3)), MOST).astype(np.float32)


def fitted(reading: Reading, small: UInt8[Array, "h w 3"]) -> Float32[Array, "h w"]:
    """A reading at the size of ``small``, its soft steps moved to the picture's edges.

    A model that sees less than ``small`` shows does not know, where inverse depth changes much, to which side a pixel
    belongs; there it is completed from either side along the picture's edges. One that sees as much is only averaged.
    """
    h, w = small.shape[:2]
    if reading.rho.shape[0] >= h and reading.rho.shape[1] >= w:
        return np.asarray(cv2.resize(reading.rho, (w, h), interpolation=cv2.INTER_AREA), np.float32)
    rho = fill.enlarge(reading.rho, reading.small, small)
    slope = cv2.morphologyEx(np.log(rho), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    flat = np.exp(-((slope / _STEEP) ** 2)).astype(np.float32)
    whole, _ = fill.complete(rho, flat, np.ones_like(rho), small)
    return whole
