"""The annotation is the check: shapes and dtypes of public functions, enforced at run time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from beartype import beartype
from jaxtyping import jaxtyped

F = TypeVar("F", bound=Callable[..., object])


def checked(function: F) -> F:
    """Check the jaxtyping annotations of ``function`` whenever it is called.

    It costs about 30 microseconds a call, so it belongs on public functions and not inside loops.

    Raises:
        jaxtyping.TypeCheckError: At the call, if an argument or the result does not fit.
    """
    return jaxtyped(typechecker=beartype)(function)  # type: ignore[return-value]
