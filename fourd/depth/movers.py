"""The depth of what moves on its own: bounded by what it hides, and carried through time by how large it looks.

Two views of a moving thing do not triangulate, so its depth is read off the still world around it. It is in front of
everything that it hides, and most of all of the ground that its lower border covers. A thing keeps its size, so how
large it looks says how near it is in each frame as compared with others (``sizes``); that makes all these bounds
bounds of one number. Where they all say the same, the thing stands: each is its depth. Where they do not, it leaves the
ground, and the tightest of them, when it is lowest, is nearest to the truth; it is still a bound.

Each thing becomes an upright sheet, bent as the network's guess of the frame is bent there; without one, it bulges.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32
from numpy import ndarray as Array

from fourd.depth import objects, sizes
from fourd.depth.common import Rig, carried, flow_at, moving_mask
from fourd.types import Motion

CONFIDENCE = 0.45
"""Half to four fifths of such depths are within a tenth of the truth; but they are none that others, who believe what
is above one half, should measure by."""
_FOOT = 0.2
"""Share of a region's columns, the lowest ones, that are taken for its feet."""
_SPREAD = 0.03, 0.09
"""How far a thing's bounds (their logarithms) may differ for it to stand, and from where on it is surely in the air."""
_DRIFT = 0.2
"""Slow change of the bounds over the clip that is put down to how badly sizes are known."""
_STRETCH = 120
"""Frames over which bounds are compared."""
_TIGHT = 0.95
"""Quantile of the bounds that is taken for the tightest: single ones are wrong."""
_ALOFT = 0.1
"""How much nearer than its tightest bound a thing in the air is taken to be, as a logarithm."""
_HIDDEN = 0.5
"""Share of a thing's height that may lie below the picture's border, for the ground there to be continued so far."""
_SLOPE = 1 / 12
"""Share of the picture's height, at its lower border, over which the ground's slope is taken."""
_RELIEF = 1.08
"""Parts of a region are so many times nearer or farther than its middle at most: a guess may not tear it apart."""
_ROUND = 0.5
"""Where nobody guesses the relief: things bulge by this share of what a ball of their width would."""
_MEMORY = 0.75
"""How much of the relief of the frame before is kept."""


@dataclass(frozen=True, eq=False)
class Regions:
    """The things that move, in one frame."""

    label: Int32[Array, "h w"]
    """0 for what is still, else the number of the thing, from 1."""
    rho: Float32[Array, " n"]
    """Inverse depth of each thing of the clip; meaningless for those that the frame does not show."""
    relief: Float32[Array, "h w"] | None = None
    """Inverse depth over that of the region; 1 outside. None: all are flat."""


class Things:
    """All that moves in a clip."""

    def __init__(self, motion: Motion, rig: Rig, moving: list[Bool[Array, "h w"]] | None = None) -> None:
        """Tell things apart and follow them through the clip.

        Args:
            motion: Flow and what moves, of any size.
            rig: Cameras for the maps in which depth is found.
            moving: What moves, where that is known better than by ``motion``.
        """
        self._motion, self._focal_px, last = motion, rig.K[:, 0, 0], len(motion) - 1
        label = []
        for i in range(len(motion)):
            flow = flow_at(motion, i, 1 if i < last else -1, rig.hw)
            label.append(objects.regions(moving_mask(motion, i, rig.hw) if moving is None else moving[i], flow))
        self.label = objects.heard(objects.follow(label, motion), motion)
        """For each frame the number of the thing that each pixel shows, from 1 on; 0 is what stands still."""
        self._feet: list[dict[int, _Feet]] = [{} for _ in label]
        self._relief: list[Float32[Array, "h w"] | None] = [None for _ in label]

    @property
    def count(self) -> int:
        """How many things there are."""
        return max(int(frame.max()) for frame in self.label)

    def look(self, i: int, still: Float32[Array, "h w"], shape: Float32[Array, "h w"] | None = None) -> None:
        """Note what frame ``i`` says of the things in it.

        Args:
            i: The frame.
            still: Inverse depth of the still world, also behind what moves.
            shape: A guess of the frame's inverse depth with what moves in it, up to a factor; it gives things relief.
        """
        frame = self.label[i]
        names = objects.numbers(frame)
        self._feet[i] = {k: _feet(frame == k, still) for k in names}
        if names:
            bulge = _bulge(frame, names, float(self._focal_px[i]))
            self._relief[i] = bulge if shape is None else _relief(frame, shape, names)

    def placed(self) -> list[Regions]:
        """Say how far each thing is in each frame, when all frames have been looked at."""
        rho = np.ones((len(self.label), self.count), np.float32)
        for k, growth in enumerate(sizes.growth(self.label, self._motion, self.count)):
            frames = np.array(sorted(growth))
            larger = np.array([growth[i] for i in frames])
            feet = [self._feet[i][k + 1] for i in frames]
            logs = np.log(_bounds(feet, np.exp(larger))) - larger
            rho[frames, k] = np.exp(larger + _level(logs, np.array([f.whole for f in feet])))
        regions = [Regions(label, rho[i], self._relief[i]) for i, label in enumerate(self.label)]
        return _steady_relief(regions, self._motion)


@dataclass(frozen=True)
class _Feet:
    """Where a region ends below in one frame."""

    rho: float
    """Inverse depth of the ground there."""
    steeper: float
    """How much larger it is a row further down, at the picture's lower border."""
    whole: bool
    """Whether the picture shows the feet."""
    height: float
    """Rows from the region's highest to its lowest; NaN if it runs out of the picture above."""


def _feet(inside: Bool[Array, "h w"], still: Float32[Array, "h w"]) -> _Feet:
    """Look at the ground under a region's feet."""
    h = len(inside)
    columns = np.nonzero(inside.any(0))[0]
    bottom, top = h - 1 - inside[::-1, columns].argmax(0), inside[:, columns].argmax(0).min()
    feet = bottom >= np.quantile(bottom, 1 - _FOOT)
    ground = still[np.minimum(bottom[feet] + 2, h - 1), columns[feet]]
    rows = min(max(round(_SLOPE * h), 1), h - 1)
    rise = still[h - 1, columns[feet]] - still[h - 1 - rows, columns[feet]]
    return _Feet(
        rho=max(float(np.median(ground)), 1e-6),
        steeper=max(float(np.median(rise)) / max(rows, 1), 0),
        whole=bool(bottom.max() < h - 2),
        height=float(bottom.max() + 1 - top) if top > 1 else float("nan"),
    )


def _bounds(feet: list[_Feet], larger: Float64[Array, " n"]) -> Float64[Array, " n"]:
    """What a thing hides of the ground, as inverse depth, also where its feet are below the picture.

    It keeps its height, and the ground, whose inverse depth is linear in the picture where it is a plane, goes on.

    Args:
        feet: Where it ends in each frame.
        larger: How large it looks in each.
    """
    seen = [f.height / size for f, size in zip(feet, larger, strict=True) if f.whole and f.height > 0]
    rho = np.array([f.rho for f in feet])
    if not seen:
        return rho
    height = float(np.median(seen)) * larger
    hidden = np.array(
        [0.0 if f.whole or np.isnan(f.height) else h - f.height for f, h in zip(feet, height, strict=True)]
    )
    return rho + np.array([f.steeper for f in feet]) * np.clip(hidden, 0, _HIDDEN * height)


def _level(bounds: Float64[Array, " n"], whole: Bool[Array, " n"]) -> Float64[Array, " n"]:
    """Logarithms of a thing's inverse depth, were it always equally large, from the bounds on them.

    Args:
        bounds: Their logarithms, in the order of time.
        whole: Where the picture shows the feet, so that the bound may be the depth.
    """
    n = len(bounds)
    near = np.pad(bounds, 1, mode="edge")
    smooth = np.median(np.stack([near[:-2], bounds, near[2:]]), axis=0)
    # Sizes drift over long times, and things land: in a long clip each stretch is judged by itself.
    centres, half = np.zeros(1), n
    if n > _STRETCH:
        centres, half = np.linspace(0, n - 1, 2 * round(n / _STRETCH) - 1), _STRETCH // 2
    judged = []
    for centre in centres.astype(int):
        part = slice(max(centre - half, 0), centre + half)
        judged.append((_aloft(smooth[part], whole[part]), float(np.quantile(smooth[part], _TIGHT))))
    aloft, tight = (np.interp(np.arange(n), centres, x) for x in zip(*judged, strict=True))
    return (1 - aloft) * smooth + aloft * (tight + _ALOFT)


def _aloft(bounds: Float64[Array, " n"], whole: Bool[Array, " n"]) -> float:
    """How surely a thing is in the air, 0 to 1, from the spread of its bounds."""
    if whole.sum() < 3:
        return 1.0
    at = np.linspace(-0.5, 0.5, len(bounds))[whole]
    slope = float(np.polyfit(at, bounds[whole], 1)[0])
    rest = bounds[whole] - slope * at
    spread = float(np.quantile(rest, 0.9) - np.quantile(rest, 0.1)) + max(abs(slope) - _DRIFT, 0)
    return float(np.clip((spread - _SPREAD[0]) / (_SPREAD[1] - _SPREAD[0]), 0, 1))


def _relief(label: Int32[Array, "h w"], shape: Float32[Array, "h w"], names: list[int]) -> Float32[Array, "h w"]:
    """The guess within each region over its median there, within limits; smooth, and 1 outside."""
    ratio = np.ones_like(shape)
    for k in names:
        inside = label == k
        ratio[inside] = shape[inside] / np.median(shape[inside])
    # Averaged within the region alone, so that what is beside it does not bend its borders.
    size = max(label.shape) / 25
    inside = (label > 0).astype(np.float32)
    logs = np.log(np.clip(ratio, 1 / _RELIEF, _RELIEF)) * inside
    total, mass = (np.asarray(cv2.GaussianBlur(x, (0, 0), size)) for x in (logs, inside))
    return np.exp(total / np.maximum(mass, 1e-3)).astype(np.float32)


def _bulge(label: Int32[Array, "h w"], names: list[int], focal_px: float) -> Float32[Array, "h w"]:
    """Things as thick as they are wide: a cushion over each region, as inverse depth over that of its border."""
    out = np.ones(label.shape, np.float32)
    for k in names:
        if (label == k).all():
            continue  # It has no border at all.
        # The picture's border is no border of the thing.
        inside = np.pad((label == k).astype(np.uint8), 1, mode="edge")
        away = cv2.distanceTransform(inside, cv2.DIST_L2, 5)[1:-1, 1:-1]
        radius = float(away.max())
        height = np.sqrt(np.maximum(2 * radius * away - away**2, 0))
        out[label == k] = (1 / (1 - np.minimum(_ROUND * height / focal_px, 0.3)))[label == k]
    return out


def _steady_relief(regions: list[Regions], motion: Motion) -> list[Regions]:
    """Mix each frame's relief with that of the frame before, carried along by the flow."""
    result: list[Regions] = []
    for i, r in enumerate(regions):
        before = result[-1].relief if result else None
        if r.relief is not None and before is not None:
            here = carried(before, motion, i)
            r = replace(r, relief=(_MEMORY * here + (1 - _MEMORY) * r.relief).astype(np.float32))
        result.append(r)
    return result


def paint(
    rho: Float32[Array, "h w"], moving: Bool[Array, "h w"], regions: Regions
) -> tuple[Float32[Array, "h w"], Bool[Array, "h w"]]:
    """Lay the moving regions over the still world, at full size.

    Args:
        rho: Inverse depth of the still world at full size.
        moving: Which pixels move, at full size: the border of what is laid over.
        regions: The regions, at any size.

    Returns:
        Inverse depth with the regions, and where they are.
    """
    if len(regions.rho) == 0:
        return rho, np.zeros_like(moving)
    h, w = moving.shape
    # Borders at full size run a little outside of the small regions: let these grow to meet them.
    grown = cv2.dilate(regions.label.astype(np.int16), np.ones((5, 5), np.uint8))
    label = np.where(regions.label > 0, regions.label, grown).astype(np.int16)
    label = np.asarray(cv2.resize(label, (w, h), interpolation=cv2.INTER_NEAREST), np.int32)
    laid = moving & (label > 0)
    out = rho.copy()
    out[laid] = regions.rho[label[laid] - 1]
    if regions.relief is not None:
        out[laid] *= np.asarray(cv2.resize(regions.relief, (w, h), interpolation=cv2.INTER_LINEAR))[laid]
    return out, laid
