"""What formats of others have no place for, as JSON within them: the exact cameras, and where the scene comes from."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import torch

from fourd.errors import FormatError, InputError
from fourd.formats import _json
from fourd.types import Cameras, Provenance, Uncertainty


def write(cameras: Cameras, provenance: Provenance) -> dict[str, Any]:
    """Plain JSON values; ``read_cameras`` and ``read_provenance`` give the same back exactly."""
    cameras = cameras.to("cpu")
    rows = zip(cameras.K.tolist(), cameras.world_from_cam.tolist(), cameras.time_s.tolist(), strict=True)
    return {
        "hw": list(cameras.hw),
        "cameras": [{"K": K, "world_from_cam": pose, "time_s": time_s} for K, pose, time_s in rows],
        "provenance": dataclasses.asdict(provenance),
    }


def read_cameras(hw: Any, entries: list[tuple[Any, str]], where: str) -> Cameras:
    """Cameras of pictures of size ``hw`` from objects of ``K``, ``world_from_cam`` and ``time_s``.

    Args:
        hw: Two numbers, not yet checked.
        entries: An object for each camera, not yet checked, and what to call it in errors.
        where: What to call the file in errors.

    Raises:
        FormatError: If one of them is missing, or is no camera.
    """
    h, w = _json.as_floats(hw, 2, f"{where}: hw")
    K, world_from_cam, time_s = [], [], []
    for value, place in entries:
        exact = _json.as_dict(value, place)
        K.append(_json.as_floats(exact.get("K"), 9, f"{place}: K"))
        world_from_cam.append(_json.as_floats(exact.get("world_from_cam"), 16, f"{place}: world_from_cam"))
        time_s.append(_json.as_float(exact.get("time_s"), f"{place}: time_s"))
    try:
        return Cameras(
            K=torch.tensor(K, dtype=torch.float32).reshape(-1, 3, 3),
            world_from_cam=torch.tensor(world_from_cam, dtype=torch.float32).reshape(-1, 4, 4),
            hw=(int(h), int(w)),
            time_s=torch.tensor(time_s, dtype=torch.float64),
        )
    except InputError as error:
        raise FormatError(f"{where} is broken: {error}") from error


def read_provenance(ours: dict[str, Any]) -> Provenance:
    """What ``extras.fourd`` or the like says about where the scene comes from.

    Raises:
        FormatError: If a value is of another type than it was written as.
    """
    notes = _json.as_dict(ours.get("provenance", {}), "extras.fourd.provenance")
    where = "extras.fourd.provenance."
    versions = _json.as_dict(notes.get("versions", {}), where + "versions")
    seconds = _json.as_dict(notes.get("seconds", {}), where + "seconds")
    warnings = _json.as_list(notes.get("warnings", []), where + "warnings")
    evidence = notes.get("evidence")
    return Provenance(
        clip=_json.as_str(notes.get("clip", ""), where + "clip"),
        config=_json.as_dict(notes.get("config", {}), where + "config"),
        versions={k: _json.as_str(v, where + "versions") for k, v in versions.items()},
        seconds={k: _json.as_float(v, where + "seconds") for k, v in seconds.items()},
        warnings=[_json.as_str(w, where + "warnings") for w in warnings],
        metric=notes.get("metric") is True,
        evidence=None if evidence is None else _json.as_float(evidence, where + "evidence"),
        up=_direction(notes["up"], where + "up") if notes.get("up") is not None else None,
        uncertainty=_uncertainty(notes["uncertainty"], where + "uncertainty") if notes.get("uncertainty") else None,
    )


def _uncertainty(value: Any, where: str) -> Uncertainty:
    told = _json.as_dict(value, where)
    position, rotation_deg = (
        _json.as_float(told.get(name), f"{where}.{name}") for name in ("position", "rotation_deg")
    )
    focal = told.get("focal")
    try:
        return Uncertainty(position, rotation_deg, None if focal is None else _json.as_float(focal, f"{where}.focal"))
    except InputError as error:
        raise FormatError(f"{where} is broken: {error}") from error


def _direction(value: Any, where: str) -> list[float]:
    """Three numbers of which a direction can be made; its length is brought to 1 if it is not yet."""
    numbers = _json.as_floats(value, 3, where)
    length = math.hypot(*numbers)
    if not 1e-6 < length < 1e6:
        raise FormatError(f"{where} has the length {length:g}; it must be a direction.")
    return numbers if abs(length - 1) < 1e-6 else [x / length for x in numbers]
