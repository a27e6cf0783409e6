"""Furniture and what lies on it. Pieces are built around the origin, their back towards -z."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from fourd.generate import meshes
from fourd.generate.motions import rotation
from fourd.generate.wild.growth import plant
from fourd.generate.wild.shapes import cushion, egg, tilt, turned
from fourd.generate.wild.site import Site


def clutter(site: Site, size: float) -> None:
    """Some small thing about ``size`` metres wide: box, bottle, ball, book, toy, screen."""
    rng, m, high = site.rng, site.material(0.4), size * site.between(0.5, 1.8)
    turn = rotation((0, 1, 0), site.between(0, 2 * np.pi))
    kind = rng.random()
    if kind < 0.3:
        site.box((size * site.between(0.3, 1.2), high, size * site.between(0.2, 1)), (0, 0, 0), m, turn)
    elif kind < 0.52:
        site.add(turned(rng, high, size), m)
    elif kind < 0.6:
        site.add(meshes.cylinder(size / 2, high, 14), m)
    elif kind < 0.67:
        site.add(egg((size, size, size)), m, (0, size / 2, 0), alive=site.chance(0.5))
    elif kind < 0.78:
        site.add(meshes.blob(size / 2, rng, site.between(0.1, 0.4)), m, (0, 0.45 * size, 0), tilt(rng, 1))
    elif kind < 0.86:
        site.add(cushion((size, high * 0.7, size * site.between(0.5, 1)), site.between(2.5, 8)), m, turn=turn)
    elif kind < 0.9:
        site.add(meshes.torus(size * 0.4, size * site.between(0.05, 0.15), 20, 8), m, (0, size * 0.1, 0))
    elif kind < 0.95:
        y = 0.0
        for _ in range(site.count(2, 6)):
            thick = site.between(0.01, 0.05)
            side = (size * site.between(0.6, 1), thick, size * site.between(0.6, 1))
            site.box(side, (0, y, 0), site.material(0.6), rotation((0, 1, 0), site.between(-0.3, 0.3)))
            y += thick
    else:
        site.box((size * 1.6, size, 0.03), (0, 0.08, 0), m, turn)
        site.box((size * 0.5, 0.1, size * 0.4), (0, 0, 0), site.material(0.9), turn)


def strew(site: Site, density: float) -> None:
    """Things on every surface that was noted so far."""
    tops, site.tops = site.tops, []
    for top in tops:
        width, depth = top.size_m
        site.sights.append(top.pose[:3, 3])
        for _ in range(int(site.rng.poisson(density * min(6, 1 + 4 * width * depth)))):
            with site.on(top, site.between(-0.45, 0.45) * width, site.between(-0.4, 0.4) * depth):
                if site.chance(0.06):
                    plant(site, 0.4)
                else:
                    clutter(site, min(site.between(0.04, 0.35), 0.8 * depth))


def cabinet(site: Site) -> None:
    """A chest, cupboard, counter or fridge with doors and handles."""
    w, d = site.between(0.5, 2.4), site.between(0.35, 0.7)
    h = site.between(0.6, 1.1) if site.chance(0.65) else site.between(1.5, 2.2)
    body, metal = site.material(0.7), site.material(0.95)
    front = body if site.chance(0.5) else site.material(0.7)
    site.box((w, h, d), (0, 0, 0), body)
    columns, rows = max(1, round(w / site.between(0.35, 0.7))), site.count(1, 4)
    dw, dh = w / columns, h / rows
    for i in range(columns):
        for j in range(rows):
            x, y = -w / 2 + dw * (i + 0.5), dh * j
            site.box((dw - 0.03, dh - 0.03, 0.025), (x, y + 0.015, d / 2 + 0.012), front)
            if site.chance(0.8):
                site.box((0.12, 0.015, 0.02), (x, y + dh * 0.75, d / 2 + 0.04), metal)
    slab = 0.0
    if h < 1.2 and site.chance(0.5):
        slab = 0.04
        site.box((w + 0.04, slab, d + 0.06), (0, h, 0.02), site.material(0.5))
    site.top(0, h + slab, 0, w, d)
    if h < 1.2 and site.chance(0.3):
        hung = site.between(0.5, 0.9)
        site.box((w, hung, d * 0.55), (0, site.between(1.35, 1.6), -d * 0.2), front)


def table(site: Site) -> None:
    """A table or desk, often with chairs."""
    w, d, h = site.between(0.5, 2.0), site.between(0.4, 1.1), site.between(0.4, 0.95)
    plate, legs, r = site.material(0.5), site.material(0.85), site.between(0.03, 0.09)
    if site.chance(0.75):
        site.box((w, 0.04, d), (0, h - 0.04, 0), plate)
        for a in (-1, 1):
            for b in (-1, 1):
                site.box((r, h, r), (a * (w / 2 - r), -0.02, b * (d / 2 - r)), legs)
    else:
        d = w
        site.add(meshes.cylinder(w / 2, 0.04, 24), plate, (0, h - 0.04, 0))
        site.add(meshes.cylinder(r, h, 10), legs, (0, -0.01, 0))
        site.add(meshes.cylinder(w * 0.3, 0.03, 16), legs)
    site.top(0, h, 0, 0.8 * w, 0.8 * d)
    for side in range(site.count(0, 3)):
        with site.at(site.between(-0.3, 0.3) * w, 0, (-1) ** side * (d / 2 + 0.2), np.pi * (side % 2) + 0.2):
            chair(site)


def chair(site: Site) -> None:
    """A chair whose front faces +z."""
    w, h, back = site.between(0.38, 0.55), site.between(0.4, 0.5), site.between(0.3, 0.6)
    seat, legs, r = site.material(0.6), site.material(0.85), site.between(0.02, 0.05)
    if site.chance(0.5):
        site.box((w, 0.05, w), (0, h - 0.05, 0), seat)
    else:
        site.add(cushion((w, 0.1, w), 5), seat, (0, h - 0.07, 0))
    if site.chance(0.6):
        site.box((w, back, 0.04), (0, h + 0.05, -w / 2), seat)
    else:
        for i in range(5):
            site.box((0.03, back, 0.03), ((i - 2) * w / 5, h, -w / 2), legs)
        site.box((w, 0.06, 0.04), (0, h + back, -w / 2), legs)
    for a in (-1, 1):
        for b in (-1, 1):
            site.box((r, h, r), (a * (w / 2 - r), 0, b * (w / 2 - r)), legs)


def shelf(site: Site) -> None:
    """Boards with books and things on them."""
    w, h, d = site.between(0.5, 2.0), site.between(0.8, 2.2), site.between(0.2, 0.4)
    wood, boards, t = site.material(0.6), site.count(2, 6), 0.025
    for side in (-1, 1):
        site.box((t, h, d), (side * w / 2, 0, 0), wood)
    if site.chance(0.6):
        site.box((w, h, t), (0, 0, -d / 2), wood)
    spines = [site.material(0.6) for _ in range(6)]
    for i in range(boards + 1):
        y = h * i / boards - (t if i == boards else 0)
        site.box((w, t, d), (0, y, 0), wood)
        if i == boards or site.chance(0.4):
            site.top(0, y + t, 0, w, d)
            continue
        x = -w / 2 + 0.04
        while x < w / 2 - 0.06:
            thick, tall = site.between(0.02, 0.07), min(h / boards * 0.9, site.between(0.15, 0.32))
            book = (thick, tall, d * site.between(0.5, 0.8))
            site.box(book, (x + thick / 2, y + t, site.between(-0.03, 0.03)), spines[site.count(0, 5)])
            x += thick + 0.003 + (site.between(0.05, 0.3) if site.chance(0.08) else 0)


def sofa(site: Site) -> None:
    """A sofa, armchair or bed."""
    w, d, soft = site.between(0.8, 2.3), site.between(0.7, 1.0), site.between(3.5, 8)
    stuff = site.material(0.5)
    bed = site.chance(0.25)
    d = 2.0 if bed else d
    site.add(cushion((w, 0.45, d), soft), stuff)
    site.add(cushion((w, site.between(0.6, 0.95), 0.28), soft), stuff, (0, 0.05, -d / 2 + 0.1))
    if not bed:
        for side in (-1, 1):
            site.add(cushion((0.22, 0.6, d), soft), stuff, (side * w / 2, 0, 0))
    for _ in range(site.count(0, 3)):
        place = (site.between(-0.4, 0.4) * w, 0.45, -d * 0.15)
        site.add(cushion((0.4, 0.4, 0.15), 3.5), site.material(0.3), place, tilt(site.rng, 0.4))
    site.top(0, 0.46, 0.1, 0.8 * w, 0.4 * d)


def lamp(site: Site) -> None:
    """A floor lamp or stand."""
    h = site.between(0.5, 1.8)
    site.add(meshes.cylinder(0.015, h, 8), site.material(0.95))
    site.add(turned(site.rng, site.between(0.2, 0.4), site.between(0.2, 0.45)), site.material(0.8), (0, h, 0))
    site.add(meshes.cylinder(0.15, 0.03, 14), site.material(0.95))


def pile(site: Site) -> None:
    """Boxes on boxes."""
    y, size = 0.0, site.between(0.2, 0.7)
    for _ in range(site.count(1, 4)):
        h = size * site.between(0.4, 1)
        side = (size * site.between(0.7, 1.2), h, size * site.between(0.6, 1))
        place = (site.between(-0.05, 0.05), y, 0.0)
        site.box(side, place, site.material(0.5), rotation((0, 1, 0), site.between(-0.4, 0.4)))
        y += h
    site.top(0, y, 0, size * 0.6, size * 0.6)


def poles(site: Site) -> None:
    """Brooms, pipes, stands: thin things at all angles."""
    for _ in range(site.count(2, 8)):
        place = (site.between(-0.4, 0.4), 0.0, site.between(-0.3, 0.3))
        pole = meshes.cylinder(site.between(0.008, 0.04), site.between(0.4, 2), 8)
        site.add(pole, site.material(0.8), place, tilt(site.rng, 0.2))


STANDING: Sequence[Callable[[Site], None]] = (table, table, chair, chair, sofa, lamp, plant, pile, cabinet, poles)
"""What stands freely in a room."""
ALONG: Sequence[Callable[[Site], None]] = (cabinet, cabinet, cabinet, shelf, shelf, table, sofa, pile)
"""What stands along its walls."""
