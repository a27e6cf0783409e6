"""Outdoors: a garden under the sky, the camera on a dolly."""

from __future__ import annotations

import numpy as np

from fourd.generate import meshes, motions, rigs, textures, things
from fourd.generate.props import Prop, Sky, Stage, Sun
from fourd.generate.scenes.base import Film, Scene


def garden(rng: np.random.Generator, film: Film) -> Scene:
    """A lawn with a house, trees and a fence; a ball bounces, a cart circles, a flag waves."""
    bark = textures.clouded((0.25, 0.17, 0.1), (0.5, 0.38, 0.27), rng, 1.1)
    foliage = textures.clouded((0.16, 0.3, 0.08), (0.52, 0.68, 0.27), rng, 0.8)
    paint = textures.plain((0.93, 0.92, 0.88), rng)
    brick = textures.bricks([(0.64, 0.36, 0.28), (0.72, 0.46, 0.36), (0.55, 0.3, 0.24)], (0.8, 0.77, 0.7), rng, 16, 5)
    roof = textures.bricks([(0.42, 0.22, 0.18), (0.5, 0.27, 0.2), (0.38, 0.2, 0.18)], (0.2, 0.12, 0.1), rng, 16, 10)
    lawn = textures.grass((0.24, 0.4, 0.1), (0.58, 0.7, 0.3), rng)
    gravel = textures.scattered(
        (0.62, 0.57, 0.5), [(0.75, 0.71, 0.64), (0.5, 0.46, 0.42), (0.66, 0.55, 0.45)], rng, 900
    )
    props = [
        Prop("lawn", meshes.sheet((120, 120)).tiled(0.45, 0.45), lawn),
        Prop("path", meshes.box((1.3, 0.02, 16)).tiled(0.7, 0.7).moved((-1.2, 0, -4)), gravel),
        Prop("house", meshes.box((7, 4, 4)).tiled(0.6, 0.6).moved((-2.5, 0, -12)), brick),
        Prop(
            "roof",
            meshes.box((7.6, 0.25, 3.1))
            .tiled(0.5, 0.5)
            .moved(rotation=motions.rotation((1, 0, 0), 0.6))
            .moved((-2.5, 4.4, -10.9)),
            roof,
        ),
        Prop(
            "door",
            meshes.box((1.0, 2.1, 0.1)).moved((-1.2, 0, -9.98)),
            textures.planks((0.1, 0.25, 0.2), (0.2, 0.4, 0.32), rng),
        ),
        Prop("fence", things.picket_fence(7, 0.85), paint, motions.facing((3.6, 0, -5.6), -12)),
        Prop(
            "bushes",
            meshes.merge(
                [
                    meshes.blob(rng.uniform(0.5, 0.8), rng, 0.3).moved((x, 0.35, -8.9))
                    for x in np.arange(-5.5, 5, 1.2)
                    if abs(x + 1.2) > 0.9
                ]
            ).tiled(0.8, 0.8),
            foliage,
        ),
    ]
    for k, (x, z) in enumerate([(2.6, -7.2), (-5.2, -5.0), (6.5, -11.0)]):
        x, z = x + rng.uniform(-0.4, 0.4), z + rng.uniform(-0.6, 0.6)
        height = rng.uniform(1.9, 2.6)
        props.append(Prop(f"trunk {k}", things.trunk(height, 0.16, rng).tiled(2, 4), bark, motions.placed((x, 0, z))))
        props.append(
            Prop(f"crown {k}", things.crown(1.25, rng).tiled(0.7, 0.7), foliage, motions.placed((x, height + 0.6, z)))
        )
    red, white = (0.85, 0.22, 0.16), (0.95, 0.93, 0.88)
    ball = motions.Bounce((-1.7, 1.2, -1.9), (0.75, 1.2, 0.1), 0.28, restitution=0.85, squash=0.12)
    cart = meshes.merge(
        [
            meshes.box((0.42, 0.2, 0.75), 0.03).moved((0, 0.14, 0)),
            meshes.box((0.36, 0.2, 0.3), 0.05).moved((0, 0.34, -0.12)),
            *(
                meshes.cylinder(0.13, 0.08, 20)
                .moved((0, -0.04, 0), None)
                .moved(rotation=motions.rotation((0, 0, 1), np.pi / 2))
                .moved((x, 0.13, z))
                for x in (-0.23, 0.23)
                for z in (-0.24, 0.24)
            ),
        ]
    )
    mast = (1.55, 0.0, -3.4)
    props += [
        Prop(
            "ball",
            meshes.sphere(0.28),
            textures.stripes([red, white, (0.2, 0.4, 0.7), white] * 2, rng),
            ball,
            gloss=0.4,
        ),
        Prop(
            "cart",
            cart.tiled(2, 2),
            textures.planks((0.7, 0.42, 0.1), (0.95, 0.72, 0.25), rng),
            motions.circling((0.5, 0, -3.1), 0.85, float(rng.uniform(3.2, 4.2)), float(rng.uniform())),
            gloss=0.4,
        ),
        Prop("mast", meshes.cylinder(0.03, 2.3, 16), paint, motions.placed(mast)),
        Prop(
            "flag",
            things.flag(1.0, 0.62),
            textures.checker(red, white, rng, 6),
            motions.placed((mast[0] + 0.03, 1.65, mast[2])),
            things.waving(1.0, 0.62, 0.1, float(rng.uniform(0.9, 1.3))),
        ),
        Prop(
            "pinwheel",
            things.pinwheel(0.3),
            textures.stripes([red, white, (0.95, 0.7, 0.2), white, (0.2, 0.45, 0.6), white], rng),
            motions.spinning((-0.1, 0.95, -2.6), (0, 0, -1), float(rng.uniform(0.5, 0.8))),
        ),
        Prop("stick", meshes.cylinder(0.014, 0.95, 10), paint, motions.placed((-0.1, 0, -2.63))),
    ]
    stage = Stage(
        props,
        sun=Sun(towards=(float(rng.uniform(0.3, 0.8)), 0.85, 0.55)),
        sky=Sky(clouds=float(rng.uniform(0.45, 0.7)), haze_m=350.0, reach_m=1.5),
    )
    focus = (0.1, 0.75, -2.8)
    times = rigs.times(film.frames, film.fps)
    cameras = rigs.glide((-0.75, 1.35, 2.1), (0.45, 1.25, 1.0), (0.0, 0.8, -2.8), times, film.hw, 58.0)
    return Scene("garden", stage, cameras, focus)
