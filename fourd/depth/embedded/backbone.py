"""Encoders of others: any model of timm that sees at 1/2, 1/4, 1/8, 1/16 and 1/32 of the picture's size."""

from __future__ import annotations

import importlib
from typing import Any

from torch import nn

from fourd.errors import FormatError, MissingError, missing

REDUCTIONS = (2, 4, 8, 16, 32)
"""How much smaller each of an encoder's maps is than the picture."""


def published(name: str, inputs: int, learnt: bool = False) -> tuple[nn.Module, tuple[int, ...]]:
    """An encoder by timm's name, and its channels at each of ``REDUCTIONS``.

    Args:
        name: As timm lists it (``"mobilenetv4_conv_small"``).
        inputs: Channels of what it is shown. Weights for three are spread over them.
        learnt: Begin with timm's weights for it, which are downloaded; their licences differ.

    Raises:
        MissingError: If timm is not installed, or cannot be imported, or weights cannot be had.
        FormatError: If timm has no such model, or it does not see at these sizes.
    """
    what = f"The encoder '{name}'"
    try:
        timm: Any = importlib.import_module("timm")
    except ModuleNotFoundError as error:
        raise missing(what, "timm", "fourd[models]", "leave --recipe.backbone away") from error
    except (ImportError, RuntimeError) as error:  # It imports torchvision, which must be of torch's own build.
        raise MissingError(f"{what} needs the package 'timm', which cannot be imported: {error}") from error
    try:
        model = timm.create_model(name, pretrained=learnt, features_only=True, in_chans=inputs)
    except OSError as error:
        raise MissingError(f"{what} cannot be downloaded ({error}). Leave --recipe.learnt away.") from error
    except (RuntimeError, TypeError, ValueError, AttributeError) as error:
        raise FormatError(f"timm makes no encoder of '{name}' ({error}). See timm.list_models().") from error
    if tuple(model.feature_info.reduction()) != REDUCTIONS:
        raise FormatError(
            f"{what} sees at 1/{', 1/'.join(map(str, model.feature_info.reduction()))} of the picture's size; it must"
            f" be 1/{', 1/'.join(map(str, REDUCTIONS))}. Convolutional ones do, such as mobilenetv4_conv_small."
        )
    return model, tuple(model.feature_info.channels())
