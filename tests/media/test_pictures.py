"""Pictures, animations and folders: upright, on white, in order, and within the limits."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from fourd.errors import InputError, LimitError, MediaError, OutputError
from fourd.media import read, read_picture, write_picture
from fourd.types import Limits
from tests.media.films import corner, index_of, steps


def noise(hw: tuple[int, int] = (12, 17)) -> torch.Tensor:
    return torch.randint(0, 256, (*hw, 3), dtype=torch.uint8)


@pytest.mark.parametrize("suffix", [".png", ".webp", ".PNG"])
def test_lossless_formats_go_round(tmp_path: Path, suffix: str) -> None:
    picture = noise()
    write_picture(tmp_path / f"a{suffix}", picture)
    assert torch.equal(read_picture(tmp_path / f"a{suffix}"), picture)


def test_jpeg_comes_close(tmp_path: Path) -> None:
    picture = torch.from_numpy(corner())
    write_picture(tmp_path / "a.jpg", picture)
    assert (read_picture(tmp_path / "a.jpg").int() - picture.int()).abs().float().mean() < 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_obeyed(tmp_path: Path, orientation: int) -> None:
    upright = np.arange(6 * 9 * 3, dtype=np.uint8).reshape(6, 9, 3)
    # How the camera lays it down (EXIF 2.32, tag 0x0112), by numpy's words.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png"), upright)


def test_modes_become_rgb(tmp_path: Path) -> None:
    deep = np.array([[0, 257, 65535]], np.uint16)
    cases = {
        "grey.png": (Image.fromarray(np.array([[7, 250]], np.uint8)), [[[7] * 3, [250] * 3]]),
        "deep.png": (Image.fromarray(deep), [[[0] * 3, [1] * 3, [255] * 3]]),
        "bit.png": (Image.fromarray(np.array([[True, False]])), [[[255] * 3, [0] * 3]]),
        "alpha.png": (
            Image.fromarray(np.array([[[9, 8, 7, 255], [0, 0, 0, 0]]], np.uint8)),
            [[[9, 8, 7], [255] * 3]],
        ),
        "palette.gif": (Image.fromarray(np.full((2, 2, 3), 51, np.uint8)), [[[51] * 3] * 2] * 2),
    }
    for name, (image, expected) in cases.items():
        image.save(tmp_path / name)
        np.testing.assert_array_equal(read_picture(tmp_path / name), expected, err_msg=name)


def test_an_embedded_profile_is_obeyed_and_a_broken_one_ignored(tmp_path: Path) -> None:
    image = Image.new("RGB", (4, 4), (120, 130, 140))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image.save(tmp_path / "srgb.png", icc_profile=srgb)
    np.testing.assert_allclose(read_picture(tmp_path / "srgb.png")[0, 0], [120, 130, 140], atol=1)
    # The same numbers with red and blue primaries exchanged: those channels change places.
    r, b = srgb.index(b"rXYZ"), srgb.index(b"bXYZ")
    swapped = bytearray(srgb)
    swapped[r : r + 4], swapped[b : b + 4] = b"bXYZ", b"rXYZ"
    image.save(tmp_path / "swapped.png", icc_profile=bytes(swapped))
    np.testing.assert_allclose(read_picture(tmp_path / "swapped.png")[0, 0], [140, 130, 120], atol=1)
    image.save(tmp_path / "broken.png", icc_profile=b"not a profile")
    np.testing.assert_array_equal(read_picture(tmp_path / "broken.png")[0, 0], [120, 130, 140])


def test_one_picture_is_a_clip_of_one_frame(tmp_path: Path) -> None:
    write_picture(tmp_path / "photo.png", torch.from_numpy(corner()))
    for fps in (None, 30.0):
        clip = read(tmp_path / "photo.png", fps=fps, duration_s=5.0)
        assert clip.name == "photo" and clip.time_s.tolist() == [0] and clip.sound is None
        assert torch.equal(clip.frames[0], torch.from_numpy(corner()))
    assert read(tmp_path / "photo.png", size=32).hw == (24, 32)
    with pytest.raises(InputError, match="start_s=3 lies beyond its end"):
        read(tmp_path / "photo.png", start_s=3.0)


ANIMATED = {"a.gif": {}, "a.png": {}, "a.webp": {"lossless": True}}


@pytest.mark.parametrize("name", ANIMATED)
def test_animations_keep_their_durations(tmp_path: Path, name: str) -> None:
    images = [Image.fromarray(frame) for frame in steps(4)]
    lengths = [100, 250, 40, 500]
    images[0].save(tmp_path / name, save_all=True, append_images=images[1:], duration=lengths, **ANIMATED[name])
    clip = read(tmp_path / name)
    assert [index_of(f.numpy()) for f in clip.frames] == [0, 1, 2, 3]
    np.testing.assert_allclose(clip.time_s, [0, 0.1, 0.35, 0.39], atol=1e-9)
    part = read(tmp_path / name, start_s=0.35)
    np.testing.assert_allclose(part.time_s, [0, 0.04], atol=1e-9)
    ticks = read(tmp_path / name, fps=10)
    assert [index_of(f.numpy()) for f in ticks.frames] == [0, 1, 1, 2, 3, 3, 3, 3, 3]
    with pytest.raises(LimitError, match="more than 3 frames"):
        read(tmp_path / name, limits=Limits(frames=3))


def test_transparent_animations_lie_on_white_and_hurried_ones_take_their_time(tmp_path: Path) -> None:
    first = np.zeros((4, 4, 4), np.uint8)
    second = first.copy()
    second[:2] = (200, 0, 0, 255)
    images = [Image.fromarray(x) for x in (first, second)]
    images[0].save(tmp_path / "a.gif", save_all=True, append_images=images[1:], duration=0, disposal=2)
    clip = read(tmp_path / "a.gif")
    assert clip.time_s.tolist() == [0, 0.1]
    assert (clip.frames[0] == 255).all() and (clip.frames[1, 2:] == 255).all()
    assert clip.frames[1, 0, 0].tolist() == [200, 0, 0]


def test_a_folder_is_read_in_natural_order(tmp_path: Path) -> None:
    folder = tmp_path / "walk"
    folder.mkdir()
    for i, frame in enumerate(steps(12)):
        Image.fromarray(frame).save(folder / f"Shot{i}.{'png' if i % 2 else 'PNG'}")
    (folder / "notes.txt").write_text("not a picture")
    (folder / ".hidden.png").write_bytes(b"not a picture")
    for path in (folder, folder / "Shot*", f"{folder}/*.[pP][nN][gG]"):
        clip = read(path)
        assert [index_of(f.numpy()) for f in clip.frames] == list(range(12))
        np.testing.assert_allclose(clip.time_s, np.arange(12) / 24)
    assert read(folder).name == "walk"
    clip = read(folder, fps=10, start_s=0.5, duration_s=0.3, size=8)
    assert [index_of(f.numpy()) for f in clip.frames] == [5, 6, 7]
    assert clip.hw == (6, 8) and clip.time_s.tolist() == pytest.approx([0, 0.1, 0.2])


def test_folders_that_make_no_clip(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "*.png"):
        with pytest.raises(MediaError, match=r"Cannot read .*: there is no picture in this (folder|pattern)\."):
            read(path)
    write_picture(tmp_path / "a.png", noise((8, 8)))
    write_picture(tmp_path / "b.png", noise((8, 9)))
    with pytest.raises(MediaError) as error:
        read(tmp_path)
    assert str(error.value) == (
        f"Cannot read {tmp_path} as one clip: a.png has 8 x 8 pixels and b.png 9 x 8. All pictures must be of one size."
    )
    (tmp_path / "b.png").write_bytes(b"")
    with pytest.raises(MediaError, match=r"b\.png: it is empty"):
        read(tmp_path)
    with pytest.raises(InputError, match="start_s=9 lies beyond its end"):
        read(tmp_path, start_s=9.0)


def bomb(w: int, h: int) -> bytes:
    """A few bytes that claim to be an enormous PNG."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [8001, 12000, 60000])
def test_decompression_bombs_are_refused_by_their_header(tmp_path: Path, side: int) -> None:
    (tmp_path / "a.png").write_bytes(bomb(side, side))
    for reader in (read, read_picture):
        with pytest.raises(LimitError, match=r"a\.png"):
            reader(tmp_path / "a.png")


def test_broken_pictures(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", noise((64, 64)))
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(data[: len(data) // 2])
    for reader in (read, read_picture):
        with pytest.raises(MediaError, match=r"a\.png: the picture is broken or cut short"):
            reader(tmp_path / "a.png")
    (tmp_path / "b.jpg").write_text("hello")
    with pytest.raises(MediaError, match=r"b\.jpg: it is not a picture of a known format\."):
        read_picture(tmp_path / "b.jpg")


@pytest.mark.parametrize("seed", range(10))
def test_flipped_bytes_give_a_picture_or_one_of_our_errors(tmp_path: Path, seed: int) -> None:
    draw = np.random.default_rng(seed)
    kind = ("png", "jpeg", "gif", "webp", "tiff")[seed % 5]
    buffer = io.BytesIO()
    Image.fromarray(draw.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(buffer, kind)
    data = bytearray(buffer.getvalue())
    for at in draw.integers(0, len(data), 8):
        data[at] = draw.integers(0, 256)
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(data))
    try:
        assert read(path).frames.ndim == 4
    except (MediaError, LimitError) as error:
        assert "a.bin" in str(error)


def test_writing_refuses_what_it_cannot(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.tga: the name must end in \.png, \.jpg, \.jpeg or \.webp\."):
        write_picture(tmp_path / "a.tga", noise())
    with pytest.raises(OutputError, match="the folder does not exist"):
        write_picture(tmp_path / "nowhere" / "a.png", noise())
    with pytest.raises(InputError, match=r"the picture has shape \(0, 4, 3\)"):
        write_picture(tmp_path / "a.png", noise((0, 4)))
    assert list(tmp_path.iterdir()) == []
