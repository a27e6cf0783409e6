"""Contact sheets: many pictures on one, each with its label."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from fourd.checked import checked
from fourd.errors import InputError

_GAP_PX = 4
_GROUND = 24
"""Grey of the paper; dark, so that neither pictures nor holes are lost on it."""
_SHAPE = 16 / 9
"""Width over height that the whole sheet comes as near to as it can."""


@checked
def columns(count: int, hw: tuple[int, int]) -> int:
    """How many pictures of size ``hw`` to lay side by side, so that ``count`` of them look best on a screen.

    Gaps at the end of the last row count as much as a sheet that is too long or too wide.

    Example:
        >>> columns(12, (360, 640)), columns(12, (640, 360)), columns(1, (9, 16))
        (4, 6, 1)
    """

    def ugliness(across: int) -> float:
        down = math.ceil(count / across)
        shape = across * hw[1] / (down * hw[0])
        return abs(math.log(shape / _SHAPE)) + (across * down - count) / count

    return min(range(1, count + 1), key=ugliness)


@checked
def contact_sheet(
    cells: Sequence[tuple[str, UInt8[Tensor, "h w 3"]]], *, across: int | None = None
) -> UInt8[Tensor, "H W 3"]:
    """Lay labelled pictures of one size on one picture, row by row.

    Args:
        cells: Label (plain ASCII, may be empty) and sRGB picture of each.
        across: Pictures in a row; whatever brings the sheet near 16:9 by default.

    Raises:
        InputError: If there are no pictures, or they differ in size.
    """
    if not cells:
        raise InputError("A contact sheet needs at least one picture.")
    sizes = sorted({tuple(picture.shape[:2]) for _, picture in cells})
    if len(sizes) > 1:
        raise InputError(f"The pictures of a contact sheet must be of one size; these are {sizes}.")
    h, w = sizes[0]
    across = across or columns(len(cells), (h, w))
    strip = _strip_px(w) if any(label for label, _ in cells) else 0
    pitch = (strip + h + _GAP_PX, w + _GAP_PX)
    down = math.ceil(len(cells) / across)
    sheet = np.full((down * pitch[0] + _GAP_PX, across * pitch[1] + _GAP_PX, 3), _GROUND, np.uint8)
    for i, (label, picture) in enumerate(cells):
        top, left = _GAP_PX + i // across * pitch[0], _GAP_PX + i % across * pitch[1]
        _write(sheet[top : top + strip, left : left + w], label)
        sheet[top + strip : top + strip + h, left : left + w] = picture.cpu().numpy()
    return torch.from_numpy(sheet)


def _strip_px(width: int) -> int:
    """Height of a line of text that suits pictures of a width."""
    return min(max(width // 16, 14), 40)


def _write(strip: np.ndarray, label: str) -> None:
    """Draw ``label`` into a strip, as large as its height allows and small enough for its width."""
    if not label or strip.size == 0:
        return
    import cv2

    height, width = strip.shape[:2]
    font = cv2.FONT_HERSHEY_SIMPLEX
    (unit_w, unit_h), below = cv2.getTextSize(label, font, 1.0, 1)
    scale = min(0.72 * height / (unit_h + below), (width - 8) / unit_w)
    baseline = round(height / 2 + scale * (unit_h - below) / 2 + 1)
    drawn = np.ascontiguousarray(strip)
    cv2.putText(drawn, label, (4, baseline), font, scale, (225, 225, 225), 1, cv2.LINE_AA)
    strip[:] = drawn
