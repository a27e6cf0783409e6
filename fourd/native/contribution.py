"""How much each splat adds to a picture: the operator ``fourd::contribution`` and its wrapper for nouns."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Float32, Int32
from torch import Tensor

from fourd.checked import checked
from fourd.errors import InputError
from fourd.native import loader
from fourd.native.inputs import EPS2D_PX, NAMES, SCHEMA, VIEW, check, check_dtypes, tensors
from fourd.native.operators import define
from fourd.types import Splats


class Contribution(NamedTuple):
    """What each splat adds to one picture. The weight is what it takes of a pixel, as in ``rasterize``."""

    weight: Float32[Tensor, " n"]
    """Sum over the pixels: how many pixels' worth of the picture is this splat."""
    peak: Float32[Tensor, " n"]
    """Greatest weight in any pixel, 0 to 1."""
    pixels: Int32[Tensor, " n"]
    """In how many pixels its weight exceeds the threshold."""


def _contribution(*args: Any) -> tuple[Tensor, ...]:
    inputs, parameters = args[: len(NAMES)], args[len(NAMES) :]
    check_dtypes("contribution", NAMES, inputs)
    out = _out(*inputs)
    loader.cpu().contribution(
        *(tensor.detach().contiguous().numpy() for tensor in inputs),
        *parameters,
        *(x.numpy() for x in out),
        torch.get_num_threads(),
    )
    return out


def _out(mean_m: Tensor, *_: Any) -> tuple[Tensor, ...]:
    n = mean_m.shape[:1]
    return mean_m.new_empty(n), mean_m.new_empty(n), mean_m.new_empty(n, dtype=torch.int32)


define("contribution", f"({SCHEMA}, {VIEW}, float threshold) -> (Tensor, Tensor, Tensor)", _contribution, _out)


@checked
def contribution(
    splats: Splats,
    K: Float[Tensor, "3 3"],
    world_from_cam: Float[Tensor, "4 4"],
    hw: tuple[int, int],
    time_s: float,
    *,
    threshold: float = 1 / 255,
    eps2d_px: float = EPS2D_PX,
    near_m: float = 0.01,
) -> Contribution:
    """Measure how much each splat adds to the picture that ``rasterize`` draws of the same arguments.

    The weights of all splats in a pixel sum up to its ``alpha``. A splat that adds little to every picture of
    a clip can go without anyone missing it (RadSplat, Niemeyer et al., 2024, prunes by the peak). Nothing
    here has a gradient.

    Args:
        splats: On the CPU.
        K: Pinhole intrinsics in pixels of the picture.
        world_from_cam: Rigid pose, OpenCV axes.
        hw: Size of the picture.
        time_s: The moment, on the clock of ``Splats.time_s``.
        threshold: Weight that a pixel must exceed to be counted, at least 0.
        eps2d_px: As in ``rasterize``.
        near_m: As in ``rasterize``.

    Raises:
        InputError: As ``rasterize``, or if the threshold is not a number of at least 0.
        MissingError: If the extension is not built.
    """
    check("contribution", splats, K, world_from_cam, hw, time_s, eps2d_px, near_m)
    if not threshold >= 0:
        raise InputError(f"native.contribution: threshold is {threshold:g}; it must be at least 0.")
    inputs = [x.detach() for x in tensors(splats, K, world_from_cam)]
    return Contribution(*torch.ops.fourd.contribution(*inputs, *hw, time_s, eps2d_px, near_m, threshold))
