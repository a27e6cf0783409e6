"""Plane sweep and semi-global matching, and smoothing along edges, as torch operators.

``sweep_reference.py`` says what they compute.
"""

from __future__ import annotations

import torch
from jaxtyping import Float32, Int16, UInt8
from torch import Tensor

from fourd.checked import checked
from fourd.errors import InputError
from fourd.native import loader
from fourd.native.operators import as_arrays, define

MAX_PENALTY = 8000
"""Largest penalty of ``semi_global``: sums of costs and penalties must fit into 16 bits."""


def _plane_sweep(
    reference: Tensor, others: Tensor, turn: Tensor, shift: Tensor, rho: Tensor, truncation: float
) -> Tensor:
    out = torch.empty((*reference.shape[:2], len(rho)), dtype=torch.uint8)
    arrays = as_arrays(reference, others, turn, shift, rho)
    loader.cpu().plane_sweep(*arrays, truncation, out.numpy(), torch.get_num_threads())
    return out


def _semi_global(cost: Tensor, across: Tensor, down: Tensor, p1: int) -> tuple[Tensor, Tensor, Tensor]:
    plane, lead, residual = (torch.empty(cost.shape[:2], dtype=torch.float32) for _ in range(3))
    arrays = as_arrays(cost, across, down)
    loader.cpu().semi_global(*arrays, p1, plane.numpy(), lead.numpy(), residual.numpy(), torch.get_num_threads())
    return plane, lead, residual


def _smooth_along_edges(maps: Tensor, across: Tensor, down: Tensor, strength: float, rounds: int) -> Tensor:
    out = maps.clone(memory_format=torch.contiguous_format)
    arrays = as_arrays(out, across, down)
    loader.cpu().smooth_along_edges(*arrays, strength, rounds, torch.get_num_threads())
    return out


define(
    "plane_sweep",
    "(Tensor reference, Tensor others, Tensor turn, Tensor shift, Tensor rho, float truncation) -> Tensor",
    _plane_sweep,
    lambda reference, others, turn, shift, rho, _: reference.new_empty(
        (*reference.shape[:2], len(rho)), dtype=torch.uint8
    ),
    "sweep_cuda",
)
define(
    "semi_global",
    "(Tensor cost, Tensor across, Tensor down, int p1) -> (Tensor, Tensor, Tensor)",
    _semi_global,
    lambda cost, *_: tuple(cost.new_empty(cost.shape[:2], dtype=torch.float32) for _ in range(3)),
    "sweep_cuda",
)
define(
    "smooth_along_edges",
    "(Tensor maps, Tensor across, Tensor down, float strength, int rounds) -> Tensor",
    _smooth_along_edges,
    lambda maps, *_: torch.empty_like(maps, memory_format=torch.contiguous_format),
    "sweep_cuda",
)


@checked
def plane_sweep(
    reference: Float32[Tensor, "h w 4"],
    others: Float32[Tensor, "n h w 4"],
    turn: Float32[Tensor, "n 3 3"],
    shift: Float32[Tensor, "n 3"],
    rho: Float32[Tensor, " d"],
    truncation: float,
) -> UInt8[Tensor, "h w d"]:
    """How badly each pixel matches the other views, were it on each of d planes of constant inverse depth.

    Per view the cost is the sum of absolute differences of three features, cut off at ``truncation``;
    over the views it is the mean of the better half, because what is hidden in one view is seldom hidden
    in all; over the picture it is the mean of 3x3 pixels. Where a view shows nothing valid it counts one half.

    Args:
        reference: Three features and the validity (0 or 1) of each pixel.
        others: The same for the other views. A sample is valid if its four pixels are, nearly.
        turn: Takes homogeneous pixels of the reference to those of each view, for points at infinity:
            ``K_view R K_reference^-1``.
        shift: What one unit of inverse depth adds: ``K_view t``, for ``x_view = R x_reference + t``.
        rho: Inverse depths of the planes.
        truncation: The largest difference that still tells something.

    Returns:
        Costs, 0 to 255.

    Raises:
        InputError: If ``truncation`` is not positive.
    """
    if not truncation > 0:
        raise InputError(f"plane_sweep: truncation is {truncation:g}; it must be positive.")
    return torch.ops.fourd.plane_sweep(reference, others, turn, shift, rho, truncation)


@checked
def semi_global(
    cost: UInt8[Tensor, "h w d"],
    across: Int16[Tensor, "h w-1"],
    down: Int16[Tensor, "h-1 w"],
    p1: int,
) -> tuple[Float32[Tensor, "h w"], Float32[Tensor, "h w"], Float32[Tensor, "h w"]]:
    """Pick a plane for every pixel so that neighbours agree unless the picture has an edge.

    Semi-global matching (Hirschmueller, "Stereo Processing by Semiglobal Matching and Mutual Information",
    2008) along four directions.

    Args:
        cost: From ``plane_sweep``.
        across: Penalty for a jump of two planes or more between horizontal neighbours, 0 to ``MAX_PENALTY``.
        down: The same between vertical neighbours.
        p1: Penalty for a step of one plane, 0 to ``MAX_PENALTY``.

    Returns:
        The plane (its index, refined by a parabola), the lead of its summed cost over the best plane that is not
        within two of it (0 to about 1), and its own matching cost (0 to 1).

    Raises:
        InputError: If a penalty is out of range, or there is no plane.
    """
    if cost.shape[2] == 0:
        raise InputError("semi_global: cost has no planes; there must be at least one.")
    for name, value in (("across", across), ("down", down), ("p1", torch.tensor(p1))):
        if value.numel() and (int(value.min()) < 0 or int(value.max()) > MAX_PENALTY):
            raise InputError(f"semi_global: {name} must lie between 0 and {MAX_PENALTY}.")
    return torch.ops.fourd.semi_global(cost, across, down, p1)


@checked
def smooth_along_edges(
    maps: Float32[Tensor, "n h w"],
    across: Float32[Tensor, "h w-1"],
    down: Float32[Tensor, "h-1 w"],
    strength: float,
    rounds: int = 3,
) -> Float32[Tensor, "n h w"]:
    """Spread values over the picture, but not across its edges.

    Weighted least squares along rows and columns in turn, gentler from round to round (Min et al., "Fast Global
    Image Smoothing Based on Weighted Least Squares", 2014). The means of rows and columns of ones are ones. To fill
    holes, smooth values times confidence and the confidence, and divide.

    Args:
        maps: What to smooth.
        across: How alike horizontal neighbours are, 0 (an edge) to 1.
        down: The same for vertical neighbours.
        strength: How far values reach: about its square root in pixels.
        rounds: How often rows and columns take turns.

    Raises:
        InputError: If ``strength`` is negative or not finite, or ``rounds`` below 1.
    """
    if not 0 <= strength < float("inf") or rounds < 1:
        raise InputError(
            f"smooth_along_edges: strength is {strength:g} and rounds {rounds}; they must be at least 0 and 1."
        )
    return torch.ops.fourd.smooth_along_edges(maps, across, down, strength, rounds)
