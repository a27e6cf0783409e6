"""SPZ: one moment of splats in some 15 bytes each, as Niantic's library and viewers exchange them.

A gzip stream: a header of 16 bytes, then attribute after attribute: positions (24-bit fixed point), opacities,
colours, logarithms of scales (8 bits each), rotations, higher harmonics. Versions 2 (rotation as three bytes) and
3 (its smallest three components in 10 bits each) are read, 3 is written. Its axes are x right, y up, z back.
Layout and constants: github.com/nianticlabs/spz.
"""

from __future__ import annotations

import math
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fourd.checked import checked
from fourd.errors import FormatError, InputError
from fourd.files import replacing
from fourd.formats import moment
from fourd.types import Splats

_MAGIC = 0x5053474E
_HEADER = struct.Struct("<IIIBBBB")
_ANTIALIASED, _EXTENDED = 1, 2
_COLOUR_SCALE = 0.15 * 255
_FIXED_MAX = 2**23 - 1
_COEFFICIENTS = {0: 1, 1: 4, 2: 9, 3: 16}
_TIMES_GZIP = 1032
"""No gzip stream holds more than this many bytes for each of its own."""

_POINT_SIGNS = torch.tensor([1.0, -1.0, -1.0])
_QUAT_SIGNS = torch.tensor([1.0, 1.0, -1.0, -1.0])
"""Half a turn about x takes our axes to theirs; w, x, y, z of a rotation between such axes change like this,"""
_SH_SIGNS = torch.tensor([1.0, -1, -1, 1, -1, 1, 1, -1, 1, -1, 1, -1, -1, 1, -1, 1])
"""and harmonics like this: their basis functions are odd or even in y and z."""


@checked
def write(path: str | Path, splats: Splats, time_s: float) -> None:
    """Write the moment ``time_s`` of a scene.

    Lossy: positions to 2**-23 of the farthest coordinate, scales to 3 %, rotations to 0.2 degrees, opacity and colour
    to 8 bits, the latter between -2.8 and 3.8 in sRGB.

    Raises:
        OutputError: If the file system refuses.
        InputError: If ``time_s`` is not finite.
    """
    now = moment.at(splats, time_s).to("cpu")
    farthest = float(now.mean_m.abs().max()) if len(now) else 1.0
    bits = int(min(20, max(0, math.floor(math.log2(_FIXED_MAX / max(farthest, 1e-6))))))
    degree = next(d for d, k in _COEFFICIENTS.items() if k == now.colour.shape[1])
    fixed = (now.mean_m.double() * _POINT_SIGNS * 2**bits).round().clamp(-_FIXED_MAX, _FIXED_MAX).int().numpy()
    higher = now.colour[:, 1:] * _SH_SIGNS[1 : now.colour.shape[1], None]
    parts = [
        _HEADER.pack(_MAGIC, 3, len(now), degree, bits, _ANTIALIASED, 0),
        np.ascontiguousarray(fixed).astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes(),
        _bytes(now.opacity * 255),
        _bytes(now.colour[:, 0] * _COLOUR_SCALE + 127.5),
        _bytes((now.scale_m.log() + 10) * 16),
        _smallest_three(now.quat_wxyz * _QUAT_SIGNS),
        _bytes(higher * 128 + 128),
    ]
    packer = zlib.compressobj(6, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    with replacing(path) as fresh, fresh.open("wb") as file:
        for part in parts:
            file.write(packer.compress(part))
        file.write(packer.flush())


def _bytes(values: Tensor) -> bytes:
    return values.round().clamp(0, 255).to(torch.uint8).numpy().tobytes()


def _smallest_three(quat_wxyz: Tensor) -> bytes:
    """The index of the largest component (x, y, z, w) in the top 2 bits, then sign and 9 bits of each other one."""
    q = quat_wxyz[:, [1, 2, 3, 0]].double().numpy()
    largest = np.abs(q).argmax(1)
    q = q * np.where(np.take_along_axis(q, largest[:, None], 1) < 0, -1, 1)
    code = largest.astype(np.uint32)
    for i in range(4):
        part = (q[:, i] < 0).astype(np.uint32) << 9
        part |= np.minimum(np.abs(q[:, i]) * math.sqrt(2) * 511 + 0.5, 511).astype(np.uint32)
        code = np.where(largest == i, code, code << 10 | part)
    return code.astype("<u4").tobytes()


@checked
def read(path: str | Path) -> Splats:
    """Read static splats; they count as seen, at time 0.

    Raises:
        FormatError: If the file is broken, or of a version that is not known.
    """
    try:
        packed = Path(path).read_bytes()
    except OSError as error:
        raise FormatError(f"Cannot read {path}: {error.strerror or error}.") from error
    if packed[:2] != b"\x1f\x8b":
        hint = " It looks like version 4, which is not read." if packed[:4] == b"NGSP" else ""
        raise FormatError(f"{path} is not an SPZ file of version 2 or 3: it is no gzip stream.{hint}")
    unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        header = unpacker.decompress(packed, _HEADER.size)
        n, version, degree, bits = _checked(header, str(path))
        k = _COEFFICIENTS[degree]
        sizes = [9 * n, n, 3 * n, 3 * n, (4 if version == 3 else 3) * n, 3 * (k - 1) * n]
        if sum(sizes) > _TIMES_GZIP * len(packed):
            raise FormatError(f"{path} is broken: {n} splats cannot be in {len(packed)} bytes.")
        body = unpacker.decompress(unpacker.unconsumed_tail, sum(sizes) + 1) if n else b""
    except zlib.error as error:
        raise FormatError(f"{path} is broken: {error}.") from error
    if len(body) < sum(sizes):
        raise FormatError(f"{path} is cut short: {n} splats need {sum(sizes)} bytes, there are {len(body)}.")
    data = np.frombuffer(body, np.uint8)
    point, alpha, rgb, log_scale, turn, higher = np.split(data[: sum(sizes)], np.cumsum(sizes)[:-1])
    colour = np.concatenate(
        [
            ((rgb.reshape(n, 1, 3) - 127.5) / _COLOUR_SCALE),
            (higher.reshape(n, k - 1, 3) - 128.0) / 128 * _SH_SIGNS[1:k, None].numpy(),
        ],
        1,
    )
    quat = _from_smallest_three(turn) if version == 3 else _from_first_three(turn)
    try:
        return moment.still(
            mean_m=_points(point, bits) * _POINT_SIGNS,
            quat_wxyz=torch.from_numpy(quat.astype(np.float32)) * _QUAT_SIGNS,
            scale_m=torch.from_numpy(np.exp(log_scale.reshape(n, 3) / 16.0 - 10).astype(np.float32)),
            opacity=torch.from_numpy((alpha / 255).astype(np.float32)),
            colour=torch.from_numpy(colour.astype(np.float32)),
        )
    except InputError as error:
        raise FormatError(f"{path} is broken: {error}") from error


def _checked(header: bytes, name: str) -> tuple[int, int, int, int]:
    """Count, version, degree and fractional bits."""
    if len(header) < _HEADER.size:
        raise FormatError(f"{name} is cut short: its header has {len(header)} bytes, not {_HEADER.size}.")
    magic, version, n, degree, bits, _, _ = _HEADER.unpack(header)
    if magic != _MAGIC:
        raise FormatError(f"{name} is not an SPZ file: it begins with {magic:#x}, not {_MAGIC:#x}.")
    if version not in (2, 3):
        raise FormatError(f"{name} is SPZ of version {version}; 2 and 3 are read.")
    if degree not in _COEFFICIENTS or bits > 23:
        raise FormatError(f"{name} is broken: harmonics of degree {degree}, {bits} fractional bits.")
    return n, version, degree, bits


def _points(data: np.ndarray, bits: int) -> Tensor:
    wide = np.zeros((len(data) // 3, 4), np.uint8)
    wide[:, 1:] = data.reshape(-1, 3)
    fixed = wide.view("<i4")[:, 0] >> 8  # The sign comes along.
    return torch.from_numpy((fixed.astype(np.float64) / 2**bits).astype(np.float32).reshape(-1, 3))


def _from_smallest_three(data: np.ndarray) -> np.ndarray:
    code = np.ascontiguousarray(data).view("<u4").astype(np.uint32)
    largest = code >> 30
    q = np.zeros((len(code), 4))
    for i in (3, 2, 1, 0):
        here = largest != i
        value = (code & 511) / 511 / math.sqrt(2) * np.where(code >> 9 & 1, -1, 1)
        q[here, i] = value[here]
        code = np.where(here, code >> 10, code)
    q[np.arange(len(q)), largest] = np.sqrt(np.maximum(1 - (q**2).sum(1), 0))
    return q[:, [3, 0, 1, 2]]


def _from_first_three(data: np.ndarray) -> np.ndarray:
    xyz = data.reshape(-1, 3) / 127.5 - 1
    return np.concatenate([np.sqrt(np.maximum(1 - (xyz**2).sum(1, keepdims=True), 0)), xyz], 1)
