"""Which way is up in a clip: from how the camera was held, and from what stands level and upright in the picture.

Every direction is asked how likely it makes what was seen:

    cameras   are held upright: their x axes lie level to some degrees, and they look neither far up nor far down
    surfaces  lie level (floors, tables; more seldom ceilings), stand upright (walls, trunks), or lean as they like
    edges     that stand upright in the picture are upright, mostly

The answer is the best direction, and how much of the probability lies about it. Where that is little (a camera that
stands still before a cloud) nobody knows, and it is said.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Float64, UInt8
from numpy import ndarray as Array
from torch import Tensor

from fourd.checked import checked
from fourd.geometry import clock, paths
from fourd.types import Cameras, Clip, DepthMaps, Motion

NEAR_DEG = 5.0
"""What ``Gravity.confidence`` speaks of."""
_SURE = 0.75
_ROLL_DEG, _PITCH_DEG = 6.0, 25.0
"""How far from level cameras are held: the standard deviations of roll and of pitch."""
_REACH_DEG = 50.0
"""Up lies no further from the mean up of the cameras."""
_FRAMES = 10
"""So many frames, spread over the clip, are looked at."""
_WIDTH = 192
"""Longer side of the maps that surfaces are taken from, in pixels."""
_WINDOW = 7
"""A surface is fitted to so many pixels square."""
_PER_FRAME = 300
"""Pieces of surface taken from a frame."""
_GUESSED = 0.3
"""Depth of no more confidence is a guess, and often one that takes the camera for upright."""
_LEVEL, _CEILING, _UPRIGHT = 0.25, 0.03, 0.32
"""Shares of what is seen that lie level facing up, level facing down, and upright; the rest leans as it likes."""
_STANDS = 0.4
"""Share of the edges within reach of the vertical that are upright."""
_OF_SURFACES, _OF_EDGES = 20.0, 5.0
"""How many independent pieces of surface, and edges, a clip full of them is worth at most: neighbours are one thing.
So many that of 61 takes of the stage the 56 are sure whose up was found to 0.6 degrees, and the others, of loose blocks
with hardly a floor, are not."""


@dataclass(frozen=True, eq=False)
class Gravity:
    """The direction up, and how sure it is."""

    up: Float64[Tensor, " 3"]
    """Unit, in the world of the cameras; their mean up where the clip does not say it."""
    confidence: float
    """Probability that it is right to ``NEAR_DEG`` degrees, as far as the model goes."""

    @property
    def sure(self) -> bool:
        """Whether the clip says which way is up."""
        return self.confidence >= _SURE


@checked
def find_up(clip: Clip, cameras: Cameras, maps: DepthMaps, motion: Motion) -> Gravity:
    """Find up.

    Args:
        clip: Its pictures show edges.
        cameras: Of its frames, in any world.
        maps: Depth of the frames, in the unit of the cameras or any other; as sure as its confidence.
        motion: What moves on its own is not asked.
    """
    pose = cameras.world_from_cam.cpu().double().numpy()
    mean = paths.mean_up(cameras).cpu().numpy()
    frames = clock.spread(len(clip), _FRAMES).tolist()
    normals = [_normals(maps, motion, i) for i in frames]
    edges = [_edges(clip.frames[i].cpu().numpy(), cameras, motion, i) for i in frames]

    def in_world(parts: list[tuple[Array, Array]]) -> tuple[Float64[Array, "n 3"], Float64[Array, " n"]]:
        turned = [vectors @ pose[i, :3, :3].T for i, (vectors, _) in zip(frames, parts, strict=True)]
        return np.concatenate(turned), np.concatenate([weight for _, weight in parts])

    surfaces, lines = in_world(normals), in_world(edges)
    cells = len(frames) * _PER_FRAME
    worth = (
        _OF_SURFACES * min(1.0, 2 * float(surfaces[1].sum()) / cells),
        _OF_EDGES * min(1.0, float(lines[1].sum()) / (20 * len(frames))),
    )

    def score(ups: Float64[Array, "m 3"], sigma_deg: float) -> Float64[Array, " m"]:
        sigma = math.radians(sigma_deg)
        return (
            _held(ups, pose)
            + worth[0] * _mean_of(_of_surfaces(ups, surfaces[0], sigma), surfaces[1])
            + worth[1] * _mean_of(_of_edges(ups, lines[0], sigma), lines[1])
        )

    # Coarse and wide first, so that nothing is missed; then fine.
    ups = _around(mean, _REACH_DEG, 2.0)
    coarse = score(ups, 4.0)
    best = ups[int(coarse.argmax())]
    fine = _around(best, 3.0, 0.2)
    up = fine[int(score(fine, 2.0).argmax())]
    mass = np.exp(coarse - coarse.max())
    near = ups @ up > math.cos(math.radians(NEAR_DEG))
    found = Gravity(torch.from_numpy(up), float(mass[near].sum() / mass.sum()))
    return found if found.sure else Gravity(torch.from_numpy(mean), found.confidence)


def _around(middle: Float64[Array, " 3"], reach_deg: float, step_deg: float) -> Float64[Array, "m 3"]:
    """Directions about one, evenly over a disc of angles."""
    reach, step = math.radians(reach_deg), math.radians(step_deg)
    across = np.linalg.svd(middle[None])[2][1:]
    count = math.ceil(reach / step)
    a, b = np.meshgrid(*[step * np.arange(-count, count + 1)] * 2)
    offset = np.stack([a.ravel(), b.ravel()], 1)
    angle = np.linalg.norm(offset, axis=1)
    offset, angle = offset[angle <= reach], angle[angle <= reach]
    toward = offset / np.maximum(angle, 1e-12)[:, None] @ across
    return np.cos(angle)[:, None] * middle + np.sin(angle)[:, None] * toward


def _held(ups: Float64[Array, "m 3"], pose: Float64[Array, "t 4 4"]) -> Float64[Array, " m"]:
    """Log of how likely a camera is held so. One pose is one witness; whoever turns says it anew."""
    roll = np.arcsin(np.clip(ups @ pose[:, :3, 0].T, -1, 1)) / math.radians(_ROLL_DEG)
    pitch = np.arcsin(np.clip(ups @ pose[:, :3, 2].T, -1, 1)) / math.radians(_PITCH_DEG)
    turned = np.arccos(np.clip(pose[:, :3, 2] @ pose[0, :3, 2], -1, 1)).max()
    return -0.5 * (1 + turned / math.radians(30)) * (roll**2 + pitch**2).mean(1)


def _mean_of(log: Float64[Array, "m n"], weight: Float64[Array, " n"]) -> Float64[Array, " m"]:
    return log @ weight / max(float(weight.sum()), 1e-9)


def _of_surfaces(ups: Float64[Array, "m 3"], normals: Float64[Array, "n 3"], sigma: float) -> Float64[Array, "m n"]:
    """Log of how likely each normal is where up is so, against normals of any direction."""
    cosine = np.clip(ups @ normals.T, -1, 1)
    about = np.exp(-(np.arccos(np.abs(cosine)) ** 2) / (2 * sigma**2)) * 2 / sigma**2
    upright = _on_circle(cosine, sigma)
    share = np.where(cosine > 0, _LEVEL, _CEILING)
    return np.log(1 - _LEVEL - _CEILING - _UPRIGHT + share * about + _UPRIGHT * upright)


def _of_edges(ups: Float64[Array, "m 3"], planes: Float64[Array, "n 3"], sigma: float) -> Float64[Array, "m n"]:
    """The same for the planes through the eye in which edges lie: an upright edge's holds up."""
    return np.log(1 - _STANDS + _STANDS * _on_circle(np.clip(ups @ planes.T, -1, 1), sigma / 2))


def _on_circle(cosine: Float64[Array, "m n"], sigma: float) -> Float64[Array, "m n"]:
    """Density of directions at right angles to up, against any direction."""
    return np.exp(-(np.arcsin(cosine) ** 2) / (2 * sigma**2)) * 2 / (math.sqrt(2 * math.pi) * sigma)


def _normals(maps: DepthMaps, motion: Motion, i: int) -> tuple[Float64[Array, "n 3"], Float64[Array, " n"]]:
    """Normals of a frame's surfaces, towards the camera and in its axes, and how much each is worth, 0 to 1.

    The inverse depth of a plane is linear in the picture: with a x + b y + c at (x, y, 1) its normal is along
    (a, b, c). That is fitted in a window about every pixel, and how badly it fits says whether there is a plane.
    """
    scale = min(1.0, _WIDTH / max(maps.hw))
    hw = tuple(max(_WINDOW, round(side * scale)) for side in maps.hw)
    take = [np.minimum(((np.arange(n) + 0.5) * m / n).astype(int), m - 1) for n, m in zip(hw, maps.hw, strict=True)]
    depth = maps.depth_m[i].cpu().numpy()[np.ix_(*take)].astype(np.float64)
    sure = maps.confidence[i].cpu().numpy()[np.ix_(*take)].astype(np.float64)
    moving = cv2.resize(motion.moving[i].float().cpu().numpy(), (hw[1], hw[0]), interpolation=cv2.INTER_LINEAR)
    there = (sure > 0) & np.isfinite(depth) & (moving < 0.5)
    rho = np.where(there, 1 / np.where(there, depth, 1.0), 0.0)
    K = maps.K[i].cpu().double().numpy()
    x = ((take[1] + 0.5 - K[0, 2]) / K[0, 0])[None].repeat(hw[0], 0)
    y = ((take[0] + 0.5 - K[1, 2]) / K[1, 1])[:, None].repeat(hw[1], 1)

    def mean(values: Array) -> Array:
        return cv2.boxFilter(values, -1, (_WINDOW, _WINDOW), borderType=cv2.BORDER_ISOLATED)

    middle, xm, ym = mean(rho), mean(x), mean(y)
    # Where a map is one pixel wide there is no slope to be seen, and none is made up.
    vx, vy = np.maximum(mean(x * x) - xm**2, 1e-12), np.maximum(mean(y * y) - ym**2, 1e-12)
    a, b = (mean(rho * x) - middle * xm) / vx, (mean(rho * y) - middle * ym) / vy
    unexplained = np.maximum(mean(rho * rho) - middle**2 - a * a * vx - b * b * vy, 0)
    whole = mean(there.astype(np.float64)) > 0.999
    rough = np.sqrt(unexplained) / np.maximum(middle, 1e-12)
    known = np.clip((mean(sure) - _GUESSED) / (1 - _GUESSED), 0, 1)
    weight = np.where(whole, known, 0) * np.exp(-((rough / 0.01) ** 2))
    normal = -np.stack([a, b, middle - a * xm - b * ym], -1)
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-12)
    half = _WINDOW // 2
    step = max(1, int(math.sqrt(hw[0] * hw[1] / _PER_FRAME)))
    grid = (slice(half, hw[0] - half, step), slice(half, hw[1] - half, step))
    normal, weight = normal[grid].reshape(-1, 3), weight[grid].ravel()
    return normal[weight > 0.01], weight[weight > 0.01]


def _edges(
    frame: UInt8[Array, "h w 3"], cameras: Cameras, motion: Motion, i: int
) -> tuple[Float64[Array, "n 3"], Float64[Array, " n"]]:
    """Normals, in the camera's axes, of the planes through the eye and long edges that may be upright; and weights."""
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    h, w = grey.shape
    found = cv2.createLineSegmentDetector().detect(grey)[0]
    if found is None:
        return np.zeros((0, 3)), np.zeros(0)
    ends = found.reshape(-1, 2, 2).astype(np.float64)
    along = ends[:, 1] - ends[:, 0]
    length = np.linalg.norm(along, axis=1)
    middle = ends.mean(1)
    mh, mw = motion.hw
    row = np.clip((middle[:, 1] * mh / h).astype(int), 0, mh - 1)
    column = np.clip((middle[:, 0] * mw / w).astype(int), 0, mw - 1)
    still = motion.moving[i].float().cpu().numpy()[row, column] < 0.5
    steep = np.abs(along[:, 1]) > np.abs(along[:, 0])
    keep = (length > h / 12) & still & steep
    K = cameras.K[i].cpu().double().numpy()
    rays = np.linalg.solve(K, np.concatenate([ends[keep], np.ones((int(keep.sum()), 2, 1))], 2).reshape(-1, 3).T).T
    planes = np.cross(rays[0::2], rays[1::2])
    planes /= np.maximum(np.linalg.norm(planes, axis=1, keepdims=True), 1e-12)
    return planes, np.minimum(length[keep] / (h / 4), 1.0)
