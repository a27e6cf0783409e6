"""A camera on a tripod before a table: only the things move."""

from __future__ import annotations

import numpy as np

from fourd.generate import meshes, motions, rigs, textures, things
from fourd.generate.props import Lamp, Prop, Sky, Stage, Sun
from fourd.generate.scenes.base import Film, Scene


def tabletop(rng: np.random.Generator, film: Film) -> Scene:
    """Books, a mug, a top that spins, a ball that bounces, a cube that turns and a plant by a window."""
    wood = textures.planks((0.35, 0.2, 0.11), (0.6, 0.4, 0.24), rng, 5)
    paper = textures.tiles([(0.75, 0.8, 0.76), (0.7, 0.76, 0.73)], (0.66, 0.72, 0.7), rng, 4, checkered=True)
    shades = [(0.55, 0.16, 0.14), (0.14, 0.28, 0.42), (0.82, 0.62, 0.24), (0.24, 0.4, 0.3), (0.5, 0.4, 0.55)]
    props = [
        Prop("table", meshes.box((2.4, 0.05, 1.1), 0.01).tiled(1.2, 1.2).moved((0, -0.05, 0)), wood, gloss=0.35),
        Prop("wall", meshes.box((5, 3, 0.1)).tiled(0.9, 0.9).moved((0, -1, -0.9)), paper),
        Prop(
            "picture",
            meshes.box((0.62, 0.62, 0.03)).tiled(1 / 0.62, 1 / 0.62).shifted(0.5, 0.5).moved((-0.45, 0.28, -0.83)),
            textures.poster([(0.9, 0.85, 0.75), *shades], rng),
        ),
        Prop(
            "mug",
            meshes.lathe(
                np.array([[0, 0], [0.045, 0], [0.05, 0.005], [0.05, 0.11], [0.045, 0.11], [0.043, 0.02], [0, 0.015]])
            ).tiled(3, 1),
            textures.clouded((0.2, 0.42, 0.5), (0.55, 0.72, 0.7), rng, 1.5),
            motions.facing((0.32, 0, 0.12)),
            gloss=0.6,
            shininess=80,
        ),
        Prop(
            "pot",
            things.pot(0.16, 0.1).tiled(4, 2),
            textures.clouded((0.6, 0.3, 0.2), (0.78, 0.5, 0.36), rng),
            motions.facing((0.62, 0, -0.2)),
        ),
    ]
    height = 0.0
    for k, shade in enumerate(shades):
        size = (float(rng.uniform(0.22, 0.28)), float(rng.uniform(0.025, 0.05)), float(rng.uniform(0.16, 0.2)))
        turn = float(rng.uniform(-14, 14))
        book = meshes.box(size, 0.004).tiled(3, 3)
        props.append(
            Prop(f"book {k + 1}", book, textures.cloth(shade, rng), motions.facing((-0.55, height, -0.15), turn))
        )
        height += size[1]
    ball = motions.Bounce((-0.32, 0.34, 0.2), (0.13, 0.0, 0.02), 0.05, restitution=0.86, squash=0.1)
    top = meshes.lathe(
        np.array([[0, 0], [0.012, 0.01], [0.09, 0.075], [0.088, 0.09], [0.015, 0.1], [0.012, 0.16], [0, 0.163]])
    )
    props += [
        Prop(
            "ball", meshes.sphere(0.05, 32), textures.stripes([shades[0], (0.95, 0.93, 0.88)] * 3, rng), ball, gloss=0.5
        ),
        Prop(
            "top",
            top.tiled(1, 2),
            textures.stripes([shades[2], shades[1], (0.9, 0.88, 0.8), shades[0]], rng),
            motions.spinning((0.05, 0, 0.02), (0, 1, 0), float(rng.uniform(0.6, 0.9)), lean=0.12),
            gloss=0.5,
        ),
        Prop(
            "cube",
            meshes.box((0.13, 0.13, 0.13), 0.012).moved((0, -0.065, 0)).tiled(4, 4),
            textures.scattered((0.92, 0.9, 0.85), shades, rng, 300),
            motions.spinning((-0.55, height + 0.16, -0.15), (0.4, 1, 0.3), 0.35),
            gloss=0.3,
        ),
        Prop(
            "plant",
            things.plant(18, 0.34, rng, 0.035).moved((0, 0.14, 0)),
            textures.leaf((0.2, 0.42, 0.14), (0.55, 0.72, 0.34), rng),
            motions.facing((0.62, 0, -0.2)),
            things.swaying(0.45, 0.035, 1.5),
            gloss=0.2,
        ),
    ]
    stage = Stage(
        props,
        sun=Sun(towards=(0.9, 0.8, 0.7), rgb=(1.0, 0.88, 0.66), radius_deg=2.0),
        sky=Sky(light=(0.34, 0.37, 0.42), bounce=(0.2, 0.17, 0.15), reach_m=0.4),
        exposure=1.15,
        lamp=Lamp((-0.8, 1.2, 0.8), (0.15, 0, 0), (0, 0.1, 0.12), rgb=(5.0, 4.2, 3.2)),
    )
    focus = (0.0, 0.16, -0.05)
    cameras = rigs.fixed((0.05, 0.42, 1.25), focus, rigs.times(film.frames, film.fps), film.hw, 55.0)
    return Scene("tabletop", stage, cameras, focus)
