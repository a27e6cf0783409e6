"""Drawing in tiles what does not fit into memory whole, and telling that it did not."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float32
from torch import Tensor

from fourd.checked import checked

OVERLAP = 0.25
"""Tiles reach so much of their own size into the next one: there they go on from what that one shows."""

Draw = Callable[[Tensor, Tensor, int, int], Tensor]
"""Pictures [n, h, w, 3], their holes [n, h, w], a seed, and the longer side in pixels at which to draw."""


def exhausted(error: BaseException) -> bool:
    """Whether an error says that there is not enough memory, of the GPU or of the machine."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    said = str(error).lower()
    return isinstance(error, RuntimeError) and ("out of memory" in said or "can't allocate memory" in said)


@checked
def drawn(
    draw: Draw, rgb: Float32[Tensor, "n h w 3"], hole: Bool[Tensor, "n h w"], seed: int, size: int, halvings: int
) -> Float32[Tensor, "n h w 3"]:
    """Draw into holes, in tiles one after the other; each sees what those before it drew.

    Args:
        draw: Draws pictures.
        rgb: The pictures.
        hole: Where to draw. A tile without a hole is left out.
        seed: The same one gives the same picture.
        size: Longer side in pixels at which whole pictures would be drawn; tiles are drawn at the same scale.
        halvings: How often each side is halved; with 0 pictures are drawn whole.
    """
    if halvings == 0:
        return draw(rgb, hole, seed, size)
    rgb, left = rgb.clone(), hole.clone()
    count, (h, w) = 2**halvings, hole.shape[1:]
    number = 0
    for top, bottom in _parts(h, count):
        for start, end in _parts(w, count):
            part = left[:, top:bottom, start:end].clone()
            number += 1
            if not bool(part.any()):
                continue
            there = rgb[:, top:bottom, start:end]
            smaller = max(16, round(size * max(bottom - top, end - start) / max(h, w)))
            rgb[:, top:bottom, start:end] = torch.where(
                part[..., None], draw(there, part, seed + number, smaller), there
            )
            left[:, top:bottom, start:end] = False
    return rgb


def _parts(length: int, count: int) -> list[tuple[int, int]]:
    """Cut a length into so many parts of one size, which overlap."""
    size = min(length, -(-length // count) + int(OVERLAP * length / count))
    starts = [round(k * (length - size) / max(1, count - 1)) for k in range(count)]
    return [(start, start + size) for start in dict.fromkeys(starts)]
