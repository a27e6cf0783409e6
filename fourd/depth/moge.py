"""MoGe, a published model that has a package of its own: ``pip install git+https://github.com/microsoft/MoGe.git``.

Its weights are published as PyTorch files only. The package reads them without running what they say
(``torch.load(..., weights_only=True)``), and only those of its authors are asked for: a file of somebody else's is not.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from numpy import ndarray as Array

from fourd import hub
from fourd.depth.hub import OTHERWISE
from fourd.depth.hub.reader import check_numbers, from_metres, reading
from fourd.depth.parallax import Parallax
from fourd.depth.reading import Reading
from fourd.errors import InputError

MODELS = {
    "small": "Ruicheng/moge-2-vits-normal",
    "base": "Ruicheng/moge-2-vitb-normal",
    "large": "Ruicheng/moge-2-vitl-normal",
}
"""Of the second generation, which speaks of metres."""


class Reader:
    """The model: a ``fourd.depth.reading.Reader``. What was read before does not move it."""

    name, overrules = "moge", True

    def __init__(self, model: Any, device: str) -> None:
        """Take the network where it is to work."""
        self._model, self._device = model, device

    def look(self, picture: UInt8[Array, "h w 3"], before: Float32[Array, "h2 w2"] | None = None) -> Reading:
        """See ``fourd.depth.reading.Reader``. Where it sees no surface, as in the sky, is as far as can be."""
        shown = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1).float().to(self._device) / 255
        said = self._model.infer(shown, use_fp16=self._device != "cpu")
        depth_m = said["depth"].float().cpu().numpy()
        check_numbers(self.name, ~np.isnan(depth_m), picture)
        return reading(from_metres(depth_m), picture, metric=True)


def load(
    name: str = "moge",
    size: str = "small",
    revision: str | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
) -> Parallax:
    """Parallax with MoGe behind it.

    Args:
        name: ``"moge"``.
        size: Of the network: small, base or large.
        revision: Of the hub's repository: a commit, a tag or a branch.
        device: Where it works.

    Raises:
        InputError: If there is no such size, or no such device.
        MissingError: If the weights are neither on this machine nor can be downloaded.
        LimitError: If they do not fit into memory.
    """
    what = f"Depth backend '{name}'"
    if size not in MODELS:
        raise InputError(f"{what} comes in the sizes {', '.join(MODELS)}, not '{size}'.")
    place = hub.device(device, what)
    with hub.loading(what, MODELS[size], OTHERWISE, revision):
        from moge.model.v2 import MoGeModel  # type: ignore[import-not-found]

        wanted: dict[str, Any] = dict(revision=revision, local_files_only=hub.offline())
        reader = Reader(MoGeModel.from_pretrained(MODELS[size], **wanted).to(place).eval(), place)
        reader.look(np.full((48, 64, 3), 128, np.uint8))
    return Parallax(reader)
