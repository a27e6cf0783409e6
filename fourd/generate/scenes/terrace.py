"""The sample clip: a sunny terrace by the sea, where a ball sets off a row of dominoes."""

from __future__ import annotations

import numpy as np
import torch

from fourd.generate import meshes, motions, rigs, sound, textures, things
from fourd.generate.props import Prop, Sky, Stage, Sun
from fourd.generate.scenes.base import Film, Scene
from fourd.types import Sound

_BALL_M = 0.17
_FIRST = (-0.42, 0.0, 0.42)
_CLAY = [(0.78, 0.47, 0.34), (0.83, 0.55, 0.41), (0.72, 0.41, 0.3), (0.86, 0.62, 0.47)]


def terrace(rng: np.random.Generator, film: Film) -> Scene:
    """A walled terrace with plants, a bench and a flag; a ball bounces in and knocks over a row of dominoes."""
    hit_s, speed = 1.08, 0.65
    ball_z = _FIRST[2]
    start_x = _FIRST[0] - 0.025 - _BALL_M - speed * hit_s
    ball = motions.Bounce(
        (start_x, 0.72, ball_z),
        (speed, 0.6, 0.0),
        _BALL_M,
        restitution=0.8,
        squash=0.12,
        turn_s=hit_s,
        turn_share=-0.35,
    )
    row = things.Dominoes(9, (0.05, 0.32, 0.16), 0.15, hit_s, 0.075)
    props = [*_walls(rng), *_furniture(rng), *_moving(rng, ball, row)]
    stage = Stage(
        props,
        sun=Sun(towards=(0.62, 0.85, 0.5), rgb=(1.2, 1.06, 0.84), radius_deg=1.0),
        sky=Sky(light=(0.36, 0.42, 0.52), bounce=(0.24, 0.2, 0.16), clouds=0.62, reach_m=1.1, haze_m=700.0),
    )
    focus = (0.05, 0.5, 0.1)
    times = rigs.times(film.frames, film.fps)
    cameras = rigs.arc(focus, (0.25, 1.34, 3.1), 20.0, times, film.hw, 56.0, rise_m=0.12)
    return Scene("terrace", stage, cameras, focus, _sound(ball, row, film.frames / film.fps))


def _walls(rng: np.random.Generator) -> list[Prop]:
    """The floor, the low wall to the sea, the house on the left, and what lies behind."""
    plaster = textures.plain((0.9, 0.88, 0.83), rng, 0.06, 512)
    clay = textures.clouded((0.66, 0.38, 0.27), (0.82, 0.54, 0.4), rng, 1.3)
    floor = textures.tiles(_CLAY, (0.62, 0.57, 0.5), rng, 4, size=512)
    blue = textures.planks((0.13, 0.34, 0.5), (0.22, 0.47, 0.63), rng, 8)
    hills = textures.clouded((0.2, 0.3, 0.16), (0.48, 0.5, 0.3), rng, 1.2, 512)
    sea = textures.clouded((0.08, 0.3, 0.45), (0.2, 0.48, 0.6), rng, 1.0, 512)
    house = meshes.box((0.3, 3.4, 5.0)).moved((-2.15, 0, 0.2))
    window = (-1.99, 0, -0.35)
    parts = [
        Prop("floor", meshes.sheet((9, 7)).tiled(0.8, 0.8).moved((0, 0, 0.6)), floor, gloss=0.15),
        Prop("sea wall", meshes.box((9, 0.62, 0.24), 0.015).tiled(0.5, 0.5).moved((1.6, 0, -1.55)), plaster),
        Prop("coping", meshes.box((9, 0.06, 0.34), 0.02).tiled(1.3, 1.3).moved((1.6, 0.62, -1.55)), clay),
        Prop(
            "house",
            house.tiled(0.5, 0.5),
            textures.bricks(
                [(0.86, 0.78, 0.66), (0.82, 0.72, 0.58), (0.9, 0.84, 0.74), (0.78, 0.66, 0.53)],
                (0.7, 0.65, 0.57),
                rng,
                12,
                5,
            ),
        ),
        Prop(
            "glass",
            meshes.box((0.06, 1.0, 0.7)).moved((window[0], 0.95, window[2])),
            textures.clouded((0.06, 0.1, 0.14), (0.16, 0.22, 0.27), rng, 2.0),
            gloss=1.0,
            shininess=200,
        ),
        Prop("sill", meshes.box((0.22, 0.06, 0.95), 0.015).moved((window[0] + 0.05, 0.88, window[2])), plaster),
        Prop("sea", meshes.sheet((1200, 900)).tiled(0.02, 0.05).moved((0, -9, -460)), sea, gloss=0.5),
        Prop(
            "hills",
            meshes.merge(
                [
                    meshes.blob(1.0, rng, 0.18).moved(rotation=np.diag([60.0, 17.0, 25.0])).moved((95, -12, -190)),
                    meshes.blob(1.0, rng, 0.18).moved(rotation=np.diag([45.0, 11.0, 25.0])).moved((-15, -12, -230)),
                ]
            ).tiled(0.012, 0.03),
            hills,
        ),
    ]
    for side in (-1, 1):
        shutter = (
            meshes.box((0.05, 1.1, 0.38), 0.008)
            .tiled(1.4, 1.4)
            .moved((window[0] + 0.04, 0.91, window[2] + side * 0.56))
        )
        parts.append(Prop(f"shutter {side:+d}", shutter, blue, gloss=0.2))
    return parts


def _furniture(rng: np.random.Generator) -> list[Prop]:
    """What stands on the terrace and stays: a bench with a jug and oranges, pots, a rug."""
    wood = textures.planks((0.42, 0.27, 0.16), (0.68, 0.48, 0.3), rng, 6)
    glazed = textures.tiles([(0.9, 0.88, 0.8)], (0.82, 0.8, 0.74), rng, 2, motif=(0.12, 0.3, 0.52), size=256)
    orange = textures.clouded((0.9, 0.46, 0.06), (0.97, 0.62, 0.15), rng, 0.9, 128)
    bench = meshes.merge(
        [
            *(meshes.box((1.5, 0.035, 0.105), 0.006).moved((0, 0.4, z)) for z in (-0.12, 0.0, 0.12)),
            *(meshes.box((0.06, 0.4, 0.3), 0.006).moved((x, 0, 0)) for x in (-0.6, 0.6)),
            meshes.box((1.2, 0.05, 0.04)).moved((0, 0.2, 0)),
        ]
    ).tiled(1.5, 1.5)
    at = (0.42, 0, -1.08)
    bowl = meshes.lathe(
        np.array([[0, 0], [0.08, 0], [0.16, 0.05], [0.19, 0.11], [0.175, 0.11], [0.14, 0.05], [0, 0.03]])
    )
    fruit = [(0.0, 0.09, 0.0), (0.085, 0.1, 0.03), (-0.08, 0.1, 0.04), (0.02, 0.1, -0.09), (0.01, 0.17, 0.01)]
    oranges = meshes.merge([meshes.sphere(0.058, 20).moved(p) for p in fruit])
    stripes = [(0.82, 0.74, 0.6), (0.2, 0.36, 0.45), (0.82, 0.74, 0.6), (0.7, 0.33, 0.22)]
    mat = meshes.box((1.9, 0.012, 0.95)).tiled(1 / 0.95, 1 / 0.95)
    return [
        Prop("bench", bench, wood, motions.facing(at, 4.0), gloss=0.15),
        Prop(
            "jug",
            things.jug(0.42, 0.14).tiled(6, 3),
            glazed,
            motions.facing((0.1, 0.435, -1.06)),
            gloss=0.7,
            shininess=90,
        ),
        Prop("bowl", bowl.tiled(6, 2), glazed, motions.facing((0.72, 0.435, -1.08)), gloss=0.6),
        Prop("oranges", oranges, orange, motions.facing((0.72, 0.435, -1.08), 30), gloss=0.4),
        Prop("mat", mat, textures.stripes(stripes * 2, rng), motions.facing((0.1, 0, 0.42))),
        Prop("left pot", things.pot(0.42, 0.25).tiled(5, 2), glazed, motions.facing((-1.42, 0, -0.95)), gloss=0.5),
        Prop(
            "right pot",
            things.pot(0.36, 0.22).tiled(4, 2),
            textures.clouded((0.62, 0.34, 0.22), (0.8, 0.5, 0.36), rng, 1.3),
            motions.facing((1.34, 0, -0.42)),
        ),
    ]


def _moving(rng: np.random.Generator, ball: motions.Bounce, row: things.Dominoes) -> list[Prop]:
    """What moves: the ball, the dominoes, plants in the wind, a pinwheel and a flag."""
    leaf = textures.leaf((0.2, 0.42, 0.12), (0.55, 0.7, 0.3), rng)
    paints = [(0.82, 0.24, 0.2), (0.93, 0.66, 0.2), (0.2, 0.5, 0.55), (0.3, 0.55, 0.3), (0.25, 0.33, 0.6)]
    white = (0.96, 0.94, 0.88)
    parts = [
        Prop(
            "ball",
            meshes.sphere(_BALL_M, 48),
            textures.stripes(
                [(0.86, 0.16, 0.14), white, (0.13, 0.36, 0.66), white, (0.96, 0.74, 0.15), white], rng, size=512
            ),
            ball,
            gloss=0.45,
            shininess=60,
        ),
        Prop(
            "left plant",
            things.plant(30, 0.7, rng).moved((0, 0.36, 0)),
            leaf,
            motions.facing((-1.42, 0, -0.95)),
            things.swaying(1.0, 0.09),
            gloss=0.25,
        ),
        Prop(
            "right plant",
            things.plant(22, 0.5, rng, 0.07).moved((0, 0.32, 0)),
            leaf,
            motions.facing((1.34, 0, -0.42)),
            things.swaying(0.8, 0.07, 1.4),
            gloss=0.25,
        ),
        Prop(
            "stick",
            meshes.cylinder(0.012, 0.62, 12),
            textures.plain((0.85, 0.8, 0.7), rng),
            motions.placed((1.34, 0.3, -0.31)),
        ),
        Prop(
            "pinwheel",
            things.pinwheel(0.19, 6),
            textures.stripes([paints[0], white, paints[1], white, paints[2], white], rng),
            motions.spinning((1.34, 0.9, -0.27), (0, 0, -1), 0.7),
        ),
        Prop(
            "pole",
            meshes.cylinder(0.018, 1.42, 16),
            textures.plain(white, rng),
            motions.placed((-0.62, 0.0, -1.28)),
            gloss=0.3,
        ),
        Prop(
            "flag",
            things.flag(0.85, 0.5),
            textures.stripes([paints[4], white, paints[0], white, paints[1]], rng, along_x=True),
            motions.placed((-0.6, 0.9, -1.28)),
            things.waving(0.85, 0.5, 0.08),
        ),
    ]
    first = motions.placed(_FIRST)
    for k in range(row.count):
        paint = textures.clouded(
            [0.86 * c for c in paints[k % 5]], [min(1.0, 1.06 * c) for c in paints[k % 5]], rng, 1.0, 128
        )
        parts.append(Prop(f"domino {k + 1}", row.mesh, paint, row.pose(k, first), gloss=0.3))
    return parts


def _sound(ball: motions.Bounce, row: things.Dominoes, duration_s: float) -> Sound:
    """Thuds of the ball, clacks of the dominoes, and a breeze; the first two also by their places."""
    thuds = []
    for time, speed in zip(ball.contact_s, ball.impact_mps, strict=True):
        if time < duration_s:
            pan = float(np.clip(ball(time)[0, 3] / 1.5, -1, 1))
            thuds.append(sound.Impact(time, speed, 92.0, sound.RUBBER, pan, 1.6))
    thuds.append(sound.Impact(ball.turn_s, 0.8, 120.0, sound.RUBBER, -0.2))
    places = [(_FIRST[0] + row.spacing * k, _FIRST[1] + 0.16, _FIRST[2]) for k in range(row.count)]
    clacks, knocked = [], []
    for k, (time, speed) in enumerate(zip(row.knock_s, row.knock_mps, strict=True)):
        if time < duration_s:
            clacks.append(sound.Impact(time, speed, 620.0 * 2 ** (k * 2 / 12), sound.WOOD, places[k][0] / 1.5, 1.5))
            knocked.append((time, places[k]))
    times = torch.arange(0, duration_s, 1 / 24, dtype=torch.float64)
    flight = torch.from_numpy(np.stack([ball(t)[:3, 3] for t in times.tolist()]))
    sources = [sound.source("ball", thuds, duration_s, flight, times)]
    if knocked:
        where = torch.tensor([place for _, place in knocked], dtype=torch.float64)
        when = torch.tensor([time for time, _ in knocked], dtype=torch.float64)
        sources.append(sound.source("dominoes", clacks, duration_s, where, when))
    heard = [sound.impacts([*thuds, *clacks], duration_s), sound.breeze(duration_s, level=0.005)]
    return sound.mixed(heard, sources)
