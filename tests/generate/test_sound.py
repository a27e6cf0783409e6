"""Struck bodies: the right pitch, the right moment, and a decay that fits the material."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fourd.errors import InputError
from fourd.generate import scene, sound
from fourd.generate.sound import CERAMIC, RUBBER, STEEL, WOOD, Impact, impacts


def mono(made: sound.Sound) -> np.ndarray:
    return made.samples.sum(1).numpy()


@pytest.mark.parametrize("hz", [220.0, 660.0, 1500.0])
def test_the_lowest_mode_has_the_pitch_asked_for(hz: float) -> None:
    wave = mono(impacts([Impact(0.1, 1.0, hz, STEEL)], 1.1, echo=0))
    late = wave[int(0.15 * 48_000) :]  # The high modes have died away.
    spectrum = np.abs(np.fft.rfft(late * np.hanning(len(late)), 1 << 18))
    assert spectrum.argmax() * 48_000 / (1 << 18) == pytest.approx(hz, abs=1)


@pytest.mark.parametrize("material", [STEEL, CERAMIC, WOOD, RUBBER])
def test_blows_begin_within_a_sample_of_their_time(material: sound.Material) -> None:
    times = [0.1, 0.2000001, 0.41371]
    wave = mono(impacts([Impact(t, 1.0, 300.0, material) for t in times[:1]], 1.0, echo=0))
    assert (wave[:4800] == 0).all() and np.abs(wave[4800:4900]).max() > 0
    for t in times[1:]:
        first = np.flatnonzero(mono(impacts([Impact(t, 1.0, 300.0, material)], 1.0, echo=0)))[0]
        assert 0 <= first / 48_000 - t < 2 / 48_000


def test_decay_follows_the_formula() -> None:
    # One mode: alpha / 2 + loss * w / 2 with w = 2 pi 500.
    material = sound.Material(0.02, (1.0,), 1e-5, alpha=4.0)
    wave = mono(impacts([Impact(0.0, 1.0, 500.0, material)], 0.4, echo=0))
    early, late = (np.abs(wave[int(t * 48_000) :][:480]).max() for t in (0.02, 0.1))
    rate = np.log(early / late) / 0.08
    assert rate == pytest.approx(4 / 2 + 0.02 * 2 * np.pi * 500 / 2, rel=0.02)


def test_lossy_materials_fall_silent_sooner() -> None:
    def length(material: sound.Material) -> int:
        wave = np.abs(mono(impacts([Impact(0.0, 1.0, 400.0, material)], 3.0, echo=0)))
        return int(np.flatnonzero(wave > 0.05 * wave.max())[-1])

    assert length(STEEL) > length(CERAMIC) > length(WOOD) > length(RUBBER)


def test_faster_is_louder_and_brighter() -> None:
    soft, hard = (mono(impacts([Impact(0.0, v, 300.0, RUBBER)], 0.5, echo=0)) for v in (0.5, 4.0))
    assert np.abs(hard).max() > 4 * np.abs(soft).max()

    def centre(wave: np.ndarray) -> float:
        power = np.abs(np.fft.rfft(wave)) ** 2
        return float((np.arange(len(power)) * power).sum() / power.sum())

    assert centre(hard) > centre(soft)


def test_left_is_left() -> None:
    made = impacts([Impact(0.0, 1.0, 300.0, WOOD, pan=-1)], 0.2, echo=0).samples
    assert float(made[:, 0].abs().max()) > 0.01 and float(made[:, 1].abs().max()) < 1e-7


def test_sound_is_repeatable_bounded_and_silent_without_blows() -> None:
    loud = [Impact(0.01 * k, 50.0, 200.0, STEEL) for k in range(20)]
    one, again = impacts(loud, 0.5), impacts(loud, 0.5)
    assert torch.equal(one.samples, again.samples)
    assert float(one.samples.abs().max()) <= 0.9 + 1e-6
    assert float(impacts([], 0.1).samples.abs().max()) == 0
    wind = sound.breeze(0.5, level=0.02)
    assert float(sound.mixed([one, wind]).samples.abs().max()) <= 0.9 + 1e-6


def test_impossible_sounds_are_refused() -> None:
    with pytest.raises(InputError, match="lasts 0 s; it must last at least one sample"):
        impacts([], 0.0)
    with pytest.raises(InputError, match="An impact at -1 s with 100 Hz; neither may be negative"):
        impacts([Impact(-1.0, 1.0, 100.0, WOOD)], 1.0)


def test_the_terrace_is_heard_when_it_is_seen() -> None:
    made = scene("terrace", hw=(18, 32), frames=72)
    assert made.sound is not None and made.sound.duration_s == pytest.approx(3)
    ball = next(p for p in made.stage.props if p.name == "ball").pose
    assert callable(ball)
    heights = np.array([ball(t)[1, 3] for t in np.arange(0, 1.0, 1e-3)])
    touches = [t * 1e-3 for t in range(1, 999) if heights[t] <= heights[t - 1] and heights[t] < heights[t + 1]]
    envelope = np.abs(mono(made.sound)).reshape(-1, 240).max(1)  # Every 5 ms.
    for touch in touches:
        k = int(touch / 0.005)
        assert envelope[k : k + 5].max() > 4 * envelope[k - 4 : k - 1].max()
    assert len(touches) == 2


def test_the_terrace_says_what_sounds_where() -> None:
    heard = scene("terrace", hw=(36, 64), frames=72).sound
    assert heard is not None and [s.name for s in heard.sources] == ["ball", "dominoes"]
    ball, dominoes = heard.sources
    assert len(ball.samples) == len(dominoes.samples) == len(heard.samples)
    # The ball comes from the left, and the dominoes fall from the first to the last, to the right.
    assert float(ball.position_m[0, 0]) < float(ball.position_m[20, 0])
    assert bool((dominoes.position_m[:, 0].diff() > 0).all()) and len(dominoes.time_s) == 9
    # Each source is silent until its first blow, and all of them together are most of what the camera hears.
    first = int(float(dominoes.time_s[0]) * heard.rate_hz)
    assert not bool(dominoes.samples[:first].any()) and bool(dominoes.samples[first : first + 480].any())
    mono, both = heard.samples.mean(1), ball.samples + dominoes.samples
    assert float((mono * both).sum() / (mono.norm() * both.norm())) > 0.8
