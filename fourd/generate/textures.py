"""Procedural pictures that repeat without a seam: wood, brick, tiles, cloth, leaves and others.

Every texture is drawn from a numpy Generator, so a seed gives the same picture again. Pictures are
square, a power of two wide, sRGB.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8

Rgb = Sequence[float]
Picture = UInt8[np.ndarray, "n n 3"]


def noise(size: int, rng: np.random.Generator, falloff: float = 1.6, stretch: float = 1.0) -> Float[np.ndarray, "n n"]:
    """Periodic noise whose spectrum falls with frequency to the power of ``falloff``; mean 0, deviation 1.

    Args:
        size: Rows and columns.
        rng: Where the randomness comes from.
        falloff: 0 is white; 1.5 to 2 looks like clouds and stone.
        stretch: Above 1 the noise is long along x, below 1 along y.
    """
    frequency = np.fft.fftfreq(size) * size
    radius = np.hypot(frequency[:, None] / np.sqrt(stretch), frequency[None] * np.sqrt(stretch))
    radius[0, 0] = 1.0
    spectrum = np.fft.fft2(rng.normal(size=(size, size))) / np.maximum(radius, 1.0) ** falloff
    spectrum[0, 0] = 0.0
    field = np.fft.ifft2(spectrum).real
    return field / field.std()


def _grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Picture coordinates (x, y) in 0..1."""
    y, x = np.mgrid[:size, :size] / size
    return x, y


def _mix(low: Rgb, high: Rgb, share: np.ndarray) -> np.ndarray:
    share = np.clip(share, 0, 1)[..., None]
    return np.asarray(low) * (1 - share) + np.asarray(high) * share


def _smooth(low: float, high: float, x: np.ndarray) -> np.ndarray:
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _picture(rgb: np.ndarray) -> Picture:
    return np.round(np.clip(rgb, 0, 1) * 255).astype(np.uint8)


def plain(rgb: Rgb, rng: np.random.Generator, variation: float = 0.05, size: int = 256) -> Picture:
    """Paint or plaster: one colour with faint clouds and grain."""
    clouds = 0.7 * noise(size, rng, 1.7) + 0.5 * noise(size, rng, 0.6)
    return _picture(np.asarray(rgb) * (1 + variation * clouds[..., None]))


def clouded(low: Rgb, high: Rgb, rng: np.random.Generator, falloff: float = 1.4, size: int = 256) -> Picture:
    """Stone, earth or foliage: two colours mixed by noise."""
    return _picture(_mix(low, high, 0.5 + 0.28 * noise(size, rng, falloff)))


def planks(low: Rgb, high: Rgb, rng: np.random.Generator, rows: int = 6, size: int = 512) -> Picture:
    """Boards that run along x, staggered, each with a tone and a grain of its own."""
    x, y = _grid(size)
    row = np.floor(y * rows).astype(int)
    start = rng.uniform(size=rows)[row]
    along = (x + start) % 1.0
    board = row * 2 + (along > 0.5)
    tone = rng.normal(size=2 * rows)[board]
    grain = noise(size, rng, 1.2, stretch=24.0)
    # Each board shows another piece of the tree: the grain is shifted from board to board.
    shift = (rng.integers(0, size, 2 * rows))[board]
    rows_index, columns_index = np.mgrid[:size, :size]
    grain = grain[(rows_index + shift) % size, columns_index]
    rgb = _mix(low, high, 0.5 + 0.16 * tone + 0.13 * grain)
    across = np.abs((y * rows) % 1.0 - 0.5) * 2
    joint = np.maximum(_smooth(0.95, 0.99, across), _smooth(0.992, 0.998, np.abs(along * 2 % 1.0 - 0.5) * 2))
    return _picture(rgb * (1 - 0.65 * joint[..., None]))


def bricks(
    colours: Sequence[Rgb], mortar: Rgb, rng: np.random.Generator, rows: int = 12, columns: int = 4, size: int = 512
) -> Picture:
    """A brick wall in running bond, every brick with a tone of its own; ``rows`` must be even."""
    x, y = _grid(size)
    wobble = 0.03 * noise(size, rng, 2.0)
    row = np.floor(y * rows).astype(int) % rows
    u = x * columns + 0.5 * (row % 2)
    column = np.floor(u).astype(int) % columns
    pick = rng.integers(0, len(colours), (rows, columns))
    tone = 1 + 0.08 * rng.normal(size=(rows, columns))
    rgb = np.asarray(colours, float)[pick[row, column]] * tone[row, column][..., None]
    rgb *= 1 + 0.07 * noise(size, rng, 0.9)[..., None] + 0.05 * noise(size, rng, 1.8)[..., None]
    # Distance to the brick's edge, in heights of a brick.
    edge_u = (0.5 - np.abs(u % 1.0 - 0.5)) * rows / columns
    edge_v = 0.5 - np.abs((y * rows) % 1.0 - 0.5)
    joint = 1 - _smooth(0.05, 0.1, np.minimum(edge_u, edge_v) + wobble)
    cement = np.asarray(mortar) * (1 + 0.06 * noise(size, rng, 0.7)[..., None])
    return _picture(rgb * (1 - joint[..., None]) + cement * joint[..., None])


def tiles(
    colours: Sequence[Rgb],
    grout: Rgb,
    rng: np.random.Generator,
    count: int = 4,
    *,
    checkered: bool = False,
    motif: Rgb | None = None,
    size: int = 512,
) -> Picture:
    """Square tiles in grout; ``motif`` paints a four-petalled ornament on every tile."""
    x, y = _grid(size)
    column, row = np.floor(x * count).astype(int), np.floor(y * count).astype(int)
    pick = (row + column) % len(colours) if checkered else rng.integers(0, len(colours), (count, count))[row, column]
    tone = 1 + 0.05 * rng.normal(size=(count, count))[row, column]
    rgb = np.asarray(colours, float)[pick] * tone[..., None] * (1 + 0.05 * noise(size, rng, 1.5)[..., None])
    u, v = (x * count) % 1.0 - 0.5, (y * count) % 1.0 - 0.5
    if motif is not None:
        radius, angle = np.hypot(u, v), np.arctan2(v, u)
        petals = _smooth(0.02, -0.02, radius - 0.34 * np.abs(np.cos(2 * angle)) - 0.04)
        ring = _smooth(0.02, -0.02, np.abs(radius - 0.42) - 0.03)
        corner = _smooth(0.02, -0.02, np.abs(np.hypot(np.abs(u) - 0.5, np.abs(v) - 0.5) - 0.16) - 0.035)
        share = np.clip(petals + ring + corner, 0, 1)[..., None]
        rgb = rgb * (1 - share) + np.asarray(motif) * (1 + 0.05 * noise(size, rng, 1.2)[..., None]) * share
    edge = 0.5 - np.maximum(np.abs(u), np.abs(v))
    joint = (1 - _smooth(0.015, 0.03, edge))[..., None]
    return _picture(rgb * (1 - joint) + np.asarray(grout) * joint)


def checker(one: Rgb, other: Rgb, rng: np.random.Generator, count: int = 8, size: int = 256) -> Picture:
    """A checkerboard; ``count`` must be even."""
    x, y = _grid(size)
    share = (np.floor(x * count) + np.floor(y * count)) % 2
    return _picture(_mix(one, other, share) * (1 + 0.03 * noise(size, rng, 1.0)[..., None]))


def stripes(colours: Sequence[Rgb], rng: np.random.Generator, *, along_x: bool = False, size: int = 256) -> Picture:
    """Even stripes of the colours in turn; across x, or along it."""
    x, y = _grid(size)
    band = np.floor((y if along_x else x) * len(colours)).astype(int)
    rgb = np.asarray(colours, float)[band]
    return _picture(rgb * (1 + 0.03 * noise(size, rng, 1.0)[..., None]))


def cloth(rgb: Rgb, rng: np.random.Generator, threads: int = 64, size: int = 256) -> Picture:
    """Woven cloth: threads over and under, a little uneven."""
    x, y = _grid(size)
    over = np.sin(np.pi * threads * x) ** 2 * (0.5 + 0.5 * np.sign(np.sin(np.pi * threads * (x + y))))
    weave = 0.85 + 0.2 * over + 0.05 * noise(size, rng, 0.6) + 0.04 * noise(size, rng, 1.8)
    return _picture(np.asarray(rgb) * weave[..., None])


def grass(low: Rgb, high: Rgb, rng: np.random.Generator, size: int = 512) -> Picture:
    """A meadow from above: short blades over patches of lighter and darker green."""
    patches = noise(size, rng, 1.9)
    blades = noise(size, rng, 0.5, stretch=0.25) + 0.6 * noise(size, rng, 0.8)
    return _picture(_mix(low, high, 0.5 + 0.12 * patches + 0.17 * blades))


def scattered(
    ground: Rgb, colours: Sequence[Rgb], rng: np.random.Generator, count: int = 160, size: int = 512
) -> Picture:
    """Terrazzo, pebbles, confetti: round chips of many sizes strewn over a ground, later ones on top."""
    canvas = np.asarray(ground) * (1 + 0.04 * noise(size, rng, 1.2)[..., None])
    index = np.arange(size)
    for radius in np.sort(size * 0.06 * rng.uniform(0.15, 1, count) ** 1.5)[::-1]:
        centre, squash, angle = rng.uniform(0, size, 2), rng.uniform(0.5, 1), rng.uniform(0, np.pi)
        reach = int(radius) + 2
        rows = (int(centre[0]) + np.arange(-reach, reach + 1)) % size
        columns = (int(centre[1]) + np.arange(-reach, reach + 1)) % size
        dy = ((index[rows] - centre[0] + size / 2) % size - size / 2)[:, None]
        dx = ((index[columns] - centre[1] + size / 2) % size - size / 2)[None]
        along, across = dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)
        share = _smooth(0.7, -0.7, np.hypot(along, across / squash) - radius)[..., None]
        colour = np.asarray(colours[int(rng.integers(len(colours)))]) * (1 + 0.06 * rng.normal())
        patch = np.ix_(rows, columns)
        canvas[patch] = canvas[patch] * (1 - share) + colour * share
    return _picture(canvas)


def rug(colours: Sequence[Rgb], rng: np.random.Generator, size: int = 512) -> Picture:
    """A woven rug: a border, a field of diamonds and a medallion, from four or more colours."""
    x, y = _grid(size)
    u, v = np.abs(x - 0.5) * 2, np.abs(y - 0.5) * 2
    steps = size // 128
    rim = np.maximum(u, v)
    diamonds = np.floor((np.abs((x * 8) % 1 - 0.5) + np.abs((y * 8) % 1 - 0.5)) * 5).astype(int)
    band = np.select(
        [rim > 0.94, rim > 0.9, rim > 0.76, rim > 0.72, u + v < 0.55, u + v < 0.62],
        [0, 1, 2 + (np.floor((x + y) * 24) % 2).astype(int), 1, 3 - diamonds % 2, 1],
        default=(diamonds + 2) % 3,
    )
    rgb = np.asarray(colours, float)[band % len(colours)]
    weave = 1 + 0.06 * noise(size, rng, 0.3) + 0.05 * noise(size, rng, 1.6, stretch=8.0)
    knots = 0.94 + 0.06 * np.sign(np.sin(2 * np.pi * y * size / (2 * steps)))
    return _picture(rgb * (weave * knots)[..., None])


def leaf(low: Rgb, high: Rgb, rng: np.random.Generator, size: int = 128) -> Picture:
    """A leaf's face: a pale midrib along y with veins that leave it at an angle."""
    x, y = _grid(size)
    side = np.abs(x - 0.5)
    veins = np.abs(((y - side * 0.8) * 9) % 1.0 - 0.5) * 2
    share = 0.35 + 0.12 * noise(size, rng, 1.5) + 0.25 * _smooth(0.86, 0.98, veins) + 0.5 * _smooth(0.03, 0.015, side)
    return _picture(_mix(low, high, share))


def poster(colours: Sequence[Rgb], rng: np.random.Generator, size: int = 256) -> Picture:
    """A framed abstract picture: discs and bars on a ground, with a white margin."""
    x, y = _grid(size)
    canvas = np.ones((size, size, 3)) * np.asarray(colours[0])
    for k in range(9):
        colour = np.asarray(colours[1 + k % (len(colours) - 1)])
        cx, cy, r = (*rng.uniform(0.2, 0.8, 2), rng.uniform(0.06, 0.25))
        disc = np.hypot(x - cx, y - cy) - r
        bar = np.maximum(np.abs(x - cx) - r * 1.6, np.abs(y - cy) - r * 0.25)
        share = _smooth(0.004, -0.004, disc if k % 2 else bar)[..., None]
        canvas = canvas * (1 - share) + colour * share
    margin = _smooth(0.42, 0.43, np.maximum(np.abs(x - 0.5), np.abs(y - 0.5)))[..., None]
    return _picture((canvas * (1 - margin) + 0.95 * margin) * (1 + 0.02 * noise(size, rng, 0.8)[..., None]))
