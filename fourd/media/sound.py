"""The sound of a video file, on the clock of the pictures kept."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from fourd.errors import LimitError
from fourd.media.container import open_container, seek
from fourd.types import Limits, Sound

_GAP_S = 0.02
"""Time stamps of sound packets jitter by less than this; a larger gap is real and becomes silence."""
_JUMP_S = 0.3
"""A step back in time by more than this is a new clock."""
_SEEK_S = 10.0
_LEAD_S = 1
"""Codecs need some packets before they sound right."""


def read_sound(path: Path, first_s: Fraction, duration_s: float | None, limits: Limits) -> Sound | None:
    """Decode the sound from ``first_s`` (on the clock of the file) on.

    Sound from before the first picture is cut. Sound that outlasts the pictures is kept, unless
    ``duration_s`` says otherwise. What is missing between packets becomes silence.

    Returns:
        The sound, its ``start_s`` counted from ``first_s``; None if there is none to be had.
    """
    end_s = limits.seconds if duration_s is None else min(duration_s, limits.seconds)
    late = first_s > _SEEK_S
    track = _read(path, first_s, _Track(path, end_s, limits), sought=late)
    if late and track.begins_late:  # The sound does, or else it was sought too far.
        track = _read(path, first_s, _Track(path, end_s, limits), sought=False)
    return track.sound()


def _read(path: Path, first_s: Fraction, track: _Track, sought: bool) -> _Track:
    with open_container(path, track.limits) as container:
        streams = [s for s in container.streams.audio if s.codec_context is not None]
        if streams:
            best = container.streams.best("audio")
            stream = best if best in streams else streams[0]
            if sought:
                seek(container, stream, first_s - _LEAD_S)
            for time_s, rate_hz, piece in _pieces(container, stream, first_s):
                if not track.add(float(time_s - first_s), rate_hz, piece):
                    break
    return track


class _Track:
    """Pieces of sound laid end to end by their times."""

    def __init__(self, path: Path, end_s: float, limits: Limits) -> None:
        self._path, self._end_s, self.limits = path, end_s, limits
        self._pieces: list[np.ndarray] = []
        self._held = 0
        self._rate_hz = 0
        self._start_s = 0.0
        self.begins_late = True
        """Whether nothing was offered that sounds at the first picture."""

    def add(self, since: float, rate_hz: int, piece: Float32[np.ndarray, "n c"]) -> bool:
        """Lay down a piece that begins ``since`` seconds after the first picture; False at the end."""
        if since >= self._end_s:
            return False
        self.begins_late = self.begins_late and since > 0
        early = max(0, round(-since * rate_hz))
        piece, since = piece[early:], since + early / rate_hz
        if not len(piece):
            return True
        if not self._pieces:
            self._rate_hz, self._start_s = rate_hz, since
        gap = round((since - self._start_s) * rate_hz) - self._held
        if gap > _GAP_S * rate_hz:
            self._lay(np.zeros((gap, piece.shape[1]), np.float32))
        elif gap < -_GAP_S * rate_hz:
            piece = piece[-gap:]
        self._lay(piece)
        return True

    def _lay(self, piece: np.ndarray) -> None:
        self._held += len(piece)
        if self._held * piece.shape[1] * piece.itemsize > self.limits.bytes:
            raise LimitError(
                f"The sound of {self._path} is larger than {self.limits.bytes / 1e9:.3g} GB, which is the limit."
                " Read less of it (duration_s), or raise limits.bytes."
            )
        self._pieces.append(piece)

    def sound(self) -> Sound | None:
        """All that was laid down."""
        if not self._held:
            return None
        samples = np.concatenate(self._pieces)[: max(1, round((self._end_s - self._start_s) * self._rate_hz))]
        # Sound stored as floats may hold anything.
        samples = np.nan_to_num(samples, posinf=0.0, neginf=0.0)
        return Sound(torch.from_numpy(samples), rate_hz=self._rate_hz, start_s=self._start_s)


def _pieces(container: Any, stream: Any, first_s: Fraction) -> Iterator[tuple[Fraction, int, np.ndarray]]:
    """Yield (time, rate, samples [n, c]) packet by packet; rate and channels are those of the first.

    Packets that cannot be decoded are left out.
    """
    from av.audio.resampler import AudioResampler
    from av.error import FFmpegError

    even: AudioResampler | None = None
    clock, offset, begun = first_s, Fraction(0), False
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except FFmpegError:
            packet = None
        try:
            frames = stream.decode(packet)
        except FFmpegError:
            frames = []
        for frame in frames:
            even = even or AudioResampler(format="flt", layout=frame.layout, rate=frame.sample_rate)
            if frame.pts is not None and frame.time_base:
                stamp = frame.pts * Fraction(frame.time_base) + offset
                if begun and stamp < clock - _JUMP_S:  # A new clock within the file: go on from here.
                    offset += clock - stamp
                    stamp = clock
                clock, begun = stamp, True
            frame.pts = None  # By the stamps, the resampler would stretch and fill on its own.
            for part in even.resample(frame):
                samples = part.to_ndarray().reshape(part.samples, -1)
                yield clock, part.sample_rate, samples
                clock += Fraction(part.samples, part.sample_rate)
        if packet is None:
            return
