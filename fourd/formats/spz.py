"""SPZ: one moment of splats in some 15 bytes each, as Niantic's library and viewers exchange them.

The columns are those of ``_spz``. Versions 2 and 3 are one gzip stream: a header of 16 bytes, then column after
column. Version 4 is a plain header of 32 bytes, then the sizes of the columns, then each as a zstd frame of its own.
Layout: github.com/nianticlabs/spz.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Literal

import numpy as np

from fourd.checked import checked
from fourd.errors import FormatError, InputError
from fourd.files import replacing
from fourd.formats import _spz, moment
from fourd.types import Splats

_MAGIC = 0x5053474E
_HEADER = struct.Struct("<IIIBBBB")
_HEADER_4 = struct.Struct("<IIIBBBBI12x")
_ANTIALIASED = 1
_TIMES_PACKED, _ALWAYS_FINE = 64, 16_000_000
"""A file that unpacks to more than so many times its size, and to more than so many bytes, is no scene but a bomb."""


@checked
def write(path: str | Path, splats: Splats, time_s: float, version: Literal[3, 4] = 3) -> None:
    """Write the moment ``time_s`` of a scene.

    Lossy: positions to 2**-23 of the farthest coordinate, scales to 3 %, rotations to 0.2 degrees, opacity and colour
    to 8 bits, the latter between -0.44 and 1.44 in sRGB.

    Args:
        path: Where to; replaced as a whole or not at all.
        splats: Splats that live in time.
        time_s: The moment.
        version: 3, which every reader of SPZ knows, or 4, whose columns unpack one by one, and sooner.

    Raises:
        OutputError: If the file system refuses.
        InputError: If ``time_s`` is not finite.
    """
    now = moment.at(splats, time_s).to("cpu")
    degree, bits, columns = _spz.pack(now)
    if version == 4:
        parts = _frames(len(now), degree, bits, columns)
    else:
        packer = zlib.compressobj(6, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
        header = _HEADER.pack(_MAGIC, 3, len(now), degree, bits, _ANTIALIASED, 0)
        parts = [packer.compress(part) for part in (header, *columns)] + [packer.flush()]
    with replacing(path) as fresh, fresh.open("wb") as file:
        file.writelines(parts)


def _frames(n: int, degree: int, bits: int, columns: list[bytes]) -> list[bytes]:
    """A file of version 4; columns of no bytes are left out of it."""
    import zstandard

    there = [column for column in columns if column]
    packed = [zstandard.ZstdCompressor(level=12).compress(column) for column in there]
    header = _HEADER_4.pack(_MAGIC, 4, n, degree, bits, _ANTIALIASED, len(there), _HEADER_4.size)
    table = [struct.pack("<QQ", len(small), len(column)) for small, column in zip(packed, there, strict=True)]
    return [header, *table, *packed]


@checked
def read(path: str | Path) -> Splats:
    """Read static splats; they count as seen, at time 0. Harmonics of degree 4 are left out.

    Raises:
        FormatError: If the file is broken, or of a version that is not known, or claims to unpack to far more than
            it has.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise FormatError(f"Cannot read {path}: {error.strerror or error}.") from error
    if data[:2] == b"\x1f\x8b":
        columns, version, bits = _unzipped(data, str(path))
    elif data[:4] == b"NGSP":
        columns, version, bits = _unframed(data, str(path))
    else:
        raise FormatError(f"{path} is not an SPZ file: it begins neither as gzip nor with 'NGSP'.")
    try:
        return _spz.unpack(columns, version, bits)
    except InputError as error:
        raise FormatError(f"{path} is broken: {error}") from error


def _unzipped(data: bytes, name: str) -> tuple[list[np.ndarray], int, int]:
    """Columns, version and fractional bits of a file of version 2 or 3."""
    unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        header = unpacker.decompress(data, _HEADER.size)
        if len(header) < _HEADER.size:
            raise FormatError(f"{name} is cut short: its header has {len(header)} bytes, not {_HEADER.size}.")
        magic, version, n, degree, bits, _, _ = _HEADER.unpack(header)
        if magic != _MAGIC:
            raise FormatError(f"{name} is not an SPZ file: it begins with {magic:#x}, not {_MAGIC:#x}.")
        if version not in (2, 3):
            raise FormatError(f"{name} is SPZ of version {version}; 2 and 3 are read in gzip, and 4 without it.")
        total = _checked(name, len(data), n, version, degree, bits)
        body = unpacker.decompress(unpacker.unconsumed_tail, total + 1) if n else b""
    except zlib.error as error:
        raise FormatError(f"{name} is broken: {error}.") from error
    if len(body) < total:
        raise FormatError(f"{name} is cut short: {n} splats need {total} bytes, there are {len(body)}.")
    ends = np.cumsum(_spz.sizes(n, version, degree))
    return np.split(np.frombuffer(body, np.uint8)[:total], ends[:-1]), version, bits


def _unframed(data: bytes, name: str) -> tuple[list[np.ndarray], int, int]:
    """Columns, version and fractional bits of a file of version 4."""
    import zstandard

    if len(data) < _HEADER_4.size:
        raise FormatError(f"{name} is cut short: its header has {len(data)} bytes, not {_HEADER_4.size}.")
    _, version, n, degree, bits, _, streams, table_at = _HEADER_4.unpack(data[: _HEADER_4.size])
    if version != 4:
        raise FormatError(f"{name} is SPZ of version {version}; 2 and 3 are read in gzip, and 4 without it.")
    _checked(name, len(data), n, version, degree, bits)
    expected = [size for size in _spz.sizes(n, version, degree) if size]
    at = table_at + 16 * streams
    if streams != len(expected) or table_at < _HEADER_4.size or at > len(data):
        raise FormatError(f"{name} is broken: its {streams} streams do not fit {n} splats of degree {degree}.")
    columns = []
    for i, size in enumerate(expected):
        packed, unpacked = struct.unpack_from("<QQ", data, table_at + 16 * i)
        if unpacked != size or packed > len(data) - at:
            raise FormatError(f"{name} is broken: stream {i} says {packed} and {unpacked} bytes; {size} are expected.")
        frame = data[at : at + packed]
        at += packed
        try:
            says = zstandard.frame_content_size(frame)  # -1: it does not say.
            column = zstandard.ZstdDecompressor().decompress(frame, max_output_size=size) if says in (-1, size) else b""
        except zstandard.ZstdError as error:
            raise FormatError(f"{name} is broken: stream {i} cannot be unpacked ({error}).") from error
        if len(column) != size:
            raise FormatError(f"{name} is broken: stream {i} does not unpack to the {size} bytes that are expected.")
        columns.append(np.frombuffer(column, np.uint8))
    return columns + [np.zeros(0, np.uint8)] * (6 - len(columns)), version, bits


def _checked(name: str, length: int, n: int, version: int, degree: int, bits: int) -> int:
    """Bytes of all columns, once it is known that a file of ``length`` bytes may hold them."""
    if degree not in _spz.COEFFICIENTS or bits > _spz.MOST_BITS:
        raise FormatError(f"{name} is broken: harmonics of degree {degree}, {bits} fractional bits.")
    total = sum(_spz.sizes(n, version, degree))
    if total > max(_ALWAYS_FINE, _TIMES_PACKED * length):
        raise FormatError(f"{name} is broken: {n} splats cannot be in {length} bytes.")
    return total
