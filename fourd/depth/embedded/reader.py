"""One picture's inverse depth, as the network sees it, at the network's own working size."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float32, UInt8
from numpy import ndarray as Array

from fourd.depth.embedded import weights
from fourd.depth.embedded.network import normalised
from fourd.depth.reading import Reading


class Reader:
    """The network with its weights: a ``fourd.depth.reading.Reader``."""

    name, overrules = "a small network", False

    def __init__(self, path: Path | None = None) -> None:
        """Load the weights; those that come with the package by default.

        Raises:
            MissingError: If they are not there.
            FormatError: If they are broken.
        """
        self._network, self._area = weights.load(path or weights.SHIPPED)

    def hw(self, hw: tuple[int, int]) -> tuple[int, int]:
        """The working size for pictures of size ``hw``: of their shape, in steps of 8 pixels."""
        aspect = float(np.clip(hw[1] / hw[0], 1 / 4, 4))
        h, w = np.sqrt(self._area / aspect), np.sqrt(self._area * aspect)
        return max(4, round(h / 8)) * 8, max(4, round(w / 8)) * 8

    def look(self, picture: UInt8[Array, "h w 3"], before: Float32[Array, "h2 w2"] | None = None) -> Reading:
        """Guess the depth of a picture.

        The picture is shown as it is and mirrored, and the mean is taken: what differs is not in the picture.

        Args:
            picture: sRGB, of any size.
            before: Inverse depth of the frame before, carried over to this one, at the working size.
        """
        hw = self.hw(picture.shape[:2])
        mode = cv2.INTER_AREA if picture.shape[0] > hw[0] else cv2.INTER_LINEAR
        small = np.asarray(cv2.resize(picture, hw[::-1], interpolation=mode), np.uint8)
        rgb = normalised(torch.from_numpy(small).permute(2, 0, 1)[None].float() / 255)
        held = torch.zeros(1, *hw)
        if before is not None:
            held = torch.log(torch.from_numpy(before).clamp(min=1e-6))[None]
            held = held - held.mean()
        with torch.no_grad():
            both = torch.cat([rgb, rgb.flip(3)]).contiguous(memory_format=torch.channels_last)
            said = self._network(both, torch.cat([held, held.flip(2)]))
        log_rho, log_error, alive = (
            0.5 * (x[0] + x[1].flip(1)) for x in (said.log_rho, said.log_error, torch.sigmoid(said.alive))
        )
        rho = torch.exp(log_rho - log_rho.mean())
        return Reading(rho.numpy(), torch.exp(log_error).numpy(), small, alive.numpy())
