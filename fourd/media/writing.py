"""Writing H.264 video that plays everywhere, with its sound at the right time."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fourd.checked import checked
from fourd.errors import InputError, OutputError
from fourd.files import replacing
from fourd.types import Sound

_VFR_BASE = Fraction(1, 90000)
_AHEAD_S = 0.5
"""Sound is muxed this far ahead of the pictures, so that players find both close together."""
_AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)


class _SourceError(Exception):
    """Carries an error of the caller's own frames past the translation of file errors."""


@checked
def write_video(
    path: str | Path,
    frames: Iterable[Tensor],
    *,
    time_s: Sequence[float] | Tensor | np.ndarray | None = None,
    fps: float | None = None,
    sound: Sound | None = None,
    crf: int = 16,
) -> None:
    """Write an MP4: H.264, 8 bit 4:2:0, BT.709, index in front, AAC sound.

    Frames are taken one at a time and none is kept. Pictures with an odd height or width, which
    4:2:0 cannot hold, gain one row or column that repeats the last. Sound from before the first
    frame or after the last is cut; a late start is filled with silence.

    Args:
        path: The file, ``*.mp4``. Its folder must exist.
        frames: sRGB pictures [h, w, 3] of dtype uint8, all of one size.
        time_s: When each is shown, strictly increasing seconds; the first is the start of the file
            and the last stays as long as frames do in the median. As many as frames.
        fps: Or a steady frame rate. One of the two must be given.
        sound: On the clock of ``time_s``, or from the first frame on if ``fps`` is given.
        crf: H.264 quality: 0 lossless, 16 hardly distinguishable, 23 usual, 51 worst.

    Raises:
        InputError: If there is no frame, frames differ in size, or times do not fit.
        OutputError: If the file system refuses.

    Whatever is raised, also by ``frames`` itself, an existing file stays as it was and nothing
    else is left behind.
    """
    path = Path(path)
    if path.suffix.lower() not in (".mp4", ".m4v"):
        raise InputError(f"Cannot write a video to {path}: the name must end in .mp4.")
    times = _Times(path, time_s, fps)
    if not 0 <= crf <= 51:
        raise InputError(f"crf is {crf}; it must lie between 0 (lossless) and 51 (worst).")
    try:
        with replacing(path) as fresh:
            _encode(path, fresh, _guarded(frames), times, sound, crf)
    except _SourceError as error:
        cause = error.__cause__
        raise cause if cause is not None else error from None


def _guarded(frames: Iterable[Tensor]) -> Iterator[Tensor]:
    """Pass frames on; wrap what their maker raises, or an OSError there would pass for one of ours."""
    iterator = iter(frames)
    while True:
        try:
            frame = next(iterator)
        except StopIteration:
            return
        except Exception as error:
            raise _SourceError from error
        yield frame


class _Times:
    """The clock of the file: ticks of frame ``i`` in units of ``base`` seconds."""

    def __init__(self, path: Path, time_s: Sequence[float] | Tensor | np.ndarray | None, fps: float | None) -> None:
        if (time_s is None) == (fps is None):
            raise InputError(f"Cannot write {path}: give either fps or time_s.")
        self._path = path
        self._ticks: list[int] | None = None
        self.first_s = 0.0
        if fps is not None:
            if not 0.01 <= fps <= 1000:
                raise InputError(f"fps is {fps}; it must lie between 0.01 and 1000.")
            self.rate = Fraction(fps).limit_denominator(1001)
            self.base = 1 / self.rate
            return
        stamps = torch.as_tensor(time_s, dtype=torch.float64).flatten().cpu()
        if not len(stamps) or not bool(torch.isfinite(stamps).all()):
            raise InputError(f"Cannot write {path}: time_s must hold at least one time and only finite ones.")
        self.first_s = float(stamps[0])
        ticks = [round((s - self.first_s) / _VFR_BASE) for s in stamps.tolist()]
        if any(b <= a for a, b in itertools.pairwise(ticks)):
            raise InputError(f"Cannot write {path}: time_s must increase from frame to frame, by at least 1/90000 s.")
        steps = sorted(b - a for a, b in itertools.pairwise(ticks))
        last = steps[len(steps) // 2] if steps else round(1 / 24 / _VFR_BASE)
        self._ticks = [*ticks, ticks[-1] + last]
        self.base = _VFR_BASE
        self.rate = Fraction(round(1 / (last * _VFR_BASE)) or 1)

    def tick(self, i: int) -> int:
        """When frame ``i`` is shown."""
        if self._ticks is None:
            return i
        if i >= len(self._ticks) - 1:
            raise InputError(f"Cannot write {self._path}: there are more frames than the {i} times in time_s.")
        return self._ticks[i]

    def length(self, i: int) -> int:
        """For how long."""
        return 1 if self._ticks is None else self._ticks[i + 1] - self._ticks[i]

    def check_count(self, count: int) -> None:
        """Refuse too few frames, at the end."""
        if count == 0:
            raise InputError(f"Cannot write {self._path}: there is no frame.")
        if self._ticks is not None and count != len(self._ticks) - 1:
            raise InputError(
                f"Cannot write {self._path}: there are {count} frames and {len(self._ticks) - 1} times in time_s."
            )


def _encode(path: Path, fresh: Path, frames: Iterator[Tensor], times: _Times, sound: Sound | None, crf: int) -> None:
    import av
    from av.error import FFmpegError
    from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

    first = next(frames, None)
    if first is None:
        times.check_count(0)
        return
    h, w = _hw(path, first)
    even_hw = h + h % 2, w + w % 2
    try:
        with av.open(str(fresh), "w", format="mp4", options={"movflags": "+faststart"}) as container:
            stream = container.add_stream("libx264", rate=times.rate, options={"crf": str(crf), "preset": "fast"})
            stream.height, stream.width = even_hw
            stream.pix_fmt = "yuv420p"
            context = stream.codec_context
            context.time_base = times.base
            # BT.709 matrix, primaries and curve, limited range (ITU-T H.273).
            context.colorspace = context.color_primaries = context.color_trc = context.color_range = 1
            voice = _Voice(container, sound, times.first_s) if sound is not None else None
            reformatter = VideoReformatter()
            lengths: dict[int, int] = {}

            def mux(packets: list[Any]) -> None:
                for packet in packets:
                    packet.duration = lengths.pop(packet.pts, packet.duration)
                    container.mux(packet)

            count = 0
            frame: Tensor | None = first
            while frame is not None:
                if _hw(path, frame) != (h, w):
                    raise InputError(
                        f"Cannot write {path}: frame {count} has {frame.shape[1]} x {frame.shape[0]} pixels"
                        f" and the first {w} x {h}. All must be of one size."
                    )
                tick, length = times.tick(count), times.length(count)
                lengths[tick] = length
                picture = reformatter.reformat(
                    av.VideoFrame.from_ndarray(_padded(frame, even_hw), format="rgb24"),
                    format="yuv420p",
                    src_color_range=ColorRange.JPEG,
                    dst_color_range=ColorRange.MPEG,
                    dst_colorspace=Colorspace.ITU709,
                    interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP,
                )
                picture.pts, picture.time_base = tick, times.base
                if voice is not None:
                    voice.until(min(float(tick * times.base) + _AHEAD_S, float((tick + length) * times.base)))
                mux(stream.encode(picture))
                count += 1
                frame = next(frames, None)
            times.check_count(count)
            mux(stream.encode(None))
            if voice is not None:
                voice.finish()
    except FFmpegError as error:
        if isinstance(error, OSError):
            raise
        raise OutputError(f"Cannot write {path}: the encoder failed ({error.strerror}).") from error


def _hw(path: Path, frame: Any) -> tuple[int, int]:
    if not isinstance(frame, Tensor) or frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != torch.uint8:
        what = f"{tuple(frame.shape)} {frame.dtype}" if isinstance(frame, Tensor) else type(frame).__name__
        raise InputError(f"Cannot write {path}: a frame is {what}; it must be a uint8 tensor [h, w, 3].")
    if not frame.numel():
        raise InputError(f"Cannot write {path}: a frame has shape {tuple(frame.shape)}.")
    return int(frame.shape[0]), int(frame.shape[1])


def _padded(frame: Tensor, hw: tuple[int, int]) -> np.ndarray:
    array = frame.detach().cpu().contiguous().numpy()
    if array.shape[:2] == hw:
        return array
    return np.pad(array, ((0, hw[0] - array.shape[0]), (0, hw[1] - array.shape[1]), (0, 0)), mode="edge")


class _Voice:
    """Encodes sound bit by bit, keeping step with the pictures."""

    def __init__(self, container: Any, sound: Sound, first_s: float) -> None:
        import av

        rate = sound.rate_hz
        samples = sound.samples.cpu().numpy()
        late = round((sound.start_s - first_s) * rate)
        # Silence in the file plays right everywhere; an edit list that delays the track does not.
        samples = samples[-late:] if late < 0 else samples
        self._silence = max(late, 0)
        layouts = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}
        if samples.shape[1] not in layouts:
            samples = samples.mean(axis=1, keepdims=True)
        self._samples, self._rate, self._layout = samples, rate, layouts[samples.shape[1]]
        self._container = container
        aac_rate = rate if rate in _AAC_RATES else 48000
        self._stream = container.add_stream("aac", rate=aac_rate, options={"b": "192k"})
        self._stream.layout = "mono" if self._layout == "mono" else "stereo"
        self._resampler = av.AudioResampler(
            format="fltp", layout=self._stream.layout, rate=aac_rate, frame_size=self._stream.frame_size or 1024
        )
        self._done = 0

    def until(self, end_s: float) -> None:
        """Encode up to ``end_s`` on the clock of the file."""
        import av

        end = min(round(end_s * self._rate), self._silence + len(self._samples))
        step = 1 << 16
        while self._done < end:
            stop = min(self._done + step, end)
            quiet = max(0, min(stop, self._silence) - self._done)
            part = self._samples[max(self._done - self._silence, 0) : max(stop - self._silence, 0)]
            piece = np.concatenate([np.zeros((quiet, self._samples.shape[1]), np.float32), part])
            frame = av.AudioFrame.from_ndarray(piece.reshape(1, -1), format="flt", layout=self._layout)
            frame.sample_rate, frame.pts, frame.time_base = self._rate, self._done, Fraction(1, self._rate)
            self._encode(self._resampler.resample(frame))
            self._done = stop

    def _encode(self, frames: list[Any]) -> None:
        for frame in frames:
            self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        """Encode what is still on its way."""
        if self._done:
            self._encode(self._resampler.resample(None))
        self._container.mux(self._stream.encode(None))
