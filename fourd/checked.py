"""The annotation is the check: shapes and dtypes of public functions, enforced at run time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from beartype import BeartypeConf, beartype
from jaxtyping import jaxtyped

# An integer will do where a float is asked for, as everywhere in Python.
_typechecker = beartype(conf=BeartypeConf(is_pep484_tower=True))

F = TypeVar("F", bound=Callable[..., object])


def checked(function: F) -> F:
    """Check the jaxtyping annotations of ``function`` whenever it is called.

    It costs about 30 microseconds a call, so it belongs on public functions and not inside loops.

    Raises:
        jaxtyping.TypeCheckError: At the call, if an argument or the result does not fit.
    """
    return jaxtyped(typechecker=_typechecker)(function)  # type: ignore[return-value]
