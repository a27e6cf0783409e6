"""Fitting small windows of one picture to another, many at once.

The method is inverse compositional Lucas-Kanade for a shift and a change of brightness (Baker and
Matthews, "Lucas-Kanade 20 years on", 2004): what depends on the window alone is computed once, when
its track begins, so the picture in which it began need not be kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, UInt8

RADIUS_PX = 5
_SIDE = 2 * RADIUS_PX + 1
_ITERATIONS = 10
_STILL_PX = 0.005
"""Steps shorter than this end the iteration."""


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows as they were when their tracks began."""

    value: Float32[np.ndarray, "n s"]
    """Brightness, less its mean."""
    slope: Float32[np.ndarray, "n s 2"]
    inverse: Float32[np.ndarray, "n 2 2"]
    """Inverse of the summed products of ``slope``."""

    def pick(self, mask: Bool[np.ndarray, " n"]) -> Windows:
        """The windows in ``mask``."""
        return Windows(self.value[mask], self.slope[mask], self.inverse[mask])

    def __add__(self, other: Windows) -> Windows:
        """These windows, and then those."""
        pairs = ((getattr(self, k), getattr(other, k)) for k in ("value", "slope", "inverse"))
        return Windows(*(np.concatenate(pair) for pair in pairs))


NONE = Windows(
    np.zeros((0, _SIDE**2), np.float32), np.zeros((0, _SIDE**2, 2), np.float32), np.zeros((0, 2, 2), np.float32)
)


def _cut(picture: UInt8[np.ndarray, "h w"], xy: Float32[np.ndarray, "n 2"], radius: int) -> np.ndarray:
    """Windows [n, side, side] around places (first centre at 0, 0), bilinearly; the border repeats."""
    h, w = picture.shape
    corner = np.floor(xy).astype(np.int64)
    part = (xy - corner).astype(np.float32)[:, :, None, None]
    reach = np.arange(-radius, radius + 2)
    columns = np.clip(corner[:, 0, None] + reach, 0, w - 1)
    rows = np.clip(corner[:, 1, None] + reach, 0, h - 1)
    block = picture[rows[:, :, None], columns[:, None, :]].astype(np.float32)
    block = block[:, :, :-1] + part[:, 0] * (block[:, :, 1:] - block[:, :, :-1])
    return block[:, :-1] + part[:, 1] * (block[:, 1:] - block[:, :-1])


def remember(picture: UInt8[np.ndarray, "h w"], xy: Float32[np.ndarray, "n 2"]) -> Windows:
    """Take the windows around places; the centre of the first pixel is at (0, 0) here."""
    wide = _cut(picture, xy, RADIUS_PX + 1)
    value = wide[:, 1:-1, 1:-1].reshape(len(xy), _SIDE**2)
    value = value - value.mean(1, keepdims=True)
    across = (wide[:, 1:-1, 2:] - wide[:, 1:-1, :-2]) / 2
    down = (wide[:, 2:, 1:-1] - wide[:, :-2, 1:-1]) / 2
    slope = np.stack([across, down], -1).reshape(len(xy), _SIDE**2, 2)
    slope = slope - slope.mean(1, keepdims=True)  # Nothing is learned from what a change of brightness does.
    normal = slope.transpose(0, 2, 1) @ slope
    normal[:, [0, 1], [0, 1]] += 1e-3
    return Windows(value, slope, np.linalg.inv(normal).astype(np.float32))


def register(
    windows: Windows, picture: UInt8[np.ndarray, "h w"], xy: Float32[np.ndarray, "n 2"], farthest_px: float
) -> tuple[Float32[np.ndarray, "n 2"], Bool[np.ndarray, " n"]]:
    """Where windows fit best in a picture, starting near there.

    Args:
        windows: As ``remember`` took them.
        picture: Where to look.
        xy: Where to start; the centre of the first pixel is at (0, 0) here.
        farthest_px: How far from its start a fit may end and be believed.

    Returns:
        The places, and which of them to believe.
    """
    place = xy.copy()
    open_ = np.arange(len(xy))
    settled = np.zeros(len(xy), bool)
    for _ in range(_ITERATIONS):
        if not len(open_):
            break
        now = _cut(picture, place[open_], RADIUS_PX).reshape(len(open_), -1)
        error = now - now.mean(1, keepdims=True) - windows.value[open_]
        pull = (windows.slope[open_].transpose(0, 2, 1) @ error[..., None])[..., 0]
        step = (windows.inverse[open_] @ pull[..., None])[..., 0]
        place[open_] -= step
        near = np.abs(place[open_] - xy[open_]).max(1) < farthest_px
        short = np.abs(step).max(1) < _STILL_PX
        settled[open_[near & short]] = True
        open_ = open_[near & ~short]
    return place, settled
