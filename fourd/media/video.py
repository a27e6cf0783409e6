"""The pictures of a video file, upright, with square pixels, at their real times."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from fourd.errors import InputError, LimitError, MediaError
from fourd.media import orient
from fourd.media.colour import Painter
from fourd.media.container import open_container, reason
from fourd.media.stack import Stack
from fourd.media.window import Window, resample, working_hw
from fourd.types import Limits

_STUCK = 8
"""So many pictures in a row whose time does not advance: the file's clock is broken."""
_JUMP_S = 1
"""A step back in time by more than this is a new clock (two recordings in one file), less is jitter."""


class _BrokenClock(Exception):
    """The file's time stamps stand still; start again and count pictures instead."""


def read_video(path: Path, window: Window, limits: Limits) -> tuple[Stack, Fraction]:
    """Decode the wanted pictures of a video.

    Returns:
        The pictures, and the time of the first of them on the clock of the file, in seconds, by
        which the sound is to be placed.

    Raises:
        MediaError: If nothing can be decoded.
        LimitError: If there is more than ``limits`` allow.
    """
    try:
        return _read(path, window, limits, stamped=True)
    except _BrokenClock:
        return _read(path, window, limits, stamped=False)


def _read(path: Path, window: Window, limits: Limits, stamped: bool) -> tuple[Stack, Fraction]:
    with open_container(path, limits) as container:
        stream = _video_stream(path, container)
        _check_length(path, stream, window, limits)
        decoder = _Decoder(path, container, stream, limits, stamped)
        stack = Stack(path.name, limits)
        painter = Painter()
        kept = decoder.window(window)
        if window.fps is not None:
            kept = resample(kept, window.fps, float(decoder.frame_s))
        hw: tuple[int, int] | None = None
        for time_s, frame in kept:
            turn = decoder.turn(frame)
            if hw is None:
                hw = working_hw(turn.hw(decoder.display_hw(frame)), window.size)
            stack.add(time_s, turn(painter(frame, turn.hw(hw))))
        if not len(stack):
            raise MediaError(decoder.why_nothing(window))
        return stack, decoder.first_kept_s


def _video_stream(path: Path, container: Any) -> Any:
    from av.stream import Disposition

    if container.metadata.get("major_brand", "").strip() in ("heic", "heix", "mif1", "msf1", "hevc"):
        raise MediaError(f"Cannot read {path}: it is a HEIC picture. Convert it to JPEG or PNG first.")
    videos = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not videos:
        if container.streams.audio:
            raise MediaError(f"Cannot read {path}: it holds sound but no video.")
        raise MediaError(f"Cannot read {path}: it holds no video.")
    best = container.streams.best("video")
    stream = best if best in videos else videos[0]
    if stream.codec_context is None:
        raise MediaError(f"Cannot read {path}: this build of FFmpeg has no decoder for its video.")
    return stream


def _check_length(path: Path, stream: Any, window: Window, limits: Limits) -> None:
    """Refuse at once what an index says is too long, rather than after decoding half of it."""
    if window.duration_s is None and window.fps is None and window.start_s == 0 and stream.frames > limits.frames:
        raise LimitError(
            f"{path} has {stream.frames} frames; the limit is {limits.frames}."
            " Read less of it (duration_s, fps), or raise limits.frames."
        )


class _Decoder:
    """Decodes one stream, frame by frame, and keeps its clock straight."""

    def __init__(self, path: Path, container: Any, stream: Any, limits: Limits, stamped: bool) -> None:
        self.path, self.container, self.stream, self.limits, self.stamped = path, container, stream, limits, stamped
        self.frame_s = _nominal_s(stream)
        self.first_kept_s = Fraction(0)
        self.end_s = 0.0
        self.seen = self.damaged = 0
        self.trouble = ""
        stream.thread_type = "AUTO"
        stream.codec_context.options = {"max_pixels": str(limits.pixels)}
        self._check_pixels(stream.codec_context.height, stream.codec_context.width)

    def window(self, window: Window) -> Iterator[tuple[float, Any]]:
        """Yield (time since the first kept frame, frame) for the frames inside ``window``."""
        first: Fraction | None = None
        kept: Fraction | None = None
        for time_s, frame in self._timed():
            if first is None:
                first = time_s
            since_first = float(time_s - first)
            self.end_s = since_first + float(self.frame_s)
            if window.is_before(since_first):
                continue
            if window.is_after(since_first):
                break
            if kept is None:
                kept = self.first_kept_s = time_s
            since = float(time_s - kept)
            if since > self.limits.seconds:
                raise LimitError(
                    f"{self.path} is longer than {self.limits.seconds:g} seconds, which is the limit."
                    " Read less of it (duration_s), or raise limits.seconds."
                )
            yield since, frame

    def _timed(self) -> Iterator[tuple[Fraction, Any]]:
        """Yield (time on the clock of the file, frame), times strictly increasing."""
        last: Fraction | None = None
        offset, stuck = Fraction(0), 0
        for frame in self._decoded():
            if not self.stamped:
                time_s = self.frame_s * self.seen if last is None else last + self.frame_s
            elif frame.pts is None or frame.time_base is None:
                time_s = Fraction(0) if last is None else last + self.frame_s
            else:
                time_s = frame.pts * Fraction(frame.time_base) + offset
                if last is not None and time_s < last - _JUMP_S:
                    offset += last + self.frame_s - time_s
                    time_s = last + self.frame_s
            if last is not None and time_s <= last:
                stuck += 1
                if stuck >= _STUCK:
                    raise _BrokenClock
                continue
            last, stuck = time_s, 0
            yield time_s, frame

    def _decoded(self) -> Iterator[Any]:
        """Yield every whole frame in the order of showing; what is damaged is left out."""
        import av

        packets = self.container.demux(self.stream)
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError as error:  # The file ends here, whatever its header promised.
                self.trouble = reason(error)
                packet = None
            try:
                frames = self.stream.decode(packet)
            except av.FFmpegError as error:
                self.trouble = reason(error)
                frames = []
            for frame in frames:
                self._check_pixels(frame.height, frame.width)
                if frame.is_corrupt:
                    self.damaged += 1
                    continue
                self.seen += 1
                yield frame
            if packet is None:
                return

    def _check_pixels(self, h: int, w: int) -> None:
        if h * w > self.limits.pixels:
            raise LimitError(
                f"{self.path} has pictures of {w} x {h} pixels; the limit is {self.limits.pixels} pixels"
                " (limits.pixels). Make it smaller, or raise the limit."
            )

    def turn(self, frame: Any) -> orient.Turn:
        """How the frame is to be laid down."""
        matrix = frame.side_data.get("DISPLAYMATRIX")
        return orient.Turn() if matrix is None else orient.from_matrix(bytes(matrix))

    def display_hw(self, frame: Any) -> tuple[int, int]:
        """The size of the stored frame with square pixels: the rows stay, as in players."""
        aspect = self.stream.sample_aspect_ratio or 1
        w = max(1, round(frame.width * aspect))
        self._check_pixels(frame.height, w)
        return frame.height, w

    def why_nothing(self, window: Window) -> str:
        """The message for a file of which no picture was kept."""
        if self.seen:
            raise InputError(
                f"{self.path} lasts {self.end_s:.3g} seconds; start_s={window.start_s:g} lies beyond its end."
            )
        if self.damaged:
            return f"Cannot read {self.path}: all of its {self.damaged} pictures are damaged."
        return f"Cannot read {self.path}: no picture of its video can be decoded ({self.trouble or 'it has none'})."


def _nominal_s(stream: Any) -> Fraction:
    """How long a frame stays where time stamps do not say."""
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate:
            return 1 / Fraction(rate)
    return Fraction(1, 25)
