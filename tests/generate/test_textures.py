"""Textures repeat without a seam and come out the same from the same seed; the atlas returns what went in."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from fourd.generate import textures
from fourd.generate.atlas import Atlas, linear_from_srgb, srgb_from_linear

RED, BLUE, WHITE = (0.8, 0.2, 0.1), (0.1, 0.2, 0.7), (0.9, 0.9, 0.9)

ALL: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "plain": lambda r: textures.plain(RED, r),
    "clouded": lambda r: textures.clouded(RED, BLUE, r),
    "planks": lambda r: textures.planks(RED, WHITE, r),
    "bricks": lambda r: textures.bricks([RED, BLUE], WHITE, r),
    "tiles": lambda r: textures.tiles([RED, BLUE], WHITE, r, motif=BLUE),
    "checker": lambda r: textures.checker(RED, WHITE, r),
    "stripes": lambda r: textures.stripes([RED, WHITE], r),
    "cloth": lambda r: textures.cloth(RED, r),
    "grass": lambda r: textures.grass(RED, BLUE, r),
    "scattered": lambda r: textures.scattered(WHITE, [RED, BLUE], r),
    "rug": lambda r: textures.rug([RED, WHITE, BLUE, RED], r),
    "leaf": lambda r: textures.leaf(RED, BLUE, r),
    "poster": lambda r: textures.poster([WHITE, RED, BLUE], r),
}


@pytest.mark.parametrize("name", ALL)
def test_textures_are_square_varied_and_follow_their_seed(name: str) -> None:
    one, again, other = (ALL[name](np.random.default_rng(seed)) for seed in (1, 1, 2))
    n = len(one)
    assert one.dtype == np.uint8 and one.shape == (n, n, 3) and n & (n - 1) == 0
    assert np.array_equal(one, again) and not np.array_equal(one, other)
    assert one.std() > 2


@pytest.mark.parametrize("name", ["plain", "clouded", "grass", "scattered", "bricks", "planks"])
def test_textures_have_no_seam(name: str) -> None:
    picture = ALL[name](np.random.default_rng(1)).astype(float)
    for axis in (0, 1):
        step = np.abs(np.diff(picture, axis=axis)).mean(axis=(1 - axis, 2))
        seam = np.abs(np.take(picture, 0, axis) - np.take(picture, -1, axis)).mean()
        assert seam <= step.max() * 1.5  # Joints between bricks and boards are as steep inside.


def test_the_atlas_returns_texels_bilinearly_and_wraps() -> None:
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 255, (n, n, 3), dtype=np.uint8) for n in (16, 64, 8)]
    atlas = Atlas(pictures)
    for k, picture in enumerate(pictures):
        n = len(picture)
        row, column = np.mgrid[:n, :n].reshape(2, -1)
        u, v = ((column + 0.5) / n).astype(np.float32), (1 - (row + 0.5) / n).astype(np.float32)
        which, level = np.full(n * n, k), np.zeros(n * n, np.float32)
        assert np.array_equal(atlas.look_up(which, u, v, level).reshape(n, n, 3), picture)
        assert np.array_equal(atlas.look_up(which, u + 3, v - 2, level).reshape(n, n, 3), picture)
    # Half a texel on, across the seam: the mean of the last column and the first.
    row = np.arange(64)
    between = atlas.look_up(
        np.ones(64, int), np.zeros(64, np.float32), (1 - (row + 0.5) / 64).astype(np.float32), np.zeros(64, np.float32)
    )
    expected = (pictures[1][:, 0].astype(float) + pictures[1][:, -1]) / 2
    assert np.abs(between - expected).max() <= 1


def test_the_atlas_averages_light_at_coarse_levels() -> None:
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[::2] = 255  # Half of the light.
    colour = Atlas([picture]).look_up(*(np.zeros(1, t) for t in (int, np.float32, np.float32)), np.float32([3]))
    assert np.abs(colour.astype(int) - 188).max() <= 1  # sRGB of 0.5.


def test_srgb_and_light_undo_each_other() -> None:
    levels = np.arange(256, dtype=np.uint8)[:, None].repeat(3, 1)
    assert np.array_equal(srgb_from_linear(linear_from_srgb(levels)), levels)
