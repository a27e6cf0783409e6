"""A scene in few bytes, for pages that hold it within themselves; only the player reads it (player/packed.js).

Layout: the eight bytes ``fourdpk1``; the length of the JSON (u32, little-endian); the JSON; the columns.
The JSON is what ``extras.fourd`` of a GLB holds (version, hw, still_s, splats, coefficients, and of the
provenance the clip's name, ``metric`` and ``up``), and

- ``cameras``: a list of ``{K, world_from_cam, time_s}``;
- ``still``: the first so many splats never change; the others have velocity, time and duration;
- ``ranges``: the ends of the scales on which numbers were rounded;
- ``columns``: ``name: [first byte, bytes]``, counted from the end of the JSON;
- ``sound``: what ``extras.fourd.sound`` of a GLB holds, with ``column``, the name of the column that holds the WAV
  file, in the place of ``bufferView``.

Each column is split into planes: the lowest byte of every splat, then the next, so that gzip finds what
repeats. Splats are in the order of their places (a Morton curve), those that change in that of their times.

======== ===== ==================================================================================
column   bytes meaning
======== ===== ==================================================================================
position 3 x 3 the highest 24 bits of a float32, rounded: 16 bits of precision
rotation 4     the three smaller components of the quaternion w, x, y, z in ten bits each, as
               ``511 + 511 sqrt(2) q``; the two highest bits say which one is left out and positive
scale    4     log2 of the three, on a scale of 11, 11 and 10 bits over ``ranges.log2_scale``
opacity  1     of 255
colour   4     the constant harmonic, three times 10 bits over ``ranges.colour``; two bits of source
harmonics 1 x 3(k - 1)  of 127, times ``ranges.harmonics``
velocity 3 x 2 half floats
time     4     float32
duration 4     float32
======== ===== ==================================================================================

That is 22 bytes for what stays and 36 for what changes, before gzip, where a GLB has 88.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import struct

import numpy as np

from fourd.checked import checked
from fourd.errors import InputError
from fourd.formats import _heard
from fourd.formats.glb import ALWAYS, VERSION
from fourd.types import Cameras, Provenance, Sound, Splats

_MAGIC = b"fourdpk1"
_BRIGHTEST = 4.0
"""Coefficients of the constant harmonic beyond this (white is 1.8) are cut, so that one of them cannot coarsen all."""


@checked
def pack(splats: Splats, cameras: Cameras, sound: Sound | None = None, provenance: Provenance = Provenance()) -> bytes:
    """A scene in few bytes; see the top of this file.

    Args:
        splats: In the world of ``cameras``.
        cameras: The cameras that filmed.
        sound: On the cameras' clock.
        provenance: Of which the clip's name, whether it is metric, and which way is up are kept.

    Raises:
        InputError: If the sound cannot be held by a WAV file, or a velocity is beyond a half float.
    """
    host = {f.name: getattr(splats, f.name).detach().cpu().numpy() for f in dataclasses.fields(splats)}
    stays = np.isinf(host["duration_s"]) & ~host["velocity_mps"].any(1)
    place = _morton(host["mean_m"])
    moving = np.flatnonzero(~stays)
    still = np.flatnonzero(stays)
    order = np.concatenate([still[np.argsort(place[still], kind="stable")], moving[_by_time(host, place, moving)]])
    host = {name: values[order] for name, values in host.items()}
    columns, ranges = _columns(host, len(still))
    said = None if sound is None else _heard.write(sound, functools.partial(_keep, columns))
    places, at = {}, 0
    for name, data in columns.items():
        places[name] = [at, len(data)]
        at += len(data)
    cameras = cameras.to("cpu")
    document = {
        "version": VERSION,
        "hw": list(cameras.hw),
        "still_s": float(cameras.time_s[len(cameras) // 2]),
        "splats": len(splats),
        "coefficients": splats.colour.shape[1],
        "provenance": {"clip": provenance.clip, "metric": provenance.metric, "up": provenance.up},
        "cameras": [
            {"K": K, "world_from_cam": pose, "time_s": time_s}
            for K, pose, time_s in zip(
                cameras.K.tolist(), cameras.world_from_cam.tolist(), cameras.time_s.tolist(), strict=True
            )
        ],
        "still": len(still),
        "ranges": ranges,
        "columns": places,
    } | ({"sound": said} if said is not None else {})
    text = json.dumps(document, separators=(",", ":")).encode()
    return b"".join([_MAGIC, struct.pack("<I", len(text)), text, *columns.values()])


def _keep(columns: dict[str, bytes], wav: bytes) -> dict[str, str]:
    """Put a WAV file into a column of its own."""
    name = f"sound{sum(name.startswith('sound') for name in columns)}"
    columns[name] = wav
    return {"column": name}


def _columns(host: dict[str, np.ndarray], still: int) -> tuple[dict[str, bytes], dict[str, object]]:
    """The columns and the ends of their scales, for splats that are in their final order."""
    n = len(host["opacity"])
    top = host["mean_m"].view(np.uint32)
    # Rounded to nearest: a carry into the exponent is right, and infinity is too far to be reached.
    top = (top + np.uint32(0x80)) >> np.uint32(8)
    log_scale = np.log2(host["scale_m"].astype(np.float64))
    low, high = (float(log_scale.min()), float(log_scale.max())) if n else (0.0, 0.0)
    share = (log_scale - low) / max(high - low, 1e-9)
    levels = np.rint(share * [2047, 2047, 1023]).astype(np.uint32)
    base = host["colour"][:, 0].clip(-_BRIGHTEST, _BRIGHTEST)
    dark, light = (float(base.min()), float(base.max())) if n else (0.0, 0.0)
    paint = np.rint((base - dark) / max(light - dark, 1e-9) * 1023).astype(np.uint32)
    sheen = host["colour"][:, 1:].reshape(n, 3 * (host["colour"].shape[1] - 1))
    brightest = float(np.abs(sheen).max()) if sheen.size else 0.0
    velocity = host["velocity_mps"][still:]
    if velocity.size and float(np.abs(velocity).max()) > 65504:
        raise InputError(f"A splat moves {float(np.abs(velocity).max()):g} a second; a page holds up to 65504.")
    columns = {
        "position": b"".join(_planes(top[:, axis], 3) for axis in range(3)),
        "rotation": _planes(_smallest_three(host["quat_wxyz"]), 4),
        "scale": _planes(levels[:, 0] | levels[:, 1] << 11 | levels[:, 2] << 22, 4),
        "opacity": np.rint(host["opacity"] * 255).astype(np.uint8).tobytes(),
        "colour": _planes(
            paint[:, 0] | paint[:, 1] << 10 | paint[:, 2] << 20 | host["source"].astype(np.uint32) << 30, 4
        ),
        "velocity": b"".join(_planes(velocity[:, axis].astype(np.float16).view(np.uint16), 2) for axis in range(3)),
        "time": _planes(host["time_s"][still:].view(np.uint32), 4),
        "duration": _planes(np.minimum(host["duration_s"][still:], ALWAYS).view(np.uint32), 4),
    }
    if sheen.shape[1]:
        columns["harmonics"] = np.rint(sheen / max(brightest, 1e-9) * 127).astype(np.int8).T.tobytes()
    ranges = {"log2_scale": [low, high], "colour": [dark, light], "harmonics": brightest}
    return columns, ranges


def _planes(values: np.ndarray, width: int) -> bytes:
    """The ``width`` lowest bytes of integers, plane by plane."""
    return b"".join((values >> (8 * b)).astype(np.uint8).tobytes() for b in range(width))


def _smallest_three(quat_wxyz: np.ndarray) -> np.ndarray:
    """Unit quaternions in 32 bits; q and -q are the same rotation."""
    n = len(quat_wxyz)
    largest = np.abs(quat_wxyz).argmax(1)
    sign = np.where(quat_wxyz[np.arange(n), largest] < 0, -1.0, 1.0)
    rest = quat_wxyz[np.arange(4)[None] != largest[:, None]].reshape(n, 3) * sign[:, None]
    levels = np.rint(rest * (511 * np.sqrt(2)) + 511).clip(0, 1022).astype(np.uint32)
    return levels[:, 0] | levels[:, 1] << 10 | levels[:, 2] << 20 | largest.astype(np.uint32) << 30


def _morton(mean_m: np.ndarray) -> np.ndarray:
    """Where on a space-filling curve each place is: 10 bits an axis over the middle of all places, interleaved."""
    if not len(mean_m):
        return np.zeros(0, np.uint64)
    low, high = np.quantile(mean_m, [0.01, 0.99], axis=0)
    cell = ((mean_m - low) / np.maximum(high - low, 1e-9) * 1023).clip(0, 1023).astype(np.uint64)
    code = np.zeros(len(mean_m), np.uint64)
    for bit in range(10):
        for axis in range(3):
            code |= (cell[:, axis] >> np.uint64(bit) & np.uint64(1)) << np.uint64(3 * bit + axis)
    return code


def _by_time(host: dict[str, np.ndarray], place: np.ndarray, index: np.ndarray) -> np.ndarray:
    """The order of the splats at ``index`` by their times, and by their places where those are equal."""
    return np.lexsort([place[index], host["time_s"][index]])
