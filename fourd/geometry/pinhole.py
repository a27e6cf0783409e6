"""The pinhole camera: pixels to points and back. Pixel (row, col) has its centre at (col + 0.5, row + 0.5)."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from fourd.checked import checked


@checked
def pixel_grid(hw: tuple[int, int], device: str | torch.device = "cpu") -> Float[Tensor, "h w 2"]:
    """Pixel centres (x, y) of a picture.

    Example:
        >>> pixel_grid((1, 2))
        tensor([[[0.5000, 0.5000],
                 [1.5000, 0.5000]]])
    """
    y, x = torch.meshgrid(
        torch.arange(hw[0], device=device) + 0.5, torch.arange(hw[1], device=device) + 0.5, indexing="ij"
    )
    return torch.stack([x, y], -1)


@checked
def rays(K: Float[Tensor, "3 3"], hw: tuple[int, int]) -> Float[Tensor, "h w 3"]:
    """Directions through the pixel centres in the camera frame, with z = 1."""
    grid = pixel_grid(hw, K.device).to(K.dtype)
    y = (grid[..., 1] - K[1, 2]) / K[1, 1]
    x = (grid[..., 0] - K[0, 2] - K[0, 1] * y) / K[0, 0]
    return torch.stack([x, y, torch.ones_like(x)], -1)


@checked
def unproject(depth_m: Float[Tensor, "h w"], K: Float[Tensor, "3 3"]) -> Float[Tensor, "h w 3"]:
    """Lift z-depth to points in the camera frame.

    Args:
        depth_m: Distance along the optical axis, in metres (not along the ray).
        K: Pinhole intrinsics in pixels of this map.

    Returns:
        Points in metres, OpenCV axes: x right, y down, z forward.

    Example:
        >>> K = torch.tensor([[2.0, 0, 1], [0, 2, 1], [0, 0, 1]])
        >>> unproject(torch.full((2, 2), 4.0), K)[0, 0]
        tensor([-1., -1.,  4.])
    """
    h, w = depth_m.shape
    return rays(K, (h, w)).to(depth_m.dtype) * depth_m[..., None]


@checked
def transform(pose: Float[Tensor, "4 4"], points: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
    """Move points by a rigid motion."""
    return points @ pose[:3, :3].mT + pose[:3, 3]


@checked
def project(
    points: Float[Tensor, "*batch 3"], K: Float[Tensor, "3 3"]
) -> tuple[Float[Tensor, "*batch 2"], Float[Tensor, "*batch"]]:
    """Pixels (x, y) and z-depth of points in the camera frame.

    The pixels of points at or behind the camera (depth <= 0) mean nothing; they are finite.
    """
    z = points[..., 2]
    safe = torch.where(z.abs() < 1e-9, 1e-9, z)
    x, y = points[..., 0] / safe, points[..., 1] / safe
    return torch.stack([K[0, 0] * x + K[0, 1] * y + K[0, 2], K[1, 1] * y + K[1, 2]], -1), z


@checked
def intrinsics(hw: tuple[int, int], fov_deg: float) -> Float[Tensor, "3 3"]:
    """Square pixels, centred, with ``fov_deg`` across the longer side of the picture."""
    focal = max(hw) / 2 / math.tan(math.radians(fov_deg) / 2)
    return torch.tensor([[focal, 0, hw[1] / 2], [0, focal, hw[0] / 2], [0, 0, 1]], dtype=torch.float32)
