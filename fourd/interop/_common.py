"""What the converters share."""

from __future__ import annotations

import importlib
from typing import Any

import torch
from jaxtyping import Float64
from torch import Tensor

from fourd.errors import InputError, MissingError, missing
from fourd.poses import inverse
from fourd.types import Cameras

HALF_PX = torch.tensor([[0.0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]], dtype=torch.float64)
"""Ours less that of a library whose first pixel has its centre at (0, 0)."""


def library(module: str, install: str) -> Any:
    """A library that is not always there.

    Raises:
        MissingError: If it is not, or cannot be imported.
    """
    name = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise missing(f"A {name} camera", name, install) from error
    except (ImportError, OSError) as error:  # Libraries that it needs are missing, or of another version.
        raise MissingError(f"A {name} camera needs the package '{name}', which cannot be imported: {error}.") from error


def unskewed(cameras: Cameras, where: str) -> None:
    """Refuse what a library cannot say."""
    if bool((cameras.K[:, 0, 1] != 0).any()):
        raise InputError(f"Cameras.K is skewed; {where} cannot say so.")


def cam_from_world(cameras: Cameras) -> Float64[Tensor, "n 4 4"]:
    """The inverse poses, exactly."""
    return inverse(cameras.world_from_cam.cpu().double())


def ours(
    K: Float64[Tensor, "n 3 3"], cam_from_world: Float64[Tensor, "n 4 4"], hw: Any, time_s: Float64[Tensor, " n"]
) -> Cameras:
    """Cameras of matrices that a library held.

    Args:
        K: Ours: the first pixel's centre at 0.5.
        cam_from_world: OpenCV axes.
        hw: Heights and widths, one pair a camera.
        time_s: Moments, which no other library knows.

    Raises:
        InputError: If there are not as many moments, pictures differ in size, or the numbers are no cameras.
    """
    sizes = {(int(h), int(w)) for h, w in hw}
    if len(sizes) != 1:
        raise InputError(f"The cameras are for pictures of {len(sizes)} sizes; Cameras have one.")
    if len(time_s) != len(K):
        raise InputError(f"time_s has {len(time_s)} moments for {len(K)} cameras; there must be one for each.")
    return Cameras(K.float(), inverse(cam_from_world).float(), sizes.pop(), time_s)
