"""One picture of a stage: lit once a pixel, its textures and edges sampled several times a pixel."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from jaxtyping import Float32, UInt8

from fourd.generate import shading
from fourd.generate.atlas import Atlas, linear_from_srgb
from fourd.generate.textures import noise
from fourd.generate.tracing import Geometry, Hits, weigh
from fourd.types import Cameras


def eye_and_rays(cameras: Cameras, i: int) -> tuple[Float32[np.ndarray, " 3"], Float32[np.ndarray, "n 3"]]:
    """Where camera ``i`` stands, and world directions through its pixels whose length along its axis is 1.

    With such directions the distance to a hit, in lengths of the direction, is the depth.
    """
    h, w = cameras.hw
    K = cameras.K[i].double().numpy()
    pose = cameras.world_from_cam[i].double().numpy()
    y = (np.arange(h)[:, None] + 0.5 - K[1, 2]) / K[1, 1]
    x = (np.arange(w)[None] + 0.5 - K[0, 2]) / K[0, 0] - K[0, 1] / K[0, 0] * y
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
    """The picture that camera ``i`` takes.

    Args:
        geometry: The stage.
        cameras: All cameras.
        i: Which one.
        centre: What the middles of its pixels hit.
        samples: Rays a pixel for its colour.
        rays: Rays a pixel towards each light.
    """
    shot = _Shot(geometry, cameras, i, centre, rays)
    total = np.zeros((len(centre.face), 3), np.float32)
    for k, (dx, dy) in enumerate(_offsets(samples)):
        # Samples share a pixel's footprint, and take turns at sharper and softer levels of detail.
        blur = (k + 0.5) / samples - 0.5 - 0.5 * np.log2(samples)
        total += shot.sample(dx, dy, np.float32(blur))
    return shading.developed(total.reshape(*cameras.hw, 3) / np.float32(samples))


class _Shot:
    """One camera at one moment: the light at the middle of every pixel, from which samples take theirs."""

    def __init__(self, geometry: Geometry, cameras: Cameras, i: int, centre: Hits, rays: int) -> None:
        h, w = self.hw = cameras.hw
        self.geometry, self.stage = geometry, geometry.stage
        self.moment = geometry.at(float(cameras.time_s[i]))
        self.focal = np.float32(cameras.K[i, 0, 0])
        self.dither = _dither(h, w)
        self.eye, self.directions = eye_and_rays(cameras, i)
        pose, K = cameras.world_from_cam[i].numpy(), cameras.K[i].numpy()
        # Directions are linear in the pixel: a step right, a step down.
        self.right = pose[:3, 0] / K[0, 0]
        self.down = (pose[:3, 1] - pose[:3, 0] * K[0, 1] / K[0, 0]) / K[1, 1]
        self.position, self.normal, seen, self.falling, self.thrown = np.zeros((5, h * w, 3), np.float32)
        self.level = np.zeros(h * w, np.float32)
        self.prop = np.where(centre.face >= 0, geometry.prop[centre.face], np.int16(-1))
        lit = np.flatnonzero(centre.face >= 0)
        hits, ray = centre[lit], self.directions[lit]
        at = shading.points(self.moment, hits, self.eye, ray)
        seen[lit] = shading.visibility(self.moment, at, self.dither[:, lit], rays)
        self.position[lit], self.normal[lit], self.level[lit] = at.position_m, at.normal, self._level(hits, ray)
        maps = (x.reshape(h, w, 3) for x in (seen, self.position, self.normal))
        smooth, even = shading.filtered(next(maps), next(maps), next(maps), centre.t.reshape(h, w))
        self.falling[lit], self.thrown[lit] = shading.light(self.stage, at, smooth.reshape(-1, 3)[lit])
        self.even = even.ravel()
        """True where a pixel lies within one smooth surface, so that its light is that of all its samples."""

    def _level(self, hits: Hits, ray: np.ndarray) -> Float32[np.ndarray, " n"]:
        """Level of detail at which one texel is as wide as a pixel, half way to its length where it is slanted."""
        texels = hits.t * self.geometry.texels_per_m[hits.face] / self.focal
        flat = np.take(self.moment.flat, hits.face, axis=0)
        squared = shading.dot(flat, ray) ** 2 / shading.dot(ray, ray)
        return np.log2(np.maximum(texels, 1e-6)) - 0.25 * np.log2(np.maximum(squared, 0.0025))

    def sample(self, dx: float, dy: float, blur: np.float32) -> Float32[np.ndarray, "n 3"]:
        """The light that every pixel sees at an offset from its middle."""
        directions = self.directions + (self.right * np.float32(dx) + self.down * np.float32(dy))
        hits = self.moment.hits(_from(self.eye, len(directions)), directions)
        radiance = np.zeros_like(directions)
        sky = np.flatnonzero(hits.face < 0)
        if len(sky):
            sun = None if self.stage.sun is None else shading.heading(self.stage.sun.towards)
            radiance[sky] = shading.background(self.stage.sky, sun, _clouds(), shading.unit(directions[sky]))
        pixel = np.flatnonzero(hits.face >= 0)
        if len(pixel) == 0:
            return radiance * np.float32(self.stage.exposure)
        hits, ray = hits[pixel], directions[pixel]
        prop = self.geometry.prop[hits.face]
        falling, thrown, level = self.falling[pixel], self.thrown[pixel], self.level[pixel]
        apart = np.flatnonzero(~self.even[pixel] | (prop != self.prop[pixel]))
        if len(apart):
            level[apart] = self._level(hits[apart], ray[apart])
            falling[apart], thrown[apart] = self._lights(hits[apart], ray[apart], prop[apart], pixel[apart], dx, dy)
        uv = weigh(self.geometry.uv, hits)
        texture = self.geometry.texture[hits.face]
        colour = linear_from_srgb(self.geometry.atlas.look_up(texture, uv[:, 0], uv[:, 1], level + blur))
        glow = np.array([p.glow for p in self.stage.props], np.float32)
        if glow.any():
            falling += glow[prop][:, None]
        radiance[pixel] = self._through_air(colour * falling + thrown, hits, ray)
        return radiance * np.float32(self.stage.exposure)

    def _lights(
        self, hits: Hits, ray: np.ndarray, prop: np.ndarray, pixel: np.ndarray, dx: float, dy: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Light for samples at edges: of their pixel's middle, of a neighbour, or else found anew."""
        h, w = self.hw
        row, column = pixel // w, pixel % w
        position = self.eye + ray * hits.t[:, None]
        flat = np.take(self.moment.flat, hits.face, axis=0)
        flat = flat * -np.sign(shading.dot(flat, ray))[:, None]
        falling, thrown = np.zeros((2, len(pixel), 3), np.float32)
        left = np.arange(len(pixel))
        # Neighbours on the side to which the sample leans come first.
        sx, sy = (1 if dx > 0 else -1), (1 if dy > 0 else -1)
        for step_x, step_y in ((0, 0), (sx, 0), (0, sy), (sx, sy), (-sx, 0), (0, -sy)):
            other = np.clip(row[left] + step_y, 0, h - 1) * w + np.clip(column[left] + step_x, 0, w - 1)
            off = np.abs(shading.dot(position[left] - self.position[other], flat[left]))
            same = (self.prop[other] == prop[left]) & (off < 0.01 * hits.t[left])
            same &= shading.dot(self.normal[other], flat[left]) > 0.8
            falling[left[same]], thrown[left[same]] = self.falling[other[same]], self.thrown[other[same]]
            left = left[~same]
        if len(left):
            at = shading.points(self.moment, hits[left], self.eye, ray[left])
            seen = shading.visibility(self.moment, at, self.dither[:, pixel[left]], 4)
            falling[left], thrown[left] = shading.light(self.stage, at, seen)
        return falling, thrown

    def _through_air(self, light: np.ndarray, hits: Hits, ray: np.ndarray) -> np.ndarray:
        """What is left of light after the haze, and what the haze adds."""
        sky = self.stage.sky
        if not np.isfinite(sky.haze_m):
            return light
        clear = np.exp(hits.t * np.sqrt(shading.dot(ray, ray)) / np.float32(-sky.haze_m))[:, None]
        return light * clear + np.asarray(sky.horizon, np.float32) * (1 - clear)
