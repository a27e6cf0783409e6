"""Where one shot fades into the next: pictures that are mixed of two others, neither of which becomes the other.

While a dissolve lasts, each picture is a share of the last one before it and a share of the first one after it, and the
shares fall and rise steadily. A camera that moves slowly makes such pictures too, for what it films changes little by
little; but there the last picture can be drawn over the first along the optical flow of all between, and after a
dissolve it cannot.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, Float64, UInt8

_LENGTHS_S = (1 / 3, 1 / 2, 3 / 4, 1.0, 1.5)
"""How long dissolves are looked for, about."""
_FEWEST = 6
"""Frames of the shortest dissolve."""
_FINE, _COARSE = 2.0, 12.0
"""What is compared lies between these blurs, in pixels of pictures 128 long: finer things move too far meanwhile."""
_SHRINK = 3
_INNER = (0.25, 0.375, 0.5, 0.625, 0.75)
"""Where between its ends a dissolve is looked at."""
_RELATED = 0.5
"""Correlation of the ends from which they are not looked at any further."""
_MIXED = 0.45
"""Share of the variance inside that a mixture of the ends must explain."""
_WAVERS = 0.1
"""How much the shares may change in the wrong direction."""
_UNLIKE = 0.4
"""Correlation below which the ends are of two places. On 23 continuous clips 0.51 was the least of what else looks like
a dissolve, and mostly it is above 0.6; between the ends of dissolves that were made of them 0.03 to 0.5."""
_PURE = 0.08
"""Share of the other picture that is not noticed."""


@dataclass(frozen=True)
class _Found:
    first: int
    last: int
    explained: float


def fades(
    pictures: Float32[np.ndarray, "t h w"], frame_s: float, likeness: Callable[[int, int], float]
) -> list[tuple[int, int]]:
    """The dissolves of a clip.

    Args:
        pictures: What ``band`` makes of each picture.
        frame_s: Seconds from frame to frame.
        likeness: How well a later picture can be drawn over an earlier one, by their frames: the correlation.

    Returns:
        For each the first frame that is mixed, and the first that no longer is.
    """
    found: list[_Found] = []
    for length in sorted({max(_FEWEST, round(s / frame_s)) for s in _LENGTHS_S}):
        for first in range(0, len(pictures) - length, max(1, length // 6)):
            explained = _explained(pictures[first : first + length + 1])
            if explained >= _MIXED and likeness(first, first + length) < _UNLIKE:
                found.append(_Found(first, first + length, explained))
    spans = [_span(pictures, group) for group in _apart(found)]
    return [span for span in spans if span is not None]


def band(picture: UInt8[np.ndarray, "h w"]) -> Float32[np.ndarray, "h2 w2"]:
    """The middle frequencies of a picture, small."""
    grey = picture.astype(np.float32)
    middle = cv2.GaussianBlur(grey, (0, 0), _FINE) - cv2.GaussianBlur(grey, (0, 0), _COARSE)
    return np.asarray(middle[::_SHRINK, ::_SHRINK], np.float32)


def _explained(pictures: Float32[np.ndarray, "t h w"]) -> float:
    """The least share of their variance that a mixture of the ends explains in pictures inside, if it is steady."""
    inner = [round(share * (len(pictures) - 1)) for share in _INNER]
    a, b = pictures[0].ravel(), pictures[-1].ravel()
    if not a.any() or not b.any() or float(a @ b) > _RELATED * float(np.sqrt((a @ a) * (b @ b))):
        return 0.0
    shares, explained = _mixture(pictures[inner], pictures[0], pictures[-1])
    falls, rises = np.diff(shares, axis=0).T
    return float(explained.min()) if falls.max() < _WAVERS and rises.min() > -_WAVERS else 0.0


def _mixture(
    pictures: Float32[np.ndarray, "t h w"], a: Float32[np.ndarray, "h w"], b: Float32[np.ndarray, "h w"]
) -> tuple[Float64[np.ndarray, "t 2"], Float64[np.ndarray, " t"]]:
    """The shares of two pictures in each of some others (least squares), and how much of its variance they explain."""
    ends = np.stack([a.ravel(), b.ravel()], 1).astype(np.float64)
    y = pictures.reshape(len(pictures), -1).astype(np.float64)
    gram = ends.T @ ends
    shares = np.linalg.solve(gram + 1e-6 * np.trace(gram) * np.eye(2), ends.T @ y.T).T
    left = ((y - shares @ ends.T) ** 2).sum(1)
    return shares, 1 - left / np.maximum((y**2).sum(1), 1e-9)


def _apart(found: list[_Found]) -> list[list[_Found]]:
    """Those that overlap are of one dissolve."""
    groups: list[list[_Found]] = []
    end = -1
    for one in sorted(found, key=lambda one: one.first):
        if one.first < end:
            groups[-1].append(one)
        else:
            groups.append([one])
        end = max(end, one.last)
    return groups


def _span(pictures: Float32[np.ndarray, "t h w"], group: list[_Found]) -> tuple[int, int] | None:
    """The frames that are mixed, by their shares in the longest stretch that looks like the dissolve."""
    longest = max(group, key=lambda one: (one.last - one.first, one.explained))
    shares, _ = _mixture(pictures[longest.first : longest.last + 1], pictures[longest.first], pictures[longest.last])
    before, after = np.maximum(shares, 0).T
    share = after / np.maximum(before + after, 1e-9)
    mixed = np.flatnonzero((share > _PURE) & (share < 1 - _PURE))
    return (longest.first + int(mixed[0]), longest.first + int(mixed[-1]) + 1) if len(mixed) else None
