"""The network's weights: a safetensors file of half floats that lies beside this module."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from fourd.depth.embedded.network import Network
from fourd.errors import FormatError, MissingError
from fourd.files import replacing

SHIPPED = Path(__file__).parent / "weights.safetensors"
"""The weights that come with the package; weights.md beside them says what they were trained on."""
_FORMAT = "fourd.depth.embedded/1"


def save(network: Network, path: Path, told: dict[str, Any]) -> None:
    """Write the weights as half floats, with what is told about their training.

    Args:
        network: Whose weights.
        path: Where to.
        told: JSON values; at least ``area``, the pixels of a picture that the network is for, and ``widths`` and
            ``blocks``, its shape, or ``backbone``.

    Raises:
        OutputError: If the file cannot be written.
    """
    tensors = {
        # Statistics of rare channels are too small for half floats.
        k: v.detach().cpu().to(torch.float32 if "running" in k else torch.float16).contiguous()
        for k, v in network.state_dict().items()
        if not k.endswith("num_batches_tracked")
    }
    with replacing(path) as fresh:
        save_file(tensors, fresh, {"format": _FORMAT, "training": json.dumps(told)})


@lru_cache(maxsize=2)
def load(path: Path) -> tuple[Network, int]:
    """Read weights: the network in single precision, ready to be used, and how many pixels it is made for.

    Raises:
        MissingError: If there is no such file.
        FormatError: If it holds something else.
    """
    if not path.is_file():
        raise MissingError(
            f"Depth backend 'embedded' needs its weights at {path}, and there is no such file.\n"
            "  Make it:         python -m fourd.depth.train\n"
            "  Or use another:  prior"
        )
    try:
        with safe_open(path, "pt") as file:
            told = file.metadata() or {}
        if told.get("format") != _FORMAT:
            raise FormatError(f"{path} says it is {told.get('format', 'nothing')!r}; expected '{_FORMAT}'.")
        training = json.loads(told["training"])
        area = int(training["area"])
        shape = [int(w) for w in training["widths"]], [int(n) for n in training["blocks"]]
        network = Network(*shape, backbone=str(training.get("backbone", "")))
        tensors = {k: v.float() for k, v in load_file(path).items()}
        counts = {k: v for k, v in network.state_dict().items() if k.endswith("num_batches_tracked")}
        network.load_state_dict(tensors | counts)
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"{path} does not hold this network's weights ({error}). Install fourd anew.") from None
    return network.requires_grad_(False).eval(), area
