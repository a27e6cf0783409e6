"""One picture of a stage: lit once a pixel, its textures and edges sampled several times a pixel."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from jaxtyping import Float32, UInt8

from fourd.generate import shading
from fourd.generate.atlas import Atlas, linear_from_srgb
from fourd.generate.textures import noise
from fourd.generate.tracing import Geometry, Hits, Moment, weigh
from fourd.types import Cameras


def eye_and_rays(
    cameras: Cameras, i: int, dx: float = 0.0, dy: float = 0.0
) -> tuple[Float32[np.ndarray, " 3"], Float32[np.ndarray, "n 3"]]:
    """Where camera ``i`` stands, and world directions through its pixels whose length along its axis is 1.

    With such directions the distance to a hit, in lengths of the direction, is the depth.
    """
    h, w = cameras.hw
    K = cameras.K[i].double().numpy()
    pose = cameras.world_from_cam[i].double().numpy()
    y = (np.arange(h)[:, None] + 0.5 + dy - K[1, 2]) / K[1, 1]
    x = (np.arange(w)[None] + 0.5 + dx - K[0, 2]) / K[0, 0] - K[0, 1] / K[0, 0] * y
    x = x.astype(np.float32)[..., None] * pose[:3, 0].astype(np.float32)
    rays = x + (y[..., None] * pose[:3, 1] + pose[:3, 2]).astype(np.float32)
    return pose[:3, 3].astype(np.float32), rays.reshape(-1, 3)


def centre_hits(geometry: Geometry, cameras: Cameras, i: int) -> Hits:
    """What the middles of the pixels of camera ``i`` show at its time."""
    eye, rays = eye_and_rays(cameras, i)
    return geometry.at(float(cameras.time_s[i])).hits(_from(eye, len(rays)), rays)


def _from(eye: np.ndarray, n: int) -> np.ndarray:
    return np.ascontiguousarray(np.broadcast_to(eye, (n, 3)))


@lru_cache(maxsize=1)
def _clouds() -> Atlas:
    field = noise(512, np.random.default_rng(7), 1.75)
    grey = np.clip(0.5 + 0.2 * field, 0, 1) * 255
    return Atlas([grey.astype(np.uint8)[..., None].repeat(3, 2)])


def _offsets(samples: int) -> list[tuple[float, float]]:
    """Places within a pixel, none in a row or column with another (Hammersley)."""
    places = []
    for k in range(samples):
        digit, y, rest = 0.5, 0.0, k
        while rest:
            y, rest, digit = y + digit * (rest & 1), rest >> 1, digit / 2
        places.append(((k + 0.5) / samples - 0.5, y + 0.5 / samples - 0.5))
    # The sequence leans to one corner; its mean belongs in the middle of the pixel.
    mean = np.mean(places, axis=0)
    return [(x - float(mean[0]), y - float(mean[1])) for x, y in places]


@lru_cache(maxsize=4)
def _dither(h: int, w: int) -> np.ndarray:
    """Two numbers in 0..1 for every pixel, spread evenly over any neighbourhood (Roberts' R2 sequence)."""
    y, x = np.mgrid[:h, :w].astype(np.float64)
    first = (x * 0.7548776662466927 + y * 0.5698402909980532) % 1
    second = (52.9829189 * ((0.06711056 * x + 0.00583715 * y) % 1)) % 1  # Jimenez, 2014.
    return np.stack([first, second]).reshape(2, -1).astype(np.float32)


def take(
    geometry: Geometry, cameras: Cameras, i: int, centre: Hits, samples: int, rays: int
) -> UInt8[np.ndarray, "h w 3"]:
    """The picture that camera ``i`` takes."""
    h, w = cameras.hw
    stage = geometry.stage
    moment = geometry.at(float(cameras.time_s[i]))
    focal = float(cameras.K[i, 0, 0])
    eye, directions = eye_and_rays(cameras, i)
    dither = _dither(h, w)
    lit = np.flatnonzero(centre.face >= 0)
    at = shading.points(moment, centre[lit], eye, directions[lit])
    seen, position, normal = (np.zeros((h * w, 3), np.float32) for _ in range(3))
    seen[lit] = shading.visibility(moment, at, dither[:, lit], rays)
    position[lit], normal[lit] = at.position_m, at.normal
    smooth = shading.filtered(
        seen.reshape(h, w, 3), position.reshape(h, w, 3), normal.reshape(h, w, 3), centre.t.reshape(h, w)
    )
    falling, thrown = np.zeros((h * w, 3), np.float32), np.zeros((h * w, 3), np.float32)
    falling[lit], thrown[lit] = shading.light(stage, at, smooth.reshape(-1, 3)[lit])
    lights = _Lights(falling, thrown, position, normal, np.where(centre.face >= 0, geometry.prop[centre.face], -1))
    total = np.zeros((h * w, 3), np.float32)
    for k, (dx, dy) in enumerate(_offsets(samples)):
        eye, directions = eye_and_rays(cameras, i, dx, dy)
        hits = moment.hits(_from(eye, h * w), directions)
        blur = (k + 0.5) / samples - 0.5 - 0.5 * np.log2(samples)  # Samples share a pixel's footprint.
        total += _sample(moment, hits, eye, directions, lights, (dx, dy), (h, w), focal, blur, dither)
    return shading.developed(total.reshape(h, w, 3) / np.float32(samples))


class _Lights:
    """Light at the middles of the pixels, and on what it falls there."""

    def __init__(self, falling: np.ndarray, thrown: np.ndarray, position: np.ndarray, normal: np.ndarray, prop) -> None:
        self.falling, self.thrown, self.position, self.normal, self.prop = falling, thrown, position, normal, prop

    def fit(self, pixel: np.ndarray, prop: np.ndarray, position: np.ndarray, flat: np.ndarray, near: np.ndarray):
        """True where a pixel's light may stand for that of a sample: the same prop, the same smooth surface."""
        off = np.abs(shading.dot(position - self.position[pixel], flat)) < near
        return (self.prop[pixel] == prop) & off & (shading.dot(self.normal[pixel], flat) > 0.8)


def _sample(
    moment: Moment,
    hits: Hits,
    eye: np.ndarray,
    directions: np.ndarray,
    lights: _Lights,
    offset: tuple[float, float],
    hw: tuple[int, int],
    focal: float,
    blur: float,
    dither: np.ndarray,
) -> np.ndarray:
    """The light that one sample of every pixel sees, [h w, 3]."""
    geometry, stage = moment.geometry, moment.geometry.stage
    h, w = hw
    radiance = np.zeros((h * w, 3), np.float32)
    sky = np.flatnonzero(hits.face < 0)
    if len(sky):
        towards = shading.unit(directions[sky])
        sun = None if stage.sun is None else shading.heading(stage.sun.towards)
        radiance[sky] = shading.background(stage.sky, sun, _clouds(), towards) * np.float32(stage.exposure)
    pixel = np.flatnonzero(hits.face >= 0)
    if len(pixel) == 0:
        return radiance
    hits, ray = hits[pixel], directions[pixel]
    flat = np.take(moment.flat, hits.face, axis=0)
    length = np.sqrt(shading.dot(ray, ray))
    slant = shading.dot(flat, ray)
    flat = flat * -np.sign(slant)[:, None]
    cosine = np.abs(slant) / length
    # Colour of the surface: the texture, averaged over what one sample covers of it.
    uv = weigh(geometry.uv, hits)
    texels = hits.t * geometry.texels_per_m[hits.face] / focal
    level = np.log2(np.maximum(texels, 1e-6)) + np.float32(blur) - 0.5 * np.log2(np.maximum(cosine, 0.05))
    colour = linear_from_srgb(geometry.atlas.look_up(geometry.texture[hits.face], uv[:, 0], uv[:, 1], level))
    # Light: that of the pixel's own middle or of a neighbour on the sample's side, if it is the same surface.
    prop = geometry.prop[hits.face]
    position = eye + ray * hits.t[:, None]
    near = 0.01 * hits.t
    source = pixel.copy()
    open_ = np.flatnonzero(~lights.fit(pixel, prop, position, flat, near))
    step_x, step_y = (1 if offset[0] > 0 else -1), (1 if offset[1] > 0 else -1)
    for sx, sy in ((step_x, 0), (0, step_y), (step_x, step_y), (-step_x, 0), (0, -step_y)):
        row, column = pixel[open_] // w, pixel[open_] % w
        other = np.clip(row + sy, 0, h - 1) * w + np.clip(column + sx, 0, w - 1)
        fits = lights.fit(other, prop[open_], position[open_], flat[open_], near[open_])
        source[open_[fits]] = other[fits]
        open_ = open_[~fits]
    falling, thrown = lights.falling[source], lights.thrown[source]
    if len(open_):
        at = shading.points(moment, hits[open_], eye, ray[open_])
        seen = shading.visibility(moment, at, dither[:, pixel[open_]], 4)
        falling[open_], thrown[open_] = shading.light(stage, at, seen)
    glow = np.array([p.glow for p in stage.props], np.float32)
    if glow.any():
        falling = falling + (glow[prop] * np.float32(stage.exposure))[:, None]
    seen_light = colour * falling + thrown
    if np.isfinite(stage.sky.haze_m):
        clear = np.exp(-hits.t * length / np.float32(stage.sky.haze_m))[:, None]
        seen_light = seen_light * clear + np.asarray(stage.sky.horizon, np.float32) * np.float32(stage.exposure) * (
            1 - clear
        )
    radiance[pixel] = seen_light
    return radiance
