"""Reading numpy's .npz without trusting it: no pickles, and no array larger than was expected."""

from __future__ import annotations

import io
import math
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from fourd.errors import FormatError, LimitError

_BROKEN = (
    zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, TypeError, KeyError, IndexError,
    NotImplementedError, RuntimeError, OverflowError, SyntaxError, ImportError,
)  # fmt: skip
"""What zipfile, its decompressors and numpy's header parser raise at broken files."""


class Npz:
    """The arrays of one file, read one at a time, their shape first."""

    def __init__(self, path: str | Path, archive: zipfile.ZipFile) -> None:
        self.path = path
        self._archive = archive
        self.names = [name.removesuffix(".npy") for name in archive.namelist()]

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of an array, from its header alone."""
        with self._array(name) as (_, shape, _, _):
            return shape

    def read(self, name: str, *, max_bytes: int) -> np.ndarray:
        """An array of real numbers.

        Raises:
            FormatError: If it is broken, or holds anything but numbers.
            LimitError: If it is larger than ``max_bytes``.
        """
        with self._array(name) as (file, shape, dtype, fortran):
            size = math.prod(shape) * dtype.itemsize
            if size > max_bytes:
                raise LimitError(f"{self.path}: {name} takes {size} bytes; at most {max_bytes} are read.")
            data = file.read(size)
            if len(data) != size:
                raise FormatError(f"{self.path}: {name} is cut short.")
            return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")

    @contextmanager
    def _array(self, name: str) -> Iterator[tuple[IO[bytes], tuple[int, ...], np.dtype, bool]]:
        where = f"{self.path}: {name}"
        try:
            with self._archive.open(f"{name}.npy") as file:
                version = np.lib.format.read_magic(file)
                header = (
                    np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                )
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # Old or odd headers are read or refused, not remarked upon.
                    shape, fortran, dtype = header(file)
                if dtype.kind not in "fiub":
                    raise FormatError(f"{where} must hold numbers, not {dtype}.")
                if self._archive.getinfo(f"{name}.npy").file_size < math.prod(shape) * dtype.itemsize:
                    raise FormatError(f"{where} is cut short.")
                yield file, shape, dtype, fortran
        except (FormatError, LimitError):
            raise
        except _BROKEN as error:
            raise FormatError(f"{where} is broken: {error}.") from error


@contextmanager
def opened(path: str | Path) -> Iterator[Npz]:
    """Open an .npz file.

    Raises:
        FormatError: If it cannot be read as one.
    """
    try:
        archive = zipfile.ZipFile(path)
    except FileNotFoundError as error:
        raise FormatError(f"Cannot read {path}: there is no such file.") from error
    except (*_BROKEN, io.UnsupportedOperation) as error:
        raise FormatError(f"{path} is not an .npz file: {error}.") from error
    with archive:
        yield Npz(path, archive)
