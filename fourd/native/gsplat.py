"""Draw on CUDA with gsplat, which knows nothing of time: the moment is cut out first by ``fourd::slice``.

Checked against gsplat 1.5.3.
"""

from __future__ import annotations

import importlib
from typing import Any

from torch import Tensor

from fourd import poses
from fourd.errors import InputError, missing
from fourd.native.inputs import EPS2D_PX
from fourd.native.slice import cut
from fourd.types import Splats


def load() -> Any:
    """The function ``gsplat.rasterization``.

    Raises:
        MissingError: If gsplat, or what its import needs, is not installed.
    """
    try:
        return importlib.import_module("gsplat").rasterization
    except ImportError as error:
        raise missing("Rendering on CUDA", error.name or "gsplat", "fourd[gpu]", "the CPU: splats.to('cpu')") from error


def draw(
    splats: Splats,
    K: Tensor,
    world_from_cam: Tensor,
    hw: tuple[int, int],
    time_s: float,
    *,
    eps2d_px: float = EPS2D_PX,
    near_m: float = 0.01,
) -> tuple[Tensor, Tensor, Tensor]:
    """One picture: rgb [h, w, 3], alpha [h, w] and depth_m [h, w]; ``fourd.native.draw`` says the rest.

    Gradients flow to all tensors of the splats and to the pose, which must be rigid; not to K, for gsplat has none.

    Raises:
        InputError: If K has skew, or as ``slice.cut``.
        MissingError: If gsplat, or what compiles the kernels, is not installed.
    """
    if float(K[0, 1]) != 0:
        raise InputError("Cameras.K has skew, which gsplat cannot draw. Render on the CPU: splats.to('cpu').")
    rasterization = load()
    h, w = hw
    shown = cut(splats, K, world_from_cam, hw, time_s, eps2d_px=eps2d_px, near_m=near_m)
    if len(shown.index) == 0:
        nothing = shown.mean_m.sum().expand(h, w)  # 0, and as differentiable as everything else.
        return nothing[..., None].expand(h, w, 3), nothing, nothing
    pictures, alpha, _ = rasterization(
        means=shown.mean_m,
        quats=shown.quat_wxyz,
        scales=shown.scale_m,
        opacities=shown.opacity,
        colors=shown.rgb,
        # Of the entries that the CPU's rasterizer reads, so that their gradients are the same.
        viewmats=poses.inverse(world_from_cam.float())[None],
        Ks=K.float()[None],
        width=w,
        height=h,
        near_plane=near_m,
        eps2d=eps2d_px,
        packed=False,  # Nearly all that were cut out are seen.
        render_mode="RGB+ED",
        rasterize_mode="antialiased",
    )
    return pictures[0, ..., :3], alpha[0, ..., 0], pictures[0, ..., 3]
