"""Sound inside a scene file: WAV, 16 bits a sample, which every player reads."""

from __future__ import annotations

import io
import wave

import numpy as np
import torch

from fourd.errors import FormatError, InputError
from fourd.types import Sound


def encode(sound: Sound) -> bytes:
    """A WAV file; amplitudes beyond 1 are cut off there.

    Raises:
        InputError: If it has no channel, or more channels or samples a second than WAV can hold.
    """
    channels = sound.samples.shape[1]
    if not 1 <= channels <= 255:
        raise InputError(f"The sound has {channels} channels; it must have 1 to 255 to be saved.")
    if sound.rate_hz > 1_000_000:
        raise InputError(f"The sound has {sound.rate_hz} samples a second; at most 1000000 are saved.")
    file = io.BytesIO()
    with wave.open(file, "wb") as wav:
        wav.setnchannels(channels)
        wav.setsampwidth(2)
        wav.setframerate(sound.rate_hz)
        samples = sound.samples.detach().cpu().numpy().clip(-1, 1)
        wav.writeframes(np.rint(samples * 32767).astype("<i2").tobytes())
    return file.getvalue()


def decode(data: bytes, start_s: float, where: str) -> Sound:
    """The sound of a WAV file of 16 bits a sample.

    Raises:
        FormatError: If it is not one.
    """
    try:
        with wave.open(io.BytesIO(data), "rb") as wav:
            if wav.getsampwidth() != 2:
                raise FormatError(f"{where} has {8 * wav.getsampwidth()} bits a sample; 16 are read.")
            raw, channels, rate_hz = wav.readframes(len(data)), wav.getnchannels(), wav.getframerate()
    except (wave.Error, EOFError, OSError, RuntimeError) as error:
        raise FormatError(f"{where} is not a WAV file: {error or 'it is cut short'}.") from error
    if len(raw) % (2 * channels):
        raise FormatError(f"{where} is cut short: its last sample is not whole.")
    samples = np.frombuffer(raw, "<i2").reshape(-1, channels).astype(np.float32) / 32767
    return Sound(samples=torch.from_numpy(samples), rate_hz=rate_hz, start_s=start_s)
