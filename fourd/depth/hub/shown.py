"""How a published model wants to be shown a picture."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from numpy import ndarray as Array
from torch import Tensor

from fourd.depth.hub.reader import Shown
from fourd.errors import InputError

FIXED = ("depth_pro", "tipsv2_dpt")
"""Kinds that see every picture stretched to one size. Their processors in transformers want torchvision, which is not
needed for that."""


def shown(what: str, processor: Any, reflects: bool, size: int | None) -> tuple[Shown, Callable[[int], int] | None]:
    """Make what shows pictures to a model.

    Args:
        what: What messages call the model.
        processor: Of transformers, or for ``FIXED`` kinds its configuration.
        reflects: Whether it reflects pictures at their borders.
        size: Longer side of what it is shown, before it is rounded to what the model can take; its own by default.

    Returns:
        That, and the border it adds: see ``fourd.depth.hub.reader.Reader``.

    Raises:
        InputError: If the model does not let its size be chosen, or its configuration makes no sense.
    """
    fixed = isinstance(processor, dict)
    if size is not None and (fixed or not getattr(processor, "do_resize", False) or not hasattr(processor, "size")):
        raise InputError(f"{what} sees pictures at a size of its own; leave size out.")
    if fixed:
        return _stretched(what, processor), None
    pads = bool(getattr(processor, "do_pad", False))
    divisor = (getattr(processor, "size_divisor", None) or 1) if pads and not reflects else 1
    more = dict(do_pad=False) if divisor > 1 else {}  # Stretching to the next multiple leaves nothing to be cut away.
    keeps, least = getattr(processor, "keep_aspect_ratio", False), getattr(processor, "ensure_multiple_of", 1)

    def show(picture: UInt8[Array, "h w 3"]) -> Float[Tensor, "1 3 h2 w2"]:
        h, w = (math.ceil(x / divisor) * divisor for x in picture.shape[:2])
        if (h, w) != picture.shape[:2]:
            picture = np.asarray(cv2.resize(picture, (w, h), interpolation=cv2.INTER_LINEAR), np.uint8)
        # Said and not left to be inferred: a picture of three rows looks like one of three channels.
        asked: dict[str, Any] = dict(input_data_format="channels_last")
        if size is not None:
            height, width = (max(round(x * size / max(h, w)), least) if keeps else size for x in (h, w))
            asked["size"] = dict(height=height, width=width)
        return processor(images=picture, return_tensors="pt", **more, **asked)["pixel_values"]

    # As ZoeDepth's authors do it, because its depth is wrong at borders.
    return show, (lambda length: int(math.sqrt(length / 2) * 3)) if pads and reflects else None


def _stretched(what: str, told: dict[str, Any]) -> Shown:
    """Scaled, normalised, and stretched to one size."""
    try:
        hw = int(told["size"]["height"]), int(told["size"]["width"])
        scale = float(told.get("rescale_factor", 1 / 255)) if told.get("do_rescale", True) else 1.0
        normal = (told["image_mean"], told["image_std"]) if told.get("do_normalize", True) else (0.0, 1.0)
        # One number may stand for all three colours, as it does in Depth Pro's own file.
        mean, std = (torch.tensor(x, dtype=torch.float32).expand(3).view(1, 3, 1, 1) for x in normal)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{what} does not say how it wants to be shown pictures ({error!r}).") from None

    def show(picture: UInt8[Array, "h w 3"]) -> Float[Tensor, "1 3 h2 w2"]:
        x = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].float() * scale
        return F.interpolate((x - mean) / std, hw, mode="bilinear", align_corners=False)

    return show
