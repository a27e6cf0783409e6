"""Written video: playable everywhere, at the right times, and never half-written."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from fourd.errors import InputError, OutputError
from fourd.media import read, write_video
from fourd.types import Sound
from tests.media.films import click, corner, heard_s, index_of, steps


def tensors(count: int, hw: tuple[int, int] = (48, 64)) -> list[Tensor]:
    return [torch.from_numpy(frame) for frame in steps(count, hw)]


def voice(samples: np.ndarray, rate: int, start_s: float = 0.0) -> Sound:
    return Sound(torch.from_numpy(samples), rate, start_s)


def test_it_plays_widely(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, tensors(6), fps=24, sound=voice(click(0.1, 0.25), 48000))
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        context = video.codec_context
        assert (context.name, audio.codec_context.name) == ("h264", "aac")
        assert context.pix_fmt == "yuv420p" and context.profile == "High"
        assert (context.colorspace, context.color_primaries, context.color_trc, context.color_range) == (1, 1, 1, 1)
        assert video.average_rate == 24 and video.frames == 6
        frame = next(container.decode(video))
        assert (frame.width, frame.height) == (64, 48)
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_pictures_come_back(tmp_path: Path) -> None:
    y, x = np.mgrid[:96, :128]
    picture = np.stack([x * 2, y * 2, 255 - x], axis=-1).astype(np.uint8)
    frames = [torch.from_numpy(np.roll(picture, 4 * i, axis=1)) for i in range(5)]
    path = tmp_path / "a.mp4"
    write_video(path, frames, fps=25, crf=8)
    clip = read(path)
    off = (clip.frames.float() - torch.stack(frames).float()).abs()
    assert off.mean() < 1.5  # Measured 0.9; 4:2:0 and 8 bit YUV alone cost 0.7.
    assert off.mean((0, 1, 2)).max() < 2.5
    np.testing.assert_allclose(clip.time_s, np.arange(5) / 25, atol=1e-9)


def test_colours_are_bt709_and_not_shifted(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, [torch.from_numpy(corner())] * 2, fps=10, crf=4)
    got = read(path).frames[0].numpy()
    for at in ((12, 12), (12, 50), (40, 30)):
        np.testing.assert_allclose(got[at], corner()[at], atol=2)


@given(gaps=st.lists(st.integers(1, 3000), min_size=1, max_size=12), first=st.floats(-5, 50))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_variable_times_come_back(tmp_path: Path, gaps: list[int], first: float) -> None:
    times = first + np.cumsum([0, *gaps]) / 1000
    path = tmp_path / "a.mp4"
    write_video(path, tensors(len(times), (16, 16)), time_s=times)
    clip = read(path)
    np.testing.assert_allclose(clip.time_s, times - times[0], atol=1.2e-5)  # Ticks of 1/90000 s.
    assert [index_of(f.numpy()) for f in clip.frames] == list(range(len(times)))


def test_the_last_frame_stays_as_long_as_the_others(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, tensors(5), time_s=[0, 0.1, 0.2, 0.3, 0.4])
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.duration is not None and stream.time_base is not None
        assert float(stream.duration * stream.time_base) == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("hw", [(47, 63), (48, 63), (1, 1), (2, 5)], ids=str)
def test_odd_sizes_repeat_their_last_row_and_column(tmp_path: Path, hw: tuple[int, int]) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, tensors(2, hw), fps=24, crf=4)
    clip = read(path)
    assert clip.hw == (hw[0] + hw[0] % 2, hw[1] + hw[1] % 2)
    assert (clip.frames[1].int() - 28).abs().max() <= 2


@pytest.mark.parametrize("rate", [48000, 44100, 8000, 12345])
@pytest.mark.parametrize("start_s", [0.0, 0.3, -0.2])
def test_sound_comes_back_at_its_time(tmp_path: Path, rate: int, start_s: float) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, tensors(24), fps=24, sound=voice(click(0.4, 2.0, rate), rate, start_s=start_s))
    sound = read(path).sound
    assert sound is not None
    # Resampling and AAC smear a click of 2 ms at low rates.
    assert sound.start_s + heard_s(sound.samples.numpy(), sound.rate_hz) == pytest.approx(0.4 + start_s, abs=0.004)
    assert sound.start_s + sound.duration_s <= 1.05  # Cut where the pictures end, but for a packet.


def test_sound_and_times_share_a_clock(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, tensors(12), time_s=7 + np.arange(12) / 12, sound=voice(click(0.25, 1), 48000, start_s=7.25))
    sound = read(path).sound
    assert sound is not None
    assert sound.start_s + heard_s(sound.samples.numpy(), 48000) == pytest.approx(0.5, abs=0.003)


@pytest.mark.parametrize("channels", [1, 2, 3, 6, 8])
def test_any_number_of_channels(tmp_path: Path, channels: int) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, tensors(12), fps=24, sound=voice(click(0.2, 0.5, channels=channels), 48000))
    sound = read(path).sound
    assert sound is not None
    assert sound.samples.shape[1] == (1 if channels in (1, 3) else 2)
    assert float(sound.samples.abs().max()) > 0.3


def test_a_clip_goes_round(tmp_path: Path) -> None:
    first, second = tmp_path / "a.mp4", tmp_path / "b.mp4"
    write_video(first, tensors(12), time_s=np.cumsum(np.arange(12)) / 60, sound=voice(click(0.3, 1, 44100), 44100))
    clip = read(first)
    write_video(second, clip.frames, time_s=clip.time_s, sound=clip.sound)
    again = read(second)
    np.testing.assert_allclose(again.time_s, clip.time_s, atol=1.2e-5)
    assert (again.frames.float() - clip.frames.float()).abs().max() <= 3
    assert again.sound is not None and heard_s(again.sound.samples.numpy(), 44100) == pytest.approx(0.3, abs=0.003)


def test_frames_are_taken_one_at_a_time(tmp_path: Path) -> None:
    alive = made = most = 0

    class Counted(Tensor):
        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    def frames() -> Iterator[Tensor]:
        nonlocal alive, made, most
        for _ in range(40):
            alive, made = alive + 1, made + 1
            most = max(most, alive)
            yield torch.zeros(16, 16, 3, dtype=torch.uint8).as_subclass(Counted)

    write_video(tmp_path / "a.mp4", frames(), fps=24)
    assert made == 40 and most <= 3


def test_the_same_frames_give_the_same_file(tmp_path: Path) -> None:
    noise = list(torch.randint(0, 256, (8, 48, 64, 3), dtype=torch.uint8))
    files = []
    for name in ("a.mp4", "b.mp4"):
        write_video(tmp_path / name, noise, fps=24, sound=voice(click(0.1, 0.3), 48000))
        files.append((tmp_path / name).read_bytes())
    assert files[0] == files[1]


class Oops(OSError):
    """What a frame source of the caller may raise."""


def failing() -> Iterator[Tensor]:
    yield from tensors(3)
    raise Oops("the renderer fell over")


BAD = {
    "none": (dict(frames=[], fps=24), InputError, "there is no frame."),
    "no clock": (dict(), InputError, "give either fps or time_s."),
    "two clocks": (dict(fps=24, time_s=[0.0, 1.0, 2.0]), InputError, "give either fps or time_s."),
    "fps": (dict(fps=0.0), InputError, "fps is 0.0; it must lie between 0.01 and 1000."),
    "crf": (dict(fps=24, crf=70), InputError, "crf is 70; it must lie between 0 (lossless) and 51 (worst)."),
    "few times": (dict(time_s=[0.0, 0.1]), InputError, "there are more frames than the 2 times in time_s."),
    "many times": (dict(time_s=[0.0, 0.1, 0.2, 0.3]), InputError, "there are 3 frames and 4 times in time_s."),
    "backwards": (dict(time_s=[0.0, 0.2, 0.1]), InputError, "time_s must increase from frame to frame"),
    "nan": (dict(time_s=[0.0, float("nan"), 1.0]), InputError, "time_s must hold at least one time and only finite"),
    "sizes": (
        dict(frames=[*tensors(2), *tensors(1, (32, 64))], fps=24),
        InputError,
        "frame 2 has 64 x 32 pixels and the first 64 x 48. All must be of one size.",
    ),
    "dtype": (
        dict(frames=[torch.zeros(4, 4, 3)], fps=24),
        InputError,
        "a frame is (4, 4, 3) torch.float32; it must be a uint8 tensor [h, w, 3].",
    ),
    "the caller's own": (dict(frames=failing, fps=24), Oops, "the renderer fell over"),
}


@pytest.mark.parametrize("case", BAD)
def test_errors_leave_an_old_file_and_nothing_else(tmp_path: Path, case: str) -> None:
    arguments, kind, text = BAD[case]
    path = tmp_path / "a.mp4"
    path.write_bytes(b"precious")
    arguments = dict(arguments)
    frames = arguments.pop("frames", None)
    frames = tensors(3) if frames is None else frames() if callable(frames) else frames
    with pytest.raises(kind) as error:
        write_video(path, frames, **arguments)
    assert text in str(error.value)
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]
    assert path.read_bytes() == b"precious"


def test_unwritable_places(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.mp4").mkdir()
    for path, why in [
        (tmp_path / "nowhere" / "a.mp4", "the folder does not exist"),
        (tmp_path / "file" / "a.mp4", "a part of the path is a file and not a folder"),
        (tmp_path / "folder.mp4", "a folder is in the way"),
    ]:
        with pytest.raises(OutputError) as error:
            write_video(path, tensors(1), fps=24)
        assert str(error.value) == f"Cannot write {path}: {why}."
    with pytest.raises(InputError, match=r"a\.webm: the name must end in \.mp4"):
        write_video(tmp_path / "a.webm", tensors(1), fps=24)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.999], ids=["at the header", "among pictures", "at the very end"])
def test_a_full_disk_is_one_error_and_loses_nothing(tmp_path: Path, share: float) -> None:
    path, probe = tmp_path / "a.mp4", tmp_path / "probe.mp4"
    path.write_bytes(b"precious")
    noise = list(torch.randint(0, 256, (12, 64, 64, 3), dtype=torch.uint8))
    write_video(probe, noise, fps=10)
    room = int(probe.stat().st_size * share)
    probe.unlink()
    # A limit on the size of files stops writes as a full disk does; Python ignores its signal.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        with pytest.raises(OutputError) as error:
            write_video(path, noise, fps=10)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(error.value).startswith(f"Cannot write {path}: ")
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]
    assert path.read_bytes() == b"precious"
