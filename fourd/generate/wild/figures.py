"""Those who could walk or drive away: people, animals, cars."""

from __future__ import annotations

import numpy as np

from fourd.generate import meshes
from fourd.generate.motions import rotation
from fourd.generate.wild.shapes import cushion, egg, limb
from fourd.generate.wild.site import Site


def person(site: Site, sits: bool = False) -> None:
    """Someone of 1.1 to 1.95 m in clothes, standing, walking or sitting on a seat 0.45 m high at the origin."""
    rng, tall = site.rng, site.between(1.1, 1.95)
    k = tall / 1.75
    skin, shirt, trousers, hair, shoes = (
        site.bank.skin(rng), site.material(0.6), site.material(0.8), site.material(0.9), site.material(0.9)
    )  # fmt: skip
    wide = site.between(0.85, 1.3)
    hip = np.array([0, 0.92 * k if not sits else 0.56, 0])
    lean = np.array([rng.normal(0, 0.04), 1, rng.normal(0.04, 0.1)])
    neck = hip + lean / np.linalg.norm(lean) * 0.54 * k
    site.add(limb(hip, neck - [0, 0.1 * k, 0], (0.15 * k * wide, 0.17 * k * wide), 0.62), shirt, alive=True)
    head = neck + lean * 0.2 * k
    site.add(limb(neck - [0, 0.05, 0], head, (0.055 * k, 0.055 * k)), skin, alive=True)
    site.add(egg((0.17 * k, 0.24 * k, 0.2 * k)), skin, tuple(head.tolist()), alive=True)
    if site.chance(0.85):
        back = head + np.array([0, 0.035, -0.025]) * k
        site.add(egg((0.2 * k, site.between(0.2, 0.34) * k, 0.2 * k)), hair, tuple(back.tolist()), alive=True)
    skirt = site.chance(0.2) and not sits
    if skirt:
        cone = np.array([[0, 0], [0.3, 0], [0.17 * wide, 0.55], [0, 0.55]]) * k
        site.add(meshes.lathe(cone, 14), trousers, tuple((hip - [0, 0.5 * k, 0]).tolist()), alive=True)
    stride = site.between(0, 0.5) if site.chance(0.6) else site.between(0, 0.1)
    for side in (-1, 1):
        joint = hip + np.array([side * 0.09 * k * wide, -0.02, 0])
        if sits:
            knee = joint + np.array([side * site.between(0, 0.12), 0.02, 0.44 * k])
            foot = knee + np.array([side * 0.03, -knee[1] + 0.06, site.between(-0.1, 0.15)])
        else:
            swing, bend = side * stride, site.between(0, 0.6) * stride
            knee = joint + 0.43 * k * np.array([side * 0.05, -np.cos(swing), np.sin(swing)])
            foot = knee + 0.42 * k * np.array([side * 0.02, -np.cos(swing - bend), np.sin(swing - bend)])
        site.add(limb(joint, knee, (0.085 * k * wide, 0.06 * k)), trousers, alive=True)
        site.add(limb(knee, foot, (0.058 * k, 0.042 * k)), skin if skirt else trousers, alive=True)
        site.add(limb(foot, foot + np.array([0, -0.02, 0.15 * k]), (0.045 * k, 0.04 * k)), shoes, alive=True)
        shoulder = neck + np.array([side * 0.18 * k * wide, -0.09 * k, 0])
        raised = site.between(-0.3, 0.5) if site.chance(0.6) else site.between(0.2, 2.6)
        way = np.array([side * site.between(0.05, 0.6), -np.cos(raised), np.sin(raised)])
        elbow = shoulder + way / np.linalg.norm(way) * 0.29 * k
        fore = way + np.array([-side * site.between(0, 0.5), site.between(0, 1.2), site.between(0, 1.0)])
        hand = elbow + fore / np.linalg.norm(fore) * 0.26 * k
        sleeve = shirt if site.chance(0.7) else skin
        site.add(limb(shoulder, elbow, (0.06 * k * wide, 0.045 * k)), shirt, alive=True)
        site.add(limb(elbow, hand, (0.043 * k, 0.032 * k)), sleeve, alive=True)
        site.add(egg((0.08 * k, 0.1 * k, 0.06 * k)), skin, tuple(hand.tolist()), alive=True)
    middle = site.world(tuple(hip.tolist()))
    site.people.append(middle + np.array([0, 0.15, 0]))


def animal(site: Site) -> None:
    """Something on four legs, from a cat to a horse."""
    size = float(2 ** site.between(-1.8, 0.6))
    coat, r = site.material(0.6), size * site.between(0.12, 0.2)
    high = size * site.between(0.35, 0.75)
    front, back = np.array([0, high, size * 0.4]), np.array([0, high, -size * 0.4])
    site.add(limb(back, front, (r, r * site.between(0.8, 1.2))), coat, alive=True)
    head = front + size * np.array([0, site.between(0.05, 0.4), site.between(0.2, 0.4)])
    site.add(limb(front, head, (r * 0.6, r * 0.45)), coat, alive=True)
    site.add(limb(head, head + size * np.array([0, -0.05, 0.18]), (r * 0.6, r * 0.35)), coat, alive=True)
    tail = back + size * np.array([0, site.between(-0.3, 0.3), -0.35])
    site.add(limb(back, tail, (r * 0.25, r * 0.1)), coat, alive=True)
    for hip in (front, back):
        for side in (-1, 1):
            top = hip + np.array([side * r * 0.6, 0, 0])
            foot = np.array([top[0], r * 0.2, top[2] + size * site.between(-0.15, 0.15)])
            site.add(limb(top, foot, (r * 0.4, r * 0.22)), coat, alive=True)
    site.people.append(site.world((0, high, 0)))


def car(site: Site) -> None:
    """A car, van or lorry on four wheels."""
    paint, glass, rubber = site.material(0.95), site.material(0.95), site.material(1.0)
    length, wide = site.between(3.4, 5.2), site.between(1.6, 2.0)
    low, tall = site.between(0.6, 0.9), site.between(0.45, 0.75) if site.chance(0.75) else site.between(0.9, 1.6)
    site.add(cushion((wide, low, length), site.between(4, 10)), paint, (0, 0.28, 0), alive=True)
    cabin = (wide * 0.9, tall + 0.3, length * site.between(0.45, 0.7))
    shade = glass if site.chance(0.6) else paint
    site.add(cushion(cabin, site.between(3, 8)), shade, (0, low, -length * site.between(0, 0.12)), alive=True)
    wheel = meshes.cylinder(0.33, 0.22, 14)
    for side in (-1, 1):
        for end in (-1, 1):
            place = (side * (wide / 2 - 0.1) + 0.11, 0.33, end * length * 0.32)
            site.add(wheel, rubber, place, rotation((0, 0, 1), np.pi / 2), alive=True)
    site.sights.append(site.world((0, 0.8, 0)))
