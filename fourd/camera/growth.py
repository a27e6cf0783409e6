"""Structure from motion from nothing: a starting pair, then camera by camera, then all together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from fourd.camera.bundle import Task, adjust, bend_score, preference
from fourd.camera.model import Model, Seen
from fourd.camera.pose import resect
from fourd.camera.triangulate import triangulate

_GAPS = (1, 2, 3, 5, 8, 12, 17, 24, 35, 50)
_FEWEST_SHARED = 60
_FEWEST_INLIERS = 30
_ENOUGH_PARALLAX_DEG = 4.0
_GOOD_PX = 4.0
_DROP_PX, _DROP_SHARE = 1.5, 0.1
"""A track with more than this share of its observations past this error is dropped."""
_ANNEAL = ((3.0, 12), (1.5, 15), (0.8, 12), (0.4, 40))
"""Error believed, in pixels, and iterations of each of the final adjustments."""
BELIEVED_PX = _ANNEAL[-1][0]
"""Error that the last adjustment believes."""
_MAYBE_BENT, _BENT = 2.0, 5.0
"""Standard deviations with which errors must ask for a lens that bends, and prefer the one that is found."""
_WORTH_IT = 0.01
"""Bend at which places at the rim move by a hundredth of their distance. To make pictures straight that bend less
costs more sharpness than it gains."""
_STILL_RIGHT = 0.97
"""Share of what tracks explained before a path was closed that they must explain afterwards."""
_TOLERANCE = 1e-6
"""A step that lowers the cost by a smaller share ends an adjustment. The focal length settles last: 1e-4
would cost 2 % of it."""
_ALL_FROM = 2
"""The first of the final adjustments that works with all points."""


@dataclass(frozen=True, eq=False)
class Pair:
    """Two frames to start from."""

    a: int
    b: int
    R: np.ndarray
    t: np.ndarray
    points: np.ndarray
    parallax_deg: float
    score: float


def starting_pair(seen: Seen, focal: float) -> Pair | None:
    """The two frames between which points move most, apart from the camera's turning, and most consistently."""
    index = np.full((seen.points, seen.frames), -1)
    index[seen.point, seen.frame] = np.arange(len(seen.point))
    best: Pair | None = None
    for a in range(0, seen.frames - 1, max(1, seen.frames // 12)):
        for b in (a + gap for gap in _GAPS if a + gap < seen.frames):
            pair = _try_pair(seen, index, a, b, focal)
            if pair is not None and (best is None or pair.score > best.score):
                best = pair
    return best


def _try_pair(seen: Seen, index: np.ndarray, a: int, b: int, focal: float) -> Pair | None:
    points = np.flatnonzero((index[:, a] >= 0) & (index[:, b] >= 0))
    if len(points) < _FEWEST_SHARED:
        return None
    x, y = (seen.xy[index[points, k]] / focal for k in (a, b))
    E, mask = cv2.findEssentialMat(x, y, np.eye(3), cv2.RANSAC, 0.999, 1.0 / focal, 300)
    if E is None or E.shape != (3, 3):
        return None
    _, R, t, mask = cv2.recoverPose(E, x, y, np.eye(3), mask=mask.copy())
    good = mask[:, 0] > 0
    if good.sum() < _FEWEST_INLIERS:
        return None
    parallax = np.degrees(np.median(angles(x[good], y[good], R)))
    score = min(parallax, _ENOUGH_PARALLAX_DEG) * good.mean() ** 2 * min(good.sum(), 250)
    return Pair(a, b, R, t[:, 0], points[good], float(parallax), float(score))


def angles(x: np.ndarray, y: np.ndarray, R: np.ndarray) -> np.ndarray:
    """Radians between the rays of two cameras that differ by ``R``, for places at focal length 1."""
    p = np.c_[x, np.ones(len(x))] @ R.T
    q = np.c_[y, np.ones(len(y))]
    return np.arctan2(np.linalg.norm(np.cross(p, q), axis=1), (p * q).sum(1))


class Growth:
    """A model that grows: which frames have a pose, and which points a place.

    Until the last adjustments it works with the points in ``core`` alone, for speed; and until all frames have a pose
    without ``links``, the points that came back into view (see ``loops``).
    """

    def __init__(self, seen: Seen, focal: float, core: np.ndarray, links: np.ndarray, may_bend: bool = True) -> None:
        self.everything, self.core, self.links = seen, core & ~links, links
        self.seen = seen.pick(self.core[seen.point])
        t, n = seen.frames, seen.points
        self.model = Model(np.tile(np.eye(3), (t, 1, 1)), np.zeros((t, 3)), np.tile([0.0, 0, 1, 0], (n, 1)), focal)
        self.may_bend = may_bend
        self.posed = np.zeros(t, bool)
        self.known = np.zeros(n, bool)
        self.agreement = np.zeros(t)
        """Share of the known points that each pose explained when it was found."""

    def solve(self, pair: Pair) -> Iterator[tuple[int, int]]:
        """Grow from a pair to all frames and adjust roughly; yields how many parts are done, of how many."""
        t = self.seen.frames
        parts = t + _ALL_FROM
        every = 4 if t <= 50 else 8
        self._begin(pair)
        order = _outward(pair.a, pair.b, t)
        inner = pair.b - pair.a - 1
        for i, j in enumerate(order):
            self._add(j)
            full = i + 1 in (inner, len(order))
            if full or (i + 1) % every == 0:
                self._place(None if full else ~self.known, _GOOD_PX)
                self._adjust(Task(3.0, 4, focal=False))
            yield i, parts
        self._close()
        for k in range(_ALL_FROM):
            self._anneal(k, False)
            yield t + k, parts

    def finish(self) -> Iterator[tuple[int, int]]:
        """The last adjustments, with all points; yields as ``solve`` does."""
        self.seen = self.everything
        parts = len(_ANNEAL) - _ALL_FROM + 1
        for part, k in enumerate(range(_ALL_FROM, len(_ANNEAL))):
            self._anneal(k, False)
            yield part, parts
        if self.may_bend:
            self._bend()

    def _anneal(self, k: int, bend: bool) -> None:
        """One of the final adjustments."""
        sigma, iterations = _ANNEAL[k]
        self._place(None, max(3 * sigma, _GOOD_PX))
        if k > 0:
            self._drop()
        self._adjust(Task(sigma, iterations, bend=bend, tolerance=_TOLERANCE))

    def _bend(self) -> None:
        """Let the lens bend if what is left of the errors clearly asks for it."""
        seen, model, known, sigma = self._observed(), self.model, self.known, BELIEVED_PX
        if bend_score(seen, model, sigma) < _MAYBE_BENT:
            return
        self.known = known.copy()
        for k in range(len(_ANNEAL)):
            self._anneal(k, True)
        clear = preference(seen.pick(self.known[seen.point]), model, self.model, sigma) >= _BENT
        if not clear or abs(self.model.bend) < _WORTH_IT:
            self.model, self.known = model, known

    def _close(self) -> None:
        """Bring together what came back into view: large errors are believed first, and then ever smaller ones."""
        open_, model, known = self.seen, self.model, self.known.copy()
        links = self.everything.pick(self.links[self.everything.point])
        if not len(links.point):
            return
        near = _longer_side(links)
        X, error = triangulate(links.pick(near), model)
        found = (np.bincount(links.point[near], minlength=links.points) >= 2) & (error < _GOOD_PX)
        apart = links.pick(~near & found[links.point])
        if np.count_nonzero(found) >= _FEWEST_INLIERS:
            self.model = replace(model, X=np.where(found[:, None], X, model.X))
            self.known |= found
            self.seen = self.everything.pick((self.core | found)[self.everything.point])
            sigma = 2 * float(np.median(self.model.error(apart)))
            while sigma > _GOOD_PX:
                self._adjust(Task(sigma, 8))
                sigma /= 2
            self._adjust(Task(_GOOD_PX, 8))
            # Places that only look alike would bend the path, and then tracks no longer agree with it.
            before, after = (np.mean(m.error(open_.pick(known[open_.point])) < _GOOD_PX) for m in (model, self.model))
            closed = np.median(self.model.error(apart)) < _GOOD_PX
            if closed and after > _STILL_RIGHT * before:
                self.core = self.core | self.links
                self.seen = self.everything.pick(self.core[self.everything.point])
                return
        self.everything = self.everything.pick(~self.links[self.everything.point])
        self.seen, self.model, self.known = open_, model, known

    def _begin(self, pair: Pair) -> None:
        self.model.R[pair.b], self.model.t[pair.b] = pair.R, pair.t
        self.posed[[pair.a, pair.b]] = True
        self.agreement[[pair.a, pair.b]] = 1.0
        only = np.zeros(self.seen.points, bool)
        only[pair.points] = True
        self._place(only, 2.0)
        self._adjust(Task(2.0, 8, focal=False))

    def _add(self, j: int) -> None:
        here = np.flatnonzero((self.seen.frame == j) & self.known[self.seen.point])
        model = self.model
        posed = np.flatnonzero(self.posed)
        near = posed[np.argsort(np.abs(posed - j), kind="stable")]
        a = int(near[0])
        starts = [(model.R[a], model.t[a])]
        if len(near) > 1 and (near[1] - a) * (a - j) > 0 and abs(near[1] - a) <= abs(a - j) + 1:
            b = int(near[1])  # The step from b to a, taken once more.
            turn = model.R[a] @ model.R[b].T
            starts.append((turn @ model.R[a], turn @ model.t[a] + model.t[a] - turn @ model.t[b]))
        X, xy = model.X[self.seen.point[here]], self.seen.xy[here]
        model.R[j], model.t[j], self.agreement[j] = resect(X, xy, model.focal, starts)
        self.posed[j] = True

    def _place(self, only: np.ndarray | None, good_px: float) -> None:
        """Triangulate points, and know those that explain their observations."""
        mask = self.posed[self.seen.frame]
        if only is not None:
            mask &= only[self.seen.point]
        X, error = triangulate(self.seen.pick(mask).straight(self.model.bend), self.model)
        good = (np.bincount(self.seen.point[mask], minlength=self.seen.points) >= 2) & (error < good_px)
        if only is None:
            self.known[:] = False
        self.model.X[good] = X[good]
        self.known |= good

    def _drop(self) -> None:
        bad = self.model.error(self.seen) > _DROP_PX
        count = np.maximum(np.bincount(self.seen.point, minlength=self.seen.points), 1)
        self.known &= self.seen.per_point(bad.astype(np.float64)) / count <= _DROP_SHARE

    def _observed(self) -> Seen:
        """What adjusting goes by: known points, seen twice and more in the frames that have a pose."""
        mask = self.posed[self.seen.frame] & self.known[self.seen.point]
        counts = np.bincount(self.seen.point[mask], minlength=self.seen.points)
        return self.seen.pick(mask & (counts[self.seen.point] >= 2))

    def _adjust(self, task: Task) -> None:
        seen = self._observed()
        # Everything keeps one scale, also what is not adjusted now.
        self.model = adjust(seen, self.model.scaled(1 / self.model.unit(seen)), task)


def _longer_side(links: Seen) -> np.ndarray:
    """For each observation whether it is among the earlier or later ones of its point, whichever are more."""
    gap = np.diff(links.frame, prepend=0)
    start = np.flatnonzero(np.diff(links.point, prepend=-1))
    gap[start] = -1
    widest = np.lexsort((-gap, links.point))[start]  # The first of each point in this order.
    split = np.zeros(links.points, np.int64)
    split[links.point[start]] = widest
    later = np.arange(len(links.point)) >= split[links.point]
    more = links.per_point(np.where(later, 1.0, -1.0)) > 0
    return later == more[links.point]


def _outward(a: int, b: int, frames: int) -> list[int]:
    """First the frames between two, then those around them, nearest first."""
    order = list(range(a + 1, b))
    for k in range(1, frames):
        order += [j for j in (b + k, a - k) if 0 <= j < frames]
    return order
