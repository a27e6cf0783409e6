"""Pictures of one size piled up within the limits."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float64, UInt8
from torch import Tensor

from fourd.errors import LimitError
from fourd.types import Limits


class Stack:
    """A growing pile of equally large pictures with their times."""

    def __init__(self, name: str, limits: Limits) -> None:
        self._name, self._limits = name, limits
        self._pictures: list[np.ndarray] = []
        self._times: list[float] = []

    def __len__(self) -> int:
        return len(self._times)

    def add(self, time_s: float, picture: UInt8[np.ndarray, "h w 3"]) -> None:
        """Put a picture on top.

        Raises:
            LimitError: If that is one too many.
        """
        if len(self) >= self._limits.frames:
            raise LimitError(
                f"{self._name} has more than {self._limits.frames} frames, which is the limit."
                " Read less of it (duration_s, fps), or raise limits.frames."
            )
        if (len(self) + 1) * picture.nbytes > self._limits.bytes:
            raise LimitError(
                f"{self._name} needs more than {self._limits.bytes / 1e9:.3g} GB for its pictures, which is the limit."
                " Read less of it (size, duration_s, fps), or raise limits.bytes."
            )
        # A turned picture is a view with odd strides; swscale's rows may be padded: keep neither.
        self._pictures.append(np.ascontiguousarray(picture))
        self._times.append(time_s)

    def tensors(self) -> tuple[UInt8[Tensor, "t h w 3"], Float64[Tensor, " t"]]:
        """Hand over all pictures and their times, leaving the pile empty."""
        frames = torch.empty((len(self), *self._pictures[0].shape), dtype=torch.uint8)
        self._pictures.reverse()
        for row in frames:  # One by one, so that the memory never holds everything twice.
            row.copy_(torch.from_numpy(self._pictures.pop()))
        times = torch.tensor(self._times, dtype=torch.float64)
        self._times = []
        return frames, times
