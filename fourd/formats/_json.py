"""Reading JSON that others wrote: every wrong shape becomes one FormatError that says where."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from fourd.errors import FormatError, InputError

MAX_BYTES = 256_000_000
"""The largest JSON text that is parsed; the objects take several times as much memory."""


def parse(text: bytes, where: str) -> dict[str, Any]:
    """Parse a JSON object.

    Raises:
        FormatError: If the text is too long, or is not JSON, or is not an object.
    """
    return as_dict(_parse(text, where), where)


def parse_list(text: bytes, where: str) -> list[Any]:
    """Parse a JSON array; errors are those of ``parse``."""
    return as_list(_parse(text, where), where)


def _parse(text: bytes, where: str) -> Any:
    if len(text) > MAX_BYTES:
        raise FormatError(f"{where}: {len(text)} bytes of JSON; at most {MAX_BYTES} are read.")
    try:
        return json.loads(text.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise FormatError(f"{where} is not JSON: it is not UTF-8 text.") from error
    except RecursionError as error:
        raise FormatError(f"{where} is not usable JSON: it is nested too deeply.") from error
    except ValueError as error:
        raise FormatError(f"{where} is not JSON: {error}.") from error


def dumped(value: dict[str, Any] | list[Any], name: str) -> str:
    """JSON text in few characters, for the file of that name.

    Raises:
        InputError: If the value is not plain JSON.
    """
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"Cannot write {name}: the provenance is not plain JSON ({error}).") from error


def read(path: str | Path) -> dict[str, Any]:
    """Parse the JSON object in a file.

    Raises:
        FormatError: If the file cannot be read, or is not a JSON object.
    """
    try:
        if Path(path).stat().st_size > MAX_BYTES:
            raise FormatError(f"{path} is larger than {MAX_BYTES} bytes; no camera file is.")
        return parse(Path(path).read_bytes(), str(path))
    except OSError as error:
        raise FormatError(f"Cannot read {path}: {error.strerror or error}.") from error


def as_dict(value: Any, where: str) -> dict[str, Any]:
    """The value, if it is an object."""
    if not isinstance(value, dict):
        raise FormatError(f"{where} must be a JSON object, not {_shown(value)}.")
    return value


def as_list(value: Any, where: str) -> list[Any]:
    """The value, if it is an array."""
    if not isinstance(value, list):
        raise FormatError(f"{where} must be a JSON array, not {_shown(value)}.")
    return value


def as_str(value: Any, where: str) -> str:
    """The value, if it is a string."""
    if not isinstance(value, str):
        raise FormatError(f"{where} must be a string, not {_shown(value)}.")
    return value


def as_int(value: Any, where: str, *, low: int = 0, high: int = 2**53) -> int:
    """The value, if it is a whole number from ``low`` to ``high``."""
    whole = isinstance(value, float) and value.is_integer()
    if isinstance(value, bool) or not (isinstance(value, int) or whole) or not low <= value <= high:
        raise FormatError(f"{where} must be a whole number from {low} to {high}, not {_shown(value)}.")
    return int(value)


def as_float(value: Any, where: str) -> float:
    """The value, if it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e300:
        raise FormatError(f"{where} must be a finite number, not {_shown(value)}.")
    return float(value)


def as_floats(value: Any, count: int, where: str) -> list[float]:
    """The value, if it is ``count`` finite numbers, in an array or in an array of rows."""
    flat: list[Any] = []
    for row in as_list(value, where):
        flat.extend(row if isinstance(row, list) else [row])
        if len(flat) > count:
            break
    if len(flat) != count:
        raise FormatError(f"{where} must hold {count} numbers.")
    return [as_float(x, where) for x in flat]


class Numbers:
    """Finite numbers out of an object, whose errors say where they were looked for."""

    def __init__(self, owner: dict[str, Any], where: str) -> None:
        self._owner, self._where = owner, where

    def one(self, name: str) -> float:
        """The number of that name."""
        return as_float(self._owner.get(name), f"{self._where}: {name}")

    def pair(self, name: str) -> tuple[float, float]:
        """The two numbers of that name."""
        low, high = as_floats(self._owner.get(name), 2, f"{self._where}: {name}")
        return low, high


def _shown(value: Any) -> str:
    """A value as it may stand in a message: short."""
    if isinstance(value, dict | list):
        return f"{'an object' if isinstance(value, dict) else 'an array'} of {len(value)}"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 10**30:
        return "a number of many digits"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    text = json.dumps(value)
    return text if len(text) <= 40 else text[:37] + "..."
