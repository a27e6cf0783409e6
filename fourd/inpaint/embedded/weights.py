"""The network's weights to begin with: a safetensors file of half floats beside this module, if there is one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from fourd.errors import FormatError
from fourd.files import replacing
from fourd.inpaint.embedded.network import Network

SHIPPED = Path(__file__).parent / "weights.safetensors"
"""The weights that come with the package, if there are any; ``weights.md`` beside them says how they are made."""
_FORMAT = "fourd.inpaint.embedded/1"


def save(network: Network, path: Path, told: dict[str, Any]) -> None:
    """Write the weights as half floats, with what is told about their training.

    Raises:
        OutputError: If the file cannot be written.
    """
    tensors = {k: v.detach().cpu().half().contiguous() for k, v in network.state_dict().items()}
    with replacing(path) as fresh:
        save_file(tensors, fresh, {"format": _FORMAT, "training": json.dumps(told)})


def load(path: Path) -> Network:
    """Read weights.

    Raises:
        FormatError: If the file does not hold this network's weights.
    """
    network = Network()
    try:
        with safe_open(path, "pt") as file:
            told = file.metadata() or {}
        if told.get("format") != _FORMAT:
            raise FormatError(f"{path} says it is {told.get('format', 'nothing')!r}; expected '{_FORMAT}'.")
        network.load_state_dict({k: v.float() for k, v in load_file(path).items()})
    except (OSError, SafetensorError, RuntimeError) as error:
        raise FormatError(f"{path} does not hold this network's weights ({error}). Make them anew.") from None
    return network.eval()


def first(seed: int, path: Path | None = None) -> Network:
    """The network to begin with: the given weights, else the shipped ones, else one that knows nothing.

    Args:
        seed: Of the weights of a network that knows nothing.
        path: A file of weights; that it is missing is an error.

    Raises:
        FormatError: If the file does not hold this network's weights.
    """
    if path is not None or SHIPPED.is_file():
        return load(path or SHIPPED)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Network().eval()
