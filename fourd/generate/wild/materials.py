"""What things are made of in random places: a bank of small textures, and colours as rooms and streets have them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import UInt8

from fourd.generate import textures
from fourd.generate.props import Rgb

_SIZE = 128
"""Texels across: enough for pictures of a few hundred pixels, and quick to prepare."""


@dataclass(frozen=True, eq=False)
class Material:
    """A texture, how often it repeats, and how it takes the light."""

    texture: UInt8[np.ndarray, "n n 3"]
    repeats: float = 1.0
    """Times a metre on flat shapes, and a turn on round ones."""
    gloss: float = 0.0
    shininess: float = 40.0
    glow: float = 0.0


def colour(rng: np.random.Generator, low: float = 0.05, high: float = 0.95) -> Rgb:
    """A random sRGB colour: mostly grey, wood and earth, now and then bright."""
    bright = float(rng.uniform(low, high))
    kind = rng.random()
    if kind < 0.3:
        mixed = bright + rng.normal(0, 0.02, 3)
    else:
        # Wood, skin and earth lie around orange; the rest anywhere.
        hue = rng.uniform(0.02, 0.14) if kind < 0.55 else rng.uniform()
        strong = rng.uniform(0.15, 0.6) if kind < 0.55 else rng.uniform(0, 0.4) if kind < 0.8 else rng.uniform(0.3, 1)
        wheel = np.clip(np.abs((6 * hue + np.array([0.0, 4.0, 2.0])) % 6 - 3) - 1, 0, 1)
        mixed = bright * (1 - strong + strong * wheel)
    r, g, b = np.clip(mixed, 0.02, 1)
    return float(r), float(g), float(b)


def _muted(rng: np.random.Generator) -> Rgb:
    """A wall's colour: mostly light, hardly ever strong."""
    grey, tint = float(rng.uniform(0.3, 0.98)), np.asarray(colour(rng))
    r, g, b = np.clip(grey + float(rng.uniform(0, 0.35)) * (tint - tint.mean()), 0.02, 1)
    return float(r), float(g), float(b)


def _labels(rng: np.random.Generator) -> np.ndarray:
    """Boxes and lines of letters, as on packages, spines of books and signs."""
    canvas = np.full((_SIZE, _SIZE, 3), np.asarray(colour(rng)) * 255).astype(np.uint8)
    for _ in range(int(rng.integers(1, 5))):
        at, size = rng.integers(0, _SIZE, 2), rng.integers(8, 80, 2)
        tint = [int(255 * c) for c in colour(rng)]
        cv2.rectangle(canvas, at.tolist(), (at + size).tolist(), tint, -1)
    scale = float(rng.uniform(0.25, 1.4))
    ink = [int(255 * c) for c in colour(rng)]
    for row in range(10, _SIZE, int(22 * scale) + 4):
        text = "".join(chr(int(c)) for c in rng.integers(33, 122, 16))
        place = (int(rng.integers(0, 40)), row)
        cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale * 0.6, ink, max(1, int(2 * scale)))
    return canvas


def _patches(rng: np.random.Generator) -> np.ndarray:
    """Overlapping rectangles and ellipses of all sizes: the statistics of a cluttered world (dead leaves)."""
    canvas = np.full((_SIZE, _SIZE, 3), np.asarray(colour(rng)) * 255).astype(np.uint8)
    mode, largest = rng.random(), rng.uniform(10, 60)
    for _ in range(int(rng.integers(15, 150))):
        at, size = rng.integers(0, _SIZE, 2).tolist(), max(2, int(largest * rng.random() ** 2.2))
        tint, other = [int(255 * c) for c in colour(rng)], max(2, int(size * rng.uniform(0.2, 2)))
        if mode < 0.5:
            cv2.rectangle(canvas, at, (at[0] + size, at[1] + other), tint, -1)
        else:
            cv2.ellipse(canvas, at, (size, other), float(rng.uniform(0, 360)), 0, 360, tint, -1)
    return canvas


def _texture(rng: np.random.Generator) -> np.ndarray:
    a, b, c = (colour(rng) for _ in range(3))
    # Real materials vary around one colour more often than between two.
    mixed = (0.7 * np.asarray(a) + 0.3 * np.asarray(b)).tolist()
    b = (mixed[0], mixed[1], mixed[2]) if rng.random() < 0.6 else b
    n = int(rng.integers(2, 9))
    kinds: Sequence[Callable[[], np.ndarray]] = [
        lambda: textures.clouded(a, b, rng, float(rng.uniform(0.6, 2.2)), _SIZE),
        lambda: textures.clouded(a, b, rng, float(rng.uniform(0.6, 2.2)), _SIZE),
        lambda: textures.planks(a, b, rng, n, _SIZE),
        lambda: textures.bricks([a, b], c, rng, 2 * n, n, _SIZE),
        lambda: textures.tiles([a, b], c, rng, n, size=_SIZE),
        lambda: textures.checker(a, b, rng, 2 * n, _SIZE),
        lambda: textures.stripes([a, b, c, b], rng, along_x=bool(rng.random() < 0.5), size=_SIZE),
        lambda: textures.cloth(a, rng, 8 * n, _SIZE),
        lambda: textures.scattered(a, [b, c, colour(rng)], rng, int(rng.integers(20, 200)), _SIZE),
        lambda: textures.rug([a, b, c, colour(rng)], rng, _SIZE),
        lambda: textures.poster([a, b, c, colour(rng)], rng, _SIZE),
        lambda: _labels(rng),
        lambda: _patches(rng),
        lambda: _patches(rng),
    ]
    return kinds[int(rng.integers(len(kinds)))]()


class Bank:
    """Textures that many places share, because making them takes longer than looking them up."""

    def __init__(self, rng: np.random.Generator, size: int = 160) -> None:
        """Paint ``size`` patterned textures, as many plain ones, and some for grass, leaves and bark."""
        self._patterned = [_texture(rng) for _ in range(size)]
        self._plain = [textures.plain(colour(rng), rng, float(rng.uniform(0, 0.1)), _SIZE) for _ in range(size)]
        walls = max(2, size // 4)
        self._walls = [textures.plain(_muted(rng), rng, float(rng.uniform(0, 0.08)), _SIZE) for _ in range(walls)]
        self._leafy = [self._green(rng) for _ in range(max(2, size // 5))]
        skins = [(float(v), float(v * rng.uniform(0.62, 0.85)), float(v * rng.uniform(0.4, 0.72)))
                 for v in rng.uniform(0.25, 1, max(2, size // 10))]  # fmt: skip
        self._skin = [textures.plain(s, rng, 0.03, _SIZE) for s in skins]

    @staticmethod
    def _green(rng: np.random.Generator) -> np.ndarray:
        v, r, b = rng.uniform(0.2, 0.75), rng.uniform(0.4, 1.1), rng.uniform(0.15, 0.6)
        high = (float(min(v * r, 1)), float(v), float(v * b))
        low = (high[0] * 0.4, high[1] * 0.45, high[2] * 0.4)
        if rng.random() < 0.5:
            return textures.grass(low, high, rng, _SIZE)
        return textures.clouded(low, high, rng, float(rng.uniform(0.5, 1.2)), _SIZE)

    def any(self, rng: np.random.Generator, plain: float = 0.5) -> Material:
        """A material of unknown stuff; ``plain`` is the share of those with hardly any pattern."""
        textures_ = self._plain if rng.random() < plain else self._patterned
        gloss = float(rng.uniform(0.1, 0.8)) if rng.random() < 0.3 else 0.0
        return Material(_pick(rng, textures_), float(2 ** rng.uniform(-1, 2.5)), gloss, float(2 ** rng.uniform(3, 7)))

    def broad(self, rng: np.random.Generator, plain: float = 0.5) -> Material:
        """The same for floors, walls and houses, where patterns are large."""
        made = self.any(rng, plain)
        texture = _pick(rng, self._walls) if rng.random() < plain else made.texture
        return Material(texture, float(2 ** rng.uniform(-2, 1)), 0.5 * made.gloss, made.shininess)

    def leafy(self, rng: np.random.Generator) -> Material:
        """Leaves, grass and moss."""
        return Material(_pick(rng, self._leafy), float(2 ** rng.uniform(-0.5, 1.5)))

    def skin(self, rng: np.random.Generator) -> Material:
        """Of people of all colours."""
        return Material(_pick(rng, self._skin), 1.0, 0.1, 12.0)


def _pick(rng: np.random.Generator, choices: list[np.ndarray]) -> np.ndarray:
    return choices[int(rng.integers(len(choices)))]
