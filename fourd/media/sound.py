"""The sound of a video file, on the clock of the pictures kept."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fourd.errors import LimitError
from fourd.media.container import open_container
from fourd.types import Limits, Sound

_GAP_S = 0.02
"""Time stamps of sound packets jitter by less than this; a larger gap is real and becomes silence."""


def read_sound(path: Path, first_s: Fraction, duration_s: float | None, limits: Limits) -> Sound | None:
    """Decode the sound from ``first_s`` (on the clock of the file) on.

    Sound from before the first picture is cut. Sound that outlasts the pictures is kept, unless
    ``duration_s`` says otherwise. Damaged packets become silence.

    Returns:
        The sound, its ``start_s`` counted from ``first_s``; None if there is none to be had.
    """
    with open_container(path, limits) as container:
        if not container.streams.audio or container.streams.audio[0].codec_context is None:
            return None
        stream = container.streams.best("audio") or container.streams.audio[0]
        end_s = min(duration_s or limits.seconds, limits.seconds)
        rate = 0
        start_s = 0.0
        pieces: list[np.ndarray] = []
        held = 0
        for time_s, piece_rate, piece in _pieces(container, stream, first_s):
            since = float(time_s - first_s)
            if since >= end_s:
                break
            if since + len(piece) / piece_rate <= 0:
                continue
            if not pieces:
                rate, channels = piece_rate, piece.shape[1]
                cut = max(0, round(-since * rate))
                piece, since = piece[cut:], since + cut / rate
                if not len(piece):
                    continue
                start_s = since
            else:
                gap = round((since - start_s) * rate) - held
                if gap > _GAP_S * rate:
                    pieces.append(np.zeros((gap, channels), np.float32))
                    held += gap
                elif gap < -_GAP_S * rate:
                    piece = piece[-gap:]
            pieces.append(piece)
            held += len(piece)
            if held * piece.shape[1] * 4 > limits.bytes:
                raise LimitError(f"The sound of {path} is larger than {limits.bytes / 1e9:.3g} GB (limits.bytes).")
        if not held:
            return None
        samples = np.concatenate(pieces)[: max(1, round((end_s - start_s) * rate))]
        return Sound(samples=torch.from_numpy(np.nan_to_num(samples)), rate_hz=rate, start_s=start_s)


def _pieces(container: Any, stream: Any, first_s: Fraction) -> Iterator[tuple[Fraction, int, np.ndarray]]:
    """Yield (time, rate, samples [n, c]) packet by packet; the rate and channels are the first's."""
    import av

    resampler: Any = None
    clock: Fraction | None = None
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
            frames = stream.decode(packet)
        except av.EOFError:
            return
        except av.FFmpegError:
            frames, packet = [], None
        for frame in frames:
            if resampler is None:
                resampler = av.AudioResampler(format="fltp", layout=frame.layout, rate=frame.sample_rate)
            if frame.pts is not None and frame.time_base:
                clock = frame.pts * Fraction(frame.time_base)
            elif clock is None:
                clock = first_s
            frame.pts = None  # The resampler would invent samples to follow the stamps.
            for even in resampler.resample(frame):
                yield clock, even.sample_rate, even.to_ndarray().T
                clock += Fraction(even.samples, even.sample_rate)
        if packet is None:
            return
