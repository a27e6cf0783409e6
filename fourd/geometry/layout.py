"""The large surfaces that bound a scene: floor, walls, ground and sky, found as planes that nothing lies behind.

What a camera uncovers when it turns is for the most part more of these. A room is the intersection of half-spaces, so
along a ray the nearest of its planes is the wall that stands there, also where nobody ever looked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float32, Float64, Int64
from torch import Tensor

from fourd.checked import checked
from fourd.geometry import continued, pinhole
from fourd.types import Cameras

NONE = -1
"""No surface bounds the scene there, as far as anyone knows."""

_POINTS = 800
"""So many points of each picture are looked at."""
_SEEDS = 50
"""Beside so many pixels of each picture pieces of planes are tried."""
_REACH = 0.03
"""Half the size of the smallest pieces, in widths of the picture."""
_NEAR = 0.012
"""Something is on a plane if it is so near to it, in distances from its camera."""
_BEYOND = 0.01
"""At most this share of all that was seen may lie behind a plane that bounds the scene."""
_LARGE = 0.1
"""At least this share of all that was seen lies on it. Where depth is a guess, less would fit somewhere by chance."""
_LEAST = 0.025
"""The same for a plane at right angles to one that is found already."""
_LITTLE = 0.002
"""The same for a plane at right angles to two, a floor and a wall; there is often no more than a strip of it."""
_UPRIGHT = 0.05
"""Cosine of an angle that still is a right one."""
_MOST = 8
"""Planes."""
_FAR = 8.0
"""What is so many times farther away than 9 of 10 points that are seen is the sky."""
_SKY = 0.015
"""Share of what was seen that is sky, where there is one."""
_LOW = 0.1
"""Sine of the angle below its horizon at which sky is seen where a ground ends, at most."""
_ENDS = 0.002
"""At least this share of what was seen is sky before which a surface would lie if it went on for ever."""
_COARSE = 3
"""One pixel of so many in each direction is asked where surfaces end."""


@dataclass(frozen=True, eq=False)
class Layout:
    """The planes that bound a scene."""

    normal: Float64[Tensor, "k 3"]
    """Unit, to the side on which everything is."""
    offset_m: Float64[Tensor, " k"]
    """``normal @ p + offset_m`` is how far the point ``p`` lies before the plane."""
    sky: float | None
    """Inverse depth of the sky in 1/m, if any was seen; it is the surface behind all others, numbered ``k``."""
    middle_m: Float64[Tensor, " 3"]
    """Where the cameras stand in the mean."""
    reach_m: Float64[Tensor, " k"]
    """How far from there each plane goes on: the ground ends at the sky; infinity where no end was seen."""

    def __len__(self) -> int:
        return len(self.offset_m)

    @checked
    def behind(self, camera: Cameras) -> tuple[Int64[Tensor, "h w"], Float32[Tensor, "h w"]]:
        """Which surface bounds the scene along each ray of one camera, and its inverse depth.

        Returns:
            The number of the surface, ``NONE`` where none does; and 1/m along the optical axis, 0 there.
        """
        pose = camera.world_from_cam[0].double()
        ray = pinhole.rays(camera.K[0], camera.hw).double() @ pose[:3, :3].mT
        before = self.normal @ pose[:3, 3] + self.offset_m
        # Whoever stands behind a wall does not see it.
        inverse = torch.where(before > 0, -(ray @ self.normal.mT) / before.clamp(min=1e-9), 0.0)
        ended = _away(pose, ray, inverse, self.middle_m) > self.reach_m
        inverse = torch.where(ended, 0.0, inverse)
        if self.sky is not None:
            inverse = torch.cat([inverse, torch.full_like(inverse[..., :1], self.sky)], -1)
        if inverse.shape[-1] == 0:
            return torch.full(camera.hw, NONE), torch.zeros(camera.hw)
        nearest, number = inverse.max(-1)
        number = torch.where(nearest > 0, number, NONE)
        return number, nearest.clamp(min=0).float()


@checked
def found(
    inverse_depth: Float32[Tensor, "m h w"], known: Bool[Tensor, "m h w"], cameras: Cameras, seed: int = 0
) -> Layout:
    """Find the planes that bound what some cameras see.

    Pieces of planes beside random pixels are tried against all points (RANSAC: Fischler and Bolles, 1981). Of those
    that next to nothing lies behind, the one with most points on it is taken, then the one with most of what is left.

    Args:
        inverse_depth: What each camera sees, in 1/m along its optical axis.
        known: Where it sees something.
        cameras: Of these maps, at their size.
        seed: Of what is tried.
    """
    random = torch.Generator().manual_seed(seed)
    parts = [_sampled(inverse_depth[i], known[i], cameras[i : i + 1], random) for i in range(len(cameras))]
    point, away, normal, offset = (torch.cat(x) for x in zip(*parts, strict=True))
    if len(point) < 3 or len(normal) == 0:
        return _nothing()
    infinite = away > _FAR * away.quantile(0.9)
    for limit in (0.8, 0.6, 0.4):  # Where there is much sky, nine of ten points are not near.
        infinite = infinite | (away > _FAR * _FAR * away.quantile(limit))
    sky = float(1 / away[infinite].median()) if infinite.double().mean() > _SKY else None
    close = _NEAR * away
    behind = -torch.where(infinite, _LOW * away, 3 * close)
    free = ~infinite
    planes: list[Tensor] = []
    for _ in range(_MOST):
        lead = point @ normal.mT + offset
        bounds = (lead < behind[:, None]).double().mean(0) <= _BEYOND
        support = ((lead.abs() < close[:, None]) & free[:, None]).double().mean(0) * bounds
        square = torch.zeros_like(bounds)
        for other in planes:
            square |= (normal @ other[:3]).abs() < _UPRIGHT
        support = torch.where(support >= torch.where(square, _LEAST, _LARGE), support, 0.0)
        best = int(support.argmax())
        if float(support[best]) == 0:
            break
        plane = _refined(point, close, normal[best], offset[best], free)
        lead = point @ plane[:3] + plane[3]
        if float((lead < behind).double().mean()) <= _BEYOND:
            planes.append(plane)
        free = free & (lead.abs() >= 2 * close) & ((point @ normal[best] + offset[best]).abs() >= close)
    if sky is None and len(planes) > 1:
        planes += _squared(point, close, free, planes)
    if not planes:
        return _nothing()  # A sky needs a ground where it ends.
    both, middle = torch.stack(planes), cameras.centre_m.double().mean(0)
    endless = Layout(both[:, :3], both[:, 3], sky, middle, torch.full((len(both),), torch.inf).double())
    return endless if sky is None else replace(endless, reach_m=_ends(endless, inverse_depth, known, cameras))


def _nothing() -> Layout:
    nothing = torch.zeros(0).double()
    return Layout(torch.zeros(0, 3).double(), nothing, None, torch.zeros(3).double(), nothing)


def _away(pose: Tensor, ray: Tensor, inverse: Tensor, from_m: Tensor) -> Tensor:
    """How far places at inverse depths [h, w, k] on a camera's rays [h, w, 3] are from a point."""
    return ((pose[:3, 3] - from_m) + ray[..., None, :] / inverse.clamp(min=1e-12)[..., None]).norm(dim=-1)


def _ends(layout: Layout, inverse_depth: Tensor, known: Tensor, cameras: Cameras) -> Tensor:
    """How far planes go on: as far as explains best where they were seen, and where the sky was and not they.

    A plane for ever ends at its horizon. What is filmed ends before: the ground rises, or falls, or fades.
    """
    assert layout.sky is not None
    seen: list[list[Tensor]] = [[] for _ in range(len(layout))]
    through: list[list[Tensor]] = [[] for _ in range(len(layout))]
    total = 0
    for i in range(len(cameras)):
        pose = cameras.world_from_cam[i].double()
        ray = (pinhole.rays(cameras.K[i], cameras.hw).double() @ pose[:3, :3].mT)[::_COARSE, ::_COARSE]
        had, there = (x[i, ::_COARSE, ::_COARSE] for x in (inverse_depth, known))
        number, lies = (x[::_COARSE, ::_COARSE] for x in layout.behind(cameras[i : i + 1]))
        distance = _away(pose, ray, lies.double()[..., None], layout.middle_m)[..., 0]
        sky, on = there & (had < 2 * layout.sky), there & ((had / lies.clamp(min=1e-9) - 1).abs() < _NEAR)
        total += int(there.sum())
        for k in range(len(layout)):
            seen[k].append(distance[on & ~sky & (number == k)])
            through[k].append(distance[sky & (number == k)])
    reach = []
    for some, none in zip(seen, through, strict=True):
        end, beyond = torch.cat(some), torch.cat(none)
        if len(beyond) <= _ENDS * total:
            reach.append(torch.inf)
            continue
        # Of all distances, the one that puts fewest of either on the wrong side.
        both, order = torch.cat([end, beyond]).sort()
        there = (order < len(end)).long()
        wrong = there.sum() - there.cumsum(0) + (1 - there).cumsum(0)
        best = int(wrong.argmin())
        reach.append(float(both[best]) if int(wrong[best]) < len(beyond) // 2 else torch.inf)
    return torch.tensor(reach, dtype=torch.float64)


def _sampled(inverse: Tensor, known: Tensor, camera: Cameras, random: torch.Generator) -> tuple[Tensor, ...]:
    """Points of a picture, how far they are off, and pieces of planes: normals towards the camera and offsets."""
    row, column = torch.nonzero(known & (inverse > 0)).unbind(1)
    order = torch.randperm(len(row), generator=random)
    row, column = row[order[:_POINTS]], column[order[:_POINTS]]
    pose, K = camera.world_from_cam[0].double(), camera.K[0].double()
    ray = pinhole.rays(camera.K[0], camera.hw).double()
    away = 1 / inverse[row, column].double()
    point = pinhole.transform(pose, ray[row, column] * away[:, None])
    row, column = row[:_SEEDS], column[:_SEEDS]
    if len(row) == 0:
        return point, away, point, away
    level, slope = continued.planes(inverse, known, row.float(), column.float())
    # Fitted planes bear noise, differences small pictures: both are tried.
    reach = max(1, round(_REACH * camera.hw[1]))
    (up, down), (left, right) = (
        ((x - reach).clamp(min=0), (x + reach).clamp(max=n - 1)) for x, n in zip((row, column), camera.hw, strict=True)
    )
    across = (inverse[row, right] - inverse[row, left]) / (right - left).clamp(min=1)
    along = (inverse[down, column] - inverse[up, column]) / (down - up).clamp(min=1)
    level = torch.cat([level, inverse[row, column]])
    slope = torch.cat([slope, torch.stack([across, along], 1)])
    row, column = row.repeat(2), column.repeat(2)
    # 1 / z = a x/z + b y/z + c on the plane, whose normal is (a, b, c); it looks at the camera.
    a, b = slope.double()[:, 0] * K[0, 0], slope.double()[:, 1] * K[1, 1]
    x, y, _ = ray[row, column].unbind(1)
    normal = -torch.stack([a, b, level.double() - a * x - b * y], 1)
    size = normal.norm(dim=1).clamp(min=1e-12)
    normal = (normal / size[:, None]) @ pose[:3, :3].mT
    return point, away, normal, 1 / size - normal @ pose[:3, 3]


def _squared(point: Tensor, close: Tensor, free: Tensor, planes: list[Tensor]) -> list[Tensor]:
    """The other sides of a room of which two are known that meet at a right angle: even a strip of them is enough."""
    first = planes[0][:3]
    second = next((x[:3] for x in planes[1:] if abs(float(x[:3] @ first)) < _UPRIGHT), None)
    if second is None:
        return []
    more: list[Tensor] = []
    for axis in (torch.linalg.cross(first, second), first, second):
        for normal in (axis, -axis):
            if any(float(x[:3] @ normal) > 1 - _UPRIGHT for x in [*planes, *more]):
                continue
            along = point @ normal
            offsets = -along.quantile(torch.tensor([3e-4, 1e-3, 2e-3, 4e-3, 7e-3, 1e-2], dtype=torch.float64))
            lead = along[:, None] + offsets
            bounds = (lead < -3 * close[:, None]).double().mean(0) <= _LITTLE / 2
            support = ((lead.abs() < close[:, None]) & free[:, None]).double().mean(0) * bounds
            best = int(support.argmax())
            if float(support[best]) >= _LITTLE:
                # A strip says little of a slope: only how far off it is is taken from it.
                there = free & (lead[:, best].abs() < 2 * close)
                more.append(torch.cat([normal, -along[there].median().reshape(1)]))
    return more


def _refined(point: Tensor, close: Tensor, normal: Tensor, offset: Tensor, usable: Tensor) -> Tensor:
    """The plane through what is on it, all points weighted by how well their distance is known."""
    plane = torch.cat([normal, offset.reshape(1)])
    for width in (2.0, 1.4, 0.9, 0.6):  # What stands on a floor is close to it too, at first.
        lead = point @ plane[:3] + plane[3]
        weight = torch.where(usable, (1 - (lead / (width * close)) ** 2).clamp(min=0) ** 2 / close**2, 0.0)
        if float(weight.sum()) <= 0:
            return plane
        middle = (weight[:, None] * point).sum(0) / weight.sum()
        apart = (point - middle) * weight.sqrt()[:, None]
        fitted = torch.linalg.eigh(apart.mT @ apart)[1][:, 0]
        fitted = fitted * math.copysign(1.0, float(fitted @ plane[:3]))
        plane = torch.cat([fitted, -(fitted @ middle).reshape(1)])
    return plane
