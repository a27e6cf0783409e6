"""How a kernel becomes a torch operator, cheaply."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

_LIBRARY = torch.library.Library("fourd", "FRAGMENT")


def define(name: str, schema: str, kernel: Callable[..., Any], fake: Callable[..., Any]) -> None:
    """Register ``fourd::name`` for CPU tensors.

    ``torch.library.custom_op`` would do the same, and import torch's compiler at the first call: a second of
    processor time, for people who compile nothing.

    Args:
        name: Of the operator.
        schema: Arguments and results, as torch writes them; what is written to is marked ``Tensor(a!)``.
        kernel: Computes it.
        fake: Gives empty results of the right shapes.
    """
    _LIBRARY.define(name + schema, tags=(torch.Tag.pt2_compliant_tag,))
    _LIBRARY.impl(name, kernel, "CPU")
    torch.library.register_fake(f"fourd::{name}", fake, lib=_LIBRARY)
