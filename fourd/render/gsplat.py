"""Render on CUDA with gsplat, which knows nothing of time: each picture's moment is cut out first."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fourd.errors import InputError, missing
from fourd.native import EPS2D_PX
from fourd.types import Cameras, Frames, Splats

_FAINTEST = 1 / 255
"""Opacity below which a splat is never seen."""


def at_moment(splats: Splats, time_s: float) -> tuple[Float[Tensor, "m 3"], Float[Tensor, " m"], Bool[Tensor, " n"]]:
    """Where the splats stand that are alive at a moment, their opacity then, and which they are."""
    # In double precision: an hour into a clip a float is good to a quarter of a millisecond only.
    dt_s = (time_s - splats.time_s.double()).float()
    opacity = splats.opacity * torch.exp(-0.5 * (dt_s / splats.duration_s) ** 2)
    alive = opacity >= _FAINTEST
    mean_m = splats.mean_m[alive] + splats.velocity_mps[alive] * dt_s[alive, None]
    return mean_m, opacity[alive], alive


def load() -> Any:
    """The function ``gsplat.rasterization``.

    Raises:
        MissingError: If gsplat, or what its import needs, is not installed.
    """
    try:
        return importlib.import_module("gsplat").rasterization
    except ImportError as error:
        raise missing("Rendering on CUDA", error.name or "gsplat", "fourd[gpu]", "the CPU: splats.to('cpu')") from error


def stream(splats: Splats, cameras: Cameras) -> Iterator[Frames]:
    """Render picture after picture; ``fourd.render.stream`` says the rest."""
    if bool((cameras.K[:, 0, 1] != 0).any()):
        raise InputError("Cameras.K has skew, which gsplat cannot draw. Render on the CPU: splats.to('cpu').")
    rasterization = load()
    cameras = cameras.to(str(splats.mean_m.device))
    cam_from_world = cameras.cam_from_world
    h, w = cameras.hw
    degree = {1: 0, 4: 1, 9: 2, 16: 3}[splats.colour.shape[1]]
    for i in range(len(cameras)):
        mean_m, opacity, alive = at_moment(splats, float(cameras.time_s[i]))
        if len(mean_m):
            pictures, alpha, _ = rasterization(
                means=mean_m,
                quats=splats.quat_wxyz[alive],
                scales=splats.scale_m[alive],
                opacities=opacity,
                colors=splats.colour[alive],
                viewmats=cam_from_world[i : i + 1],
                Ks=cameras.K[i : i + 1],
                width=w,
                height=h,
                near_plane=0.01,
                eps2d=EPS2D_PX,
                sh_degree=degree,
                render_mode="RGB+ED",
                rasterize_mode="antialiased",
            )
        else:
            pictures, alpha = mean_m.new_zeros(1, h, w, 4), mean_m.new_zeros(1, h, w, 1)
        yield Frames(
            rgb=pictures[..., :3].clamp(max=1),
            alpha=alpha[..., 0],
            depth_m=pictures[..., 3],
            time_s=cameras.time_s[i : i + 1],
        )
