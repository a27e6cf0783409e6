"""What the operators on splats take, and what they refuse; see ``rasterize``."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from fourd.errors import InputError
from fourd.types import Splats

EPS2D_PX = 0.05
"""Variance of the low-pass filter, in square pixels; a box has 1/12. At 0.1 a filmed frame drawn again loses 2 dB."""

MAX_SIDE = 32767
"""Longest side of a picture that the kernels draw, in pixels."""

NAMES = "mean_m quat_wxyz scale_m opacity colour velocity_mps time_s duration_s K world_from_cam".split()
"""The tensors that each operator takes first: fields of `Splats`, then the camera's."""

SCHEMA = ", ".join(f"Tensor {name}" for name in NAMES)
VIEW = "SymInt h, SymInt w, float at_s, float eps2d_px, float near_m"
"""What follows them where a picture is drawn or measured."""


def tensors(splats: Splats, K: Tensor, world_from_cam: Tensor) -> list[Tensor]:
    """What the operators take first, in order."""
    return [*(getattr(splats, name) for name in NAMES[:8]), K.float(), world_from_cam.float()]


def check_dtypes(operator: str, names: Sequence[str], tensors: Sequence[Tensor]) -> None:
    """Refuse what is no float32.

    Raises:
        InputError: That names the operator and the argument.
    """
    for name, tensor in zip(names, tensors, strict=True):
        if tensor.dtype != torch.float32:
            raise InputError(f"fourd::{operator}: {name} has dtype {tensor.dtype}; it must be torch.float32.")


def check_view(where: str, hw: tuple[int, int], time_s: float) -> None:
    """Refuse sizes that no kernel draws, and moments that are none; ``where`` is the function that was asked.

    Raises:
        InputError: If a side or the moment is out of range.
    """
    h, w = hw
    if not (1 <= h <= MAX_SIDE and 1 <= w <= MAX_SIDE):
        raise InputError(f"{where}: hw is {hw}; each side must be 1 to {MAX_SIDE} pixels.")
    if not math.isfinite(time_s):
        raise InputError(f"{where}: time_s is {time_s:g}; it must be finite.")


def check(
    name: str,
    splats: Splats,
    K: Tensor,
    world_from_cam: Tensor,
    hw: tuple[int, int],
    time_s: float,
    eps2d_px: float,
    near_m: float,
) -> None:
    """Refuse what the CPU's kernels cannot draw; ``name`` is the function of ``native`` that was asked.

    Raises:
        InputError: If something is not on the CPU, or a parameter is out of range.
    """
    for what, tensor in (("splats", splats.mean_m), ("K", K), ("world_from_cam", world_from_cam)):
        if tensor.device.type != "cpu":
            raise InputError(
                f"native.{name} draws on the CPU, and {what} is on {tensor.device}."
                " Move it with .to('cpu'), or draw with fourd.render, which knows both."
            )
    check_view(f"native.{name}", hw, time_s)
    if not 1e-6 <= eps2d_px <= 1e6:
        raise InputError(f"native.{name}: eps2d_px is {eps2d_px:g}; it must lie between 1e-6 and 1e6.")
    if not (near_m > 0 and math.isfinite(near_m)):
        raise InputError(f"native.{name}: near_m is {near_m:g}; it must be positive and finite.")
    if not bool((K.diagonal()[:2] > 0).all() & K.isfinite().all() & world_from_cam.isfinite().all()):
        raise InputError(f"native.{name}: K and world_from_cam must be finite, and the focal lengths positive.")
