"""Real times, real shapes, and the stretch, rate and size that were asked for."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from fourd.errors import InputError, LimitError
from fourd.media import read
from fourd.types import Clip, Limits
from tests.media.films import click, corner, film, index_of, steps


def indices(clip: Clip) -> list[int]:
    return [index_of(frame.numpy()) for frame in clip.frames]


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.webm", "libvpx-vp9"), ("a.avi", "mpeg4"), ("a.ts", "libx264")],
)
def test_common_containers(tmp_path: Path, name: str, codec: str) -> None:
    clip = read(film(tmp_path / name, steps(6), codec=codec))
    assert clip.name == "a" and clip.sound is None
    assert clip.hw == (48, 64)
    assert indices(clip) == list(range(6))
    # Matroska and AVI round to 1 ms.
    np.testing.assert_allclose(clip.time_s, np.arange(6) / 24, atol=6e-4)


def test_variable_frame_rate_keeps_the_real_times(tmp_path: Path) -> None:
    pts = [0, 10, 15, 40, 41, 90]
    clip = read(film(tmp_path / "a.mp4", steps(6), pts=pts, time_base=Fraction(1, 600)))
    assert indices(clip) == list(range(6))
    assert clip.time_s.tolist() == [p / 600 for p in pts]


def test_the_clock_starts_at_the_first_frame_kept(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", steps(24), pts=range(12, 36))
    clip = read(path)
    assert clip.time_s[0] == 0 and len(clip) == 24
    clip = read(path, start_s=0.25, duration_s=0.25)
    assert clip.time_s[0] == 0
    assert indices(clip) == list(range(6, 12))


def test_start_and_duration_pick_by_time(tmp_path: Path) -> None:
    pts = [0, 10, 15, 40, 41, 90]
    path = film(tmp_path / "a.mp4", steps(6), pts=pts, time_base=Fraction(1, 600))
    assert indices(read(path, start_s=15 / 600)) == [2, 3, 4, 5]
    assert indices(read(path, start_s=16.2 / 600)) == [3, 4, 5]
    assert indices(read(path, duration_s=40 / 600)) == [0, 1, 2]
    assert indices(read(path, start_s=15 / 600, duration_s=1e-3)) == [2]
    # Where no frame begins in the stretch, the one on show counts.
    assert indices(read(path, start_s=60 / 600, duration_s=1e-3)) == [4]
    assert indices(read(path, start_s=92.2 / 600)) == [5]


@pytest.mark.parametrize("fps", [12.0, 24.0, 48.0, 10.0])
def test_resampling_shows_the_nearest_frame(tmp_path: Path, fps: float) -> None:
    clip = Clip.open(film(tmp_path / "a.mp4", steps(24)), fps=fps)
    assert len(clip) == round(fps)
    assert clip.time_s.tolist() == [i / fps for i in range(len(clip))]
    for index, time_s in zip(indices(clip), clip.time_s.tolist(), strict=True):
        assert abs(min(time_s, 23 / 24) - index / 24) <= 0.5 / 24 + 1e-6


def test_resampling_stops_with_the_duration(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", steps(3), pts=[0, 12, 24])
    clip = read(path, fps=10, duration_s=0.7)
    assert clip.time_s.tolist() == [i / 10 for i in range(7)]
    assert indices(clip) == [0, 0, 0, 1, 1, 1, 1]


def test_seeking_gives_what_decoding_everything_gives(tmp_path: Path) -> None:
    frames = [np.full((16, 16, 3), i, np.uint8) for i in range(192)]
    for name in ("a.mp4", "a.ts", "a.h264"):  # The last has no index and no times.
        path = film(tmp_path / name, frames, gop=24, sound=None, form="h264" if name == "a.h264" else None)
        whole, part = read(path), read(path, start_s=5.0, duration_s=1.0)
        step = whole.frame_s
        first = round(5.0 / step)
        assert len(part) == round(1 / step)
        assert torch.equal(part.frames, whole.frames[first : first + len(part)]), name
        np.testing.assert_allclose(part.time_s, whole.time_s[: len(part)], atol=1e-9)


def test_odd_sizes_and_oblong_pixels(tmp_path: Path) -> None:
    assert read(film(tmp_path / "odd.mp4", [corner((47, 63))], pix_fmt="yuv444p")).hw == (47, 63)
    assert read(film(tmp_path / "one.mkv", [corner((2, 2))], codec="ffv1")).hw == (2, 2)
    wide = film(tmp_path / "wide.mp4", [corner()], aspect=Fraction(3, 2))
    assert read(wide).hw == (48, 96)
    assert read(wide, size=48).hw == (24, 48)
    assert read(film(tmp_path / "slim.mp4", [corner()], aspect=Fraction(8, 9))).hw == (48, 57)


def test_size_never_enlarges(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", steps(2))
    assert read(path, size=640).hw == (48, 64)
    clip = read(path, size=16)
    assert clip.hw == (12, 16)
    assert indices(clip) == [0, 1]


def test_ten_bits(tmp_path: Path) -> None:
    for codec in ("libx264", "ffv1"):
        path = film(tmp_path / f"{codec}.mkv", steps(3), codec=codec, pix_fmt="yuv420p10le")
        assert indices(read(path)) == [0, 1, 2]


def test_interlaced_rows_are_brought_to_one_moment(tmp_path: Path) -> None:
    frames = []
    for i in range(8):
        picture = np.full((48, 64, 3), 16, np.uint8)
        picture[0::2, 4 * i : 4 * i + 8] = 220
        picture[1::2, 4 * i + 2 : 4 * i + 10] = 220
        frames.append(picture)
    clip = read(film(tmp_path / "a.mp4", frames, options={"x264-params": "interlaced=1:tff=1"}))
    np.testing.assert_allclose(clip.time_s, np.arange(8) / 24, atol=1e-9)
    comb = np.abs(np.diff(frames[4].astype(float), axis=0)).mean()
    assert comb > 10
    assert np.abs(np.diff(clip.frames[4].numpy().astype(float), axis=0)).mean() < comb / 20


def test_a_clock_that_starts_anew_goes_on(tmp_path: Path) -> None:
    parts = [film(tmp_path / f"{i}.ts", steps(20), sound=click(0.1 + 0.2 * i, 0.8)).read_bytes() for i in range(2)]
    both = tmp_path / "both.ts"
    both.write_bytes(b"".join(parts))
    clip = read(both)
    assert indices(clip) == [*range(20), *range(20)]
    np.testing.assert_allclose(clip.time_s.diff(), 1 / 24, atol=1e-4)
    assert clip.sound is not None
    loud = np.nonzero(clip.sound.samples[:, 0].abs().numpy() > 0.3)[0] / clip.sound.rate_hz
    np.testing.assert_allclose([loud.min(), loud[loud > 0.5].min()], [0.1, 20 / 24 + 0.3], atol=0.01)


def test_a_clock_that_stands_still_is_replaced_by_counting(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", steps(12))
    data = bytearray(path.read_bytes())
    at = data.index(b"stts")  # The table of durations: one entry, 12 frames of 512 ticks; now of 0.
    data[at + 12 : at + 20] = (12).to_bytes(4, "big") + bytes(4)
    path.write_bytes(bytes(data))
    clip = read(path)
    assert len(clip) > 3
    np.testing.assert_allclose(clip.time_s.diff(), clip.frame_s, atol=1e-9)
    assert indices(clip) == sorted(set(indices(clip)))


def test_the_same_file_gives_the_same_clip(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (6, 96, 128, 3), dtype=np.uint8)
    path = film(tmp_path / "a.mp4", list(noise), crf=30)
    first, second = read(path, size=50), read(path, size=50)
    assert torch.equal(first.frames, second.frames) and torch.equal(first.time_s, second.time_s)


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        (Limits(pixels=3071), "has pictures of 64 x 48 pixels; the limit is 3071 pixels (limits.pixels)."),
        (Limits(frames=9), "a.mp4 has 10 frames; the limit is 9. Read less of it"),
        (Limits(seconds=0.2), "is longer than 0.2 seconds, which is the limit."),
        (Limits(bytes=9 * 48 * 64 * 3), "a.mp4 needs more than 8.29e-05 GB for its pictures, which is the limit."),
    ],
    ids=["pixels", "frames", "seconds", "bytes"],
)
def test_limits_are_kept_and_named(tmp_path: Path, limits: Limits, text: str) -> None:
    path = film(tmp_path / "a.mp4", steps(10))
    with pytest.raises(LimitError) as error:
        read(path, limits=limits)
    assert text in str(error.value)
    if limits.pixels > 3071:
        assert len(read(path, duration_s=0.2, limits=limits)) == 5


def test_frames_made_by_resampling_count_too(tmp_path: Path) -> None:
    with pytest.raises(LimitError, match="more than 50 frames"):
        read(film(tmp_path / "a.mp4", steps(4)), fps=1000, limits=Limits(frames=50))


def test_a_start_beyond_the_end_says_how_long_it_is(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", steps(12))
    for start_s in (0.6, 100.0):
        with pytest.raises(InputError) as error:
            read(path, start_s=start_s)
        assert str(error.value) == f"{path} lasts 0.5 seconds; start_s={start_s:g} lies beyond its end."


@pytest.mark.needs("shared")
def test_real_recordings(shared: Path) -> None:
    files = sorted((shared / "real" / "clips").glob("*.mp4"))
    assert len(files) >= 9
    for path in files:
        clip = read(path, start_s=0.2, duration_s=0.15, size=64)
        assert max(clip.hw) == 64 and 1 <= len(clip) <= 12, path.name
        assert clip.frames.float().std() > 10, path.name
        assert (clip.hw[0] > clip.hw[1]) == ("portrait" in path.name), path.name
        if clip.sound is not None:
            assert clip.sound.start_s < 0.05
            assert clip.sound.duration_s == pytest.approx(0.15, abs=0.03)
