"""How a kernel becomes a torch operator, cheaply."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

_LIBRARY = torch.library.Library("fourd", "FRAGMENT")


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"fourd.native.{name}")


def define(
    name: str,
    schema: str,
    kernel: Callable[..., Any],
    fake: Callable[..., Any],
    cuda: str = "",
    backward: tuple[Callable[..., Any], Callable[..., Any]] | None = None,
) -> None:
    """Register ``fourd::name`` for CPU tensors, and for CUDA's.

    ``torch.library.custom_op`` would do the same, and import torch's compiler at the first call: a second of
    processor time, for people who compile nothing.

    Args:
        name: Of the operator.
        schema: Arguments and results, as torch writes them; what is written to is marked ``Tensor(a!)``. It is not read
            off annotations, for the import hook of the tests hides them.
        kernel: Computes it.
        fake: Gives empty results of the right shapes.
        cuda: The module of ``fourd.native`` whose function of the operator's name computes it on CUDA. It is imported
            when it is first wanted.
        backward: Its gradients, and what notes what they need; as of ``torch.library.register_autograd``.
    """
    _LIBRARY.define(name + schema, tags=(torch.Tag.pt2_compliant_tag,))
    _LIBRARY.impl(name, kernel, "CPU")
    if cuda:
        _LIBRARY.impl(name, lambda *arguments: getattr(_module(cuda), name)(*arguments), "CUDA")
    torch.library.register_fake(f"fourd::{name}", fake, lib=_LIBRARY)
    if backward is not None:
        gradients, remember = backward
        torch.library.register_autograd(f"fourd::{name}", gradients, setup_context=remember, lib=_LIBRARY)


def as_arrays(*tensors: Tensor) -> list[np.ndarray]:
    """What kernels on the CPU take: the tensors' own memory where it lies without gaps, and copies where not."""
    return [x.contiguous().numpy() for x in tensors]
