"""What the command line says, and how errors have to look."""

from __future__ import annotations

from collections.abc import Callable

Run = Callable[..., tuple[int, str, str]]
"""Words to (status, standard output, standard error)."""


def paragraph(err: str) -> str:
    """The text of an error, if it is what errors have to be: one paragraph, and no traceback."""
    assert err.startswith("fourd: ") and err.endswith("\n"), err
    assert "Traceback" not in err and "\n\n" not in err, err
    return err.removeprefix("fourd: ").rstrip("\n")
