"""Point tracks: sparse, exact to a fraction of a pixel, and checked.

Corners (Shi and Tomasi, "Good features to track", 1994) are followed by pyramidal Lucas-Kanade on
enlarged pictures. A step counts if going back ends where it began, and every place is registered
again on the picture in which its track began, so that tracks do not drift.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64, UInt8

from fourd.camera.register import NONE, RADIUS_PX, register, remember
from fourd.events import Progress, Steps
from fourd.types import Clip

LONGEST_PX = 768
"""Longer side of the pictures in which points are followed; small clips are enlarged, at most twice."""

_WINDOW_PX = 2 * RADIUS_PX + 1
_SPACING_PX = 14
_BORDER_PX = 5
_MOST = 1500
_BACK_PX = 1.0
"""How far from its start a point may return, in pixels of the enlarged picture."""
_DRIFT_PX = 2.0
"""How far registering on the first picture may move a point before it is disbelieved."""
_QUALITY = 0.002
_CRITERIA = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 30, 0.003)
_FLATNESS = 1e-4
"""Least eigenvalue of the gradients in a window, normalised, at which a point can be followed."""


_LK = {
    "winSize": (_WINDOW_PX, _WINDOW_PX),
    "maxLevel": 4,
    "criteria": _CRITERIA,
    "minEigThreshold": _FLATNESS,
}


@dataclass(frozen=True, eq=False)
class Tracks:
    """Observations of points, sorted by point and then by frame."""

    point: Int64[np.ndarray, " m"]
    frame: Int64[np.ndarray, " m"]
    xy_px: Float64[np.ndarray, "m 2"]
    """In pixels of the clip; the centre of the first pixel is (0.5, 0.5)."""
    hw: tuple[int, int]
    length: int
    """Frames of the clip."""

    @property
    def points(self) -> int:
        """How many points there are; they are numbered from 0 without gaps."""
        return int(self.point[-1]) + 1 if len(self.point) else 0

    def pick(self, mask: np.ndarray) -> Tracks:
        """The observations in ``mask``, their points numbered anew."""
        _, point = np.unique(self.point[mask], return_inverse=True)
        return replace(self, point=point.astype(np.int64), frame=self.frame[mask], xy_px=self.xy_px[mask])

    def lasting(self, frames: int) -> Tracks:
        """The tracks with at least ``frames`` observations."""
        return self.pick(np.bincount(self.point, minlength=self.points)[self.point] >= frames)


class _Follower:
    """The points that are alive, each with the window with which its track began."""

    def __init__(self) -> None:
        self.xy = np.zeros((0, 2), np.float32)  # Here in OpenCV's manner: the first centre is (0, 0).
        self.windows = NONE
        self.name = np.zeros(0, np.int64)
        self.named = 0
        self.last = np.zeros((0, 0), np.uint8)

    def keep(self, mask: np.ndarray) -> None:
        """Let the points outside ``mask`` go."""
        self.xy, self.name, self.windows = self.xy[mask], self.name[mask], self.windows.pick(mask)

    def step(self, picture: UInt8[np.ndarray, "h w"]) -> None:
        """Follow every living point from the last picture into this one."""
        start = self.xy[:, None]
        here, forward, _ = cv2.calcOpticalFlowPyrLK(self.last, picture, start, start.copy(), **_LK)
        back, backward, _ = cv2.calcOpticalFlowPyrLK(
            picture, self.last, here, start.copy(), flags=cv2.OPTFLOW_USE_INITIAL_FLOW, **_LK
        )
        gap = np.linalg.norm(back[:, 0] - self.xy, axis=1)
        here = here[:, 0]
        h, w = picture.shape
        inside = (here > _BORDER_PX).all(1) & (here < (w - 1 - _BORDER_PX, h - 1 - _BORDER_PX)).all(1)
        good = (forward[:, 0] > 0) & (backward[:, 0] > 0) & (gap < _BACK_PX) & inside
        self.xy = here
        self.keep(good)
        self._register(picture)
        self._thin()

    def _register(self, picture: UInt8[np.ndarray, "h w"]) -> None:
        """Move each point to where the window with which its track began fits best."""
        fitted, good = register(self.windows, picture, self.xy, _DRIFT_PX)
        self.xy[good] = fitted[good]

    def _thin(self) -> None:
        """Of the points that have come together, keep the oldest."""
        cell = (self.xy // (_SPACING_PX * 0.6)).astype(np.int64)
        key = cell[:, 0] * 100_000 + cell[:, 1]
        _, first = np.unique(key, return_index=True)  # Points stand in the order of their age.
        mask = np.zeros(len(key), bool)
        mask[first] = True
        self.keep(mask)

    def begin(self, picture: UInt8[np.ndarray, "h w"]) -> None:
        """Start tracks at corners where there are none."""
        room = np.full(picture.shape, 255, np.uint8)
        for x, y in self.xy:
            cv2.circle(room, (int(x), int(y)), _SPACING_PX, 0, -1)
        wanted = _MOST - len(self.xy)
        if wanted <= 10:
            return
        corners = cv2.goodFeaturesToTrack(picture, wanted, _QUALITY, _SPACING_PX, mask=room, blockSize=5)
        if corners is None:
            return
        corners = corners[:, 0]
        h, w = picture.shape
        inside = (corners > _BORDER_PX + 1).all(1) & (corners < (w - 2 - _BORDER_PX, h - 2 - _BORDER_PX)).all(1)
        corners = corners[inside]
        n = len(corners)
        self.xy = np.concatenate([self.xy, corners])
        self.windows = self.windows + remember(picture, corners)
        self.name = np.concatenate([self.name, self.named + np.arange(n)])
        self.named += n


def follow(clip: Clip) -> Steps[Tracks]:
    """Track corners through a clip.

    Yields:
        Progress of stage "camera", one part a frame of twice as many: solving is the other half.
    """
    h, w = clip.hw
    scale = min(2.0, LONGEST_PX / max(h, w))
    follower = _Follower()
    t = len(clip)
    found: list[tuple[np.ndarray, int, np.ndarray]] = []
    every = 1 if t <= 100 else 2 if t <= 200 else 3
    for i in range(t):
        yield Progress("camera", i, 2 * t)
        picture = enlarged(clip.frames[i].cpu().numpy(), scale)
        if len(follower.xy):
            follower.step(picture)
        if i < t - 1 and i % every == 0:
            follower.begin(picture)
        follower.last = picture
        found.append((follower.name, i, (follower.xy.astype(np.float64) + 0.5)))
    point = np.concatenate([name for name, _, _ in found])
    frame = np.concatenate([np.full(len(name), i) for name, i, _ in found])
    # Both conventions agree at the border of a picture, which is where an enlarged one fits its original.
    size = np.array([max(1, round(w * scale)) / w, max(1, round(h * scale)) / h])
    xy_px = np.concatenate([xy for _, _, xy in found]) / size
    order = np.lexsort((frame, point))
    tracks = Tracks(point[order], frame[order], xy_px[order], (h, w), t)
    return tracks.pick(np.ones(len(point), bool))


def enlarged(frame: UInt8[np.ndarray, "h w 3"], scale: float) -> UInt8[np.ndarray, "h2 w2"]:
    """The brightness of a picture, resized by ``scale``."""
    picture = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    if scale != 1:
        hw = [max(1, round(n * scale)) for n in picture.shape]
        method = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
        picture = cv2.resize(picture, (hw[1], hw[0]), interpolation=method)
    return picture


def spread(tracks: Tracks, most: int, cell_px: float) -> Bool[np.ndarray, " n"]:
    """Choose at most ``most`` tracks, the longest first, so that every part of every frame has its share.

    Args:
        tracks: Where to choose from.
        most: How many in each frame, about, if they filled the whole picture.
        cell_px: Side of the cells over which they are spread.

    Returns:
        Which tracks are chosen.
    """
    h, w = tracks.hw
    n = tracks.points
    across = int(w // cell_px) + 1
    cells = across * (int(h // cell_px) + 1)
    most_a_cell = max(4, round(most / ((h / cell_px) * (w / cell_px))))
    place = tracks.frame * cells + (tracks.xy_px[:, 1] // cell_px).astype(np.int64) * across
    place += (tracks.xy_px[:, 0] // cell_px).astype(np.int64)
    lengths = np.bincount(tracks.point, minlength=n)
    start = np.concatenate([[0], np.cumsum(lengths)])
    filled = np.zeros(tracks.length * cells, np.int64)
    chosen = np.zeros(n, bool)
    for k in np.argsort(-lengths, kind="stable"):
        mine = place[start[k] : start[k + 1]]
        if (filled[mine] < most_a_cell).mean() > 0.5:
            filled[mine] += 1
            chosen[k] = True
    return chosen


def first_observation(tracks: Tracks) -> Int64[np.ndarray, " m"]:
    """For every observation, the index of the first observation of its track."""
    start = np.flatnonzero(np.diff(tracks.point, prepend=-1))
    return start[tracks.point]


def displacement_px(tracks: Tracks) -> Float32[np.ndarray, " m"]:
    """How far every observation lies from where its track began."""
    away = tracks.xy_px - tracks.xy_px[first_observation(tracks)]
    return np.linalg.norm(away, axis=1).astype(np.float32)
