"""How a backend is got by its name: what it needs is looked for, and its options are checked, before it is loaded."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from typing import Any

from fourd.errors import InputError, missing


def loaded(what: str, name: str, backend: tuple[str, str, str], options: dict[str, Any], otherwise: str = "") -> Any:
    """Call a backend's ``load(name, **options)``.

    Args:
        what: What messages call it (``"Depth backend 'moge'"``).
        name: What the user called it.
        backend: The module that defines ``load``, what must be importable, and what to install.
        options: For ``load``.
        otherwise: A backend that works without anything.

    Raises:
        MissingError: If what it needs is not installed.
        InputError: If it has no such option.
    """
    module, package, install = backend
    if importlib.util.find_spec(package) is None:
        raise missing(what, package, install, otherwise)
    load = importlib.import_module(module).load
    takes = list(inspect.signature(load).parameters)[1:]
    unknown = sorted(set(options) - set(takes))
    if unknown:
        raise InputError(f"{what} has no option {unknown[0]!r}. It takes: {', '.join(takes) or 'none'}.")
    return load(name, **options)
