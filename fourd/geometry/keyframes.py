"""Cameras at a few moments, joined to a film."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor

from fourd import fields
from fourd.checked import checked
from fourd.errors import InputError
from fourd.geometry import clock, trajectory
from fourd.types import Cameras


@dataclass(frozen=True, eq=False)
class Keyframes(fields.Noun):
    """Cameras in the scene's own world, each with the moment it shows and the moment it is shown."""

    cameras: Cameras
    """``time_s`` is the moment of the scene, which may stand still or run backwards."""
    play_s: Float64[Tensor, " t"]
    """When each is reached in the finished film, in seconds, strictly increasing."""

    def __post_init__(self) -> None:
        self._set(play_s=fields.tensor("Keyframes", "play_s", self.play_s, "t", torch.float64))
        fields.same_length("Keyframes", cameras=self.cameras.time_s, play_s=self.play_s)
        fields.finite("Keyframes", "play_s", self.play_s)
        if bool((self.play_s.diff() <= 0).any()):
            raise InputError("Keyframes.play_s must increase strictly from key to key.")


@checked
def join(keys: Keyframes, *, fps: float, speed: float = 1.0, duration_s: float | None = None) -> Cameras:
    """A film that passes every key in order, with even motion between them.

    Args:
        keys: The keys; the film runs from the first to the last.
        fps: Frames a second of the film.
        speed: 0.5 takes twice as long over the whole path.
        duration_s: Length of the film in seconds, whatever the keys and ``speed`` say.

    Returns:
        One camera a frame; the scene's moments lie between those of the keys.
    """
    start, end = float(keys.play_s[0]), float(keys.play_s[-1])
    if duration_s is not None:
        frames = clock.frame_count(duration_s, fps)
    else:
        frames = clock.frame_count((end - start) / speed, fps) + (end > start)
    play_s = start + (end - start) * clock.phase(frames, closed=False)
    film = trajectory.at(keys.cameras.replace(time_s=keys.play_s), play_s)
    left, right, share = trajectory.between(keys.play_s, play_s)
    moment_s = keys.cameras.time_s
    return film.replace(time_s=torch.lerp(moment_s[left], moment_s[right], share))
