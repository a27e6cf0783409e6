"""PyTorch3D's cameras: x left, y up, z ahead; points are rows; normalised coordinates grow to the left and up.

Normalised coordinates are 1 at the border of the picture along its shorter side, and pixels are squares between
borders, so that no half pixels are needed (pytorch3d.org/docs/cameras).
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float64
from torch import Tensor

from fourd.checked import checked
from fourd.errors import InputError
from fourd.interop import _common
from fourd.types import Cameras

_TURN = torch.tensor([-1.0, -1.0, 1.0], dtype=torch.float64)
"""From our axes to theirs and back: half a turn about the line of sight."""


@checked
def arguments(cameras: Cameras) -> dict[str, Tensor]:
    """What ``pytorch3d.renderer.PerspectiveCameras`` is made of, in float32, without PyTorch3D.

    Returns:
        ``R`` [t,3,3], ``T`` [t,3], ``focal_length`` and ``principal_point`` [t,2] in normalised coordinates, and
        ``image_size`` [t,2], height and width.

    Raises:
        InputError: If a K is skewed.
    """
    _common.unskewed(cameras, "PyTorch3D")
    pose, K = _common.cam_from_world(cameras), cameras.K.cpu().double()
    h, w = cameras.hw
    middle, unit_px = torch.tensor([w / 2, h / 2], dtype=torch.float64), min(h, w) / 2
    values = {
        "R": pose[:, :3, :3].mT * _TURN,
        "T": pose[:, :3, 3] * _TURN,
        "focal_length": torch.stack([K[:, 0, 0], K[:, 1, 1]], 1) / unit_px,
        "principal_point": (middle - K[:, :2, 2]) / unit_px,
        "image_size": torch.tensor([[h, w]]).expand(len(cameras), 2),
    }
    return {name: value.float() for name, value in values.items()}


@checked
def to_pytorch3d(cameras: Cameras) -> Any:
    """The cameras as one ``pytorch3d.renderer.PerspectiveCameras`` in normalised coordinates.

    Raises:
        MissingError: If PyTorch3D is not installed.
        InputError: If a K is skewed.
    """
    renderer = _common.library("pytorch3d.renderer", "git+https://github.com/facebookresearch/pytorch3d.git")
    return renderer.PerspectiveCameras(**arguments(cameras), in_ndc=True)


@checked
def from_pytorch3d(cameras: Any, time_s: Float64[Tensor, " t"]) -> Cameras:
    """Cameras of a ``pytorch3d.renderer.PerspectiveCameras``, of normalised coordinates or of pixels.

    Args:
        cameras: A batch, with ``image_size``.
        time_s: Their moments.

    Raises:
        InputError: If it has no sizes, they differ, or there are not as many moments.
    """
    size = getattr(cameras, "image_size", None)
    if size is None:
        raise InputError("The PyTorch3D cameras have no image_size; give it when they are made.")
    R, T, focal, principal, size = (
        x.detach().cpu().double() for x in (cameras.R, cameras.T, cameras.focal_length, cameras.principal_point, size)
    )
    if cameras.in_ndc():
        unit_px = size.min(1, keepdim=True).values / 2
        focal, principal = focal * unit_px, size.flip(1) / 2 - principal * unit_px
    count = len(R)
    K = torch.eye(3, dtype=torch.float64).repeat(count, 1, 1)
    K[:, 0, 0], K[:, 1, 1] = focal.expand(count, 2).unbind(1)
    K[:, :2, 2] = principal
    pose = torch.eye(4, dtype=torch.float64).repeat(count, 1, 1)
    pose[:, :3, :3], pose[:, :3, 3] = (R * _TURN).mT, T * _TURN
    return _common.ours(K, pose, size.tolist(), time_s)
