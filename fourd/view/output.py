"""Where results go: checked before the work, so that nobody waits an hour for a file that cannot be written."""

from __future__ import annotations

import tempfile
from pathlib import Path

from fourd.errors import InputError, OutputError


def check_target(path: Path, kinds: dict[str, str]) -> None:
    """Refuse a path that could not be written, or whose suffix says nothing that could be made.

    Args:
        path: Where the result shall be.
        kinds: What each suffix makes, in lower case; the empty suffix stands for a folder.

    Raises:
        InputError: If the suffix is another.
        OutputError: If the path cannot be written.
    """
    if path.suffix.lower() not in kinds:
        can = ", ".join(f"NAME{suffix} ({what})" for suffix, what in kinds.items())
        raise InputError(f"Cannot write '{path}': its name must be {'one of ' * (len(kinds) > 1)}{can}.")
    folder = path.parent
    if not folder.is_dir():
        reason = "is not a folder" if folder.exists() else "does not exist; create it first"
        raise OutputError(f"Cannot write {path}: {folder} {reason}.")
    if path.suffix and path.is_dir():
        raise OutputError(f"Cannot write {path}: a folder of that name is in the way.")
    if not path.suffix and path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise OutputError(f"Cannot write pictures to {path}: it exists and is not an empty folder. Give a new name.")
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise OutputError(f"Cannot write {path}: the folder {folder} refuses new files ({error.strerror}).") from error
