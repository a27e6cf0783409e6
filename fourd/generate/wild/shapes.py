"""Round and soft shapes, light on triangles, for random places."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from fourd.generate import meshes
from fourd.generate.meshes import Mesh


@lru_cache(maxsize=1)
def _ball() -> tuple[np.ndarray, np.ndarray]:
    import trimesh

    mesh = trimesh.creation.icosphere(subdivisions=2, radius=1.0)
    return np.asarray(mesh.vertices), np.asarray(mesh.faces)


def cushion(size_m: tuple[float, float, float], roundness: float) -> Mesh:
    """A box with swollen sides that stands on the origin: a superellipsoid with exponent ``roundness``, 2 an egg."""
    direction, faces = _ball()
    norm = (np.abs(direction) ** roundness).sum(1, keepdims=True) ** (1 / roundness)
    half = np.asarray(size_m) / 2
    return meshes.projected(direction / norm * half + np.array([0, half[1], 0]), faces, 60.0)


def egg(size_m: tuple[float, float, float]) -> Mesh:
    """An ellipsoid about the origin."""
    direction, faces = _ball()
    return meshes.projected(direction * np.asarray(size_m) / 2, faces, 180.0)


def limb(start: np.ndarray, end: np.ndarray, radius_m: tuple[float, float], flat: float = 1.0) -> Mesh:
    """A tapered capsule between two points; ``flat`` squeezes its cross-section along z."""
    way = np.asarray(end, float) - np.asarray(start, float)
    length = max(float(np.linalg.norm(way)), 1e-6)
    r0, r1 = radius_m
    a = np.linspace(-np.pi / 2, 0, 4)
    low = np.stack([r0 * np.cos(a), r0 * np.sin(a)], 1)
    high = np.stack([r1 * np.cos(a[::-1]), length - r1 * np.sin(a[::-1])], 1)
    profile = np.concatenate([low, high])
    profile[0, 0] = profile[-1, 0] = 0.0
    mesh = meshes.lathe(profile, 10)
    mesh = Mesh(mesh.vertices_m * np.array([1, 1, flat], np.float32), mesh.faces, mesh.uv, 180.0)
    y = way / length
    side = np.cross(y, [0.0, 0.0, 1.0]) if abs(y[2]) < 0.9 else np.cross(y, [1.0, 0.0, 0.0])
    side /= np.linalg.norm(side)
    return mesh.moved(np.asarray(start).tolist(), np.stack([side, y, np.cross(side, y)], 1))


def turned(rng: np.random.Generator, height_m: float, width_m: float) -> Mesh:
    """A vase, bottle, bowl or lampshade: a random profile on a lathe."""
    knots = int(rng.integers(4, 8))
    radius = np.interp(np.linspace(0, 1, 11), np.linspace(0, 1, knots), rng.uniform(0.25, 1, knots))
    radius *= width_m / 2 / radius.max()
    height = np.linspace(0, height_m, 11)
    profile = np.stack([np.r_[0, radius, 0], np.r_[0, height, height_m]], 1)
    if rng.random() < 0.4:  # Open at the top, with a bottom inside.
        inside = np.stack([0.9 * radius[:3:-1], height[:3:-1]], 1)
        profile = np.concatenate([profile[:-1], inside, [[0, height[4]]]])
    return meshes.lathe(profile, 16)


def tilt(rng: np.random.Generator, spread: float) -> np.ndarray:
    """A random rotation by an angle of about ``spread``."""
    import cv2

    return np.asarray(cv2.Rodrigues(rng.normal(0, spread, 3))[0])
