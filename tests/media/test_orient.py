"""The eight ways to lay a picture down, against the mathematics of the matrix and against FFmpeg's words."""

from __future__ import annotations

import itertools
import struct
from pathlib import Path

import numpy as np
import pytest

from fourd.media import read
from fourd.media.orient import Turn, from_matrix
from tests.media.films import corner, film, patch_matrix

EIGHT = [(a, 0, 0, d) for a, d in itertools.product((1, -1), repeat=2)]
EIGHT += [(0, b, c, 0) for b, c in itertools.product((1, -1), repeat=2)]


def raw(a: float, b: float, c: float, d: float) -> bytes:
    return struct.pack("=9i", *(round(x * 65536) for x in (a, b, 0, c, d, 0, 0, 0)), 1 << 30)


def moved(picture: np.ndarray, a: int, b: int, c: int, d: int) -> np.ndarray:
    """Take every pixel where the matrix takes it, then shift everything back to the origin."""
    h, w = picture.shape[:2]
    y, x = np.mgrid[:h, :w]
    to_x, to_y = a * x + c * y, b * x + d * y
    to_x, to_y = to_x - to_x.min(), to_y - to_y.min()
    out = np.zeros((to_y.max() + 1, to_x.max() + 1, picture.shape[2]), picture.dtype)
    out[to_y, to_x] = picture
    return out


@pytest.mark.parametrize("matrix", EIGHT, ids=str)
def test_every_pixel_goes_where_the_matrix_takes_it(matrix: tuple[int, int, int, int]) -> None:
    picture = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    turn = from_matrix(raw(*matrix))
    np.testing.assert_array_equal(turn(picture), moved(picture, *matrix))
    assert turn.hw((2, 3)) == turn(picture).shape[:2]


def test_odd_angles_go_to_the_nearest_quarter_and_scales_do_not_matter() -> None:
    c, s = np.cos(np.radians(100)), np.sin(np.radians(100))
    assert from_matrix(raw(c, s, -s, c)) == from_matrix(raw(0, 1, -1, 0))
    assert from_matrix(raw(0.5, 0, 0, 0.5)) == Turn()
    assert from_matrix(b"short") == Turn()


# What a phone held upright writes: a=0 b=1 c=-1 d=0 asks for a quarter turn clockwise.
QUARTERS = [((1, 0, 0, 1), 0), ((0, 1, -1, 0), 1), ((-1, 0, 0, -1), 2), ((0, -1, 1, 0), 3)]


@pytest.mark.parametrize(("matrix", "clockwise"), QUARTERS, ids=str)
def test_a_track_header_turns_the_video(tmp_path: Path, matrix: tuple[int, int, int, int], clockwise: int) -> None:
    path = film(tmp_path / "a.mp4", [corner()] * 2)
    patch_matrix(path, matrix)
    clip = read(path)
    expected = np.rot90(corner(), -clockwise)
    assert clip.hw == expected.shape[:2]
    # Lossy coding blurs the borders of the quarters; elsewhere a few steps are enough.
    off = np.abs(clip.frames[1].numpy().astype(int) - expected)
    assert np.median(off) <= 2 and (off > 12).mean() < 0.1


def test_a_mirrored_track_is_mirrored_and_size_counts_the_longer_shown_side(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", [corner()])
    patch_matrix(path, (0, 1, 1, 0))  # Transposed: a quarter turn and a mirror.
    clip = read(path, size=32)
    assert clip.hw == (32, 24)
    red, green = (clip.frames[0, y, 4].tolist() for y in (4, 27))
    assert red[0] > 180 and red[1] < 60
    assert green[1] > 160 and green[0] < 60
