"""``.splatv``: a scene with all its moments in 64 bytes a splat, as github.com/antimatter15/splaTV plays it.

Two 32-bit words (0x674b, the length of the JSON), the JSON, and a texture of 4096 texels a row, four texels of
four 32-bit words a splat:

====== ================================================================================
word   meaning
====== ================================================================================
0..2   position at the splat's own time, float32, y down
3, 4   rotation w, x, y, z, four half floats
5, 6   scale, three half floats, and nothing
7      red, green, blue, opacity, a byte each
8..12  what the position gains with the first, second and third power of the time since, nine
       half floats, and nothing
13, 14 what the rotation gains, four half floats
15     the splat's own time and its duration times the square root of 2, two half floats
====== ================================================================================

The film runs from 0 to 1. How many seconds that is, and when it begins, the JSON says in ``fourd``, which splaTV
does not read. Our motion is linear: the second and third powers are 0.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fourd.checked import checked
from fourd.errors import FormatError, InputError
from fourd.files import replacing
from fourd.formats import _json, _notes
from fourd.formats.contents import Contents
from fourd.types import SEEN, SH_C0, Cameras, Provenance, Sound, Splats

_MAGIC = 0x674B
_HEADER = struct.Struct("<II")
_ROW = 1024
"""Splats in a row of the texture."""
_SPLAT = 64
_LARGEST_HALF = 65504.0
_PAST = -1000.0
"""The time of the splats that fill the last row, which is over before the film begins."""
_MOST_CAMERAS = 60
"""So many cameras are listed for splaTV's number keys and arrows; the exact ones are all in ``fourd``."""


@checked
def write(
    path: str | Path,
    *,
    splats: Splats,
    cameras: Cameras,
    sound: Sound | None = None,
    provenance: Provenance = Provenance(),
) -> None:
    """Write a scene; its sound, its higher harmonics and which splat was invented are left out.

    Lossy: rotations, scales, velocities, times and durations are half floats, of 11 bits; colour and opacity bytes.

    Raises:
        OutputError: If the file system refuses.
        InputError: If the provenance holds what JSON cannot, or a number is beyond a half float.
    """
    begin, span = _clock(cameras)
    host = splats.to("cpu")
    n = len(host)
    words = np.zeros((math.ceil(n / _ROW) * _ROW, _SPLAT // 4), np.uint32)
    halves, floats = words.view(np.float16), words.view(np.float32)
    floats[:n, :3] = host.mean_m.numpy()
    halves[:n, 6:10] = host.quat_wxyz.numpy()
    halves[:n, 10:13] = _half(host.scale_m.numpy(), "size of a splat")
    rgba = torch.cat([host.rgb, host.opacity[:, None]], 1)
    words.view(np.uint8)[:n, 28:32] = (rgba * 255).round().clamp(0, 255).to(torch.uint8).numpy()
    halves[:n, 16:19] = _half(host.velocity_mps.double().numpy() * span, "way of a splat during the film")
    halves[:, 30:32] = [_PAST, 1.0]
    halves[:n, 30] = _half((host.time_s.double().numpy() - begin) / span, "time of a splat")
    # At least two of the smallest steps, so that no duration becomes 0.
    life = host.duration_s.double().numpy() * math.sqrt(2) / span
    halves[:n, 31] = life.clip(1e-7, _LARGEST_HALF)
    ours = _notes.write(cameras, provenance) | {"splats": n, "start_s": begin, "seconds": span}
    chunk = {"type": "splat", "size": words.nbytes, "texwidth": 4 * _ROW, "texheight": len(words) // _ROW}
    text = _json.dumped([chunk | {"cameras": _listed(cameras), "fourd": ours}], Path(path).name).encode()
    with replacing(path) as fresh, fresh.open("wb") as file:
        file.write(_HEADER.pack(_MAGIC, len(text)) + text)
        file.write(words.tobytes())


def _clock(cameras: Cameras) -> tuple[float, float]:
    """When the film begins, and how many seconds it takes to its last frame."""
    begin, end = float(cameras.time_s.min()), float(cameras.time_s.max())
    return begin, (end - begin) or 1.0


def _half(values: np.ndarray, what: str) -> np.ndarray:
    if values.size and not float(np.abs(values).max()) <= _LARGEST_HALF:
        raise InputError(f"The {what} is {float(np.abs(values).max()):g}; a .splatv holds up to {_LARGEST_HALF:g}.")
    return values.astype(np.float16)


def _listed(cameras: Cameras) -> list[dict[str, Any]]:
    """Cameras as splaTV wants them."""
    h, w = cameras.hw
    step = max(1, math.ceil(len(cameras) / _MOST_CAMERAS))
    listed = []
    for i in range(0, len(cameras), step):
        pose, K = cameras.world_from_cam[i].tolist(), cameras.K[i].tolist()
        place = {"position": [row[3] for row in pose[:3]], "rotation": [row[:3] for row in pose[:3]]}
        lens = {"fx": K[0][0], "fy": K[1][1], "width": w, "height": h}
        listed.append({"id": len(listed), "img_name": f"{i:05d}"} | place | lens)
    return listed


@checked
def read(path: str | Path) -> Contents:
    """Read a scene. Of curved motion only the linear part is kept, and of changing rotation the middle; it says so.

    Raises:
        FormatError: If the file is broken, or is no ``.splatv``.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise FormatError(f"Cannot read {path}: {error.strerror or error}.") from error
    if len(data) < _HEADER.size or _HEADER.unpack_from(data)[0] != _MAGIC:
        raise FormatError(f"{path} is not a .splatv file: it does not begin with {_MAGIC:#x}.")
    length = _HEADER.unpack_from(data)[1]
    if _HEADER.size + length > len(data):
        raise FormatError(f"{path} is cut short: {length} bytes of JSON are not there.")
    start = _HEADER.size + length
    chunks = _json.parse_list(data[_HEADER.size : start], f"The JSON of {path}")
    for i, value in enumerate(chunks):
        chunk = _json.as_dict(value, f"{path}: chunks[{i}]")
        size = _json.as_int(chunk.get("size"), f"{path}: chunks[{i}].size")
        if size > len(data) - start:
            raise FormatError(f"{path} is cut short: chunk {i} says {size} bytes, there are {len(data) - start}.")
        if chunk.get("type") == "splat":
            return _contents(data[start : start + size], chunk, str(path))
        start += size
    raise FormatError(f"{path} holds no splats: none of its {len(chunks)} chunks is of the type 'splat'.")


def _contents(data: bytes, chunk: dict[str, Any], name: str) -> Contents:
    ours = _json.as_dict(chunk.get("fourd", {}), f"{name}: fourd")
    begin = _json.as_float(ours.get("start_s", 0.0), f"{name}: fourd.start_s")
    span = _json.as_float(ours.get("seconds", 1.0), f"{name}: fourd.seconds")
    if not 1e-9 < span < 1e9:
        raise FormatError(f"{name}: fourd.seconds is {span:g}; a film must last.")
    if len(data) % _SPLAT:
        raise FormatError(f"{name} is broken: its {len(data)} bytes of splats are no multiple of {_SPLAT}.")
    words = np.frombuffer(data, "<u4").reshape(-1, _SPLAT // 4)
    halves, floats = words.view("<f2"), words.view("<f4")
    with np.errstate(all="ignore"):  # What is no number is left out, or refused by the noun.
        if "splats" in ours:
            there = np.arange(len(words)) < _json.as_int(ours["splats"], f"{name}: fourd.splats", high=len(words))
        else:  # Rows are filled up with zeros, or with what is never seen.
            there = (words[:, 7] >> 24 > 0) & (halves[:, 10:13] > 0).all(1)
        words, halves, floats = words[there], halves[there].astype(np.float64), floats[there]
        turn = halves[:, 6:10] / np.linalg.norm(halves[:, 6:10], axis=1, keepdims=True)
        rgba = words.view(np.uint8)[:, 28:32].astype(np.float32) / 255
        life = halves[:, 31] * span / math.sqrt(2)
        for_ever = halves[:, 31] >= _LARGEST_HALF
        duration = np.where(for_ever, np.inf, life)
        curved = int((np.abs(halves[:, 19:25]) > 1e-3).any(1).sum())
        turning = int((np.abs(halves[:, 26:30]) > 1e-3).any(1).sum())
        warnings = []
        if curved:
            warnings.append(f"{curved} splats move along curves in the file; here they move along lines.")
        if turning:
            warnings.append(f"{turning} splats turn in the file; here they do not.")
        try:
            splats = Splats(
                mean_m=torch.from_numpy(floats[:, :3].astype(np.float32)),
                quat_wxyz=torch.from_numpy(turn.astype(np.float32)),
                scale_m=torch.from_numpy(halves[:, 10:13].astype(np.float32)),
                opacity=torch.from_numpy(np.ascontiguousarray(rgba[:, 3])),
                colour=torch.from_numpy(((rgba[:, :3] - 0.5) / SH_C0)[:, None]),
                velocity_mps=torch.from_numpy((halves[:, 16:19] / span).astype(np.float32)),
                time_s=torch.from_numpy((begin + halves[:, 30] * span).astype(np.float32)),
                duration_s=torch.from_numpy(duration.astype(np.float32)),
                source=torch.full((len(words),), SEEN, dtype=torch.uint8),
            )
        except InputError as error:
            raise FormatError(f"{name} is broken: {error}") from error
    cameras = None
    if "cameras" in ours:
        entries = _json.as_list(ours["cameras"], f"{name}: fourd.cameras")
        named = [(entry, f"{name}: fourd.cameras[{i}]") for i, entry in enumerate(entries)]
        cameras = _notes.read_cameras(ours.get("hw"), named, name)
    notes = _notes.read_provenance(ours)
    return Contents(splats, cameras, None, notes, tuple(warnings), (begin, begin + span))
