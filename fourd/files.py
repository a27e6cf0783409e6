"""Writing files so that nothing is ever lost or left half-written."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from fourd.errors import OutputError

FILMS = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi")
"""Suffixes by which files are taken for videos where nobody looks into them."""
_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EACCES: "permission is denied",
    errno.EPERM: "permission is denied",
    errno.EROFS: "the file system is read-only",
    errno.EFBIG: "it would be larger than a file may be",
    errno.ENOENT: "the folder does not exist",
    errno.ENOTDIR: "a part of the path is a file and not a folder",
    errno.EISDIR: "a folder is in the way",
    errno.ENAMETOOLONG: "the name is too long",
}


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a path to write to, which takes the place of ``path`` only if the block succeeds.

    The new file grows beside the old one and is renamed over it at the end. If the block raises,
    the new file is removed and whatever stood at ``path`` stands there still.

    Args:
        path: Where the finished file shall be. Its folder must exist.

    Raises:
        OutputError: If the file system refuses, at any point.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "a.txt"
        >>> with replacing(target) as fresh:
        ...     _ = fresh.write_text("whole")
        >>> target.read_text()
        'whole'
    """
    path = Path(path)
    fresh: Path | None = None
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "is a folder")
        # The suffix stays last, because encoders choose the format by it.
        handle, name = tempfile.mkstemp(prefix=f".{path.stem[:80]}-", suffix=path.suffix, dir=path.parent)
        os.close(handle)
        fresh = Path(name)
        yield fresh
        with fresh.open("rb") as written:
            os.fsync(written.fileno())
        mask = os.umask(0)
        os.umask(mask)
        fresh.chmod(0o666 & ~mask)  # mkstemp makes files that only their owner can read.
        fresh.replace(path)
        fresh = None
    except OutputError:
        raise
    except OSError as error:
        reason = _REASONS.get(error.errno or 0, str(error))
        raise OutputError(f"Cannot write {path}: {reason}.") from error
    finally:
        if fresh is not None:
            with contextlib.suppress(OSError):
                fresh.unlink()


@contextlib.contextmanager
def growing(path: str | Path) -> Iterator[Path]:
    """Give a folder to write files into, which becomes ``path`` only if the block succeeds.

    Args:
        path: Where the finished folder shall be: nothing, or an empty folder. The one around it must exist.

    Raises:
        OutputError: If the file system refuses, at any point, or something is there already.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "all"
        >>> with growing(target) as folder:
        ...     _ = (folder / "one.txt").write_text("whole")
        >>> [file.name for file in target.iterdir()]
        ['one.txt']
    """
    path = Path(path)
    folder: Path | None = None
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name[:80]}-", dir=path.parent))
        yield folder
        folder.chmod(0o755)  # mkdtemp makes folders that only their owner can read.
        folder.replace(path)  # An empty folder is replaced as a file would be.
        folder = None
    except OutputError as error:  # A file in it; the folder has another name as yet, which nobody knows.
        raise OutputError(str(error).replace(str(folder), str(path))) from error
    except OSError as error:
        full = error.errno in (errno.ENOTEMPTY, errno.EEXIST)
        reason = "it exists and is not an empty folder" if full else _REASONS.get(error.errno or 0, str(error))
        raise OutputError(f"Cannot write {path}: {reason}.") from error
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
