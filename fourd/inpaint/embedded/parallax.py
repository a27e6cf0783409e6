"""Holes with a known truth: what of a picture a camera aside of it would not have seen.

No camera is needed for it. For a camera that moves aside while it turns about the distance ``1 / rho0``, a pixel of
inverse depth rho wanders by ``travel * (rho - rho0)``. What lands behind something nearer is hidden, and what leaves
the picture is outside; both are holes of this picture as seen from there, in just the shapes that a turned view
opens, and beside the right things.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float32
from torch import Tensor


def hidden(
    code: Float32[Tensor, "n h w"], travel: Float32[Tensor, " n"], pivot: Float32[Tensor, " n"], upright: bool = False
) -> Bool[Tensor, "n h w"]:
    """Which pixels another camera does not see.

    Args:
        code: Any map that grows with nearness; coded inverse depth, here.
        travel: Pixels that a step of 1 in the map wanders, either sign.
        pivot: The value that does not wander.
        upright: The camera moves up or down, not aside.

    Returns:
        True where hidden or outside.
    """
    if upright:
        return hidden(code.mT, travel, pivot).mT
    n, h, w = code.shape
    to = torch.arange(w) + travel[:, None, None] * (code - pivot[:, None, None])
    front = torch.full((n, h, w + 2), -torch.inf)
    for shift in (0.0, 0.5):  # Twice as dense as the picture, so that a stretched surface has few gaps.
        at = (to + shift).floor().long().clamp(-1, w) + 1
        front.scatter_reduce_(2, at, code.contiguous(), "amax")
    at = to.round().long().clamp(-1, w) + 1
    behind = front.gather(2, at) > code + 0.06
    return behind | (to < 0) | (to > w - 1)
