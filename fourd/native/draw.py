"""Draw one picture on whichever device the splats are: the CPU's own rasterizer, or gsplat on CUDA."""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Float, Float32
from torch import Tensor

from fourd.checked import checked
from fourd.native.inputs import EPS2D_PX
from fourd.native.rasterize import rasterize
from fourd.types import Splats


class Picture(NamedTuple):
    """What a camera sees at one moment; as in ``Raster``, of which it is what every device can draw."""

    rgb: Float32[Tensor, "h w 3"]
    alpha: Float32[Tensor, "h w"]
    depth_m: Float32[Tensor, "h w"]


@checked
def draw(
    splats: Splats,
    K: Float[Tensor, "3 3"],
    world_from_cam: Float[Tensor, "4 4"],
    hw: tuple[int, int],
    time_s: float,
    *,
    eps2d_px: float = EPS2D_PX,
    near_m: float = 0.01,
) -> Picture:
    """Draw splats as a pinhole camera sees them at one moment.

    Arguments, mathematics and gradients are those of ``native.rasterize``, where the splats are on the CPU. On CUDA
    gsplat draws: the same picture up to rounding and what it leaves out of nearly closed pixels (at most 1e-4 of what
    lies behind), with gradients by the splats and the pose, but none by K.

    Raises:
        InputError: If a parameter is out of range, the devices differ, or K has skew on CUDA.
        MissingError: If what draws there is not installed: the extension, or gsplat and NVRTC.
    """
    if splats.mean_m.device.type == "cuda":
        from fourd.native import gsplat

        return Picture(*gsplat.draw(splats, K, world_from_cam, hw, time_s, eps2d_px=eps2d_px, near_m=near_m))
    seen = rasterize(splats, K, world_from_cam, hw, time_s, eps2d_px=eps2d_px, near_m=near_m)
    return Picture(seen.rgb, seen.alpha, seen.depth_m)
