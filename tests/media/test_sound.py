"""Sound stays on the clock of the pictures, however the file is cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fourd.errors import LimitError
from fourd.media import read
from fourd.media.sound import _Track
from fourd.types import Clip, Limits
from tests.media.films import click, film, heard_s, steps

AAC_S = 0.003
"""How far AAC smears a click, measured: under 1 ms."""


def heard(clip: Clip) -> float:
    assert clip.sound is not None
    return clip.sound.start_s + heard_s(clip.sound.samples.numpy(), clip.sound.rate_hz)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_sound_is_kept_at_its_time(tmp_path: Path, name: str) -> None:
    clip = read(film(tmp_path / name, steps(24), sound=click(0.5, 1.0, channels=2)))
    assert clip.sound is not None
    assert clip.sound.samples.shape[1] == 2 and clip.sound.rate_hz == 48000
    assert clip.sound.duration_s == pytest.approx(1.0, abs=0.05)
    assert heard(clip) == pytest.approx(0.5, abs=AAC_S)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_sound_that_begins_late_or_early_is_offset(tmp_path: Path, name: str) -> None:
    late = read(film(tmp_path / name, steps(24), sound=click(0.3, 0.6), sound_pts=12000))
    assert late.sound is not None and late.sound.start_s == pytest.approx(0.25, abs=0.03)
    assert heard(late) == pytest.approx(0.55, abs=AAC_S)
    early = read(film(tmp_path / name, steps(24), pts=range(12, 36), sound=click(0.8, 1.5)))
    assert early.sound is not None and early.sound.start_s == pytest.approx(0, abs=1e-3)
    assert heard(early) == pytest.approx(0.3, abs=AAC_S)


def test_cutting_the_pictures_cuts_the_sound(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", steps(24), sound=click(0.5, 1.0))
    clip = read(path, start_s=0.25, duration_s=0.5)
    assert clip.sound is not None and clip.sound.start_s == 0
    assert clip.sound.duration_s == pytest.approx(0.5, abs=1e-3)
    assert heard(clip) == pytest.approx(0.25, abs=AAC_S)
    assert heard(read(path, start_s=0.25, fps=10)) == pytest.approx(0.25, abs=AAC_S)
    # The first frame at or after 0.3 s is the eighth, at 1/3 s: the clock starts there.
    assert heard(read(path, start_s=0.3)) == pytest.approx(0.5 - 8 / 24, abs=AAC_S)


def test_sound_survives_a_long_seek(tmp_path: Path) -> None:
    frames = [np.full((16, 16, 3), i, np.uint8) for i in range(160)]
    path = film(tmp_path / "a.mp4", frames, pts=range(0, 1600, 10), gop=20, sound=click(60.5, 66))
    clip = read(path, start_s=60.0, duration_s=2.0)
    assert heard(clip) == pytest.approx(0.5, abs=AAC_S)
    # Here the sound itself begins late, so that no seeking can find its beginning in time.
    path = film(tmp_path / "b.mp4", frames, pts=range(0, 1600, 10), gop=20, sound=click(0.5, 1), sound_pts=61 * 48000)
    assert heard(read(path, start_s=60.0, duration_s=4.0)) == pytest.approx(1.5, abs=AAC_S)


def test_sound_that_outlasts_the_pictures_is_kept_unless_cut(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", steps(2), sound=click(0.7, 1.0))
    assert heard(read(path)) == pytest.approx(0.7, abs=AAC_S)
    short = read(path, duration_s=0.5)
    assert short.sound is not None and short.sound.duration_s == pytest.approx(0.5, abs=1e-3)


def test_gaps_become_silence_jitter_does_not_and_overlaps_are_cut(tmp_path: Path) -> None:
    burst = click(0.05, 0.1)  # 0.1 s long, loud in its middle.
    track = _Track(tmp_path, 10.0, Limits())
    for at_s in (0.0, 0.4, 0.505, 0.5):  # In step; after a gap of 0.3 s; 5 ms late; a second time.
        assert track.add(at_s, 48000, burst)
    assert not track.add(10.0, 48000, burst)  # Beyond the end.
    sound = track.sound()
    assert sound is not None and sound.duration_s == pytest.approx(0.6)
    loud = np.nonzero(sound.samples[:, 0].numpy() > 0.3)[0] / 48000
    np.testing.assert_allclose(loud[np.diff(loud, prepend=-1) > 0.01], [0.05, 0.45, 0.55], atol=1e-4)


def test_mute_video_has_no_sound(tmp_path: Path) -> None:
    assert read(film(tmp_path / "a.mp4", steps(2))).sound is None


def test_sound_counts_against_the_limits(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", [np.zeros((2, 2, 3), np.uint8)] * 2, sound=click(0.1, 2.0))
    with pytest.raises(LimitError, match=r"The sound of .*a.mp4 is larger than 0.0001 GB"):
        read(path, limits=Limits(bytes=100_000))
    clip = read(path, limits=Limits(seconds=0.5))
    assert clip.sound is not None and clip.sound.duration_s == pytest.approx(0.5, abs=1e-3)
