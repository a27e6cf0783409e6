"""The nouns of what is heard. ``fourd.types`` hands them on, with all other nouns."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float32, Float64
from torch import Tensor

from fourd import fields
from fourd.errors import InputError


@dataclass(frozen=True, eq=False, repr=False)
class SoundSource(fields.Noun):
    """A part of a sound that comes from a place, which may move."""

    samples: Float32[Tensor, " n"]
    """Amplitudes as they are heard from the distance of the subject; rate and start are those of the ``Sound``."""
    position_m: Float32[Tensor, "t 3"]
    """Where it is, in the world of the cameras."""
    time_s: Float64[Tensor, " t"]
    """When it is there, on the clock of the clip, strictly increasing; straight from one place to the next."""
    name: str = ""

    def __post_init__(self) -> None:
        self._set(samples=fields.tensor("SoundSource", "samples", self.samples, "n", torch.float32))
        self._set(position_m=fields.tensor("SoundSource", "position_m", self.position_m, "t 3", torch.float32))
        self._set(time_s=fields.tensor("SoundSource", "time_s", self.time_s, "t", torch.float64))
        fields.same_length("SoundSource", position_m=self.position_m, time_s=self.time_s)
        for name in ("samples", "position_m", "time_s"):
            fields.finite("SoundSource", name, getattr(self, name))
        if len(self.time_s) == 0 or bool((self.time_s.diff() <= 0).any()):
            raise InputError("SoundSource.time_s must hold at least one moment and increase strictly.")


@dataclass(frozen=True, eq=False, repr=False)
class Sound(fields.Noun):
    """Sampled sound on the clock of the clip it belongs to."""

    samples: Float32[Tensor, "n c"]
    """Amplitudes, nominally -1 to 1, one column a channel."""
    rate_hz: int
    start_s: float = 0.0
    """When the first sample sounds, on the clock of ``Clip.time_s``."""
    sources: tuple[SoundSource, ...] = ()
    """The same sound by where it comes from, if that is known; ``samples`` are what the camera heard of it."""

    def __post_init__(self) -> None:
        self._set(samples=fields.tensor("Sound", "samples", self.samples, "n c", torch.float32))
        fields.finite("Sound", "samples", self.samples)
        if self.rate_hz < 1:
            raise InputError(f"Sound.rate_hz is {self.rate_hz}; it must be at least 1.")

    @property
    def duration_s(self) -> float:
        """How long it sounds."""
        return len(self.samples) / self.rate_hz
