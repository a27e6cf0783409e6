"""Open3D's cameras: OpenCV axes; the centre of the first pixel is at (0, 0), as in its defaults (319.5 of 640)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from fourd.checked import checked
from fourd.interop import _common
from fourd.types import Cameras


@checked
def arguments(cameras: Cameras) -> list[dict[str, Any]]:
    """What each ``open3d.camera.PinholeCameraParameters`` is made of, without Open3D.

    Returns:
        For each camera ``width``, ``height``, ``fx``, ``fy``, ``cx``, ``cy`` in its pixels, and ``extrinsic`` [4,4].

    Raises:
        InputError: If a K is skewed.
    """
    _common.unskewed(cameras, "Open3D")
    h, w = cameras.hw
    K = (cameras.K.cpu().double() - _common.HALF_PX).tolist()
    poses = _common.cam_from_world(cameras).numpy()
    return [
        dict(width=w, height=h, fx=k[0][0], fy=k[1][1], cx=k[0][2], cy=k[1][2], extrinsic=pose)
        for k, pose in zip(K, poses, strict=True)
    ]


@checked
def to_open3d(cameras: Cameras) -> Any:
    """The cameras as an ``open3d.camera.PinholeCameraTrajectory``.

    Raises:
        MissingError: If Open3D is not installed.
        InputError: If a K is skewed.
    """
    camera = _common.library("open3d.camera", "open3d")
    trajectory, entries = camera.PinholeCameraTrajectory(), []
    for values in arguments(cameras):
        entry = camera.PinholeCameraParameters()
        entry.extrinsic = values.pop("extrinsic")
        entry.intrinsic = camera.PinholeCameraIntrinsic(**values)
        entries.append(entry)
    trajectory.parameters = entries
    return trajectory


@checked
def from_open3d(trajectory: Any, time_s: Float64[Tensor, " t"]) -> Cameras:
    """Cameras of an ``open3d.camera.PinholeCameraTrajectory``.

    Args:
        trajectory: At least one camera.
        time_s: Their moments.

    Raises:
        InputError: If there are not as many moments, or pictures differ in size.
    """
    entries = list(trajectory.parameters)
    K = torch.from_numpy(np.array([e.intrinsic.intrinsic_matrix for e in entries], np.float64)).reshape(-1, 3, 3)
    poses = torch.from_numpy(np.array([e.extrinsic for e in entries], np.float64)).reshape(-1, 4, 4)
    sizes = [(e.intrinsic.height, e.intrinsic.width) for e in entries]
    return _common.ours(K + _common.HALF_PX, poses, sizes, time_s)
