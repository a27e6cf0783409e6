"""Sparse evidence: how far points are, from the flow between frames and the cameras.

It tells which range of depths to search, how large a baseline is needed, and whether there is any at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float64
from numpy import ndarray as Array

from fourd.depth.common import MOVING, Rig
from fourd.geometry import clock
from fourd.types import Motion

_FRAMES = 16
"""Frames that are asked, spread over the clip."""
_POINTS = 900
"""Points a frame."""
_HOPS = 24
"""How many frames a point is followed, forward and backward."""
_NOISE_PX = 0.5
"""Standard deviation of a followed point, in pixels of the working map."""
_ROUNDS = 4


@dataclass(frozen=True, eq=False)
class Evidence:
    """What triangulation says of the points that it could follow."""

    rho: Float64[Array, " n"]
    """Inverse depth in the frame where the point was picked; about 0 or below where it is too far to tell."""
    pixels_per_rho: Float64[Array, " n"]
    """How far the point would move in the working map, all its views taken together, for one unit of inverse depth:
    the accuracy of ``rho`` is a pixel's noise over this."""

    @property
    def parallax_px(self) -> Float64[Array, " n"]:
        """How far each point moved in the working map because the camera travelled."""
        return np.abs(self.rho) * self.pixels_per_rho

    def travels(self) -> bool:
        """Whether the camera's own travel is seen at all: in a third of the points, well above the noise."""
        return len(self.rho) >= 30 and float(np.quantile(self.parallax_px, 0.67)) > 6 * _NOISE_PX

    def span(self) -> tuple[float, float, float]:
        """Inverse depths to search, lowest and highest, and the median of the points that tell theirs."""
        told = self.rho[(self.rho > 0) & (self.parallax_px > 4 * _NOISE_PX)]
        middle = float(np.median(told))
        # Far points tell nothing by themselves, but together they say that the range reaches far.
        sure = self.pixels_per_rho * middle > 8 * _NOISE_PX
        low, high = np.quantile(self.rho[sure] if sure.sum() > 30 else told, [0.02, 0.985])
        low = 0.0 if low < 0.4 * middle else 0.8 * low
        return float(low), float(1.3 * max(high, middle)), middle


def gather(rig: Rig, motion: Motion) -> Evidence:
    """Follow points along the flow and triangulate each from all its places.

    A point at inverse depth rho appears at ``p = turn @ x + rho * shift``; each place (u, v) that the flow gives
    makes two equations linear in rho. They are solved by least squares, reweighted for pixels (divided by the depth)
    and against outliers (Geman and McClure).

    Args:
        rig: Cameras at the working size.
        motion: Flow, at any size.
    """
    parts = [_triangulate(rig, motion, i) for i in clock.spread(len(rig), _FRAMES).tolist()]
    rho, pixels = (np.concatenate(x) if parts else np.zeros(0) for x in zip(*parts, strict=True))
    return Evidence(rho, pixels)


def _triangulate(rig: Rig, motion: Motion, i: int) -> tuple[Float64[Array, " n"], Float64[Array, " n"]]:
    h, w = rig.hw
    step = max(int(np.sqrt(h * w / _POINTS)), 1)
    y, x = np.meshgrid(np.arange(step // 2, h, step) + 0.5, np.arange(step // 2, w, step) + 0.5, indexing="ij")
    start = np.stack([x.ravel(), y.ravel()], -1)
    equations = [e for way in (1, -1) for e in _follow(rig, motion, i, start, way)]
    if not equations:
        return np.zeros(0), np.zeros(0)
    # A rho + B = 0 in homogeneous pixels, the depth ratio z that turns them into pixels, and whether it was seen.
    slope, offset, turned, shift, seen = (np.stack(a) for a in zip(*equations, strict=True))
    rho = np.zeros(start.shape[0])
    weight = seen.astype(np.float64)
    total = np.zeros_like(rho)
    for _ in range(_ROUNDS):
        z = np.maximum(turned + rho * shift, 0.05)
        a, b = slope / z[..., None], offset / z[..., None]
        total = (weight[..., None] * a * a).sum((0, 2))
        rho = -(weight[..., None] * a * b).sum((0, 2)) / np.maximum(total, np.finfo(np.float64).tiny)
        error = np.linalg.norm(a * rho[:, None] + b, axis=-1) / (2 * _NOISE_PX)
        weight = seen / (1 + error**2) ** 2
    # The share of its places that fit decides whether a point is to be believed.
    fits = weight.sum(0) > 0.5 * seen.sum(0)
    known = fits & (seen.sum(0) > 0)
    # Places of one path are not independent: count the travel of one good place, not of their sum.
    return rho[known], np.sqrt((seen[..., None] * slope**2).sum(-1).max(0))[known]


def _follow(rig: Rig, motion: Motion, i: int, start: Float64[Array, "n 2"], way: int) -> list[tuple[Array, ...]]:
    """Equations of the places of points along the flow, forward (way 1) or backward (-1)."""
    flows, sights = (
        (motion.flow_forward, motion.visible_forward) if way > 0 else (motion.flow_backward, motion.visible_backward)
    )
    to_map = np.array([motion.hw[1] / rig.hw[1], motion.hw[0] / rig.hw[0]])
    place = start * to_map
    alive = _sample(motion.moving[i].cpu().numpy().astype(np.float32), place) < MOVING
    point = np.concatenate([start, np.ones((len(start), 1))], 1)
    equations = []
    for hop in range(1, _HOPS + 1):
        j = i + way * hop
        if not 0 <= j < len(rig):
            break
        before = j - way
        flow = flows[before].cpu().numpy().astype(np.float32)
        visible = sights[before].cpu().numpy().astype(np.float32)
        alive = alive & (_sample(visible, place) > 0.5)
        place = place + np.stack([_sample(flow[..., k], place) for k in (0, 1)], -1)
        if not alive.any():
            break
        turn, shift = rig.warp(i, j)
        uv = place / to_map
        turned = point @ turn.T
        slope = uv * shift[2] - shift[:2]
        offset = uv * turned[:, 2:] - turned[:, :2]
        equations.append((slope, offset, turned[:, 2], np.full(len(start), shift[2]), alive))
    return equations


def _sample(values: Array, place: Float64[Array, "n 2"]) -> Float64[Array, " n"]:
    """Values of a map at picture coordinates (x, y); 0 outside."""
    xy = (place - 0.5).astype(np.float32)
    return cv2.remap(values, xy[None, :, 0], xy[None, :, 1], cv2.INTER_LINEAR, borderValue=0)[0].astype(np.float64)
