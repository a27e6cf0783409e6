"""The splats of a scene in a GLB of few bytes: 36 each, but for those that change and are shown while others do not.

What stands still, and what stands in the moment that other viewers show, follows KHR_gaussian_splatting in the
smallest types that it allows. What only a player of all moments sees has attributes of our own. docs/formats.md
has the tables; ``player/quantised.js`` reads them in the browser.

Scales are linear 16-bit numbers there, which a range of more than a few thousand would ruin: meshes hold splats of
similar size, and the node above each multiplies positions and scales by its unit, a power of two.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import torch

from fourd.errors import FormatError, InputError
from fourd.formats import _gltf, _json
from fourd.types import SH_C0, Splats

EXTENSION = "KHR_gaussian_splatting"
_FINEST = 1 / 2600
"""The thinnest axis of a splat is at least this share of its mesh's unit, so that it is right to 2 %,"""
_MOST_MESHES = 6
"""unless there would be more meshes than this."""
_DARKEST, _BRIGHTEST = -0.5, 1.5
"""Colours of the other moments beyond these (in sRGB) are cut, so that one of them cannot coarsen all."""
_FOR_EVER = 255
"""The stored duration of what is always there."""
KINDS = ("standing", "passing", "other")


def write(builder: _gltf.Builder, splats: Splats, shown: np.ndarray) -> list[dict[str, Any]]:
    """Add the splats as meshes, rounded and in another order.

    Args:
        builder: What the bytes go into.
        splats: All splats.
        shown: [n] true for those that a viewer without time shall show.

    Returns:
        For each mesh its ``name``, ``primitive``, ``node`` (what belongs into its node) and ``facts`` (what a reader
        has to know). The meshes that are shown come first, the largest one before the others.

    Raises:
        InputError: If a position leaves the range of a float in the unit of its mesh.
    """
    host = {f.name: getattr(splats, f.name).detach().cpu().numpy() for f in dataclasses.fields(splats)}
    stands = np.isinf(host["duration_s"]) & ~host["velocity_mps"].any(1)
    groups: list[tuple[str, np.ndarray, float]] = []
    for kind, chosen in (("standing", stands), ("passing", shown & ~stands)):
        classes = [(kind, index, unit) for index, unit in _classes(host["scale_m"], np.flatnonzero(chosen))]
        groups += sorted(classes, key=lambda group: -len(group[1]))
    others = np.flatnonzero(~shown & ~stands)
    groups += [("other", others, 1.0)] if len(others) else []
    return [_mesh(builder, kind, {k: v[index] for k, v in host.items()}, unit) for kind, index, unit in groups]


def _classes(scale_m: np.ndarray, index: np.ndarray) -> list[tuple[np.ndarray, float]]:
    """Splats of similar size: the indices of each class, and its unit."""
    classes: list[tuple[np.ndarray, float]] = []
    while len(index):
        largest, smallest = scale_m[index].max(1), scale_m[index].min(1)
        unit = 2.0 ** min(max(math.ceil(math.log2(float(largest.max()))), -100), 100)
        fits = (smallest >= unit * _FINEST) | (largest > unit / 2) | (len(classes) + 1 == _MOST_MESHES)
        classes.append((index[fits], unit))
        index = index[~fits]
    return classes


def _mesh(builder: _gltf.Builder, kind: str, host: dict[str, np.ndarray], unit: float) -> dict[str, Any]:
    n, coefficients = host["colour"].shape[:2]
    with np.errstate(over="ignore"):
        position = (host["mean_m"] / unit).astype(np.float32)
    if not np.isfinite(position).all():
        raise InputError("A splat is too far away for its size to be held by a quantised GLB; save it exactly.")
    facts: dict[str, Any] = {"kind": kind, "unit": unit}
    turn = np.rint(host["quat_wxyz"][:, [1, 2, 3, 0]] * 127).astype(np.int8)
    opacity = np.rint(host["opacity"] * 255).astype(np.uint8)
    life = _life(host, facts) if kind != "standing" else None
    attributes = {"POSITION": builder.accessor(position, bounds=True)}
    if kind == "other":
        attributes |= _other(builder, host, facts, turn, opacity)
    else:
        size = np.rint(host["scale_m"] / unit * 65535).clip(1, 65535).astype(np.uint16)
        last = host["source"] if life is None else life["duration"]
        columns = builder.side_by_side(size, opacity, last, normalized=(True, True, False))
        attributes |= {
            f"{EXTENSION}:ROTATION": builder.accessor(turn, normalized=True),
            f"{EXTENSION}:SCALE": columns[0],
            f"{EXTENSION}:OPACITY": columns[1],
            f"{EXTENSION}:SH_DEGREE_0_COEF_0": builder.accessor(host["colour"][:, 0]),
            "_SOURCE" if life is None else "_DURATION": columns[2],
        }
    if kind == "passing" and life is not None:
        pair = builder.side_by_side(life["velocity"], life["time"], normalized=True)
        attributes |= dict(zip(("_VELOCITY", "_TIME"), pair, strict=True))
        if host["source"].any():
            attributes["_SOURCE"] = builder.accessor(host["source"])
    if coefficients > 1:
        attributes |= _sheen(builder, host["colour"][:, 1:].reshape(n, -1), facts)
    primitive: dict[str, Any] = {"attributes": attributes, "mode": 0}
    if kind != "other":
        primitive["extensions"] = {EXTENSION: {"kernel": "ellipse", "colorSpace": "srgb_rec709_display"}}
    node = {"scale": [unit] * 3} if unit != 1 else {}
    name = {"standing": "what stands still", "passing": "still moment", "other": "other moments"}[kind]
    return {"name": name, "primitive": primitive, "node": node, "facts": facts}


def _life(host: dict[str, np.ndarray], facts: dict[str, Any]) -> dict[str, np.ndarray]:
    """Velocity, time and duration as they are stored; what undoes it goes into ``facts``."""
    fastest = max(float(np.abs(host["velocity_mps"]).max()), 1e-30)
    share = host["velocity_mps"] / fastest
    begin, end = float(host["time_s"].min()), float(host["time_s"].max())
    finite = np.isfinite(host["duration_s"])
    logs = np.log2(np.where(finite, host["duration_s"], 1.0).astype(np.float64))
    low, high = (float(logs[finite].min()), float(logs[finite].max())) if finite.any() else (0.0, 0.0)
    duration = np.rint((logs - low) / max(high - low, 1e-9) * (_FOR_EVER - 1))
    facts |= {"velocity": fastest, "time": [begin, end], "log2_duration": [low, high]}
    return {
        # The square root leaves slow ones exact where a few are very fast.
        "velocity": np.rint(np.sign(share) * np.sqrt(np.abs(share)) * 32767).astype(np.int16),
        "time": np.rint((host["time_s"] - begin) / max(end - begin, 1e-9) * 65535).astype(np.uint16),
        "duration": np.where(finite, duration, _FOR_EVER).astype(np.uint8),
    }


def _other(
    builder: _gltf.Builder, host: dict[str, np.ndarray], facts: dict[str, Any], turn: np.ndarray, opacity: np.ndarray
) -> dict[str, int]:
    """The attributes of splats that only a player of all moments shows."""
    life = _life(host, facts)
    rgb = (0.5 + SH_C0 * host["colour"][:, 0].astype(np.float64)).clip(_DARKEST, _BRIGHTEST)
    dark, light = float(rgb.min()), float(rgb.max())
    paint = np.rint((rgb - dark) / max(light - dark, 1e-9) * 255).astype(np.uint8)
    logs = np.log2(host["scale_m"].astype(np.float64))
    low, high = float(logs.min()), float(logs.max())
    size = np.rint((logs - low) / max(high - low, 1e-9) * 65535).astype(np.uint16)
    facts |= {"colour": [dark, light], "log2_scale": [low, high]}
    attributes = {
        "_ROTATION": builder.accessor(turn, normalized=True),
        "_COLOUR": builder.accessor(np.concatenate([paint, opacity[:, None]], 1), normalized=True),
    }
    columns = builder.side_by_side(size, life["time"], normalized=True)
    attributes |= dict(zip(("_SCALE", "_TIME"), columns, strict=True))
    columns = builder.side_by_side(life["velocity"], life["duration"], host["source"], normalized=(True, False, False))
    return attributes | dict(zip(("_VELOCITY", "_DURATION", "_SOURCE"), columns, strict=True))


def _sheen(builder: _gltf.Builder, higher: np.ndarray, facts: dict[str, Any]) -> dict[str, int]:
    """All harmonics but the constant one, four numbers an attribute: the extension would want floats."""
    brightest = max(float(np.abs(higher).max()), 1e-30)
    facts["harmonics"] = brightest
    padded = np.pad(higher, ((0, 0), (0, -higher.shape[1] % 4)))
    stored = np.rint(padded / brightest * 127).astype(np.int8)
    return {
        f"_SH_{i}": builder.accessor(stored[:, 4 * i : 4 * i + 4], normalized=True) for i in range(stored.shape[1] // 4)
    }


@np.errstate(over="ignore", invalid="ignore")  # What a broken file makes infinite, the noun refuses.
def read(document: _gltf.Document, mesh: int, facts: Any, coefficients: int) -> Splats:
    """The splats of a mesh that ``write`` made.

    Args:
        document: The file.
        mesh: The number of the mesh.
        facts: What the file says about it, not yet checked.
        coefficients: How many harmonics each splat has.

    Raises:
        FormatError: If the mesh or the facts are broken.
        InputError: If the values are no splats.
    """
    where = f"{document.name}: meshes[{mesh}]"
    facts = _json.as_dict(facts, f"{where}: its facts")
    kind = facts.get("kind")
    if kind not in KINDS:
        raise FormatError(f"{where} is of no kind that is known: {', '.join(KINDS)}.")
    values = _gltf.Attributes(document, mesh)
    number = _json.Numbers(facts, where)
    unit = np.float32(number.one("unit"))
    position = values.floats("POSITION", "VEC3") * unit
    n = len(position)
    if kind == "other":
        turn = values.floats("_ROTATION", "VEC4")
        low, high = number.pair("log2_scale")
        scale = np.exp2(low + values.floats("_SCALE", "VEC3").astype(np.float64) * (high - low)).astype(np.float32)
        paint = values.floats("_COLOUR", "VEC4")
        dark, light = number.pair("colour")
        base = ((dark + paint[:, :3].astype(np.float64) * (light - dark) - 0.5) / SH_C0).astype(np.float32)
        opacity = paint[:, 3]
    else:
        turn = values.floats(f"{EXTENSION}:ROTATION", "VEC4")
        scale = values.floats(f"{EXTENSION}:SCALE", "VEC3") * unit
        opacity = values.floats(f"{EXTENSION}:OPACITY", "SCALAR")
        base = values.floats(f"{EXTENSION}:SH_DEGREE_0_COEF_0", "VEC3")
    source = values.bytes("_SOURCE") if "_SOURCE" in values or kind != "passing" else np.zeros(n, np.uint8)
    velocity, time_s, duration_s = np.zeros((n, 3), np.float32), np.zeros(n), np.full(n, np.inf)
    if kind != "standing":
        share = values.floats("_VELOCITY", "VEC3")
        velocity = share * np.abs(share) * np.float32(number.one("velocity"))
        begin, end = number.pair("time")
        time_s = begin + values.floats("_TIME", "SCALAR").astype(np.float64) * (end - begin)
        low, high = number.pair("log2_duration")
        code = values.bytes("_DURATION")
        duration_s = np.exp2(low + code / (_FOR_EVER - 1) * (high - low))
        duration_s[code == _FOR_EVER] = np.inf
    colour = [base[:, None]]
    if coefficients > 1:
        rows = [values.floats(f"_SH_{i}", "VEC4") for i in range(math.ceil(3 * (coefficients - 1) / 4))]
        _same_length(where, n, *rows)
        higher = np.concatenate(rows, 1)[:, : 3 * (coefficients - 1)]
        colour.append(higher.reshape(n, coefficients - 1, 3) * np.float32(number.one("harmonics")))
    _same_length(where, n, base, turn, scale, opacity, source, velocity, time_s, duration_s)
    length = np.linalg.norm(turn, axis=1, keepdims=True)
    return Splats(
        mean_m=torch.from_numpy(position),
        quat_wxyz=torch.from_numpy((turn / np.maximum(length, 1e-9))[:, [3, 0, 1, 2]]),
        scale_m=torch.from_numpy(scale),
        opacity=torch.from_numpy(np.ascontiguousarray(opacity)),
        colour=torch.from_numpy(np.concatenate(colour, 1)),
        velocity_mps=torch.from_numpy(velocity),
        time_s=torch.from_numpy(time_s.astype(np.float32)),
        duration_s=torch.from_numpy(duration_s.astype(np.float32)),
        source=torch.from_numpy(source),
    )


def _same_length(where: str, n: int, *arrays: np.ndarray) -> None:
    if any(len(a) != n for a in arrays):
        raise FormatError(f"{where} is broken: its attributes are not equally many.")
