"""Where random things are: rooms, table tops, streets, open ground."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fourd.generate import meshes, things
from fourd.generate.motions import rotation
from fourd.generate.textures import noise
from fourd.generate.wild import figures, furniture, growth
from fourd.generate.wild.shapes import tilt
from fourd.generate.wild.site import Site


@dataclass(frozen=True)
class Ground:
    """What a camera has to know about a place."""

    indoors: bool
    low_m: tuple[float, float, float]
    high_m: tuple[float, float, float]
    """The box in which it may stand."""
    reach_m: tuple[float, float]
    """How far it keeps from what it looks at."""


def room(site: Site) -> Ground:
    """A furnished room, its floor from (0, 0, 0) to (width, 0, depth)."""
    w, d, h, t = site.between(2.5, 8), site.between(2.5, 8), site.between(2.2, 3.4), 0.1
    floor, wall = site.bank.broad(site.rng, 0.3), site.bank.broad(site.rng, 0.7)
    site.box((w + 1, t, d + 1), (w / 2, -t, d / 2), floor)
    site.box((w + 1, t, d + 1), (w / 2, h, d / 2), site.bank.broad(site.rng, 0.9))
    sides = [(w / 2, 0.0, 0.0, w), (w / 2, d, np.pi, w), (0.0, d / 2, np.pi / 2, d), (w, d / 2, -np.pi / 2, d)]
    for x, z, turn, length in sides:
        other = wall if site.chance(0.7) else site.bank.broad(site.rng, 0.6)
        with site.at(x, 0, z, turn):
            site.box((length, h, t), (0, 0, -t / 2), other)
            site.box((length, site.between(0.05, 0.15), 0.03), (0, 0, 0.01), site.material(0.95))
            for _ in range(site.count(0, 3)):
                _hang(site, length, h)
            for _ in range(site.count(0, 3)):
                depth = site.between(0.25, 0.4)
                with site.at(site.between(-0.4, 0.4) * length, 0, depth):
                    furniture.ALONG[site.count(0, len(furniture.ALONG) - 1)](site)
    for _ in range(site.count(2, 8)):
        turn = site.between(0, 2 * np.pi) if site.chance(0.6) else site.count(0, 3) * np.pi / 2
        with site.at(site.between(0.15, 0.85) * w, 0, site.between(0.15, 0.85) * d, turn):
            furniture.STANDING[site.count(0, len(furniture.STANDING) - 1)](site)
    for _ in range(site.count(0, 3) if site.chance(0.65) else 0):
        with site.at(site.between(0.15, 0.85) * w, 0, site.between(0.15, 0.85) * d, site.between(0, 2 * np.pi)):
            _someone(site)
    for _ in range(site.count(0, 6)):
        with site.at(site.between(0.1, 0.9) * w, 0, site.between(0.1, 0.9) * d):
            furniture.clutter(site, site.between(0.1, 0.6))
    furniture.strew(site, site.between(0.3, 1.6))
    return Ground(True, (0.2, 0.3, 0.2), (w - 0.2, min(2.5, h - 0.2), d - 0.2), (0.9, 5.0))


def _someone(site: Site) -> None:
    if site.chance(0.12):
        figures.animal(site)
    elif site.chance(0.2):
        site.box((0.45, 0.45, 0.45), (0, 0, -0.05), site.material(0.6))
        figures.person(site, sits=True)
    else:
        figures.person(site)


def _hang(site: Site, length: float, high: float) -> None:
    """A picture, door, window, curtain or board on the wall behind the origin."""
    x, kind = site.between(-0.45, 0.45) * length, site.rng.random()
    frame = site.material(0.95)
    if kind < 0.5:
        w, h, y = site.between(0.2, 1.4), site.between(0.2, 1.2), site.between(0.6, 1.8)
        site.box((w, h, 0.03), (x, y, 0.01), site.material(0.15))
    elif kind < 0.7:
        w, h, y = site.between(0.75, 1.0), site.between(1.9, 2.1), 0.0
        site.box((w, h, 0.05), (x, y, 0.01), site.material(0.9))
    else:
        w, h, y = site.between(0.6, 2.0), site.between(0.9, 1.5), site.between(0.6, 1.0)
        pane = site.material(0.6)
        bright = pane.__class__(pane.texture, 0.3, glow=site.between(0.3, 1.5))
        site.box((w, h, 0.01), (x, y, 0.01), bright)
        if site.chance(0.5):
            for side in (-1, 1):
                site.box((0.3, high - 0.2, 0.08), (x + side * (w / 2 + 0.1), 0.1, 0.06), site.material(0.4))
    for side in (-1, 1):
        site.box((0.06, h + 0.06, 0.06), (x + side * w / 2, y, 0.02), frame)
    site.box((w, 0.06, 0.06), (x, y + h, 0.02), frame)


def tabletop(site: Site) -> Ground:
    """Small things from nearby, before a wall or two."""
    size = site.between(0.5, 2)
    site.box((7, 0.1, 7), (0, -0.1, 0), site.bank.broad(site.rng, 0.5))
    for k in range(site.count(0, 3)):
        with site.at(0, 0, 0, k * np.pi / 2 + site.between(-0.2, 0.2)):
            site.box((9, 5, 0.1), (0, -1, -site.between(0.6, 2.5)), site.bank.broad(site.rng, 0.5))
    for _ in range(site.count(5, 28)):
        x, z = site.rng.normal(0, 0.5, 2) * size
        with site.at(float(x), 0, float(z)):
            furniture.clutter(site, site.between(0.05, 0.4) * size)
    for _ in range(site.count(0, 5)):
        x, y, z = (site.rng.normal(0, 0.5, 3) * size).tolist()
        mesh = meshes.blob(site.between(0.05, 0.3) * size, site.rng)
        site.add(mesh, site.material(0.4), (x, abs(y) + 0.1, z), tilt(site.rng, 1), alive=True)
    site.sights += [site.rng.normal(0, 0.3, 3) * size * [1, 0, 1] + [0, 0.15 * size, 0] for _ in range(4)]
    reach = 2.5 * size
    return Ground(True, (-reach, 0.1 * size, 0.2 * size), (reach, 1.5 * size, reach), (0.7 * size, reach))


def _land(site: Site, half: float, swell: float) -> None:
    """Ground out to ``half`` metres, level near the middle."""
    n = 33
    x = np.linspace(-1, 1, n)
    x = np.sign(x) * np.abs(x) ** 1.7 * half  # Finer where the camera is.
    Z, X = np.meshgrid(x, x, indexing="ij")
    height = noise(64, site.rng, 2.2)[:n, :n] * swell * np.clip(np.hypot(X, Z) / 15 - 0.6, 0, 4)
    stuff = site.bank.leafy(site.rng) if site.chance(0.5) else site.bank.broad(site.rng, 0.6)
    site.add(meshes.surface(np.stack([X, height, Z], -1), np.stack([X, -Z], -1)), stuff)


def _house(site: Site, w: float, h: float, d: float) -> None:
    """A block with rows of windows, its front at the origin towards +z."""
    front, pane, frame = site.bank.broad(site.rng, 0.4), site.material(0.9), site.material(0.9)
    site.box((w, h, d), (0, -0.3, -d / 2), front)
    step, storey, wide = site.between(1.5, 3), site.between(2.6, 3.4), site.between(0.7, 1.3)
    proud = site.chance(0.5)
    for i in range(max(0, min(7, int(w / step)))):
        for j in range(max(0, min(4, int((h - 0.5) / storey)))):
            x, y = -w / 2 + step * (i + 0.5), 0.8 + storey * j
            if j == 0 and site.chance(0.2):
                site.box((1.1, 2.2, 0.06), (x, -0.1, 0), site.material(0.9))
                continue
            site.box((wide, 1.4, 0.05), (x, y, 0), pane)
            if proud:
                site.box((wide + 0.2, 0.12, 0.3), (x, y - 0.12, 0.05), frame)
    if site.chance(0.5):
        site.box((w + 0.5, 0.3, 0.8), (0, h - 0.3, 0.1), frame)
    if site.chance(0.3):
        site.box((w * 0.6, 0.1, 1.6), (0, site.between(2.4, 3.2), 0.7), site.material(0.3))


def street(site: Site) -> Ground:
    """A road along z between houses, with cars, trees, posts and people."""
    half = site.between(3, 9)
    _land(site, 90, 0.0)
    site.box((half * 1.4, 0.02, 180), (0, 0, 0), site.bank.broad(site.rng, 0.8))
    for side in (-1, 1):
        if site.chance(0.7):
            site.box((1.8, 0.12, 180), (side * (half - 0.9), 0, 0), site.bank.broad(site.rng, 0.6))
        z = -60.0
        while z < 60:
            w = site.between(4, 16)
            with site.at(side * (half + site.between(0, 2)), 0, z + w / 2, -side * np.pi / 2):
                if site.chance(0.8):
                    _house(site, w, site.between(3, 16), site.between(4, 9))
                else:
                    growth.tree(site)
            z += w + (site.between(0, 6) if site.chance(0.4) else 0)
    for _ in range(site.count(4, 14)):
        x, z = site.between(-0.9, 0.9) * half, float(site.rng.normal(0, 10))
        with site.at(x, 0, z, site.between(0, 2 * np.pi)):
            _outdoor_thing(site)
    for _ in range(site.count(0, 5)):
        side = float(site.rng.choice([-1, 1]))
        with site.at(side * half * site.between(0.35, 0.6), 0, float(site.rng.normal(0, 14)), np.pi * (side > 0)):
            figures.car(site)
    return Ground(False, (-0.7 * half, 0.5, -12), (0.7 * half, 2.5, 12), (2, 12))


def park(site: Site) -> Ground:
    """Open ground with trees, bushes, fences, benches, people; sometimes a house."""
    _land(site, 110, site.between(0, 1.2) if site.chance(0.7) else 0.0)
    if site.chance(0.5):
        with site.at(0, 0, 0, site.between(0, np.pi)):
            site.box((site.between(1, 4), 0.03, 120), (0, -0.005, 0), site.bank.broad(site.rng, 0.6))
    for _ in range(site.count(0, 3) if site.chance(0.6) else 0):
        turn = site.between(0, 2 * np.pi)
        with site.at(0, 0, 0, turn), site.at(site.between(-8, 8), 0, -site.between(7, 30)):
            _house(site, site.between(4, 20), site.between(2.5, 9), 6)
    ring = site.between(8, 40)
    for _ in range(site.count(6, 40) if site.chance(0.8) else 0):
        angle, far = site.between(0, 2 * np.pi), ring * site.between(0.8, 1.6)
        with site.at(far * np.sin(angle), 0, far * np.cos(angle)):
            (growth.tree if site.chance(0.7) else growth.bush)(site)
    for _ in range(site.count(0, 3)):  # Hedges and walls around.
        turn, far = site.between(0, 2 * np.pi), site.between(8, 40)
        with site.at(0, 0, 0, turn):
            stuff = site.bank.leafy(site.rng) if site.chance(0.6) else site.bank.broad(site.rng, 0.4)
            site.box((site.between(10, 80), site.between(0.8, 8), 1.5), (0, -0.5, -far), stuff)
    for _ in range(site.count(8, 26)):
        x, z = (site.rng.normal(0, 5, 2)).tolist()
        with site.at(x, 0, z, site.between(0, 2 * np.pi)):
            _outdoor_thing(site)
    return Ground(False, (-6, 0.3, -6), (6, 2.5, 6), (1.5, 10))


def _outdoor_thing(site: Site) -> None:
    kind = site.rng.random()
    site.sights.append(site.world((0, 0.8, 0)))
    if kind < 0.3:
        figures.person(site)
    elif kind < 0.36:
        figures.animal(site)
    elif kind < 0.44:
        high = site.between(2, 7)
        site.add(meshes.cylinder(site.between(0.03, 0.12), high, 10), site.material(0.9))
        if site.chance(0.6):
            site.box((site.between(0.3, 1), site.between(0.3, 0.8), 0.05), (0, high - 0.8, 0.06), site.material(0.1))
    elif kind < 0.52:
        growth.bush(site)
    elif kind < 0.6:
        for _ in range(site.count(1, 4)):
            with site.at(float(site.rng.normal(0, 0.8)), 0, float(site.rng.normal(0, 0.8))):
                growth.tuft(site)
    elif kind < 0.67:
        growth.tree(site)
    elif kind < 0.74:
        fence = things.picket_fence(site.between(2, 6), site.between(0.6, 1.3), site.between(0.14, 0.4))
        site.add(fence, site.material(0.8))
    elif kind < 0.8:
        site.box(
            (site.between(1, 8), site.between(0.4, 2.2), site.between(0.1, 0.5)), (0, -0.05, 0), site.material(0.3)
        )
    elif kind < 0.87:
        with site.at(0, 0, 0):
            furniture.chair(site) if site.chance(0.4) else furniture.table(site)
    elif kind < 0.93:
        size = site.between(0.3, 1.6)
        site.add(meshes.blob(size, site.rng, site.between(0.1, 0.3)), site.material(0.5), (0, 0.4 * size, 0))
    else:
        turn = rotation((0, 1, 0), site.between(0, 3))
        for k in range(site.count(1, 4)):
            side = site.between(0.4, 1.2)
            site.box((side, side, side), (float(k) * 0.9, 0, 0), site.material(0.4), turn)
