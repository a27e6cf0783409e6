"""What grows: potted plants, bushes, trees, tufts."""

from __future__ import annotations

import numpy as np

from fourd.generate import meshes
from fourd.generate.meshes import Mesh
from fourd.generate.wild.materials import Material
from fourd.generate.wild.shapes import egg, tilt, turned
from fourd.generate.wild.site import Site


def foliage(site: Site, radius_m: float, leaves: int) -> Mesh:
    """A cloud of flat leaves about the origin."""
    leaf = egg((0.34 * radius_m, 0.02 * radius_m, 0.16 * radius_m))
    # An eighth of the triangles of an egg are enough for what is nearly flat.
    quad = np.array([[-1, 0, 0], [0, 0.1, -1], [1, 0, 0], [0, 0.1, 1]], float) * [0.17, 0.17, 0.08] * radius_m
    leaf = meshes.projected(quad, np.array([[0, 2, 1], [0, 3, 2]]), 180.0) if leaves > 12 else leaf
    parts = []
    for _ in range(leaves):
        at = site.rng.normal(size=3)
        at *= radius_m * site.rng.uniform(0.3, 1) / np.linalg.norm(at)
        parts.append(leaf.moved(at.tolist(), tilt(site.rng, 1.5)))
    return meshes.merge(parts)


def plant(site: Site, scale: float = 1.0) -> None:
    """A plant in a pot."""
    pot, high = site.between(0.1, 0.35) * scale, site.between(0.2, 1.1) * scale
    site.add(turned(site.rng, pot, pot), site.material(0.7))
    green = site.bank.leafy(site.rng)
    with site.at(0, pot * 0.8, 0):
        _crown(site, high, site.between(0.4, 0.7) * high, green)
        site.add(meshes.cylinder(0.02 * scale, high * 0.7, 6), site.material(0.9))


def _crown(site: Site, high: float, wide: float, green: Material) -> None:
    if site.chance(0.5):
        site.add(foliage(site, wide, site.count(14, 60)), green, (0, high * 0.6, 0))
        return
    for _ in range(site.count(2, 6)):
        x, y, z = (site.rng.normal(0, 0.3, 3) * wide).tolist()
        mesh = meshes.blob(wide * site.between(0.4, 0.8), site.rng, site.between(0.1, 0.4))
        site.add(mesh, green, (x, high * 0.6 + y, z))


def bush(site: Site) -> None:
    """A bush or hedge on the ground."""
    size = site.between(0.3, 1.6)
    _crown(site, size, size * site.between(0.5, 0.9), site.bank.leafy(site.rng))


def tree(site: Site) -> None:
    """A tree of 2 to 12 m, with a crown of leaves or lumps, or a fir."""
    high = float(2 ** site.between(1.2, 3.6))
    bark, green = site.material(0.3), site.bank.leafy(site.rng)
    thick = high * site.between(0.012, 0.04)
    lean = site.rng.normal(0, 0.04, 2) * high
    path = np.stack([lean[0] * np.linspace(0, 1, 6), np.linspace(0, 0.9 * high, 6), lean[1] * np.linspace(0, 1, 6)], 1)
    site.add(meshes.tube(path, thick * np.linspace(1.2, 0.4, 6), 8), bark)
    if site.chance(0.2):
        for k in range(4):
            wide = high * 0.28 * (1 - k / 5)
            site.add(meshes.cone(wide, high * 0.35, 12), green, (lean[0], high * (0.2 + 0.2 * k), lean[1]))
        return
    for _ in range(site.count(3, 8)):
        x, y, z = (site.rng.normal(0, 0.13, 3) * high).tolist()
        place = (x + lean[0], high * 0.75 + y, z + lean[1])
        radius = high * site.between(0.1, 0.22)
        if site.chance(0.5):
            site.add(foliage(site, radius * 1.3, site.count(30, 90)), green, place)
        else:
            site.add(meshes.blob(radius, site.rng, site.between(0.2, 0.5)), green, place)
    for _ in range(site.count(0, 4)):
        end = np.array([site.rng.normal(0, 0.2) * high, high * site.between(0.5, 0.9), site.rng.normal(0, 0.2) * high])
        start = np.array([0, high * site.between(0.3, 0.6), 0])
        site.add(meshes.tube(np.linspace(start, end, 4), thick * np.linspace(0.6, 0.2, 4), 6), bark)


def tuft(site: Site) -> None:
    """Tall grass."""
    high, green = site.between(0.1, 0.6), site.bank.leafy(site.rng)
    blades = []
    for _ in range(site.count(12, 40)):
        x, z = site.rng.normal(0, high * 0.3, 2)
        dx, dz = site.rng.normal(0, high * 0.25, 2)
        wide = high * 0.03
        points = np.array([[x - wide, 0, z], [x + wide, 0, z], [x + dx, high * site.between(0.6, 1), z + dz]])
        blades.append(meshes.projected(points, np.array([[0, 1, 2]]), 180.0))
    site.add(meshes.merge(blades), green)
