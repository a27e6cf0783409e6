"""The one place that loads the compiled extension, when the first kernel is called."""

from __future__ import annotations

import functools
import importlib
from types import ModuleType

from fourd.errors import MissingError


@functools.cache
def cpu() -> ModuleType:
    """The module of the CPU kernels.

    Raises:
        MissingError: If it was never built, or was built for another Python or system.
    """
    try:
        return importlib.import_module("fourd.native._cpu")
    except ImportError as error:
        raise MissingError(
            f"fourd's CPU kernels cannot be loaded ({error}).\n"
            "  In a checkout:   make native   (it needs a C++17 compiler)\n"
            "  Elsewhere:       pip install --force-reinstall --no-deps fourd"
        ) from error
