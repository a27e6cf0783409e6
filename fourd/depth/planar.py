"""Floors, walls and table tops: planes go on where nothing on them can be measured.

Plain surfaces give matching nothing to hold on to, and most of what people build is flat. The largest planes of the
whole clip are found among what was measured (random samples: Fischler and Bolles, 1981). Then each pixel without a
measurement takes the plane on which the measured pixels lie that it is connected with by colour. One plane serves all
frames, so what it completes does not flicker.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64, UInt8
from numpy import ndarray as Array

from fourd.depth.common import Rig, edges, lab
from fourd.geometry import clock
from fourd.native import sweep

WEIGHT = 0.4
"""Of a pixel that a plane tells, against a sure measurement."""
_SURE = 0.5
_MOST = 6
"""Planes in a clip."""
_LEAST = 0.03
"""Share of what was measured that makes a plane worth its while."""
_FRAMES, _POINTS = 24, 1500
"""Frames that are looked at, and measured pixels in each."""
_SAMPLES, _TRIED, _PARTNERS = 600, 4000, 24
"""Planes that are tried, points that they are tried on, and points among which two are chosen to go with a third."""
_REACH = 0.2
"""Share of the picture's width within which the three points of a sample lie: nearby ones share a plane more often."""
_THICK = 0.02
"""Relative difference in depth within which a point lies on a plane; half as much again is granted to pixels."""
_NEAREST = 1e-3
"""Least inverse depth at which a plane still tells something; the middle of the scene is at about 1."""
_STRENGTH, _COLOUR = 1000.0, 4.0
"""How far support spreads over the picture, and the difference in colour (Lab) that stops it."""
_FAINT = 1e-3
"""Support that a plane needs, if what supports no plane has none either."""


@dataclass(frozen=True, eq=False)
class _Points:
    """Measured points, sorted by frame."""

    eye: Float64[Array, "n 3"]
    """Where the camera stood."""
    ray: Float64[Array, "n 3"]
    """From there to the point."""
    pixel: Float64[Array, "n 2"]
    frame: Int64[Array, " n"]

    def __len__(self) -> int:
        return len(self.frame)

    def without(self, some: Array) -> _Points:
        return _Points(self.eye[~some], self.ray[~some], self.pixel[~some], self.frame[~some])

    def on(self, plane: Float64[Array, "k 4"]) -> Array:
        """Which points lie on which planes: [n, k]."""
        along = self.ray @ plane[:, :3].T
        there = (plane[:, 3] - self.eye @ plane[:, :3].T) / np.where(np.abs(along) < 1e-9, 1e-9, along)
        return np.abs(there - 1) < _THICK


@dataclass(frozen=True, eq=False)
class Planar:
    """The planes of a clip."""

    rig: Rig
    planes: Float64[Array, "k 4"]
    """Unit normal n and offset d, n . X = d for points X of the world; those with most support first."""

    def rho(self, i: int) -> Float32[Array, "k h w"]:
        """Inverse depth of the planes in frame ``i``; 0 where one is behind the camera or beyond the horizon."""
        R, eye = self.rig.world_from_cam[i, :3, :3], self.rig.world_from_cam[i, :3, 3]
        away = self.planes[:, 3] - self.planes[:, :3] @ eye
        toward = np.where(np.abs(away) < 1e-9, np.nan, away)
        normal = self.planes[:, :3] @ R / toward[:, None]
        rho = np.moveaxis(self.rig.rays(i) @ normal.T, -1, 0)
        return np.where(rho > _NEAREST, rho, 0).astype(np.float32)

    def over(
        self,
        i: int,
        rho: Float32[Array, "h w"],
        sure: Float32[Array, "h w"],
        behind: Float32[Array, "h w"],
        picture: UInt8[Array, "h w 3"],
    ) -> tuple[Float32[Array, "h w"], Float32[Array, "h w"]]:
        """Lay the planes over what is believed of a frame where nothing was measured.

        Args:
            i: The frame.
            rho: Inverse depths that were measured.
            sure: How sure each is; above 0.5 it is believed.
            behind: What to believe otherwise, in the same unit.
            picture: The frame.

        Returns:
            ``behind`` with the planes in it, and how much they weigh: nothing where something was measured.
        """
        if len(self.planes) == 0:
            return behind, np.zeros_like(sure)
        told, flat = sure > _SURE, self.rho(i)
        off = (rho / np.maximum(flat, _NEAREST) - 1) / (1.5 * _THICK)
        on = np.where(told & (flat > 0), np.exp(-(off**2)), 0)
        support = np.concatenate([on, (told * (1 - on.max(0)))[None]]).astype(np.float32)
        across, down = (torch.from_numpy(e) for e in edges(lab(picture), _COLOUR))
        spread = sweep.smooth_along_edges(torch.from_numpy(support), across, down, _STRENGTH).numpy()
        spread[:-1] *= flat > 0
        spread[-1] += _FAINT
        chosen = spread.argmax(0)
        planar = chosen < len(flat)
        there = np.take_along_axis(flat, np.minimum(chosen, len(flat) - 1)[None], 0)[0]
        return np.where(planar, there, behind), np.where(planar & ~told, np.float32(WEIGHT), np.float32(0))


def find(rig: Rig, rho: dict[int, Float32[Array, "h w"]], sure: dict[int, Float32[Array, "h w"]]) -> Planar:
    """Find the planes on which most of what was measured lies.

    Args:
        rig: Cameras at the size of the maps.
        rho: Inverse depths of all frames.
        sure: How sure each is; above 0.5 it is believed, and it stands still.
    """
    rng = np.random.default_rng(0)
    left = _measured(rig, rho, sure, rng)
    least, found = _LEAST * len(left), []
    while len(left) > max(least, 3) and len(found) < _MOST:
        plane = _best(left, _REACH * rig.hw[1], rng)
        on = left.on(plane[None])[:, 0]
        if on.sum() < max(least, 3):
            break
        found.append(plane)
        left = left.without(on)
    return Planar(rig, np.array(found).reshape(-1, 4))


def _measured(
    rig: Rig, rho: dict[int, Float32[Array, "h w"]], sure: dict[int, Float32[Array, "h w"]], rng: np.random.Generator
) -> _Points:
    eye, ray, pixel, frame = [], [], [], []
    for i in clock.spread(len(rig), _FRAMES).tolist():
        y, x = np.nonzero((sure[i] > _SURE) & (rho[i] > _NEAREST))
        some = np.sort(rng.choice(len(y), min(_POINTS, len(y)), replace=False))
        y, x = y[some], x[some]
        ray.append(rig.rays(i)[y, x] / rho[i][y, x, None] @ rig.world_from_cam[i, :3, :3].T)
        eye.append(np.broadcast_to(rig.world_from_cam[i, :3, 3], ray[-1].shape))
        pixel.append(np.stack([x, y], 1).astype(np.float64))
        frame.append(np.full(len(y), i))
    return _Points(*(np.concatenate(parts) for parts in (eye, ray, pixel, frame)))


def _best(points: _Points, reach_px: float, rng: np.random.Generator) -> Float64[Array, " 4"]:
    """Of many planes through three points that one picture shows near each other, the one with most points; refined."""
    where = points.eye + points.ray
    first = rng.integers(0, len(points), _SAMPLES)
    begin, end = (np.searchsorted(points.frame, points.frame[first], side) for side in ("left", "right"))
    others = (begin[:, None] + rng.random((_SAMPLES, _PARTNERS)) * (end - begin)[:, None]).astype(np.int64)
    away = np.linalg.norm(points.pixel[others] - points.pixel[first, None], axis=-1)
    # Any two within reach: the order of the draw is as good as chance.
    two = np.take_along_axis(others, np.argsort(away > reach_px, axis=1, kind="stable")[:, :2], 1)
    a, b, c = where[first], where[two[:, 0]], where[two[:, 1]]
    normal = np.cross(b - a, c - a)
    length = np.linalg.norm(normal, axis=1, keepdims=True)
    normal = np.where(length > 1e-12, normal / np.maximum(length, 1e-12), [0.0, 0.0, 1.0])
    tried = np.concatenate([normal, (normal * a).sum(1, keepdims=True)], 1)
    some = rng.choice(len(points), min(_TRIED, len(points)), replace=False)
    sample = _Points(points.eye[some], points.ray[some], points.pixel[some], points.frame[some])
    best = tried[sample.on(tried).sum(0).argmax()]
    for _ in range(4):
        on = points.on(best[None])[:, 0]
        if on.sum() < 3:
            break
        # Distances count as shares of depth: by how much longer the ray would have to be.
        weight = 1 / np.maximum(np.abs(points.ray[on] @ best[:3]), 1e-3)
        middle = (where[on] * weight[:, None]).sum(0) / weight.sum()
        normal = np.linalg.svd((where[on] - middle) * weight[:, None], full_matrices=False)[2][2]
        best = np.append(normal, normal @ middle)
    return best
