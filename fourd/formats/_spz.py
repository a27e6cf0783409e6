"""What an SPZ file says about each splat, column by column, whatever container the columns lie in.

Positions (24-bit fixed point), opacities, colours, logarithms of scales (8 bits each), rotations, higher harmonics.
Its axes are x right, y up, z back. Layout and constants: github.com/nianticlabs/spz.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from fourd.formats import moment
from fourd.formats._axes import POINT_SIGNS, QUAT_SIGNS, SH_SIGNS
from fourd.types import Splats

COEFFICIENTS = {0: 1, 1: 4, 2: 9, 3: 16, 4: 25}
"""Harmonics of each degree. Those of degree 4 are read over: splats here have up to 16."""
MOST_BITS = 23
_MOST_COEFFICIENTS = 16
_COLOUR_SCALE = 0.15 * 255
_FIXED_MAX = 2**23 - 1


def pack(now: Splats) -> tuple[int, int, list[bytes]]:
    """The degree, the fractional bits, and the columns of static splats."""
    farthest = float(now.mean_m.abs().max()) if len(now) else 1.0
    bits = int(min(20, max(0, math.floor(math.log2(_FIXED_MAX / max(farthest, 1e-6))))))
    degree = next(d for d, k in COEFFICIENTS.items() if k == now.colour.shape[1])
    fixed = (now.mean_m.double() * POINT_SIGNS * 2**bits).round().clamp(-_FIXED_MAX, _FIXED_MAX).int().numpy()
    higher = now.colour[:, 1:] * SH_SIGNS[1 : now.colour.shape[1], None]
    columns = [
        np.ascontiguousarray(fixed).astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes(),
        _bytes(now.opacity * 255),
        _bytes(now.colour[:, 0] * _COLOUR_SCALE + 127.5),
        _bytes((now.scale_m.log() + 10) * 16),
        _smallest_three(now.quat_wxyz * QUAT_SIGNS),
        _bytes(higher * 128 + 128),
    ]
    return degree, bits, columns


def sizes(n: int, version: int, degree: int) -> list[int]:
    """Bytes of each column of ``n`` splats."""
    return [9 * n, n, 3 * n, 3 * n, (3 if version == 2 else 4) * n, 3 * (COEFFICIENTS[degree] - 1) * n]


def unpack(columns: list[np.ndarray], version: int, bits: int) -> Splats:
    """Static splats from columns of bytes of the sizes that ``sizes`` says.

    Raises:
        InputError: If they are no splats.
    """
    point, alpha, rgb, log_scale, turn, higher = columns
    n = len(alpha)
    k = higher.size // (3 * n) + 1 if n else 1
    kept = min(k, _MOST_COEFFICIENTS)
    sheen = higher.reshape(n, k - 1, 3)[:, : kept - 1]
    colour = np.concatenate(
        [
            ((rgb.reshape(n, 1, 3) - 127.5) / _COLOUR_SCALE),
            (sheen - 128.0) / 128 * SH_SIGNS[1:kept, None].numpy(),
        ],
        1,
    )
    quat = _from_first_three(turn) if version == 2 else _from_smallest_three(turn)
    return moment.still(
        mean_m=_points(point, bits) * POINT_SIGNS,
        quat_wxyz=torch.from_numpy(quat.astype(np.float32)) * QUAT_SIGNS,
        scale_m=torch.from_numpy(np.exp(log_scale.reshape(n, 3) / 16.0 - 10).astype(np.float32)),
        opacity=torch.from_numpy((alpha / 255).astype(np.float32)),
        colour=torch.from_numpy(colour.astype(np.float32)),
    )


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
