"""Whatever is handed in: one clear error, or what is whole of it. Nothing is followed, nothing is printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fourd
from fourd.errors import InputError, LimitError, MediaError
from fourd.media import read, read_picture
from fourd.media.container import open_container
from fourd.types import Limits
from tests.media.films import click, film, index_of, only_sound, steps

HLS = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXTINF:1.0,\ninner.ts\n#EXT-X-ENDLIST\n"
CONCAT = "ffconcat version 1.0\nfile inner.ts\n"
DASH = '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period></Period></MPD>\n'
SDP = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
PLAYLISTS = {"an HLS": HLS, "a concat": CONCAT, "a DASH": DASH, "an SDP": SDP}


@pytest.fixture
def noisy(tmp_path: Path) -> Path:
    noise = np.random.default_rng(0).integers(0, 256, (24, 48, 64, 3), dtype=np.uint8)
    return film(tmp_path / "noisy.mp4", list(noise), muxer={"movflags": "+faststart"})


@pytest.mark.parametrize("kind", PLAYLISTS)
@pytest.mark.parametrize("before", ["", "\n  ", "\ufeff"], ids=["plain", "space", "mark"])
def test_playlists_in_disguise_are_refused(tmp_path: Path, kind: str, before: str) -> None:
    film(tmp_path / "inner.ts", steps(3))
    path = tmp_path / "holiday.mp4"
    path.write_text(before + PLAYLISTS[kind])
    with pytest.raises(MediaError) as error:
        read(path)
    assert str(error.value) == (
        f"Cannot read {path}: it is {kind} playlist, which points to other files and is never followed."
        " Give the video itself."
    )


@pytest.mark.parametrize("kind", PLAYLISTS)
@pytest.mark.parametrize("suffix", [".mp4", ".m3u8", ".ffconcat", ".mpd", ".sdp"])
def test_the_demuxers_of_playlists_are_shut_even_without_the_first_look(tmp_path: Path, kind: str, suffix: str) -> None:
    film(tmp_path / "inner.ts", steps(3))
    path = tmp_path / f"holiday{suffix}"
    path.write_text(PLAYLISTS[kind])
    with pytest.raises(MediaError), open_container(path, Limits()):
        pass


@pytest.mark.parametrize(
    "name", ["http:/example.org/a.mp4", "data:video_mp4;base64,AAAA", "concat:a.ts|b.ts", "pipe:0"]
)
def test_addresses_are_only_ever_names_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MediaError, match="there is no such file"):
        read(name)
    if "/" not in name:
        os.replace(film(tmp_path / "a.mp4", steps(2)), tmp_path / name)
        assert len(read(name)) == 2


def test_what_is_no_file_or_empty(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for target, text in [
        (path, "there is no such file."),
        (tmp_path / "pipe", "it is not a regular file."),
        (tmp_path / "folder", "there is no picture in this folder."),
    ]:
        with pytest.raises(MediaError) as error:
            read(target)
        assert str(error.value) == f"Cannot read {target}: {text}"
    path.write_bytes(b"")
    for reader in (read, read_picture):
        with pytest.raises(MediaError) as error:
            reader(path)
        assert str(error.value) == f"Cannot read {path}: it is empty (0 bytes)."


@pytest.mark.parametrize("seed", range(6))
def test_garbage(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(np.random.default_rng(seed).bytes(5000) if seed else b"dear diary, " * 400)
    with pytest.raises(MediaError, match=r"neither a video nor a picture|no picture of its video can be decoded"):
        read(path)


def test_sound_alone(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.m4a", "a.mkv"):
        path = only_sound(tmp_path / name, click(0.1, 0.3))
        with pytest.raises(MediaError) as error:
            read(path)
        assert str(error.value) == f"Cannot read {path}: it holds sound but no video."


@pytest.mark.parametrize("name", ["a.png", "a.txt", "a", "a.gif", "a.m3u8"])
def test_the_content_counts_and_not_the_name(tmp_path: Path, name: str) -> None:
    path = film(tmp_path / "a.mp4", steps(3))
    assert len(read(path.rename(tmp_path / name))) == 3


@pytest.mark.parametrize("share", [0.5, 0.7, 0.95])
def test_of_a_file_cut_short_the_whole_pictures_are_kept(noisy: Path, share: float) -> None:
    whole = read(noisy)
    data = noisy.read_bytes()
    noisy.write_bytes(data[: int(len(data) * share)])
    part = read(noisy)
    assert 0.3 * share * len(whole) < len(part) < len(whole)
    # What is kept is what was there: nothing grey or half-decoded.
    at = {round(t, 4): i for i, t in enumerate(whole.time_s.tolist())}
    for time_s, frame in zip(part.time_s.tolist(), part.frames, strict=True):
        assert (frame == whole.frames[at[round(time_s, 4)]]).all()


def test_a_file_cut_before_its_first_picture_or_without_index(tmp_path: Path, noisy: Path) -> None:
    data = noisy.read_bytes()
    noisy.write_bytes(data[: data.index(b"mdat") + 40])
    with pytest.raises(MediaError, match="no picture of its video can be decoded"):
        read(noisy)
    late = film(tmp_path / "late.mp4", steps(6))  # Its index comes last.
    whole = late.read_bytes()
    for left in (whole[:-400], whole[: whole.index(b"moov") - 4], whole[: whole.index(b"mdat") + 300]):
        late.write_bytes(left)
        with pytest.raises(MediaError, match=r"late\.mp4: it was cut short, .*: the index at its end is missing"):
            read(late)


def test_what_is_missing_is_said(tmp_path: Path, noisy: Path) -> None:
    data = noisy.read_bytes()
    assert read(noisy).warnings == ()
    noisy.write_bytes(data[: len(data) // 2])
    part = read(noisy)
    assert any(
        re.fullmatch(
            rf"noisy.mp4: it was cut short and ends after 0.\d+ seconds, with {len(part)} of 24 pictures.", text
        )
        for text in part.warnings
    )
    assert read(noisy, duration_s=0.1).warnings == (), "what was not read is not missed"
    begin = data.index(b"mdat") + (len(data) - data.index(b"mdat")) // 2
    noisy.write_bytes(data[:begin] + bytes(3000) + data[begin + 3000 :])
    assert re.fullmatch(r"noisy.mp4: \d of its pictures (is|are) damaged and left out.", read(noisy).warnings[0])
    assert fourd.shots(read(noisy))[0].warnings == read(noisy).warnings


def test_an_animation_cut_short_says_so(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (6, 40, 40, 3), dtype=np.uint8)
    first, *others = [Image.fromarray(picture) for picture in noise]
    first.save(tmp_path / "a.gif", save_all=True, append_images=others, duration=100)
    assert read(tmp_path / "a.gif").warnings == ()
    data = (tmp_path / "a.gif").read_bytes()
    parts = []
    for end in range(len(data) // 2, len(data) - 100, 13):  # Wherever it breaks off, also within a header.
        (tmp_path / "a.gif").write_bytes(data[:end])
        parts.append(read(tmp_path / "a.gif"))
    assert {len(part) for part in parts} == {3, 4, 5}
    said = [
        part.warnings == (f"a.gif: it was cut short and ends after {len(part) / 10:.3g} seconds.",) for part in parts
    ]
    assert sum(said) > 0.95 * len(said), "but where it breaks off just after a picture"


def test_many_videos_are_no_clip(tmp_path: Path) -> None:
    film(tmp_path / "b.mp4", steps(2))
    film(tmp_path / "a.MOV", steps(2))
    for path, kind in ((tmp_path, "folder"), (tmp_path / "*.[mM]*", "pattern")):
        with pytest.raises(MediaError) as error:
            read(path)
        assert str(error.value) == (
            f"Cannot read {path}: there is no picture in this {kind}. Each of its videos is a clip of its own:"
            f" give {tmp_path / 'a.MOV'}, and so on."
        )


def test_a_scene_is_no_clip(tmp_path: Path) -> None:
    path = tmp_path / "walk.glb"
    path.write_bytes(b"glTF" + bytes(2000))
    with pytest.raises(
        MediaError, match=r"walk\.glb: it is a scene already, or another model; `fourd view` shows it\."
    ):
        read(path)


def test_addresses_are_not_followed() -> None:
    with pytest.raises(MediaError) as error:
        read("https://example.org/a.mp4")
    assert str(error.value) == (
        "Cannot read https://example.org/a.mp4: addresses are not followed. Download the video first."
    )


def test_holes_in_the_middle_do_not_stop_the_rest(noisy: Path) -> None:
    whole = read(noisy)
    data = bytearray(noisy.read_bytes())
    begin = data.index(b"mdat") + (len(data) - data.index(b"mdat")) // 2
    data[begin : begin + 3000] = bytes(3000)
    noisy.write_bytes(bytes(data))
    part = read(noisy)
    assert 0 < len(part) <= len(whole)
    assert (part.time_s.diff() > 0).all()


@pytest.mark.parametrize("seed", range(12))
def test_flipped_bytes_give_a_clip_or_one_of_our_errors(tmp_path: Path, seed: int) -> None:
    path = film(tmp_path / ("a.mp4" if seed % 2 else "a.mkv"), steps(8), sound=click(0.1, 0.3))
    draw = np.random.default_rng(seed)
    data = bytearray(path.read_bytes())
    for at in draw.integers(0, len(data), 30):
        data[at] = draw.integers(0, 256)
    path.write_bytes(bytes(data))
    try:
        clip = read(path, size=32, limits=Limits(seconds=60, frames=500))
    except (MediaError, LimitError, InputError) as error:
        assert str(path) in str(error) or path.name in str(error)
    else:
        assert len(clip) >= 1


def test_huge_pictures(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", [np.zeros((8000, 8000, 3), np.uint8)], options={"preset": "ultrafast"}, crf=40)
    clip = read(path, size=16)  # Exactly the default limit.
    assert clip.hw == (16, 16) and int(clip.frames.max()) <= 1
    with pytest.raises(LimitError) as error:
        read(path, limits=Limits(pixels=63_999_999))
    assert str(error.value) == (
        f"{path} has pictures of 8000 x 8000 pixels; the limit is 63999999 pixels (limits.pixels)."
        " Make it smaller, or raise the limit."
    )


def test_one_frame_and_black(tmp_path: Path) -> None:
    clip = read(film(tmp_path / "one.mp4", steps(1)))
    assert len(clip) == 1 and clip.time_s.tolist() == [0]
    clip = read(film(tmp_path / "black.mp4", [np.zeros((16, 16, 3), np.uint8)] * 4))
    assert len(clip) == 4 and int(clip.frames.max()) == 0


def test_nothing_is_printed_and_importing_is_cheap(tmp_path: Path, noisy: Path) -> None:
    noisy.write_bytes(noisy.read_bytes()[:-9000])
    code = (
        "import sys, fourd.media\n"
        "assert not {'av', 'cv2', 'PIL'} & set(sys.modules), 'importing loads heavy packages'\n"
        f"fourd.media.read({str(noisy)!r})\n"
        "assert 'av' in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("header", [b"mvhd", b"mdhd", b"tkhd"])
def test_headers_that_claim_no_duration_are_not_believed(tmp_path: Path, header: bytes) -> None:
    path = film(tmp_path / "a.mp4", steps(6))
    data = bytearray(path.read_bytes())
    at = data.index(header) + (24 if header == b"tkhd" else 20)  # ISO/IEC 14496-12, version 0.
    assert any(data[at : at + 4])
    data[at : at + 4] = bytes(4)
    path.write_bytes(bytes(data))
    clip = read(path)
    assert [index_of(f.numpy()) for f in clip.frames] == list(range(6))
    np.testing.assert_allclose(clip.time_s, np.arange(6) / 24, atol=1e-9)


def test_a_recording_that_was_never_closed(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", steps(12), gop=4, muxer={"movflags": "frag_keyframe+empty_moov"})
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b"moof") + 20])
    assert [index_of(f.numpy()) for f in read(path).frames] == list(range(8))
