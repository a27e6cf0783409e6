"""The size of the world: solved cameras and given depth brought together."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from fourd.checked import checked
from fourd.errors import InputError
from fourd.geometry import clock
from fourd.geometry.correspondence import Chains
from fourd.geometry.parallax import still_world
from fourd.types import Cameras, DepthMaps, Motion

_FRAMES = 12
"""Frames that are asked, evenly spaced."""
_LONGEST_PX = 320
_SURE = 0.1
"""Largest relative error of a triangulated depth that is asked."""
_FITS = 2.0
"""Largest residual, in units of the noise, of a pixel that is asked."""
_STATIC, _CONFIDENT = 0.5, 0.5
_FEWEST = 200


@checked
def rescale(cameras: Cameras, depth: DepthMaps, motion: Motion) -> Cameras:
    """Scale the cameras' world so that it agrees with given depth.

    The depth of pixels that stand still is triangulated from flow and compared with the given
    one; the median ratio is the scale. A camera that stands or turns has no depth to compare and
    comes back as it is, and so does one where too few pixels can be compared.

    Args:
        cameras: One a frame, in a unit of their own.
        depth: In the unit that is wanted.
        motion: Flow, and what moves.

    Raises:
        InputError: If there are not as many cameras, depth maps and frames of motion.
    """
    if not len(cameras) == len(depth) == len(motion):
        raise InputError(
            f"There are {len(cameras)} cameras, {len(depth)} depth maps and {len(motion)} frames of motion;"
            " there must be equally many."
        )
    if float((cameras.centre_m - cameras.centre_m[0]).norm(dim=1).max()) == 0:
        return cameras
    scale = min(1.0, _LONGEST_PX / max(motion.hw))
    hw = max(1, round(motion.hw[0] * scale)), max(1, round(motion.hw[1] * scale))
    moves, maps, small = motion.to("cpu"), depth.to("cpu"), cameras.to("cpu").resized(hw)
    chains = (
        Chains(moves.flow_forward, moves.visible_forward, 1, hw),
        Chains(moves.flow_backward, moves.visible_backward, -1, hw),
    )
    ratios = []
    for i in clock.spread(len(cameras), _FRAMES).tolist():
        still = still_world(chains, small, i)
        if not len(still.e):
            continue
        q, sigma = still.inverse_depth()
        given, confidence, moving = (_resized(m[i].float(), hw) for m in (maps.depth_m, maps.confidence, moves.moving))
        good = still.heard & (sigma < _SURE * q) & (still.excess(q) < _FITS)
        good &= (confidence > _CONFIDENT) & torch.isfinite(given) & (moving < _STATIC)
        ratios.append(given[good] * q[good])
    ratio = torch.cat(ratios) if ratios else torch.zeros(0)
    if len(ratio) < _FEWEST:
        return cameras
    return cameras.scaled(float(ratio.median()))


def _resized(field: Float[Tensor, "h w"], hw: tuple[int, int]) -> Float[Tensor, "h2 w2"]:
    return torch.nn.functional.interpolate(field[None, None], hw, mode="nearest-exact")[0, 0]
