"""Where clips are cut: not where they flash, pan, stand or only change."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

import fourd
from fourd.media.cutting import cuts
from fourd.sounds import Sound, SoundSource
from fourd.types import Clip

HW = (60, 100)


def place(seed: int) -> np.ndarray:
    """A wide picture of somewhere, [h, w, 3]."""
    rng = np.random.default_rng(seed)
    total = np.zeros((90, 300, 3), np.float32)
    for cell in (6, 15, 30):
        total += cv2.resize(rng.normal(size=(90 // cell, 300 // cell, 3)).astype(np.float32), (300, 90))
    return np.clip(128 + 40 * total, 0, 255).astype(np.uint8)


def panned(seed: int, frames: int, step_px: int = 3) -> list[np.ndarray]:
    wide = place(seed)
    return [wide[10 : 10 + HW[0], i * step_px : i * step_px + HW[1]] for i in range(frames)]


def clip(frames: list[np.ndarray], sound: Sound | None = None) -> Clip:
    return Clip(torch.from_numpy(np.stack(frames)), torch.arange(len(frames), dtype=torch.float64) / 10, sound, "film")


def test_cuts_are_where_places_change() -> None:
    assert cuts(clip(panned(0, 8) + panned(1, 5) + panned(2, 3))) == [(8, 8), (13, 13)]


def test_neither_exposure_nor_a_quick_pan_nor_a_flash_is_a_cut() -> None:
    frames = panned(0, 10, 8)
    frames[5:] = [(0.4 * f).astype(np.uint8) for f in frames[5:]]
    frames[2] = np.full_like(frames[2], 255)
    assert cuts(clip(frames)) == []


def test_a_black_leader_is_a_shot_and_black_frames_between_are_too() -> None:
    black = [np.zeros((*HW, 3), np.uint8)] * 4
    assert cuts(clip([*black, *panned(0, 6), *black, *panned(1, 6)])) == [(4, 4), (10, 10), (14, 14)]


def dissolved(one: list[np.ndarray], other: list[np.ndarray], mixed: int) -> list[np.ndarray]:
    """One shot that fades into another while both go on."""
    share = np.arange(1, mixed + 1) / (mixed + 1)
    pairs = zip(one[-mixed:], other[:mixed], share, strict=True)
    return [*one[:-mixed], *(np.uint8((1 - s) * a + s * b) for a, b, s in pairs), *other[mixed:]]


@pytest.mark.parametrize("mixed", [6, 10])
def test_a_dissolve_is_between_two_shots(mixed: int) -> None:
    (end, first), *others = cuts(clip(dissolved(panned(0, 24, 1), panned(1, 24, 1), mixed)))
    assert not others
    assert abs(end - (24 - mixed)) <= 3 and abs(first - 24) <= 3


def test_mixed_frames_are_in_no_shot_and_are_counted() -> None:
    sound = Sound(torch.ones(4000, 1), 1000)
    whole = clip(dissolved(panned(0, 24, 1), panned(1, 24, 1), 8), sound)
    [(end, first)] = cuts(whole)
    one, other = fourd.shots(whole)
    assert torch.equal(one.frames, whole.frames[:end]) and torch.equal(other.frames, whole.frames[first:])
    assert not one.warnings and other.warnings[0].startswith(f"{first - end} frames before this shot are mixed")
    assert one.sound is not None and other.sound is not None
    assert (len(one.sound.samples), len(other.sound.samples)) == (100 * end, 4000 - 100 * first)
    assert float(other.time_s[0]) == 0.0


def test_what_changes_little_by_little_is_no_dissolve() -> None:
    slow, quick = panned(0, 40, 1), panned(0, 25, 8)
    wall = place(0)[: HW[0], : HW[1]].astype(np.float32)
    darker = [(wall * (1 - 0.7 * i / 39)).astype(np.uint8) for i in range(40)]
    door = [np.where(np.arange(HW[1])[None, :, None] < 2 * i, 30, wall).astype(np.uint8) for i in range(40)]
    for frames in (slow, quick, darker, door):
        assert cuts(clip(frames)) == []


@pytest.mark.parametrize("hw", [(1, 1), (2, 90), (8, 32)])
def test_tiny_and_narrow_clips_are_looked_at_all_the_same(hw: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    assert cuts(clip([rng.integers(0, 256, (*hw, 3), np.uint8)] * 9)) == []


@pytest.mark.parametrize("frames", [1, 2, 12])
def test_pictures_that_all_differ_are_not_cut_apart(frames: int) -> None:
    assert cuts(clip([place(i)[: HW[0], : HW[1]] for i in range(frames)])) == []


@pytest.mark.parametrize("level", [0, 255])
def test_a_strobe_is_not_cut_apart(level: int) -> None:
    assert cuts(clip([np.full((*HW, 3), level * (i % 2), np.uint8) for i in range(12)])) == []


def test_noise_is_not_cut_apart() -> None:
    rng = np.random.default_rng(0)
    assert cuts(clip([rng.integers(0, 256, (*HW, 3), np.uint8) for _ in range(12)])) == []


def test_shots_have_their_own_clock_and_their_part_of_the_sound() -> None:
    ramp = torch.arange(2000, dtype=torch.float32) / 2000
    source = SoundSource(ramp, torch.zeros(2, 3), torch.tensor([0.0, 1.5], dtype=torch.float64), "bird")
    sound = Sound(ramp[:, None], 1000, 0.1, (source,))
    whole = clip(panned(0, 8) + panned(1, 6), sound)
    first, second = fourd.shots(whole)
    assert (first.name, second.name) == ("film_1", "film_2")
    assert torch.equal(torch.cat([first.frames, second.frames]), whole.frames)
    assert torch.equal(first.time_s, whole.time_s[:8]) and torch.allclose(second.time_s, whole.time_s[8:] - 0.8)
    assert first.sound is not None and second.sound is not None
    assert torch.equal(torch.cat([first.sound.samples, second.sound.samples]), sound.samples)
    assert first.sound.start_s == pytest.approx(0.1) and second.sound.start_s == pytest.approx(0.0)
    assert len(first.sound.samples) == 700
    assert torch.equal(second.sound.sources[0].samples, ramp[700:])
    assert second.sound.sources[0].time_s.tolist() == pytest.approx([-0.8, 0.7])


def test_a_shot_after_the_sound_is_over_is_silent() -> None:
    sound = Sound(torch.ones(300, 1), 1000)
    first, second = fourd.shots(clip(panned(0, 8) + panned(1, 6), sound))
    assert first.sound is not None and second.sound is None


def test_one_shot_is_the_clip_itself() -> None:
    whole = clip(panned(0, 8))
    assert fourd.shots(whole)[0] is whole
