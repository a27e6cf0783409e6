"""One moment of splats that live in time, for formats that know no time."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float32
from torch import Tensor

from fourd.checked import checked
from fourd.errors import InputError
from fourd.types import SEEN, Splats

FAINTEST = 1 / 255
"""Splats below this opacity at the moment change no pixel of 8 bits and are left out."""


@checked
def at(splats: Splats, time_s: float) -> Splats:
    """The splats of one moment, standing still: moved to it, faded by it, the invisible left out.

    Args:
        splats: Splats that live in time.
        time_s: The moment on the scene's clock.

    Returns:
        Static splats (velocity 0, duration infinite) whose ``time_s`` is the moment; the order is kept.

    Raises:
        InputError: If ``time_s`` is not finite.
    """
    if not math.isfinite(time_s):
        raise InputError(f"time_s is {time_s}; a moment must be finite.")
    age_s = time_s - splats.time_s.double()
    opacity = splats.opacity.double() * torch.exp(-((age_s / splats.duration_s.double()) ** 2) / 2)
    kept = opacity >= FAINTEST
    mean = splats.mean_m.double() + splats.velocity_mps.double() * age_s[:, None]
    left = splats[kept]
    return left.replace(
        mean_m=mean[kept].float(),
        opacity=opacity[kept].float(),
        velocity_mps=torch.zeros_like(left.velocity_mps),
        time_s=torch.full_like(left.time_s, time_s),
        duration_s=torch.full_like(left.duration_s, math.inf),
    )


@checked
def still(
    mean_m: Float32[Tensor, "n 3"],
    quat_wxyz: Float32[Tensor, "n 4"],
    scale_m: Float32[Tensor, "n 3"],
    opacity: Float32[Tensor, " n"],
    colour: Float32[Tensor, "n k 3"],
) -> Splats:
    """Splats without time, as they come from other programs: always there, at time 0, and filmed.

    Quaternions may be of any length but zero.

    Raises:
        InputError: If a value is out of range.
    """
    n = len(mean_m)
    return Splats(
        mean_m=mean_m,
        quat_wxyz=quat_wxyz / quat_wxyz.norm(dim=1, keepdim=True),
        scale_m=scale_m,
        opacity=opacity,
        colour=colour,
        velocity_mps=torch.zeros(n, 3),
        time_s=torch.zeros(n),
        duration_s=torch.full((n,), math.inf),
        source=torch.full((n,), SEEN, dtype=torch.uint8),
    )
