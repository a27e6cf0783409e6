"""What collisions sound like: modal synthesis, a sum of decaying sines for every impact.

A struck body rings in its modes. Mode n sounds with angular frequency w_n and dies away with the rate
``alpha / 2 + beta * w_n**2 / 2`` (Rayleigh damping, as in van den Doel and Pai, 1998; O'Brien et al.,
2002). ``beta`` follows from the material's loss factor at the lowest mode: ``beta = loss / w_1``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from fourd.checked import checked
from fourd.errors import InputError
from fourd.types import Sound, SoundSource


@dataclass(frozen=True)
class Material:
    """How a body rings."""

    loss: float
    """Loss factor at the lowest mode: steel and glass 0.006, aluminium 0.014, ceramic 0.04, wood 0.1, rubber 1."""
    ratios: tuple[float, ...]
    """Frequencies of the modes in units of the lowest."""
    contact_s: float
    """How long a blow of one metre per second lasts; longer is duller."""
    alpha: float = 6.0
    """Decay that all modes share, in 1/s: the air, and whatever holds the body."""


_BAR = (1.0, 2.756, 5.404, 8.933, 13.34)  # A bar with free ends (Euler and Bernoulli).
_PLATE = (1.0, 1.59, 2.14, 2.3, 2.65, 2.92, 3.16, 3.5, 3.6, 4.06)  # A round membrane (zeros of Bessel functions).

WOOD = Material(0.1, _BAR, 0.0004, 25.0)
CERAMIC = Material(0.04, (1.0, 2.32, 4.25, 6.63, 9.38), 0.0002, 12.0)
STEEL = Material(0.006, _BAR, 0.0001)
RUBBER = Material(0.5, _PLATE, 0.0045, 30.0)


@dataclass(frozen=True)
class Impact:
    """One blow."""

    time_s: float
    speed_mps: float
    """How fast they meet: faster is louder, shorter and brighter."""
    hz: float
    """Lowest mode of the body that rings."""
    material: Material
    pan: float = 0.0
    """Where it is heard: -1 left, 1 right."""
    loudness: float = 1.0


@checked
def impacts(
    blows: Sequence[Impact], duration_s: float, *, rate_hz: int = 48_000, echo: float = 0.12, seed: int = 0
) -> Sound:
    """Let blows sound, in stereo.

    Args:
        blows: When, how hard and on what.
        duration_s: Length of the sound; what rings longer is cut off.
        rate_hz: Samples a second.
        echo: Loudness of the surroundings' answer, 0 for none.
        seed: The answer is noise drawn from it.

    Returns:
        Two channels, no louder than 0.9; every blow begins within a sample of its time.

    Raises:
        InputError: If the duration is not positive, or a blow lies before the start.
    """
    out = _dry(blows, duration_s, rate_hz)
    if echo > 0:
        out += echo * _answer(out, rate_hz, np.random.default_rng(seed))
    peak = float(np.abs(out).max())
    return Sound(torch.from_numpy((out * (0.9 / max(peak, 0.9))).astype(np.float32)), rate_hz)


@checked
def source(
    name: str,
    blows: Sequence[Impact],
    duration_s: float,
    position_m: Float64[Tensor, "t 3"],
    time_s: Float64[Tensor, " t"],
    *,
    rate_hz: int = 48_000,
) -> SoundSource:
    """What one body sounds like by itself: its blows without pan or echo, and where it is.

    Args:
        name: Of the body.
        blows: When, how hard and on what; ``pan`` does not count.
        duration_s: Length of the sound; that of the ``Sound`` whose part it becomes.
        position_m: Where the body is, in the stage's world.
        time_s: When it is there.
        rate_hz: Samples a second, those of the ``Sound``.

    Raises:
        InputError: As ``impacts``, or if the places and times are no path.
    """
    dry = _dry([dataclasses.replace(blow, pan=0.0) for blow in blows], duration_s, rate_hz)
    return SoundSource(torch.from_numpy((dry.sum(1) / 2**0.5).astype(np.float32)), position_m.float(), time_s, name)


def breeze(duration_s: float, *, level: float = 0.01, rate_hz: int = 48_000, seed: int = 0) -> Sound:
    """Soft wind: low noise that swells and fades, in stereo."""
    rng = np.random.default_rng(seed)
    n = round(duration_s * rate_hz)
    hz = np.fft.rfftfreq(n, 1 / rate_hz)
    shape = (hz / 150) / (1 + (hz / 150) ** 2) / (1 + (hz / 900) ** 2)
    noise = np.stack([np.fft.irfft(np.fft.rfft(rng.normal(size=n)) * shape, n) for _ in range(2)], 1)
    swell = 1 + 0.5 * np.sin(2 * np.pi * (0.31 * np.arange(n) / rate_hz + rng.uniform()))
    noise *= level * swell[:, None] / noise.std()
    return Sound(torch.from_numpy(noise.astype(np.float32)), rate_hz)


def mixed(sounds: Sequence[Sound], sources: Sequence[SoundSource] = ()) -> Sound:
    """Sounds of one rate, start and length, laid over each other, and turned down if they grow too loud.

    ``sources`` are kept beside the mix, turned down by a factor of their own, so that none is too loud.
    """
    total = torch.stack([s.samples for s in sounds]).sum(0)
    loudest = max([0.9, *(float(s.samples.abs().max()) for s in sources)])
    return Sound(
        total * (0.9 / max(0.9, float(total.abs().max()))),
        sounds[0].rate_hz,
        sounds[0].start_s,
        tuple(s.replace(samples=s.samples * (0.9 / loudest)) for s in sources),
    )


def _dry(blows: Sequence[Impact], duration_s: float, rate_hz: int) -> np.ndarray:
    """Blows in stereo, without surroundings: [n, 2]."""
    n = round(duration_s * rate_hz)
    if n < 1:
        raise InputError(f"The sound lasts {duration_s:g} s; it must last at least one sample.")
    out = np.zeros((n, 2))
    for blow in blows:
        if blow.time_s < 0 or blow.hz <= 0:
            raise InputError(f"An impact at {blow.time_s:g} s with {blow.hz:g} Hz; neither may be negative.")
        first = int(np.ceil(blow.time_s * rate_hz))
        wave = _ring(blow, (first / rate_hz) - blow.time_s, rate_hz)[: max(0, n - first)]
        angle = (np.clip(blow.pan, -1, 1) + 1) * np.pi / 4  # Equal power from side to side.
        out[first : first + len(wave)] += wave[:, None] * np.array([np.cos(angle), np.sin(angle)])
    return out


def _ring(blow: Impact, late_s: float, rate_hz: int) -> np.ndarray:
    """The wave of one blow, from its first sample on, which comes ``late_s`` after the blow."""
    material = blow.material
    omega = 2 * np.pi * blow.hz * np.asarray(material.ratios)
    omega = omega[omega < 0.9 * np.pi * rate_hz]
    decay = material.alpha / 2 + material.loss / omega[0] * omega**2 / 2
    # A blow is a push of a little time (Hertz: shorter when faster), which high modes do not notice.
    contact = material.contact_s * max(blow.speed_mps, 0.05) ** -0.2
    strength = np.exp(-((omega * contact) ** 2) / 8) / np.arange(1, len(omega) + 1) ** 0.5
    time = late_s + np.arange(int(min(4.0, 7 / decay.min()) * rate_hz)) / rate_hz
    wave = (strength[:, None] * np.exp(-decay[:, None] * time) * np.sin(omega[:, None] * time)).sum(0)
    return blow.loudness * blow.speed_mps * 0.25 * wave


def _answer(dry: np.ndarray, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """The surroundings: the sound, smeared over 0.3 s of fading noise that differs between the ears."""
    tail = round(0.3 * rate_hz)
    time = np.arange(tail) / rate_hz
    n = len(dry) + tail
    out = np.zeros_like(dry)
    for side in range(2):
        noise = rng.normal(size=tail) * np.exp(-time / 0.06) * (time > 0.008)
        noise = np.convolve(noise, np.ones(6) / 6, "same")  # Walls swallow the highs.
        noise /= np.sqrt((noise**2).sum())
        out[:, side] = np.fft.irfft(np.fft.rfft(dry.mean(1), n) * np.fft.rfft(noise, n), n)[: len(dry)]
    return out
