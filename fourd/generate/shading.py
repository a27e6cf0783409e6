"""Light on surfaces: sun, sky and lamp, with soft shadows that a small filter frees of grain.

Shadows are sampled by a few rays at every point. The rays of neighbouring points differ, and a filter
that does not cross edges averages over the neighbourhood, so a few rays do the work of a hundred.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32

from fourd.generate.atlas import Atlas
from fourd.generate.props import Lamp, Sky, Stage
from fourd.generate.tracing import Hits, Moment, weigh
from fourd.srgb import encoded

_GOLDEN = 2.399963229728653  # The golden angle, in radians: points of a sunflower.


@dataclass(frozen=True, eq=False)
class Points:
    """Places on surfaces that are to be lit."""

    position_m: Float32[np.ndarray, "n 3"]
    normal: Float32[np.ndarray, "n 3"]
    """Unit, towards the viewer."""
    start_m: Float32[np.ndarray, "n 3"]
    """The position, lifted off the surface, so that rays do not hit where they begin."""
    view: Float32[np.ndarray, "n 3"]
    """Unit, towards the viewer."""
    gloss: Float32[np.ndarray, " n"]
    shininess: Float32[np.ndarray, " n"]


def dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Row by row. Columns are added one by one, which is three times as fast as einsum."""
    return a[..., 0] * b[..., 0] + a[..., 1] * b[..., 1] + a[..., 2] * b[..., 2]


def unit(a: np.ndarray) -> np.ndarray:
    """Rows of length one."""
    return a * (1 / np.sqrt(np.maximum(dot(a, a), 1e-20)))[..., None]


def points(moment: Moment, hits: Hits, eye_m: np.ndarray, direction: np.ndarray) -> Points:
    """What has to be known about hits in order to light them."""
    position = eye_m + direction * hits.t[:, None]
    normal = unit(weigh(moment.normals, hits))
    view = unit(-direction)
    flat = np.take(moment.flat, hits.face, axis=0)
    flat = flat * np.where(dot(flat, view) < 0, np.float32(-1), np.float32(1))[:, None]
    normal = normal * np.where(dot(normal, flat) < 0, np.float32(-1), np.float32(1))[:, None]
    start = position + flat * (1e-3 * (0.2 + hits.t))[:, None]
    prop = moment.geometry.prop[hits.face]
    props = moment.geometry.stage.props
    gloss = np.array([p.gloss for p in props], np.float32)[prop]
    shininess = np.array([p.shininess for p in props], np.float32)[prop]
    return Points(position, normal, start, view, gloss, shininess)


def visibility(moment: Moment, at: Points, dither: Float32[np.ndarray, "2 n"], rays: int) -> Float32[np.ndarray, "n 3"]:
    """How much of the sun, of the sky nearby and of the lamp each point sees, 0 to 1.

    Args:
        moment: The stage.
        at: The points.
        dither: Two numbers in 0..1 a point, which turn and shift the pattern of its rays.
        rays: How many rays each point sends to each light.
    """
    stage = moment.geometry.stage
    seen = np.ones((len(at.position_m), 3), np.float32)
    # Points of a sunflower on the unit disc, turned from place to place.
    turn = np.exp(2j * np.pi * dither[1]).astype(np.complex64)
    disc = [np.sqrt((k + dither[0]) / rays) * (turn * np.complex64(np.exp(1j * _GOLDEN * k))) for k in range(rays)]
    if stage.sun is not None:
        sun = heading(stage.sun.towards)
        lit = np.flatnonzero(dot(at.normal, sun) > 0)
        spread = np.float32(np.tan(np.radians(stage.sun.radius_deg)))
        across, along = (spread * axis for axis in _frame(sun))
        ways = (sun + z.real[lit, None] * across + z.imag[lit, None] * along for z in disc)
        seen[:, 0] = 0
        seen[lit, 0] = _share(moment, at.start_m[lit], ways, itertools.repeat(np.full(len(lit), 1e4, np.float32)))
    # Directions weighted by the cosine: a disc, lifted onto the hemisphere (Malley).
    across, along = _frame(at.normal)
    ways = (
        z.real[:, None] * across + z.imag[:, None] * along + np.sqrt(1 - np.abs(z) ** 2 * 0.9999)[:, None] * at.normal
        for z in disc
    )
    # Short rays among the long ones: what is near dims more than what is far.
    steps = (dither[1] + np.float32(0.618034 * k) for k in range(rays))
    reach = (np.float32(stage.sky.reach_m) * (0.05 + 0.95 * (step % 1)) for step in steps)
    seen[:, 1] = _share(moment, at.start_m, ways, reach)
    if stage.lamp is not None:
        lamp = stage.lamp
        half_u, half_v = _f32(lamp.half_u_m), _f32(lamp.half_v_m)
        to_centre = _f32(lamp.centre_m) - at.start_m
        # The disc's points, stretched to the rectangle.
        full = (z * (np.abs(z) / np.maximum(np.maximum(np.abs(z.real), np.abs(z.imag)), 1e-6)) for z in disc)
        ways = (to_centre + z.real[:, None] * half_u + z.imag[:, None] * half_v for z in full)
        short = np.full(len(at.start_m), 0.99, np.float32)  # Whatever holds the lamp may touch its back.
        seen[:, 2] = _share(moment, at.start_m, ways, itertools.repeat(short))
    return seen


def _share(
    moment: Moment, start: np.ndarray, ways: Iterable[np.ndarray], reach: Iterable[np.ndarray]
) -> Float32[np.ndarray, " n"]:
    """The share of each point's rays that nothing blocks; one item of ``ways`` is a ray of every point."""
    blocked = [moment.blocked(start, way, far) for way, far in zip(ways, reach, strict=False)]
    return 1 - np.asarray(np.mean(blocked, axis=0), np.float32)


def filtered(
    seen: Float32[np.ndarray, "h w 3"],
    position_m: Float32[np.ndarray, "h w 3"],
    normal: Float32[np.ndarray, "h w 3"],
    depth_m: Float32[np.ndarray, "h w"],
) -> tuple[Float32[np.ndarray, "h w 3"], Bool[np.ndarray, "h w"]]:
    """Average along rows and then columns over neighbours that lie on the same smooth surface.

    Returns:
        The averages, and where a pixel and its four neighbours all lie on one smooth surface.
    """
    even = np.ones(depth_m.shape, bool)
    tolerance = 0.01 * np.where(np.isfinite(depth_m), depth_m, 0)
    for axis in (1, 0):
        total, weight = seen.copy(), np.ones(depth_m.shape, np.float32)
        for step, share in ((1, 0.88), (2, 0.6), (3, 0.32)):
            if step >= depth_m.shape[axis]:
                continue
            here = [slice(None)] * 2
            there = [slice(None)] * 2
            here[axis], there[axis] = slice(None, -step), slice(step, None)
            a, b = tuple(here), tuple(there)
            off = np.abs(dot(position_m[b] - position_m[a], normal[a]))
            same = (off < tolerance[a]) & (dot(normal[a], normal[b]) > 0.9)
            if step == 1:
                even[a] &= same
                even[b] &= same
            share = share * same.astype(np.float32)
            total[a] += share[..., None] * seen[b]
            total[b] += share[..., None] * seen[a]
            weight[a] += share
            weight[b] += share
        seen = total / weight[..., None]
    return seen, even


def light(
    stage: Stage, at: Points, seen: Float32[np.ndarray, "n 3"]
) -> tuple[Float32[np.ndarray, "n 3"], Float32[np.ndarray, "n 3"]]:
    """Light that falls on each point, and light that its gloss throws straight to the viewer."""
    sky = stage.sky
    up = (0.5 + 0.5 * at.normal[:, 1])[:, None]
    open_sky = _f32(sky.bounce) + (_f32(sky.light) - _f32(sky.bounce)) * up
    # A closed corner is not black: its walls light each other.
    falling = open_sky * (0.18 + 0.82 * seen[:, 1:2])
    # Gloss mirrors the sky, most at a grazing angle (Schlick, 1994).
    grazing = (1 - np.clip(dot(at.normal, at.view), 0, 1)) ** 5
    thrown = open_sky * (seen[:, 1] * at.gloss * (0.04 + 0.5 * grazing))[:, None]
    if stage.sun is not None:
        sun = heading(stage.sun.towards)
        rgb = _f32(stage.sun.rgb)
        falling = falling + (np.maximum(dot(at.normal, sun), 0) * seen[:, 0])[:, None] * rgb
        thrown = thrown + (_highlight(at, sun) * seen[:, 0])[:, None] * rgb
    if stage.lamp is not None:
        strength, towards = _from_lamp(stage.lamp, at.position_m)
        rgb = _f32(stage.lamp.rgb) * (strength * seen[:, 2])[:, None]
        falling = falling + np.maximum(dot(at.normal, towards), 0)[:, None] * rgb
        thrown = thrown + _highlight(at, towards)[:, None] * rgb
    return falling, thrown


def _highlight(at: Points, towards: np.ndarray) -> np.ndarray:
    """Blinn's highlight (1977), with the energy of small ones kept about equal to that of large ones."""
    half = unit(at.view + towards)
    sharp = np.maximum(dot(at.normal, half), 0) ** at.shininess
    return sharp * at.gloss * (at.shininess + 8) / 100 * (dot(at.normal, towards) > 0)


def _from_lamp(lamp: Lamp, position_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How strongly an unblocked lamp lights what faces it, and the directions to its centre."""
    u, v = _f32(lamp.half_u_m), _f32(lamp.half_v_m)
    cross = np.cross(u, v)
    area = 4 * float(np.linalg.norm(cross))
    way = _f32(lamp.centre_m) - position_m
    squared = dot(way, way)
    towards = way / np.sqrt(np.maximum(squared, 1e-12))[:, None]
    facing = np.maximum(-dot(towards, (cross / np.linalg.norm(cross)).astype(np.float32)), 0)
    # The area below the fraction keeps it finite close to the lamp.
    return facing * area / (squared + area / np.pi), towards


def background(sky: Sky, sun: np.ndarray | None, clouds: Atlas, direction: np.ndarray) -> np.ndarray:
    """Light from the sky along unit directions [n, 3]."""
    height = direction[:, 1]
    share = (1 - np.exp(-4 * np.maximum(height, 0)))[:, None]
    rgb = _f32(sky.horizon) * (1 - share) + _f32(sky.zenith) * share
    if sky.clouds > 0:
        # Clouds lie on a plane overhead and melt into the horizon.
        over = 1 / (np.maximum(height, 0) + 0.12)
        texture = np.zeros(len(direction), np.int32)
        level = np.zeros(len(direction), np.float32)
        bright = clouds.look_up(texture, direction[:, 0] * over * 0.11, direction[:, 2] * over * 0.11, level)[:, 0]
        cover = np.clip((bright / np.float32(255) - 1 + 0.75 * sky.clouds) * 2.5, 0, 1) * np.clip(height * 8, 0, 1)
        rgb = rgb + cover[:, None] * (_f32([0.98, 0.97, 0.95]) - rgb) * np.float32(0.9)
    if sun is not None:
        near = np.maximum(direction @ sun, 0)
        rgb = rgb + (0.25 * near**24 + 4 * near**1500)[:, None] * _f32([1, 0.9, 0.7])
    return rgb


_ENCODED = 4096


def _tone_table() -> np.ndarray:
    """Display values for light from 0 to 4, by its square root: straight, then a soft shoulder."""
    x = (np.arange(_ENCODED) / (_ENCODED - 1) * 2) ** 2
    knee = 0.6
    shoulder = knee + (1 - knee) * (1 - np.exp(-(x - knee) / (1 - knee)))
    y = np.where(x < knee, x, shoulder)
    return encoded(y).astype(np.float32)


_TONES = _tone_table()


def developed(radiance: Float32[np.ndarray, "*n 3"]) -> np.ndarray:
    """Light to sRGB u8: a straight middle, a gentle shoulder for what is brighter than white."""
    index = np.sqrt(np.clip(radiance, 0, 4)) * np.float32((_ENCODED - 1) / 2)
    return (np.take(_TONES, index.astype(np.int32)) * 255 + 0.5).astype(np.uint8)


def _f32(values: Sequence[float]) -> np.ndarray:
    return np.asarray(values, np.float32)


def heading(direction: tuple[float, float, float]) -> Float32[np.ndarray, " 3"]:
    """A direction of length one."""
    vector = np.asarray(direction, np.float64)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def _frame(normal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two unit vectors across each normal (Duff et al., 2017: no branch, no division by zero)."""
    x, y, z = normal[..., 0], normal[..., 1], normal[..., 2]
    sign = np.where(z < 0, np.float32(-1), np.float32(1))
    a = -1 / (sign + z)
    b = x * y * a
    return (
        np.stack([1 + sign * x * x * a, sign * b, -sign * x], -1),
        np.stack([b, sign + y * y * a, -y], -1),
    )
