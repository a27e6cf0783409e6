"""Depth from a file: an .npz of maps, or a folder of 16-bit PNGs."""

from __future__ import annotations

import io
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from fourd.checked import checked
from fourd.errors import FormatError, InputError, LimitError
from fourd.formats import _cameras, _npz
from fourd.types import DepthMaps, Limits

_DEFLATE = 1032
"""Times that a PNG's compression can shrink its pixels, at the very most."""
_MAGIC = b"\x89PNG\r\n\x1a\n"


@checked
def read_depth(
    path: str | Path,
    K: Float32[Tensor, "t 3 3"],
    hw: tuple[int, int],
    *,
    scale: float | None = None,
    metric: bool = True,
    limits: Limits = Limits(),
) -> DepthMaps:
    """Read depth maps for every frame of a clip.

    - an .npz with ``depth_m`` or ``depth`` [t,h,w], and, if they are there, ``confidence`` [t,h,w]
      and ``K`` [3,3] or [t,3,3] in pixels of the maps;
    - a folder of 16-bit grey PNGs, one a frame, in the order of their names.

    Zero, NaN and negative depth is unknown; infinity is the sky. Maps may be smaller than the
    clip's pictures.

    Args:
        path: The file or folder.
        K: Intrinsics of the clip's cameras in pixels of ``hw``; for the maps they are scaled.
        hw: Size of the clip's pictures.
        scale: What to multiply the stored numbers by to get metres; by default 0.001 (millimetres)
            for PNGs and 1 otherwise.
        metric: False if the numbers are not real metres, only units of the scene.
        limits: Caps on pixels, frames and bytes.

    Raises:
        FormatError: If the file is broken or is neither of these.
        InputError: If there are not as many maps as frames.
        LimitError: If there is more than ``limits`` allow.
    """
    path = Path(path)
    if scale is not None and not 0 < scale < math.inf:
        raise InputError(f"The scale of {path} is {scale:g}; it must be above 0.")
    if path.is_dir():
        depth, confidence, own_K = _read_pngs(path, len(K), limits), None, None
        depth *= np.float32(0.001 if scale is None else scale)
    else:
        depth, confidence, own_K = _read_npz(path, len(K), limits)
        depth = depth * np.float32(1 if scale is None else scale)
    h, w = depth.shape[1:]
    known = depth > 0  # NaN is not.
    sure = np.ones_like(depth) if confidence is None else np.nan_to_num(confidence, nan=0.0).clip(0, 1)
    scaled = K * torch.tensor([[w / hw[1]], [h / hw[0]], [1.0]])
    try:
        return DepthMaps(
            depth_m=torch.from_numpy(np.where(known, depth, np.float32(0))),
            confidence=torch.from_numpy(np.where(known, sure, 0).astype(np.float32)),
            K=scaled if own_K is None else torch.from_numpy(own_K.astype(np.float32)),
            metric=metric,
        )
    except InputError as error:
        raise FormatError(f"{path} cannot be used: {error}") from error


def _read_npz(path: Path, frames: int, limits: Limits) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Depth, confidence and K, as stored."""
    with _npz.opened(path) as file:
        name = next((n for n in ("depth_m", "depth") if n in file.names), None)
        if name is None:
            raise FormatError(f"{path} must hold depth_m or depth; it holds {', '.join(file.names)[:200]}.")
        shape = file.shape(name)
        if len(shape) != 3 or not all(shape):
            raise FormatError(f"{path}: {name} has shape {shape}; it must be [t, h, w].")
        _check(path, shape, frames, limits)
        if "confidence" in file.names and file.shape("confidence") != shape:
            raise FormatError(
                f"{path}: confidence has shape {file.shape('confidence')}; it must be {shape}, as {name}."
            )
        depth = file.read(name, max_bytes=2 * limits.bytes).astype(np.float32)
        confidence = file.read("confidence", max_bytes=2 * limits.bytes) if "confidence" in file.names else None
        K = file.read("K", max_bytes=limits.frames * 72) if "K" in file.names else None
    if K is not None and K.shape == (3, 3):
        K = np.repeat(K[None], frames, 0)
    if K is not None and K.shape != (frames, 3, 3):
        raise FormatError(f"{path}: K has shape {K.shape}; it must be [3, 3] or [{frames}, 3, 3].")
    return depth, confidence, K


def _read_pngs(folder: Path, frames: int, limits: Limits) -> np.ndarray:
    """Maps [t,h,w] as stored."""
    paths = sorted(folder.glob("*.png"), key=lambda p: _cameras.natural(p.name))
    if not paths:
        raise FormatError(f"{folder} holds no .png files; depth must be an .npz or a folder of 16-bit PNGs.")
    (h, w), _ = _png(_bytes(paths[0], limits), paths[0])
    _check(folder, (len(paths), h, w), frames, limits)
    maps = np.empty((frames, h, w), np.float32)
    for i, path in enumerate(paths):
        size, data = _png(_bytes(path, limits), path)
        if size != (h, w):
            raise FormatError(f"{path} is of another size than {paths[0].name}; all must be {w} x {h}.")
        maps[i] = _decoded(data, (h, w), path)
    return maps


def _decoded(data: bytes, hw: tuple[int, int], path: Path) -> np.ndarray:
    """The numbers of a picture. OpenCV would print what it finds wrong; Pillow raises it."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
            values = np.asarray(picture)
    except (OSError, SyntaxError, ValueError, zlib.error, Image.DecompressionBombError) as error:
        raise FormatError(f"{path} is broken: it cannot be decoded as a 16-bit grey PNG ({error}).") from error
    if values.dtype != np.uint16 or values.shape != hw:
        raise FormatError(f"{path} is broken: it cannot be decoded as a 16-bit grey PNG.")
    return values


def _bytes(path: Path, limits: Limits) -> bytes:
    try:
        if path.stat().st_size > 4 * limits.pixels:
            raise LimitError(f"{path} has {path.stat().st_size} bytes; that is more than Limits.pixels can take.")
        return path.read_bytes()
    except OSError as error:
        raise FormatError(f"Cannot read {path}: {error.strerror or error}.") from error


def _png(data: bytes, path: Path) -> tuple[tuple[int, int], bytes]:
    """(h, w), and the picture without whatever else the file holds.

    The decoder believes the lengths of chunks and reserves that much memory, so they are checked here.
    """
    if len(data) < 33 or data[:8] != _MAGIC or data[12:16] != b"IHDR":
        raise FormatError(f"{path} is not a PNG file.")
    w, h, bits, kind = struct.unpack(">IIBB", data[16:26])
    if bits != 16 or kind != 0:
        raise FormatError(f"{path} is not a 16-bit grey PNG; depth maps must be.")
    if 2 * h * w > _DEFLATE * len(data):
        raise FormatError(f"{path} is broken: {len(data)} bytes cannot hold {w} x {h} pixels.")
    kept, start = [_MAGIC], 8
    while start + 12 <= len(data):
        length, name = struct.unpack(">I4s", data[start : start + 8])
        end = start + 12 + length
        if end > len(data):
            break
        if (name == b"IHDR" and start == 8) or name in (b"IDAT", b"IEND"):
            kept.append(data[start:end])
        if name == b"IEND":
            return (h, w), b"".join(kept)
        start = end
    raise FormatError(f"{path} is broken or cut short: its chunks do not end where the file does.")


def _check(path: Path, shape: tuple[int, ...], frames: int, limits: Limits) -> None:
    """Refuse maps that are too large or not as many as the frames, before they are read."""
    t, h, w = shape
    if t != frames:
        raise InputError(f"{path} has {t} depth maps and the clip {frames} frames; there must be one for each.")
    if h * w > limits.pixels or t * h * w * 4 > 2 * limits.bytes or not h * w:
        raise LimitError(f"{path} has {t} depth maps of {w} x {h}; that is more than Limits.pixels or Limits.bytes.")
