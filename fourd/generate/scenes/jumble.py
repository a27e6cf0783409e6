"""Any number of different scenes: place, things, textures, light and camera all follow the seed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fourd.generate import meshes, motions, rigs, textures, things
from fourd.generate.meshes import Mesh
from fourd.generate.props import Lamp, Pose, Prop, Rgb, Sky, Stage, Sun
from fourd.generate.scenes.base import Film, Scene
from fourd.types import Cameras


def jumble(rng: np.random.Generator, film: Film) -> Scene:
    """A room or a yard with a dozen things of random shapes, a few of which spin, swing, drive or bounce."""
    indoors = bool(rng.random() < 0.5)
    props = _place(rng, indoors)
    spots = _spots(rng, 13)
    moving = int(rng.integers(2, 6))
    for k, (x, z) in enumerate(spots):
        size = float(rng.uniform(0.25, 0.7)) * (1.0 if k < moving else 1.3)
        mesh = _shape(rng, size)
        pose = _motion(rng, x, z, size) if k < moving else motions.facing((x, 0.0, z), float(rng.uniform(0, 360)))
        gloss = float(rng.uniform(0, 0.7)) * float(rng.random() < 0.5)
        props.append(Prop(f"thing {k}", mesh, _texture(rng), pose, gloss=gloss))
    if rng.random() < 0.6:
        x, z = spots[-1]
        leaf = textures.leaf(_colour(rng, 0.2, 0.4), _colour(rng, 0.35, 0.7), rng)
        plant = things.plant(int(rng.integers(10, 28)), 0.8, rng, 0.06)
        props.append(Prop("plant", plant, leaf, motions.facing((x - 0.6, 0, z)), things.swaying(0.9, 0.08)))
    low, high = (0.25, 0.9) if indoors else (0.6, 1.3)
    sky = Sky(
        light=_grey(rng, 0.26, 0.5),
        bounce=_grey(rng, 0.12, 0.25),
        clouds=float(rng.uniform(0, 0.9)),
        reach_m=0.9 if indoors else 1.6,
        haze_m=np.inf if indoors else float(rng.uniform(100, 900)),
    )
    east = float(rng.uniform(-0.9, 0.9))
    sun = Sun(
        towards=(east, float(rng.uniform(0.5, 1.0)), float(rng.uniform(0.2, 0.8))),
        rgb=_grey(rng, low, high),
        radius_deg=float(rng.uniform(0.4, 3)),
    )
    lamp = None
    if indoors:
        at = (float(rng.uniform(-1.5, 1.5)), 2.6, float(rng.uniform(-1, 1)))
        lamp = Lamp(at, (0.3, 0, 0), (0, 0, 0.3), rgb=_grey(rng, 1.5, 4))
    stage = Stage(props, sun=sun, sky=sky, lamp=lamp, exposure=float(rng.uniform(0.9, 1.2)))
    focus = (float(rng.uniform(-0.3, 0.3)), float(rng.uniform(0.35, 0.6)), float(rng.uniform(-0.4, 0.2)))
    return Scene("jumble", stage, _cameras(rng, film, focus), focus)


def _colour(rng: np.random.Generator, low: float = 0.1, high: float = 0.95) -> Rgb:
    """A colour as rooms and streets have them: often grey or earthy, sometimes bright."""
    bright, hue = float(rng.uniform(low, high)), float(rng.uniform(0, 2 * np.pi))
    strong = float(rng.choice([0.04, 0.15, 0.4, 0.7], p=[0.25, 0.35, 0.25, 0.15]))
    wheel = 0.5 + 0.5 * np.cos(hue + np.array([0.0, -2.1, 2.1]))
    r, g, b = np.clip(bright * (1 - strong + strong * 1.3 * wheel), 0.02, 1)
    return float(r), float(g), float(b)


def _grey(rng: np.random.Generator, low: float, high: float) -> Rgb:
    """Light of a random strength, a little warm or cool."""
    bright, warm = float(rng.uniform(low, high)), float(rng.uniform(-0.12, 0.12))
    return bright * (1 + warm), bright, bright * (1 - warm)


def _texture(rng: np.random.Generator) -> np.ndarray:
    a, b, c = (_colour(rng, 0.15) for _ in range(3))
    motif = c if rng.random() < 0.5 else None
    kinds: list[Callable[[], np.ndarray]] = [
        lambda: textures.clouded(a, b, rng, float(rng.uniform(0.8, 2.2))),
        lambda: textures.planks(a, b, rng, int(rng.integers(2, 9)), 256),
        lambda: textures.bricks([a, b], c, rng, 2 * int(rng.integers(2, 8)), int(rng.integers(2, 6)), 256),
        lambda: textures.tiles([a, b], c, rng, int(rng.integers(2, 6)), motif=motif, size=256),
        lambda: textures.checker(a, b, rng, 2 * int(rng.integers(1, 7))),
        lambda: textures.stripes([a, b, c, b], rng, along_x=bool(rng.random() < 0.5)),
        lambda: textures.scattered(a, [b, c, _colour(rng)], rng, int(rng.integers(40, 400)), 256),
        lambda: textures.rug([a, b, c, _colour(rng)], rng, 256),
        lambda: textures.poster([a, b, c, _colour(rng)], rng),
        lambda: textures.plain(a, rng, float(rng.uniform(0.02, 0.12))),
    ]  # fmt: skip
    return kinds[int(rng.integers(len(kinds)))]()


def _shape(rng: np.random.Generator, size: float) -> Mesh:
    """A thing about ``size`` metres large that stands on the origin."""
    kind, stretch = int(rng.integers(7)), float(rng.uniform(0.6, 1.8))
    turns = float(rng.integers(1, 5))
    if kind == 0:
        sides = (size, size * stretch, size * float(rng.uniform(0.4, 1.2)))
        return meshes.box(sides, float(rng.uniform(0.01, 0.06))).tiled(turns, turns)
    if kind == 1:
        return meshes.sphere(size / 2).moved((0, size / 2, 0)).tiled(turns, turns)
    if kind == 2:
        return meshes.cylinder(size / 2.5, size * stretch).tiled(turns, turns)
    if kind == 3:
        return meshes.cone(size / 2, size * stretch).tiled(turns, turns)
    if kind == 4:
        tube = size * float(rng.uniform(0.08, 0.2))
        return meshes.torus(size / 2 - tube, tube).moved((0, tube, 0)).tiled(2 * turns, 1)
    if kind == 5:
        radius = np.interp(np.linspace(0, 1, 14), np.linspace(0, 1, 5), rng.uniform(0.15, 0.5, 5)) * size
        height = np.linspace(0, size * stretch, 14)
        return meshes.lathe(np.stack([np.r_[0, radius, 0], np.r_[0, height, height[-1]]], 1)).tiled(turns, 2)
    return meshes.blob(size / 2, rng).moved((0, size / 2, 0)).tiled(turns, turns)


def _spots(rng: np.random.Generator, count: int) -> list[tuple[float, float]]:
    """Places on the ground that keep apart, the first ones near the middle."""
    spots: list[tuple[float, float]] = []
    for k in range(count):
        reach = 0.9 + 1.6 * k / count
        tries = rng.uniform(-1, 1, (12, 2)) * np.array([reach, 0.75 * reach]) - np.array([0, 0.3])
        gaps = [min((float(np.hypot(*(t - s))) for s in spots), default=9.0) for t in tries]
        spots.append((float(tries[int(np.argmax(gaps))][0]), float(tries[int(np.argmax(gaps))][1])))
    return spots


def _motion(rng: np.random.Generator, x: float, z: float, size: float) -> Pose:
    kind = int(rng.integers(4))
    if kind == 0:
        return motions.spinning((x, 0, z), (0, 1, 0), float(rng.uniform(0.15, 0.7)) * float(rng.choice([-1, 1])))
    if kind == 1:
        height = float(rng.uniform(0.3, 1.0))
        axis = (float(rng.normal()), 1.0, float(rng.normal()))
        return motions.spinning((x, height, z), axis, float(rng.uniform(0.15, 0.6)))
    if kind == 2:
        return motions.circling(
            (x, 0, z), float(rng.uniform(0.2, 0.6)), float(rng.uniform(2.5, 6)), float(rng.uniform())
        )
    fall = motions.Bounce(
        (x, float(rng.uniform(0.5, 1.2)), z), (float(rng.uniform(-0.4, 0.4)), 0.5, float(rng.uniform(-0.2, 0.3))), 1e-6
    )
    # Its origin is its foot; it hops without rolling.
    return lambda t: motions.placed(fall(t)[:3, 3].tolist(), motions.rotation((0, 1, 0), 0.6 * t))


def _place(rng: np.random.Generator, indoors: bool) -> list[Prop]:
    """The ground, and what stands around."""
    if indoors:
        scale = float(rng.uniform(0.4, 1.0))
        back, side = -float(rng.uniform(1.8, 2.8)), float(rng.choice([-1, 1])) * float(rng.uniform(2.2, 3))
        wall = _texture(rng)
        return [
            Prop("floor", meshes.sheet((9, 9)).tiled(scale, scale), _texture(rng), gloss=float(rng.uniform(0, 0.4))),
            Prop("back", meshes.box((9, 3, 0.2)).tiled(scale, scale).moved((0, 0, back)), wall),
            Prop("side", meshes.box((0.2, 3, 9)).tiled(scale, scale).moved((side, 0, 0)), wall),
        ]
    lawn = textures.grass(_colour(rng, 0.2, 0.4), _colour(rng, 0.4, 0.7), rng) if rng.random() < 0.5 else _texture(rng)
    props = [Prop("ground", meshes.sheet((150, 150)).tiled(0.5, 0.5), lawn)]
    for k in range(int(rng.integers(2, 6))):
        x, z = float(rng.uniform(-9, 9)), float(rng.uniform(-14, -5))
        if rng.random() < 0.5:
            size = (float(rng.uniform(2, 6)), float(rng.uniform(1.5, 6)), float(rng.uniform(1, 4)))
            props.append(Prop(f"house {k}", meshes.box(size).tiled(0.5, 0.5).moved((x, 0, z)), _texture(rng)))
        else:
            height, leaves = float(rng.uniform(1.2, 2.5)), _colour(rng, 0.3, 0.7)
            dark = (leaves[0] * 0.4, leaves[1] * 0.45, leaves[2] * 0.35)
            crown = things.crown(float(rng.uniform(0.8, 1.4)), rng).moved((x, height + 0.6, z))
            props.append(Prop(f"crown {k}", crown, textures.clouded(dark, leaves, rng, 0.9)))
            bark = textures.clouded((0.25, 0.17, 0.1), (0.5, 0.38, 0.27), rng, 1.1, 128)
            props.append(Prop(f"trunk {k}", things.trunk(height, 0.14, rng).moved((x, 0, z)), bark))
    return props


def _cameras(rng: np.random.Generator, film: Film, focus: Rgb) -> Cameras:
    """An arc, a dolly or truck, or a tripod; at any height from a child's to a ceiling's."""
    times = rigs.times(film.frames, film.fps)
    turn, far = float(rng.uniform(-0.4, 0.4)), float(rng.uniform(2.2, 3.4))
    eye = (focus[0] + far * np.sin(turn), float(rng.uniform(0.6, 2.0)), focus[2] + far * np.cos(turn))
    fov_deg = float(rng.uniform(45, 70))
    kind = rng.random()
    if kind < 0.45:
        degrees = float(rng.uniform(8, 28)) * float(rng.choice([-1, 1]))
        return rigs.arc(focus, eye, degrees, times, film.hw, fov_deg, float(rng.uniform(-0.3, 0.3)))
    if kind < 0.85:
        step = rng.normal(size=3) * np.array([0.35, 0.1, 0.35])
        start, end = np.array(eye) - step, np.array(eye) + step
        return rigs.glide(start.tolist(), end.tolist(), focus, times, film.hw, fov_deg)
    return rigs.fixed(eye, focus, times, film.hw, fov_deg)
