"""Things to put on a stage: plants, flags, jugs, pinwheels, trees, and a row of dominoes that falls."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fourd.errors import InputError
from fourd.generate import meshes, motions
from fourd.generate.meshes import Mesh
from fourd.generate.props import Deform, Pose


def jug(height_m: float, belly_m: float) -> Mesh:
    """A clay jug with a narrow neck."""
    share = np.array([0, 0.001, 0.1, 0.3, 0.5, 0.7, 0.8, 0.88, 0.96, 1.0, 1.0, 0.9, 0.8])
    radius = np.array([0, 0.55, 0.72, 0.97, 1.0, 0.72, 0.48, 0.4, 0.46, 0.52, 0.44, 0.32, 0.36])
    return meshes.lathe(np.stack([radius * belly_m, share * height_m], 1), 40)


def pot(height_m: float, radius_m: float) -> Mesh:
    """A flower pot with a rim, filled with earth nearly to the top."""
    h, r = height_m, radius_m
    profile = [(0, 0), (0.68 * r, 0), (0.92 * r, 0.8 * h), (r, 0.8 * h), (r, h), (0.86 * r, h), (0.82 * r, 0.9 * h)]
    return meshes.lathe(np.array([*profile, (0, 0.9 * h)], float), 40)


def plant(leaves: int, height_m: float, rng: np.random.Generator, width_m: float = 0.09) -> Mesh:
    """Long leaves that rise from the origin and bend outwards; u across each leaf, v along it."""
    along = np.linspace(0, 1, 9)
    parts = []
    for k in range(leaves):
        turn = 2.399963 * k + rng.uniform(-0.3, 0.3)
        lean, length = rng.uniform(0.25, 1.1), height_m * rng.uniform(0.75, 1.25)
        bend = lean * (0.25 + 0.9 * along)
        step = np.diff(along, prepend=0) * length
        out, up = np.cumsum(np.sin(bend) * step), np.cumsum(np.cos(bend) * step)
        half = width_m * np.sin(np.pi * np.clip(along * 0.93 + 0.05, 0, 1)) ** 0.8 * rng.uniform(0.8, 1.2) + 0.002
        across = np.array([-1.0, 0.0, 1.0])
        points = np.zeros((len(along), 3, 3))
        points[..., 0] = half[:, None] * across
        points[..., 1] = up[:, None] + 0.25 * half[:, None] * np.abs(across)  # Folded a little along the midrib.
        points[..., 2] = out[:, None]
        u, v = np.meshgrid([0, 0.5, 1], along)
        parts.append(meshes.surface(points, np.stack([u, v], -1)).moved(rotation=motions.rotation((0, 1, 0), turn)))
    return meshes.merge(parts)


def swaying(height_m: float, swing_m: float, period_s: float = 1.7) -> Deform:
    """Deform a plant as wind does: the more the higher, and every part in its own time."""

    def deform(rest: np.ndarray, t: float) -> np.ndarray:
        share = np.clip(rest[:, 1] / height_m, 0, 1.5) ** 1.6 * swing_m
        phase = 2 * np.pi * t / period_s
        moved = rest.copy()
        moved[:, 0] += share * (np.sin(phase + 4 * rest[:, 2]) + 0.35 * np.sin(2.3 * phase + 9 * rest[:, 0]))
        moved[:, 2] += 0.5 * share * np.sin(1.3 * phase + 1 + 4 * rest[:, 0])
        moved[:, 1] -= 0.15 * share * np.abs(np.sin(phase + 4 * rest[:, 2]))
        return moved

    return deform


def flag(width_m: float, height_m: float) -> Mesh:
    """A cloth in the x-y plane, held at x = 0, its lower edge at y = 0; u and v run once over it."""
    x, y = np.meshgrid(np.linspace(0, 1, 31), np.linspace(0, 1, 15))
    points = np.stack([x * width_m, y * height_m, 0 * x], -1)
    return meshes.surface(points, np.stack([x, y], -1))


def waving(width_m: float, height_m: float, swing_m: float, period_s: float = 1.1) -> Deform:
    """Deform a flag: waves run from the pole to its free end and grow on the way."""

    def deform(rest: np.ndarray, t: float) -> np.ndarray:
        s, up = rest[:, 0] / width_m, rest[:, 1] / height_m
        phase = 2 * np.pi * (1.35 * s - t / period_s + 0.12 * up)
        moved = rest.copy()
        moved[:, 2] += swing_m * s**0.8 * (np.sin(phase) + 0.3 * np.sin(2.1 * phase + 1))
        moved[:, 0] *= 1 - 0.35 * (swing_m / width_m) * (1 + np.sin(phase + 1.2)) * s
        moved[:, 1] -= 0.12 * height_m * s**2 - 0.05 * height_m * s * np.sin(phase + 0.7)
        return moved

    return deform


def pinwheel(radius_m: float, blades: int = 6) -> Mesh:
    """A paper pinwheel in the x-y plane that looks along z; blade k has u = (k + 0.5) / blades."""
    a = np.linspace(0, 1, 7)
    r, s = np.meshgrid(a, a, indexing="ij")
    parts = []
    for k in range(blades):
        wide = 2 * np.pi / blades
        angle = s * wide * (0.25 + 0.6 * r) + wide * k
        curl = 0.32 * radius_m * s * np.sin(np.pi * (0.15 + 0.85 * r) * 0.9)
        points = radius_m * r[..., None] * np.stack([np.cos(angle), np.sin(angle), 0 * angle], -1)
        points[..., 2] = curl
        u = np.full_like(r, (k + 0.5) / blades)
        parts.append(meshes.surface(points, np.stack([u, r], -1)))
    return meshes.merge(parts)


def crown(radius_m: float, rng: np.random.Generator) -> Mesh:
    """The crown of a tree: a heap of lumpy balls around the origin."""
    parts = []
    for _ in range(7):
        where = rng.normal(size=3) * np.array([0.5, 0.35, 0.5]) * radius_m
        parts.append(meshes.blob(radius_m * rng.uniform(0.45, 0.75), rng, 0.3).moved(where.tolist()))
    return meshes.merge(parts)


def trunk(height_m: float, radius_m: float, rng: np.random.Generator) -> Mesh:
    """A tree's trunk, a little bent."""
    y = np.linspace(-0.1, 1, 8)
    bend = rng.normal(size=2) * 0.08 * height_m
    path = np.stack([bend[0] * y**2, y * height_m, bend[1] * y * y], 1)
    return meshes.tube(path, radius_m * (1.25 - 0.5 * y))


def picket_fence(length_m: float, height_m: float, gap_m: float = 0.16) -> Mesh:
    """A fence along x: pointed pales and two rails."""
    count = max(2, round(length_m / gap_m))
    pale = meshes.box((0.09, height_m, 0.025), 0.01)
    parts = [pale.moved((length_m * (k / (count - 1) - 0.5), 0, 0.02)) for k in range(count)]
    for y in (0.25, 0.7):
        parts.append(meshes.box((length_m, 0.07, 0.03)).moved((0, y * height_m, -0.02)))
    return meshes.merge(parts)


class Dominoes:
    """A row of upright blocks along x that knock each other over.

    A wave runs along the row at an even pace. A block tips about its lower front edge until it touches the next,
    after ``interval_s``; from then on it leans on that one, with its upper front edge on the other's
    back, which decides its angle exactly. The last block falls flat.
    """

    def __init__(
        self, count: int, size_m: Sequence[float], spacing_m: float, start_s: float, interval_s: float = 0.07
    ) -> None:
        """Set up ``count`` blocks of ``size_m`` (thickness, height, width); the first is pushed at ``start_s``.

        Raises:
            InputError: If the blocks stand too close or too far apart to knock each other over.
        """
        self.thickness, self.height, self.width = (float(s) for s in size_m)
        gap = spacing_m - self.thickness
        if count < 2 or not 0 < gap < 0.9 * self.height:
            raise InputError(
                f"{count} dominoes with a gap of {gap:g} m and a height of {self.height:g} m do not knock each other"
                " over; there must be two or more, with a gap above 0 and below 0.9 of the height."
            )
        self.count, self.spacing = count, spacing_m
        touch = np.arcsin(gap / self.height)
        # Angles of a block, and those of the next that it leans on.
        mine = np.linspace(touch, np.pi / 2, 2000)
        x, y = self.height * np.sin(mine) - spacing_m, self.height * np.cos(mine)
        ahead = np.arccos(np.clip(-self.thickness / np.hypot(x, y), -1, 1)) - np.arctan2(y, x)
        self.knock_s = [start_s + interval_s * (k + 1) for k in range(count - 1)]
        """When block k touches block k + 1; the last entry is when the last block lands."""
        flat = 3.2 * interval_s
        self.knock_s.append(self.knock_s[-1] + flat)
        self._start, self._step = start_s, 1e-3
        time = np.arange(start_s, self.knock_s[-1] + 2 * self._step, self._step)
        since = np.clip((time - self.knock_s[-2]) / flat, 0, 1)
        angle = np.pi / 2 * (0.35 * since + 0.65 * since**2)
        rows = [angle]
        for k in range(count - 2, -1, -1):
            since = np.clip((time - self.knock_s[k] + interval_s) / interval_s, 0, 1)
            falling = touch * (0.5 * since + 0.5 * since**2)
            angle = np.where(time < self.knock_s[k], falling, np.interp(angle, ahead, mine))
            rows.append(angle)
        self._angle = np.stack(rows[::-1])
        self.knock_mps = [1.5 * touch * self.height / interval_s] * (count - 1) + [
            1.65 * np.pi / 2 / flat * self.height
        ]
        """How fast they meet each time."""

    def angle(self, k: int, t: float) -> float:
        """How far block ``k`` has tipped at a moment, in radians."""
        row = self._angle[k]
        return float(np.interp((t - self._start) / self._step, np.arange(len(row)), row))

    @property
    def mesh(self) -> Mesh:
        """One block, standing on its origin."""
        return meshes.box((self.thickness, self.height, self.width), 0.006)

    def pose(self, k: int, first: np.ndarray) -> Pose:
        """The pose of block ``k`` in a row whose first block stands at ``first``, a pose itself."""
        edge = motions.placed((self.thickness / 2, 0, 0))
        back = np.linalg.inv(edge)

        def pose(t: float) -> np.ndarray:
            turn = motions.placed((0, 0, 0), motions.rotation((0, 0, 1), -self.angle(k, t)))
            return first @ motions.placed((k * self.spacing, 0, 0)) @ edge @ turn @ back

        return pose
