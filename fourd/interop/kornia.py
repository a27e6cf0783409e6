"""Kornia's cameras: OpenCV axes; the centre of the first pixel is at (0, 0)."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float64
from torch import Tensor

from fourd.checked import checked
from fourd.interop import _common
from fourd.types import Cameras


@checked
def to_kornia(cameras: Cameras) -> Any:
    """The cameras as one ``kornia.geometry.camera.PinholeCamera``, double precision, on the CPU.

    Its picture coordinates are ours less half a pixel, so that its grids of whole numbers (``depth_to_3d``,
    ``warp_frame_depth``, ...) hit the centres of pixels. Skew goes along; some of kornia's functions read over it.

    Raises:
        MissingError: If kornia is not installed.
    """
    camera = _common.library("kornia.geometry.camera", "fourd[interop]")
    count, (h, w) = len(cameras), cameras.hw
    K = torch.eye(4, dtype=torch.float64).repeat(count, 1, 1)
    K[:, :3, :3] = cameras.K.cpu().double() - _common.HALF_PX
    sizes = (torch.full((count,), float(side), dtype=torch.float64) for side in (h, w))
    return camera.PinholeCamera(K, _common.cam_from_world(cameras), *sizes)


@checked
def from_kornia(camera: Any, time_s: Float64[Tensor, " t"]) -> Cameras:
    """Cameras of a ``kornia.geometry.camera.PinholeCamera``.

    Args:
        camera: A batch of cameras.
        time_s: Their moments.

    Raises:
        InputError: If there are not as many moments, or pictures differ in size.
    """
    K = camera.intrinsics[:, :3, :3].detach().cpu().double() + _common.HALF_PX
    hw = zip(camera.height.tolist(), camera.width.tolist(), strict=True)
    return _common.ours(K, camera.extrinsics.detach().cpu().double(), hw, time_s)
