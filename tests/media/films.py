"""Small films made at test time, with every oddity that real files have."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

GREY_STEP = 8


def steps(count: int, hw: tuple[int, int] = (48, 64)) -> list[np.ndarray]:
    """Flat grey frames, each ``GREY_STEP`` brighter than the one before, so that a value tells the index."""
    return [np.full((*hw, 3), 20 + GREY_STEP * i, np.uint8) for i in range(count)]


def index_of(frame: np.ndarray) -> int:
    """Which of the ``steps`` a decoded frame is."""
    return round((float(np.asarray(frame).mean()) - 20) / GREY_STEP)


def corner(hw: tuple[int, int] = (48, 64)) -> np.ndarray:
    """A dark picture whose upper left quarter is red and whose upper right quarter is green."""
    picture = np.full((*hw, 3), 16, np.uint8)
    picture[: hw[0] // 2, : hw[1] // 2] = (220, 20, 20)
    picture[: hw[0] // 2, hw[1] // 2 :] = (20, 200, 20)
    return picture


def click(at_s: float, length_s: float, rate: int = 48000, channels: int = 1) -> np.ndarray:
    """Silence with one short loud burst; samples [n, c]."""
    samples = np.zeros((round(length_s * rate), channels), np.float32)
    begin = round(at_s * rate)
    samples[begin : begin + rate // 500] = 0.9
    return samples


def heard_s(samples: np.ndarray, rate: int) -> float:
    """When the burst of ``click`` begins."""
    loud = np.abs(np.asarray(samples)).max(axis=1) > 0.3
    return float(np.argmax(loud)) / rate if loud.any() else float("nan")


def film(
    path: Path,
    frames: Sequence[np.ndarray],
    *,
    pts: Sequence[int] | None = None,
    time_base: Fraction = Fraction(1, 24),
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    crf: int = 4,
    gop: int = 250,
    options: dict[str, str] | None = None,
    rotation: tuple[float, bool, bool] | None = None,
    aspect: Fraction | None = None,
    tags: tuple[int, int, int, int] | None = None,
    sound: np.ndarray | None = None,
    sound_codec: str = "aac",
    sound_pts: int = 0,
    rate: int = 48000,
    muxer: dict[str, str] | None = None,
    form: str | None = None,
) -> Path:
    """Encode frames and sound, just as told.

    Frames are RGB [h, w, 3], or planes of 4:2:0 codes [h * 3 / 2, w], which are taken as they are.

    ``tags`` are matrix, primaries, transfer and range, by ITU-T H.273.
    """
    with av.open(str(path), "w", format=form, options=muxer or {}) as container:
        stream = container.add_stream(codec, rate=round(1 / time_base), options=options or {})
        if codec == "libx264":
            stream.codec_context.options = {"crf": str(crf), **(options or {})}
        h, w = frames[0].shape[:2]
        stream.height, stream.width = (h if frames[0].ndim == 3 else h * 2 // 3), w
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = time_base
        stream.codec_context.gop_size = gop
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if tags is not None:
            context = stream.codec_context
            context.colorspace, context.color_primaries, context.color_trc, context.color_range = tags
        if rotation is not None:
            stream.set_display_rotation(rotation[0], hflip=rotation[1], vflip=rotation[2])
        voice = None
        if sound is not None:
            voice = container.add_stream(sound_codec, rate=rate)
            voice.layout = "mono" if sound.shape[1] == 1 else "stereo"
        for i, array in enumerate(frames):
            if array.ndim == 2:
                frame = av.VideoFrame.from_ndarray(array, format=pix_fmt)
            else:
                matrix = {} if tags is None else {"dst_colorspace": 1 if tags[0] == 1 else 5}
                frame = av.VideoFrame.from_ndarray(array, format="rgb24").reformat(format=pix_fmt, **matrix)
            frame.pts, frame.time_base = (i if pts is None else pts[i]), time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if voice is not None and sound is not None:
            for begin in range(0, len(sound), 1024):
                part = np.ascontiguousarray(sound[begin : begin + 1024].T)
                if voice.format.name == "s16":
                    part = (part.T.reshape(1, -1) * 32767).astype(np.int16)
                heard = av.AudioFrame.from_ndarray(part, format=voice.format.name, layout=voice.layout.name)
                heard.sample_rate, heard.pts, heard.time_base = rate, sound_pts + begin, Fraction(1, rate)
                container.mux(voice.encode(heard))
            container.mux(voice.encode(None))
    return path


def only_sound(path: Path, samples: np.ndarray, codec: str = "aac", rate: int = 48000) -> Path:
    """A file without video."""
    with av.open(str(path), "w") as container:
        voice = container.add_stream(codec, rate=rate)
        voice.layout = "mono"
        for begin in range(0, len(samples), 1024):
            part = np.ascontiguousarray(samples[begin : begin + 1024].T)
            heard = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
            heard.sample_rate, heard.pts, heard.time_base = rate, begin, Fraction(1, rate)
            container.mux(voice.encode(heard))
        container.mux(voice.encode(None))
    return path


def patch_matrix(path: Path, matrix: Sequence[float]) -> None:
    """Write a display matrix (a, b, c, d) into the track header of an MP4."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (round(x * 65536) for x in matrix)
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(bytes(data))
