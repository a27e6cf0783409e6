"""Indoors: a room with a rug, lit by a lamp and the sun, the camera on an arc."""

from __future__ import annotations

import numpy as np

from fourd.generate import meshes, motions, rigs, textures
from fourd.generate.props import Lamp, Prop, Sky, Stage, Sun
from fourd.generate.scenes.base import Film, Scene


def room(rng: np.random.Generator, film: Film) -> Scene:
    """A room with a rug, a crate, a spinning globe, a bouncing ball and a swinging lamp."""
    wood = textures.planks((0.45, 0.29, 0.17), (0.74, 0.55, 0.36), rng)
    wall = textures.bricks([(0.62, 0.34, 0.26), (0.7, 0.43, 0.33), (0.52, 0.28, 0.22)], (0.8, 0.77, 0.72), rng)
    paint = textures.plain((0.82, 0.8, 0.72), rng)
    ball = motions.Bounce((0.55, 1.1, 0.5), (-0.35, 0.6, 0.05), 0.2, restitution=0.85)
    props = [
        Prop("floor", meshes.sheet((7, 7)).tiled(0.6, 0.6), wood, gloss=0.25),
        Prop("wall", meshes.box((7, 3, 0.2)).moved((0, 0, -2.1)), wall),
        Prop("side", meshes.box((0.2, 3, 7)).moved((-2.6, 0, 0)), paint),
        Prop(
            "rug",
            meshes.box((2.2, 0.02, 1.6)).tiled(1 / 2.2, 1 / 1.6).shifted(0.5, 0.5).moved((0, 0, 0.1)),
            textures.rug([(0.55, 0.14, 0.12), (0.86, 0.76, 0.58), (0.16, 0.22, 0.36), (0.7, 0.38, 0.2)], rng),
        ),
        Prop(
            "crate",
            meshes.box((0.7, 0.55, 0.6), 0.02).tiled(1.6, 1.6),
            textures.tiles([(0.86, 0.84, 0.76)], (0.6, 0.6, 0.6), rng, motif=(0.15, 0.34, 0.5)),
            pose=motions.facing((-0.9, 0, -0.5), float(rng.uniform(10, 40))),
            gloss=0.3,
        ),
        Prop(
            "globe",
            meshes.sphere(0.26),
            textures.clouded((0.1, 0.3, 0.55), (0.75, 0.7, 0.4), rng, 1.8),
            pose=motions.spinning((-0.9, 0.83, -0.5), (0, 1, 0), float(rng.uniform(0.2, 0.4)), lean=0.4),
            gloss=0.6,
        ),
        Prop(
            "ball",
            meshes.sphere(0.2),
            textures.stripes([(0.85, 0.2, 0.15), (0.95, 0.92, 0.86), (0.95, 0.7, 0.15), (0.95, 0.92, 0.86)] * 2, rng),
            pose=ball,
            gloss=0.4,
        ),
        Prop(
            "pendulum",
            meshes.merge([meshes.cylinder(0.012, 1.4).moved((0, -1.4, 0)), meshes.sphere(0.15).moved((0, -1.5, 0))]),
            textures.checker((0.12, 0.3, 0.28), (0.85, 0.8, 0.6), rng, 8),
            pose=motions.swinging((0.9, 2.4, -0.9), (0, 0, 1), 0.35, 2.4, float(rng.uniform())),
            gloss=0.5,
        ),
    ]
    stage = Stage(
        props,
        sun=Sun(towards=(0.5, 0.9, 0.6), rgb=(0.75, 0.66, 0.52)),
        sky=Sky(light=(0.36, 0.37, 0.4), bounce=(0.2, 0.17, 0.14), reach_m=1.0),
        exposure=1.1,
        lamp=Lamp((0.5, 2.8, 0.4), (0.4, 0, 0), (0, 0, 0.4), rgb=(1.6, 1.4, 1.1)),
    )
    focus = (-0.1, 0.5, -0.2)
    cameras = rigs.arc(focus, (0.1, 1.35, 3.1), 18.0, rigs.times(film.frames, film.fps), film.hw, 58.0)
    return Scene("room", stage, cameras, focus)
