"""Draw splats on the CPU: the operator ``fourd::rasterize`` and its wrapper for nouns.

What it computes is said by ``reference.py`` and, for one splat and one pixel, by cuda_ext/include.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float32, Int32
from torch import Tensor

from fourd.checked import checked
from fourd.native import loader
from fourd.native.inputs import EPS2D_PX, NAMES, SCHEMA, VIEW, check, check_dtypes, tensors
from fourd.native.operators import define
from fourd.types import Splats


class Raster(NamedTuple):
    """What a camera sees of splats, pixel by pixel."""

    rgb: Float32[Tensor, "h w 3"]
    """sRGB weighted by ``alpha``, so that what nothing covers is black. Above 1 only where splats' colours are."""
    alpha: Float32[Tensor, "h w"]
    """How much of the pixel is covered, 0 to 1."""
    depth_m: Float32[Tensor, "h w"]
    """Weighted mean distance of the splats' centres along the optical axis; 0 where ``alpha`` is 0."""
    median_m: Float32[Tensor, "h w"]
    """Distance of the splat at which the pixel becomes more than half covered; 0 where it never does."""
    index: Int32[Tensor, "h w"]  # pyright: ignore[reportIncompatibleMethodOverride]  # Nobody searches a Raster.
    """The splat with the greatest weight; -1 where there is none."""


def _rasterize(*args: Any) -> tuple[Tensor, ...]:
    tensors, (h, w, *parameters) = args[: len(NAMES)], args[len(NAMES) :]
    check_dtypes("rasterize", NAMES, tensors)
    out = _empty(tensors[0], h, w)
    loader.cpu().rasterize(
        *(tensor.detach().contiguous().numpy() for tensor in tensors),
        *parameters,
        *(picture.numpy() for picture in out),
        torch.get_num_threads(),
    )
    return out


def _fake(*args: Any) -> tuple[Tensor, ...]:
    h, w = args[len(NAMES) : len(NAMES) + 2]
    return _empty(args[0], h, w)


_PICTURES = "rgb alpha depth_m".split()
_BY = "by_rgb by_alpha by_depth_m".split()  # What a loss says of them; None for nothing.


def _rasterize_backward(*args: Any) -> tuple[Tensor, ...]:
    tensors, parameters, pictures, by = args[:10], args[10:13], args[13:16], args[16:]
    # Zeros of numpy's: torch would wake its threads for them, and they do not go back to sleep at once.
    by = [
        torch.from_numpy(np.zeros(p.shape, np.float32)) if b is None else b for p, b in zip(pictures, by, strict=True)
    ]
    check_dtypes("rasterize_backward", [*NAMES, *_PICTURES, *_BY], [*tensors, *pictures, *by])
    out = _like(tensors)
    loader.cpu().rasterize_backward(
        *(tensor.detach().contiguous().numpy() for tensor in tensors),
        *parameters,
        *(picture.detach().contiguous().numpy() for picture in (*pictures, *by)),
        *(gradient.numpy() for gradient in out),
        torch.get_num_threads(),
    )
    return out


def _fake_backward(*args: Any) -> tuple[Tensor, ...]:
    return _like(args[:10])


def _like(tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    # Not cleared here: the kernel fills them, and waking torch's threads to clear them takes longer.
    return tuple(torch.empty_like(tensor, memory_format=torch.contiguous_format) for tensor in tensors)


def _remember(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    rgb, alpha, depth_m, median_m, index = output
    ctx.save_for_backward(*inputs[:10], rgb, alpha, depth_m)
    ctx.parameters = inputs[12:]
    ctx.mark_non_differentiable(median_m, index)
    ctx.set_materialize_grads(False)


def _backward(ctx: Any, *by: Tensor | None) -> tuple[Any, ...]:
    saved = ctx.saved_tensors
    gradients = torch.ops.fourd.rasterize_backward(*saved[:10], *ctx.parameters, *saved[10:], *by[:3])
    return (*gradients, *[None] * 5)


def _empty(like: Tensor, h: int, w: int) -> tuple[Tensor, ...]:
    alpha, depth_m, median_m = (like.new_empty((h, w), dtype=torch.float32) for _ in range(3))
    rgb, index = like.new_empty((h, w, 3), dtype=torch.float32), like.new_empty((h, w), dtype=torch.int32)
    return rgb, alpha, depth_m, median_m, index


define(
    "rasterize",
    f"({SCHEMA}, {VIEW}) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
    _rasterize,
    _fake,
    backward=(_backward, _remember),
)
define(
    "rasterize_backward",
    f"({SCHEMA}, float at_s, float eps2d_px, float near_m,"
    f" {', '.join(f'Tensor {name}' for name in _PICTURES)}, {', '.join(f'Tensor? {name}' for name in _BY)})"
    f" -> ({', '.join(['Tensor'] * len(NAMES))})",
    _rasterize_backward,
    _fake_backward,
)


@checked
def rasterize(
    splats: Splats,
    K: Float[Tensor, "3 3"],
    world_from_cam: Float[Tensor, "4 4"],
    hw: tuple[int, int],
    time_s: float,
    *,
    eps2d_px: float = EPS2D_PX,
    near_m: float = 0.01,
) -> Raster:
    """Draw splats as a pinhole camera sees them at one moment.

    Each splat is projected as in EWA splatting, widened by a low-pass filter, dimmed in return so that it
    does not grow brighter (Mip-Splatting, Yu et al., 2024), and laid behind those nearer. Splats are sorted
    by the depth of their centres. A splat adds ``alpha = min(0.999, opacity exp(-d^2 / 2))`` of what is still
    uncovered; less than 1/255 counts as nothing, and a pixel covered to 0.9999 takes nothing more.

    Where an input requires it, rgb, alpha and depth_m carry gradients, by every field of the splats but
    ``source`` and by the camera; median_m and index do not. Each number of the input counts as free: the
    gradient by ``world_from_cam`` is that by its first three rows as they are used (the rotation's columns and
    the camera's place), and that by a quaternion is not bent to keep it unit. Whoever moves them along it
    brings them back, or composes the pose from something smaller and lets autograd do the rest.

    Args:
        splats: On the CPU.
        K: Pinhole intrinsics in pixels of this picture; skew is obeyed.
        world_from_cam: Rigid pose, OpenCV axes.
        hw: Size of the picture, each side at most 32767.
        time_s: The moment, on the clock of ``Splats.time_s``.
        eps2d_px: Variance of the low-pass filter in square pixels. A pixel's own square has 1/12.
        near_m: Splats whose centre is not farther than this are left out.

    Raises:
        InputError: If something is not on the CPU, or a parameter is out of range.
        MissingError: If the extension is not built.
    """
    check("rasterize", splats, K, world_from_cam, hw, time_s, eps2d_px, near_m)
    return Raster(
        *torch.ops.fourd.rasterize(
            *tensors(splats, K, world_from_cam),
            *hw,
            time_s,
            eps2d_px,
            near_m,
        )
    )
