"""Places that come back into view, so that a path that returns closes.

A track ends where its point leaves the picture. When the camera comes back nothing says that this is the point of
before, and what has drifted apart over a long path stays apart. So some frames, the landmarks, are compared with each
other by what their corners look like (Lowe, "Distinctive image features from scale-invariant keypoints", 2004; square
roots after Arandjelovic and Zisserman, 2012). Matches between landmarks that no track joins, if enough of them lie as
one rigid world allows, become tracks of their own: links.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, Float64, Int64, UInt8

from fourd.camera.tracks import Tracks, enlarged
from fourd.geometry import clock

_LANDMARKS, _SPACING = 24, 4
"""Frames that are compared at most, and how many lie between them at least."""
_LONGEST_PX = 512
_CORNERS = 800
_STRANGERS = 0.02
"""Share of their tracks below which two landmarks have nothing in common."""
_CLEARLY = 0.8
"""How far the best match must be nearer than the second best."""
_RIGID_PX = 1.5
_FEWEST = 30
"""Matches that one rigid world must explain: fewer are found between strange places, too."""
_MOSTLY = 0.5
"""Share of the matches that it must explain."""


@dataclass(frozen=True, eq=False)
class _View:
    """The corners of a landmark."""

    xy: Float64[np.ndarray, "n 2"]
    look: Float32[np.ndarray, "n 128"]


def find(picture: Callable[[int], UInt8[np.ndarray, "h w 3"]], tracks: Tracks) -> Tracks:
    """Look for places that come back into view.

    Args:
        picture: Gives a frame of the shot.
        tracks: What was followed through the shot.

    Returns:
        Tracks from landmark to landmark, each with an observation on both sides of a time in which the point was not
        followed; none if the camera never returns.
    """
    frames = clock.spread(tracks.length, min(_LANDMARKS, tracks.length // _SPACING + 1)).numpy()
    far = np.argwhere(np.triu(_strangers(tracks, frames)))
    if len(far) == 0:
        return tracks.pick(np.zeros(len(tracks.point), bool))
    scale = min(1.0, _LONGEST_PX / max(tracks.hw))
    views = [_view(enlarged(picture(i), scale), tracks.hw) for i in frames.tolist()]
    first = np.cumsum([0, *(len(v.xy) for v in views)])
    links, ends = [], set()
    for a, b in far.tolist():
        pairs = _matches(views[a], views[b], _FEWEST)
        if len(pairs):
            links.append(pairs + first[[a, b]])
            ends |= {a, b}
    linked = {int(k) for pairs in links for k in pairs.ravel()}
    # A link hangs on one picture at each end; what the next landmarks see of it holds it fast.
    for a in sorted(ends):
        for b in (k for k in (a - 1, a + 1) if 0 <= k < len(frames) and (k > a or k not in ends)):
            pairs = _matches(views[a], views[b], _FEWEST)
            links += [pairs + first[[a, b]]] if len(pairs) else []
    xy_px = np.concatenate([v.xy for v in views])
    frame = np.repeat(frames, [len(v.xy) for v in views])
    return _joined(links, linked, frame, xy_px, tracks)


def _strangers(tracks: Tracks, frames: Int64[np.ndarray, " k"]) -> np.ndarray:
    """Which landmarks no track joins: [k, k]."""
    number = np.full(tracks.length, -1)
    number[frames] = np.arange(len(frames))
    at = number[tracks.frame]
    alive = np.zeros((len(frames), tracks.points), np.float32)
    alive[at[at >= 0], tracks.point[at >= 0]] = 1
    shared = alive @ alive.T
    count = np.diag(shared)
    return shared < _STRANGERS * np.minimum(count[:, None], count[None])


def _view(picture: UInt8[np.ndarray, "h w"], hw: tuple[int, int]) -> _View:
    corners, look = cv2.SIFT_create(_CORNERS).detectAndCompute(picture, None)  # type: ignore[attr-defined]
    if look is None:
        return _View(np.zeros((0, 2)), np.zeros((0, 128), np.float32))
    size = np.array([picture.shape[1] / hw[1], picture.shape[0] / hw[0]])
    xy = (np.array([c.pt for c in corners], np.float64) + 0.5) / size
    return _View(xy, np.sqrt(look / np.maximum(look.sum(1, keepdims=True), 1e-9)).astype(np.float32))


def _matches(a: _View, b: _View, fewest: int) -> Int64[np.ndarray, "n 2"]:
    """Corners of two landmarks that are each other's nearest, clearly, and lie as a rigid world allows."""
    none = np.zeros((0, 2), np.int64)
    if min(len(a.xy), len(b.xy)) < fewest:
        return none
    likeness = a.look @ b.look.T
    best = likeness.argmax(1)
    rows = np.arange(len(best))
    nearest = likeness[rows, best]
    likeness[rows, best] = -1
    second = likeness.max(1)
    likeness[rows, best] = nearest
    clear = np.sqrt(np.maximum(2 - 2 * nearest, 0)) < _CLEARLY * np.sqrt(np.maximum(2 - 2 * second, 0))
    mutual = np.flatnonzero(clear & (likeness.argmax(0)[best] == rows))
    if len(mutual) < fewest:
        return none
    pairs = np.stack([mutual, best[mutual]], 1)
    _, rigid = cv2.findFundamentalMat(a.xy[pairs[:, 0]], b.xy[pairs[:, 1]], cv2.USAC_MAGSAC, _RIGID_PX, 0.999, 2000)
    if rigid is None or rigid.sum() < max(fewest, _MOSTLY * len(pairs)):
        return none
    return pairs[rigid[:, 0] > 0]


def _joined(links: list[np.ndarray], linked: set[int], frame: np.ndarray, xy_px: np.ndarray, tracks: Tracks) -> Tracks:
    """Corners that match, directly or by way of others, as tracks; those that would be twice in one frame are left out.

    Args:
        links: Numbers of corners that match, in pairs.
        linked: Corners that match a stranger: what holds none of them is no link.
        frame: Of each corner.
        xy_px: Where it is.
        tracks: Of what they are to be like.
    """
    parent = np.arange(len(frame))

    def root(k: int) -> int:
        while parent[k] != k:
            parent[k] = parent[parent[k]]
            k = int(parent[k])
        return k

    for a, b in (pair for pairs in links for pair in pairs.tolist()):
        parent[root(a)] = root(b)
    used = np.unique(np.concatenate(links)) if links else np.zeros(0, np.int64)
    point = np.array([root(k) for k in used.tolist()], np.int64)
    good = {root(k) for k in linked}
    mask = np.array([int(p) in good for p in point], bool)
    used, point = used[mask], point[mask]
    order = np.lexsort((frame[used], point))
    used, point = used[order], point[order]
    twice = np.zeros(len(frame), bool)
    again = np.flatnonzero((np.diff(point) == 0) & (np.diff(frame[used]) == 0))
    twice[point[again]] = True
    keep = ~twice[point]
    found = Tracks(point[keep], frame[used][keep], xy_px[used][keep], tracks.hw, tracks.length)
    return found.pick(np.ones(len(found.point), bool))
