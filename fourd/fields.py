"""What the nouns share: the checks of their constructors, whose errors name noun and field, and copying."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fourd.errors import InputError


def tensor(owner: str, name: str, value: object, shape: str, dtype: torch.dtype) -> Tensor:
    """Bring an array-like to a contiguous tensor of ``dtype`` and check its rank and fixed sizes."""
    try:
        tensor = _as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{owner}.{name} must be an array [{shape}], not {type(value).__name__}.") from error
    wanted = shape.split()
    fits = tensor.ndim == len(wanted) and all(
        not want.isdigit() or size == int(want) for size, want in zip(tensor.shape, wanted, strict=True)
    )
    if not fits:
        raise InputError(f"{owner}.{name} has shape {tuple(tensor.shape)}; it must be [{', '.join(wanted)}].")
    if tensor.is_complex() or (not dtype.is_floating_point and tensor.dtype != dtype):
        raise InputError(f"{owner}.{name} has dtype {tensor.dtype}; it must be {dtype}.")
    return tensor.to(dtype).contiguous()


def _as_tensor(value: object) -> Tensor:
    """The numbers as a tensor, also of arrays that run backwards (``picture[..., ::-1]``) or cannot be written to."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, (list, tuple)) and value and all(isinstance(part, Tensor) for part in value):
        return torch.stack(list(value))
    array = np.asarray(value, order="C")
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def finite(owner: str, name: str, tensor: Tensor) -> None:
    """Refuse NaN and infinity."""
    tensor = tensor.detach()
    # A sum that is finite holds neither, and is found in a tenth of the time; one that is not may be a mere overflow.
    if not bool(tensor.sum().isfinite()) and not bool(torch.isfinite(tensor).all()):
        raise InputError(f"{owner}.{name} holds NaN or infinity; every value must be finite.")


def size(owner: str, hw: object) -> tuple[int, int]:
    """Bring a pair to (height, width), both at least 1."""
    try:
        h, w = (int(x) for x in hw)  # type: ignore[union-attr]
    except (TypeError, ValueError) as error:
        raise InputError(f"{owner}.hw must be (height, width) in pixels, not {hw!r}.") from error
    if h < 1 or w < 1:
        raise InputError(f"{owner}.hw is ({h}, {w}); both must be at least 1 pixel.")
    return h, w


def same_length(owner: str, **tensors: Tensor) -> None:
    """Refuse fields whose first axes differ."""
    lengths = {name: len(tensor) for name, tensor in tensors.items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise InputError(f"{owner} has fields of different lengths: {said}.")


class Noun:
    """What all nouns share: saying what they are, replacing fields, and moving every tensor to a device."""

    def __repr__(self) -> str:
        """Dtypes and shapes instead of the numbers, which would fill the screen."""
        values = [(f.name, getattr(self, f.name)) for f in dataclasses.fields(self)]  # type: ignore[arg-type]
        return f"{type(self).__name__}({', '.join(f'{name}={_said(value)}' for name, value in values)})"

    def _set(self, **values: object) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def replace(self, **changes: Any) -> Any:
        """Return a copy with some fields replaced, checked anew."""
        return dataclasses.replace(self, **changes)  # type: ignore[type-var]

    def to(self, device: str | torch.device) -> Any:
        """Return the same noun with every tensor on ``device``."""
        moved = {
            f.name: value.to(device)
            for f in dataclasses.fields(self)  # type: ignore[arg-type]
            if isinstance(value := getattr(self, f.name), Tensor)
        }
        return dataclasses.replace(self, **moved)  # type: ignore[type-var]


def _said(value: object) -> str:
    if not isinstance(value, Tensor):
        return repr(value)
    where = "" if value.device.type == "cpu" else f" on {value.device}"
    return f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}{where}"
