"""The pictures of a video file, upright, with square pixels, at their real times."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from fourd.errors import InputError, LimitError, MediaError
from fourd.media import orient
from fourd.media.colour import Painter
from fourd.media.container import open_container, reason, seek
from fourd.media.interlace import woven
from fourd.media.stack import Stack
from fourd.media.window import Window, working_hw
from fourd.types import Limits

_STUCK = 8
"""Where so many more pictures were dropped than kept, the file's clock is broken."""
_JUMP_S = 0.3
"""A step back in time by more than this is a new clock (two recordings in one file), less is jitter."""
_MISSING = 2
"""So many pictures fewer than an index lists are no sign of a cut: it may count differently."""
_SEEK_S = 2.0
"""A later start than this is sought; up to it, decoding from the first picture on is as quick."""


@dataclass(frozen=True)
class _How:
    """How to go through a file; the defaults suit all but broken ones."""

    stamped: bool = True
    """Believe the time stamps; otherwise count pictures at the nominal rate."""
    seek: bool = True
    """Jump to a late start; otherwise decode everything before it."""


class _AgainError(Exception):
    """The file turned out to be broken; go through it once more, another way."""

    def __init__(self, how: _How) -> None:
        super().__init__(how)
        self.how = how


def read_video(path: Path, window: Window, limits: Limits) -> tuple[Stack, Fraction, list[str]]:
    """Decode the wanted pictures of a video.

    Pictures that are damaged are left out, and what follows the point where a file was cut short
    is missing, which is said; only a file without one whole picture is refused. A picture whose time is not after
    that of the one before is dropped; where that befalls most of them, times are counted at the nominal frame
    rate instead. A clock that starts anew within the file goes on from where it was.

    Returns:
        The pictures; the time of the first of them on the clock of the file, in seconds, by which the sound is to
        be placed; and what is damaged or missing.

    Raises:
        InputError: If the window begins beyond the end.
        MediaError: If nothing can be decoded.
        LimitError: If there is more than ``limits`` allow.
    """
    how = _How()
    while True:
        try:
            return _read(path, window, limits, how)
        except _AgainError as again:  # At most twice: each time it gives up one of two things.
            how = again.how


def _read(path: Path, window: Window, limits: Limits, how: _How) -> tuple[Stack, Fraction, list[str]]:
    with open_container(path, limits) as container:
        stream = _video_stream(path, container)
        _check_length(path, stream, window, limits)
        decoder = _Decoder(path, container, stream, limits, how)
        stack = Stack(path.name, limits)
        painter = Painter()
        hw: tuple[int, int] | None = None
        for time_s, frame in window.paced(decoder.kept(window), lambda: float(decoder.frame_s)):
            turn = decoder.turn(frame)
            if hw is None:
                hw = working_hw(turn.hw(decoder.display_hw(frame)), window.size)
            stack.add(time_s, turn(painter(frame, turn.hw(hw))))
        if not len(stack):
            raise decoder.nothing(window)
        return stack, decoder.first_kept_s, decoder.doubts()


def _video_stream(path: Path, container: Any) -> Any:
    from av.stream import Disposition

    if container.metadata.get("major_brand", "").strip() in ("heic", "heix", "mif1", "msf1", "hevc"):
        raise MediaError(f"Cannot read {path}: it is a HEIC picture. Convert it to JPEG or PNG first.")
    videos = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not videos:
        what = "it holds sound but no video" if container.streams.audio else "it holds no video, or was cut short"
        raise MediaError(f"Cannot read {path}: {what}.")
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

    def __init__(self, path: Path, container: Any, stream: Any, limits: Limits, how: _How) -> None:
        self.path, self.container, self.stream, self.limits, self.how = path, container, stream, limits, how
        self.frame_s = _nominal_s(stream)
        self.first_kept_s = Fraction(0)
        self.end_s = 0.0
        self.seen = self.damaged = self.undecoded = self.packets = 0
        self.ended = self.sought = False
        self.trouble = ""
        stream.thread_type = "AUTO"
        stream.codec_context.options = {"max_pixels": str(limits.pixels)}
        self._check_pixels(stream.codec_context.height, stream.codec_context.width)

    def kept(self, window: Window) -> Iterator[tuple[float, Any]]:
        """Yield (time since the first kept frame, frame) for the frames inside ``window``."""
        kept: Fraction | None = None
        for _, (time_s, frame) in window.picked(self._from(window.start_s), lambda: self.end_s):
            if kept is None:
                kept = self.first_kept_s = time_s
            since = float(time_s - kept)
            if since > self.limits.seconds:
                raise LimitError(
                    f"{self.path} is longer than {self.limits.seconds:g} seconds, which is the limit."
                    " Read less of it (duration_s), or raise limits.seconds."
                )
            yield since, frame

    def _from(self, start_s: float) -> Iterator[tuple[float, tuple[Fraction, Any]]]:
        """Yield (time since the file's first frame, (time, frame)) from at or before ``start_s`` on."""
        frames = self._timed()
        begin = next(frames, None)
        if begin is None:
            return
        first = begin[0]
        target = first + Fraction(start_s) - self.frame_s / 2
        if start_s > _SEEK_S and self._may_seek():
            frames.close()
            self.sought = True
            seek(self.container, self.stream, target)
            frames = self._timed()
            begin = next(frames, None)
            if begin is None or begin[0] > target:  # It landed too late, or nowhere.
                raise _AgainError(_How(self.how.stamped, seek=False))
        for time_s, frame in itertools.chain([begin], frames):
            self.end_s = float(time_s - first + self.frame_s)
            yield float(time_s - first), (time_s, frame)

    def _may_seek(self) -> bool:
        from av.format import Flags

        return self.how.seek and self.how.stamped and not self.container.format.flags & Flags.no_timestamps.value

    def _timed(self) -> Generator[tuple[Fraction, Any]]:
        """Yield (time on the clock of the file, frame), times strictly increasing."""
        last: Fraction | None = None
        offset, kept, dropped = Fraction(0), 0, 0
        for frame in woven(self._decoded()):
            follows = None if last is None else last + self.frame_s
            stamp = None if frame.pts is None or not frame.time_base else frame.pts * Fraction(frame.time_base) + offset
            if last is None or follows is None:
                time_s = stamp or Fraction(0)
            elif stamp is None or not self.how.stamped:
                time_s = follows
            elif stamp < last - _JUMP_S:
                offset += follows - stamp
                time_s = follows
            else:
                time_s = stamp
            if last is not None and time_s <= last:
                dropped += 1
                if dropped >= kept + _STUCK:
                    break
                continue
            last, kept = time_s, kept + 1
            yield time_s, frame
        if dropped > kept:
            raise _AgainError(_How(stamped=False, seek=False))

    def _decoded(self) -> Iterator[Any]:
        """Yield every whole frame in the order of showing; what is damaged is left out."""
        from av.error import FFmpegError

        packets = self.container.demux(self.stream)
        while True:
            try:
                packet = next(packets, None)
            except FFmpegError as error:  # The file ends here, whatever its header promised.
                self.trouble = reason(error)
                packet = None
            self.packets += packet is not None and packet.size > 0
            try:
                frames = self.stream.decode(packet)
            except EOFError:  # All has been said.
                frames = []
            except FFmpegError as error:
                self.trouble = reason(error)
                self.undecoded += 1
                frames = []
            for frame in frames:
                self._check_pixels(frame.height, frame.width)
                if frame.is_corrupt:
                    self.damaged += 1
                    continue
                self.seen += 1
                yield frame
            if packet is None:
                self.ended = True
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

    def doubts(self) -> list[str]:
        """What is damaged or missing, as far as the file was read."""
        said = []
        if lost := self.damaged + self.undecoded:
            said.append(
                f"{self.path.name}: {lost} of its pictures {'is' if lost == 1 else 'are'} damaged and left out."
            )
        # Those that were jumped over at a late start were not counted.
        if self.ended and not self.sought and self.packets < self.stream.frames - _MISSING:
            said.append(
                f"{self.path.name}: it was cut short and ends after {self.end_s:.3g} seconds, with {self.seen} of"
                f" {self.stream.frames} pictures."
            )
        return said

    def nothing(self, window: Window) -> InputError:
        """The error for a file of which no picture was kept."""
        if self.seen:
            return InputError(
                f"{self.path} lasts {self.end_s:.3g} seconds; start_s={window.start_s:g} lies beyond its end."
            )
        if self.damaged:
            return MediaError(f"Cannot read {self.path}: all of its {self.damaged} pictures are damaged.")
        why = self.trouble or "it has none"
        return MediaError(f"Cannot read {self.path}: no picture of its video can be decoded ({why}).")


def _nominal_s(stream: Any) -> Fraction:
    """How long a frame stays where time stamps do not say."""
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate:
            return 1 / Fraction(rate)
    return Fraction(1, 25)
