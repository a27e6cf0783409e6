"""Points are followed to a fraction of a pixel, in the clip's own coordinates."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from fourd.camera.between import interpolate
from fourd.camera.model import rotation
from fourd.camera.register import register, remember
from fourd.camera.shots import cut, inside, keyframes, lasting_enough, still_share
from fourd.camera.tracks import Tracks, follow, spread
from fourd.events import Progress, result
from fourd.types import Clip


def texture(h: int, w: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(128, 60, (h, w)).astype(np.float32)
    return np.clip(128 + 3 * (cv2.GaussianBlur(noise, (0, 0), 2.0) - 128), 0, 255)


def sliding(shifts: np.ndarray, hw: tuple[int, int] = (90, 120)) -> Clip:
    """A texture that slides by given places (x, y), exact to interpolation."""
    h, w = hw
    wide = texture(h + 40, w + 40)
    frames = []
    for x, y in shifts:
        moved = cv2.warpAffine(wide, np.float32([[1, 0, x], [0, 1, y]]), (w + 40, h + 40), flags=cv2.INTER_CUBIC)
        frames.append(np.clip(moved[20:-20, 20:-20], 0, 255).astype(np.uint8))
    return Clip(torch.from_numpy(np.stack(frames)[..., None].repeat(3, -1)), torch.arange(len(shifts)) / 24.0)


SHIFTS = np.stack([np.linspace(0, 9.3, 8), np.linspace(0, -4.7, 8)], 1)


def test_tracks_follow_a_slide_to_a_twentieth_of_a_pixel():
    tracks = result(follow(sliding(SHIFTS)))
    whole = tracks.lasting(8)
    assert whole.points > 30
    start = whole.xy_px[whole.frame == 0]
    for k in range(8):
        off = whole.xy_px[whole.frame == k] - start - SHIFTS[k]
        assert np.median(np.abs(off)) < 0.05


def test_a_mirrored_clip_has_mirrored_tracks():
    clip = sliding(SHIFTS)
    mirrored = clip.replace(frames=clip.frames.flip(2).contiguous())
    a, b = (result(follow(c)).lasting(8) for c in (clip, mirrored))
    a0 = a.xy_px[a.frame == 0] * (-1, 1) + (120, 0)
    b0 = b.xy_px[b.frame == 0]
    nearest = np.linalg.norm(a0[:, None] - b0[None], axis=-1).min(1)
    # Half a pixel of the enlarged picture would show as a median of 0.25 and more.
    assert np.median(nearest) < 0.1


def test_progress_counts_half_of_the_work():
    events = list(follow(sliding(SHIFTS)))
    assert events == [Progress("camera", i, 16) for i in range(8)]


def test_windows_are_found_again():
    picture = texture(80, 80).astype(np.uint8)
    at = np.float32([[30.3, 40.7], [50.0, 20.0]])
    moved = cv2.warpAffine(picture, np.float32([[1, 0, 0.7], [0, 1, -0.4]]), (80, 80), flags=cv2.INTER_CUBIC)
    brighter = np.clip(moved.astype(np.float32) + 12, 0, 255).astype(np.uint8)
    found, good = register(remember(picture, at), brighter, at, 2.0)
    assert good.all()
    np.testing.assert_allclose(found - at, np.tile([0.7, -0.4], (2, 1)), atol=0.06)
    _, good = register(remember(picture, at), texture(80, 80, 9).astype(np.uint8), at, 0.05)
    assert not good.any()


def tracks_of(points: list[list[int]], length: int) -> Tracks:
    """Tracks that stand at (5, 5), seen in the given frames."""
    point = np.concatenate([np.full(len(f), k) for k, f in enumerate(points)])
    frame = np.concatenate([np.array(f) for f in points])
    return Tracks(point, frame, np.full((len(point), 2), 5.0), (20, 20), length)


def test_a_cut_is_where_no_tracks_pass():
    before, after = [[0, 1, 2, 3]] * 15, [[4, 5, 6, 7]] * 15
    tracks = tracks_of(before + after, 8)
    assert cut(tracks) == [(0, 4), (4, 8)]
    second = inside(tracks, 4, 8)
    assert second.length == 4 and second.points == 15 and second.frame.min() == 0
    assert cut(tracks_of([[0, 1, 2]] * 15, 3)) == [(0, 3)]


def test_short_tracks_are_used_only_where_long_ones_are_few():
    tracks = tracks_of([list(range(8))] * 3 + [[0, 1, 2, 3], [4, 5, 6, 7]] * 5, 8)
    assert lasting_enough(tracks, 7, 4, wanted=3).points == 3
    assert lasting_enough(tracks, 7, 4, wanted=4).points == 13


def test_keyframes_hold_both_ends_and_grow_where_tracks_are_short():
    long = tracks_of([list(range(100))] * 3, 100)
    assert keyframes(long, 20, 50).tolist()[:: len(keyframes(long, 20, 50)) - 1] == [0, 99]
    assert len(keyframes(long, 20, 50)) == 20
    short = tracks_of([list(range(k, k + 10)) for k in range(0, 100, 10)], 100)
    assert len(keyframes(short, 20, 50)) == 40
    assert keyframes(tracks_of([[0]], 1), 20, 50).tolist() == [0]


def test_still_share_is_the_part_of_the_picture_that_stands(world):
    assert still_share(world("still").tracks, 1.0) == 1.0
    assert still_share(world("orbit").tracks, 1.0) < 0.2
    assert 0.5 < still_share(world("still", moving=0.3).tracks, 1.0) <= 1


def test_spreading_keeps_the_longest():
    tracks = tracks_of([[0, 1, 2]] * 30 + [[0, 1]] * 30, 3)
    chosen = spread(tracks, most=4, cell_px=20)
    assert chosen[:4].all() and chosen.sum() == 4


@pytest.mark.parametrize("frames", [5, 9])
def test_poses_between_keyframes_lie_on_the_way(frames):
    keys = np.array([0, frames - 1])
    R = rotation(np.array([[0.0, 0, 0], [0, 0.4, 0]]))
    centre = np.array([[0.0, 0, 0], [1, 0, 2]])
    t = -(R @ centre[..., None])[..., 0]
    all_R, all_t = interpolate(R, t, keys, frames)
    s = np.linspace(0, 1, frames)
    np.testing.assert_allclose(all_R, rotation(np.stack([0 * s, 0.4 * s, 0 * s], 1)), atol=1e-12)
    places = -(all_R.transpose(0, 2, 1) @ all_t[..., None])[..., 0]
    np.testing.assert_allclose(places, np.stack([s, 0 * s, 2 * s], 1), atol=1e-12)
