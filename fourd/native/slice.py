"""Cut one moment, as one camera sees it, out of a scene that lives in time: the operator ``fourd::slice``.

A rasterizer that knows nothing of time is then given only what is alive and in view. On CUDA this is a kernel
(cuda_ext/cuda/slice.cu); on the CPU, whose rasterizer does the same on its way, it is plain torch, which says
what the kernel means and judges it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from fourd.checked import checked
from fourd.errors import InputError
from fourd.native import reference
from fourd.native.inputs import EPS2D_PX, NAMES, SCHEMA, VIEW, check_view, tensors
from fourd.native.operators import define
from fourd.types import Splats


class Slice(NamedTuple):
    """Splats that stand still: those of a scene that show in one picture, in the scene's order."""

    mean_m: Float32[Tensor, "m 3"]
    quat_wxyz: Float32[Tensor, "m 4"]
    scale_m: Float32[Tensor, "m 3"]
    opacity: Float32[Tensor, " m"]
    """At that moment."""
    rgb: Float32[Tensor, "m 3"]
    """As seen from that camera; 0 or more."""
    index: Int64[Tensor, " m"]  # pyright: ignore[reportIncompatibleMethodOverride]  # Nobody searches a Slice.
    """Which splats of the scene they are."""


def _slice(*args: Any) -> tuple[Tensor, ...]:
    (*splats, K, world_from_cam), (h, w, *rest) = args[: len(NAMES)], args[len(NAMES) :]
    index = _shown(splats, K, world_from_cam, (h, w), *rest)
    return *_values([tensor[index] for tensor in splats], world_from_cam, rest[0]), index


def _fake(*args: Any) -> tuple[Tensor, ...]:
    m = torch.library.get_ctx().new_dynamic_size()
    like = args[0]
    shapes = ((m, 3), (m, 4), (m, 3), (m,), (m, 3))
    return *(like.new_empty(shape) for shape in shapes), like.new_empty((m,), dtype=torch.int64)


def _shown(
    splats: list[Tensor],
    K: Tensor,
    world_from_cam: Tensor,
    hw: tuple[int, int],
    at_s: float,
    eps2d_px: float,
    near_m: float,
) -> Tensor:
    """The splats that reach the centre of a pixel with at least 1/255, or nearly; see ``project`` in splat.h."""
    mean_m, quat_wxyz, scale_m, opacity, _, velocity_mps, time_s, duration_s = splats
    mean_m, opacity = reference.at_moment(mean_m, opacity, velocity_mps, time_s, duration_s, at_s)
    depth_m = (mean_m - world_from_cam[:3, 3]) @ world_from_cam[:3, 2]
    centre, covariance, _, factor = reference.project(mean_m, quat_wxyz, scale_m, K, world_from_cam, hw, eps2d_px)
    bright = (opacity * factor / reference.ALPHA_MIN).clamp(min=1)
    reach = (2 * bright.log()[:, None] * covariance.diagonal(dim1=1, dim2=2)).sqrt() + 0.01
    inside = (centre + reach > 0.5) & (centre - reach < torch.tensor(hw[::-1]) - 0.5)
    return ((depth_m > near_m) & (opacity * factor >= reference.ALPHA_MIN) & inside.all(1)).nonzero()[:, 0]


def _values(splats: list[Tensor], world_from_cam: Tensor, at_s: float) -> tuple[Tensor, ...]:
    """What becomes of splats that are kept. Gradients flow through it, on every device."""
    mean_m, quat_wxyz, scale_m, opacity, colour, velocity_mps, time_s, duration_s = splats
    mean_m, opacity = reference.at_moment(mean_m, opacity, velocity_mps, time_s, duration_s, at_s)
    view = torch.nn.functional.normalize(mean_m - world_from_cam[:3, 3], dim=-1)
    rgb = 0.5 + torch.einsum("nk,nkc->nc", reference.sh_basis(view)[:, : colour.shape[1]], colour)
    return mean_m, quat_wxyz, scale_m, opacity, rgb.clamp(min=0)


def _remember(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    *splats, _, world_from_cam = inputs[: len(NAMES)]
    ctx.save_for_backward(*splats, world_from_cam, output[-1])
    ctx.mark_non_differentiable(output[-1])
    ctx.at_s = inputs[len(NAMES) + 2]


def _backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
    """The gradients of the plain formulas at what was kept; what was not kept has none."""
    *splats, world_from_cam, index = ctx.saved_tensors
    wanted = [*ctx.needs_input_grad[: len(splats)], ctx.needs_input_grad[len(splats) + 1]]  # Not K.
    if not any(wanted):
        return (None,) * len(ctx.needs_input_grad)
    with torch.enable_grad():
        kept = [*(tensor.detach()[index] for tensor in splats), world_from_cam.detach().clone()]
        for tensor, want in zip(kept, wanted, strict=True):
            tensor.requires_grad_(want)
        values = _values(kept[:-1], kept[-1], ctx.at_s)
    outputs, given = zip(*((o, g) for o, g in zip(values, gradients[:-1], strict=True) if o.requires_grad), strict=True)
    sources = [tensor for tensor in kept if tensor.requires_grad]
    found = iter(torch.autograd.grad(outputs, sources, given, allow_unused=True, materialize_grads=True))
    back = [next(found) if want else None for want in wanted]
    # No splat is kept twice, so that nothing is added up and the order cannot matter.
    of_splats = [
        None if gradient is None else torch.zeros_like(tensor).index_copy_(0, index, gradient)
        for tensor, gradient in zip(splats, back[:-1], strict=True)
    ]
    return *of_splats, None, back[-1], None, None, None, None, None


define(
    "slice",
    f"({SCHEMA}, {VIEW}) -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
    _slice,
    _fake,
    "slice_cuda",
    backward=(_backward, _remember),
)


@checked
def cut(
    splats: Splats,
    K: Float[Tensor, "3 3"],
    world_from_cam: Float[Tensor, "4 4"],
    hw: tuple[int, int],
    time_s: float,
    *,
    eps2d_px: float = EPS2D_PX,
    near_m: float = 0.01,
) -> Slice:
    """Cut out what a camera sees of a scene at one moment.

    The arguments are those of ``native.rasterize``, on the CPU or on one CUDA device. Kept are the splats that it
    would draw, up to rounding at the picture's border and at the faintest opacity. Differentiable with respect to
    all tensors of ``splats``, and to ``world_from_cam`` through colours that depend on the direction of view.

    Raises:
        InputError: If ``hw`` or ``time_s`` is out of range, or something is on another device than the splats.
        MissingError: If the splats are on a CUDA device and what compiles the kernel is not installed.
    """
    device = splats.mean_m.device
    for name, tensor in (("K", K), ("world_from_cam", world_from_cam)):
        if tensor.device != device:
            raise InputError(
                f"slice.cut: {name} is on {tensor.device} and the splats are on {device}; move one of them."
            )
    check_view("slice.cut", hw, time_s)
    found = torch.ops.fourd.slice(*tensors(splats, K, world_from_cam), *hw, time_s, eps2d_px, near_m)
    return Slice(*found)
