"""The scene's own file: one glTF 2.0 binary with splats, time, cameras, sound and provenance.

docs/formats.md describes it byte for byte. The splats follow KHR_gaussian_splatting, so that
viewers that know nothing of time show one moment as it is.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fourd.errors import FormatError, InputError
from fourd.files import replacing
from fourd.formats import _gltf, _heard, _json, _notes, _quantised
from fourd.formats._axes import GL_FROM_CV
from fourd.formats._quantised import EXTENSION
from fourd.geometry import rigid
from fourd.srgb import linear
from fourd.types import Cameras, Provenance, Sound, Splats

VERSION, QUANTISED = 1, 2
"""Of the layout of our extras and attributes: as they are, or rounded (``_quantised``). A reader refuses newer ones."""
ALWAYS = np.finfo(np.float32).max
"""What an infinite duration is stored as, because glTF forbids infinity. The formula of docs/formats.md
gives the same opacity with either."""
STILL = 0.5
"""Splats with at least this share of their opacity belong to the moment that a viewer without time shows."""

_DEGREE = {1: 0, 4: 1, 9: 2, 16: 3}


def write(
    path: str | Path,
    *,
    splats: Splats,
    cameras: Cameras,
    sound: Sound | None = None,
    provenance: Provenance = Provenance(),
    still_s: float | None = None,
    quantised: bool = False,
) -> None:
    """Write a scene. Everything but the sound (16 bits a sample) comes back exactly, unless it is quantised.

    Args:
        path: Where to; replaced as a whole or not at all.
        splats: In the world of ``cameras``.
        cameras: The cameras that filmed.
        sound: On the cameras' clock.
        provenance: Plain JSON values.
        still_s: The moment that viewers without time show; by default that of the middle camera.
        quantised: Round the splats to some 36 bytes each (88 otherwise), and put them into another order.

    Raises:
        OutputError: If the file system refuses.
        InputError: If the provenance holds what JSON cannot, or a position what a quantised file cannot.
        LimitError: If the file would pass 4 GB.
    """
    builder = _gltf.Builder()
    still_s = float(cameras.time_s[len(cameras) // 2]) if still_s is None else still_s
    age = ((still_s - splats.time_s) / splats.duration_s).double()
    seen_now = torch.exp(-(age**2) / 2) >= STILL
    ours: dict[str, Any] = {
        "version": VERSION,
        "hw": list(cameras.hw),
        "still_s": still_s,
        "splats": len(splats),
        "coefficients": splats.colour.shape[1],
        "provenance": dataclasses.asdict(provenance),
    }
    if quantised:
        meshes = _quantised.write(builder, splats, seen_now.cpu().numpy())
        ours |= {"version": QUANTISED, "meshes": [mesh["facts"] for mesh in meshes]}
        shown = [mesh["facts"]["kind"] != "other" for mesh in meshes]
    else:
        meshes, shown = _exact(builder, splats, seen_now, ours)
    if sound is not None:
        ours["sound"] = _heard.write(sound, lambda wav: {"bufferView": builder.view(wav)})

    lenses, nodes = _camera_nodes(cameras)
    nodes += [{"name": mesh["name"], "mesh": i} | mesh["node"] for i, mesh in enumerate(meshes)]
    # Ours is y down and z forward, glTF's is y up and z back: half a turn about x.
    world: dict[str, Any] = {"name": "world", "rotation": [1, 0, 0, 0]}
    # What viewers shall show hangs in the scene; the last mesh may stand beside it, in no scene.
    hanging = len(lenses) + sum(shown)
    nodes.append(world | {"children": list(range(hanging))})
    if not all(shown):
        nodes.append(world | {"name": "world of the other moments", "children": [hanging]})
    document: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": "fourd"},
        "scene": 0,
        "scenes": [{"nodes": [len(lenses) + len(meshes)]}],
        "nodes": nodes,
        "cameras": lenses,
        "extras": {"fourd": ours},
    }
    if meshes:
        document["meshes"] = [{"name": mesh["name"], "primitives": [mesh["primitive"]]} for mesh in meshes]
    if any(EXTENSION in mesh["primitive"].get("extensions", {}) for mesh in meshes):
        document["extensionsUsed"] = [EXTENSION]
    with replacing(path) as fresh:
        builder.write(fresh, document)


def _exact(
    builder: _gltf.Builder, splats: Splats, seen_now: torch.Tensor, ours: dict[str, Any]
) -> tuple[list[dict[str, Any]], list[bool]]:
    """The splats as up to two meshes, and whether each is shown; how to mix them again goes into ``ours``."""
    parts = {"still moment": seen_now, "other moments": ~seen_now}
    names = [name for name, part in parts.items() if bool(part.any())]
    meshes = [
        {"name": name, "primitive": _primitive(builder, splats if len(names) == 1 else splats[parts[name]]), "node": {}}
        for name in names
    ]
    if len(names) == 2:
        ours["order"] = {"bufferView": builder.view(np.packbits(seen_now.cpu().numpy()).tobytes())}
    return meshes, [True, False][: len(names)]


def _primitive(builder: _gltf.Builder, splats: Splats) -> dict[str, Any]:
    """The splats as points with attributes."""
    host = {f.name: getattr(splats, f.name).detach().cpu().numpy() for f in dataclasses.fields(splats)}
    colour = host["colour"]
    attributes = {
        "POSITION": builder.accessor(host["mean_m"], bounds=True),
        "COLOR_0": builder.accessor(_fallback_colour(splats), normalized=True),
        f"{EXTENSION}:ROTATION": builder.accessor(host["quat_wxyz"][:, [1, 2, 3, 0]]),
        f"{EXTENSION}:SCALE": builder.accessor(host["scale_m"]),
        f"{EXTENSION}:OPACITY": builder.accessor(host["opacity"]),
    }
    for i, name in enumerate(_harmonics(colour.shape[1])):
        attributes[name] = builder.accessor(colour[:, i])
    attributes |= {
        "_VELOCITY": builder.accessor(host["velocity_mps"]),
        "_TIME": builder.accessor(host["time_s"]),
        "_DURATION": builder.accessor(np.minimum(host["duration_s"], ALWAYS)),
        "_SOURCE": builder.accessor(host["source"]),
    }
    extension = {
        "kernel": "ellipse",
        "colorSpace": "srgb_rec709_display",
        "projection": "perspective",
        "sortingMethod": "cameraDistance",
    }
    return {"attributes": attributes, "mode": 0, "extensions": {EXTENSION: extension}}


def _harmonics(count: int) -> list[str]:
    """The attribute of each coefficient, in our order, which is also the extension's."""
    return [
        f"{EXTENSION}:SH_DEGREE_{degree}_COEF_{n}"
        for degree in range(_DEGREE[count] + 1)
        for n in range(2 * degree + 1)
    ]


def _fallback_colour(splats: Splats) -> np.ndarray:
    """Colour and opacity for viewers that know no splats: linear, as glTF wants it, in 16 bits."""
    srgb = splats.rgb.detach().cpu().numpy().clip(0, 1)
    rgba = np.concatenate([linear(srgb), splats.opacity.detach().cpu().numpy()[:, None]], 1)
    return np.rint(rgba * 65535).astype(np.uint16)


def _camera_nodes(cameras: Cameras) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A glTF camera and a node for each; what glTF cannot say stands in the node's extras."""
    cameras = cameras.to("cpu")
    h, w = cameras.hw
    pose = cameras.world_from_cam.double() @ GL_FROM_CV
    quats = rigid.quat_from_matrix(pose[:, :3, :3])[:, [1, 2, 3, 0]].tolist()
    lenses, nodes = [], []
    for i, (K, c2w, time_s) in enumerate(
        zip(cameras.K.tolist(), cameras.world_from_cam.tolist(), cameras.time_s.tolist(), strict=True)
    ):
        fx, fy = K[0][0], K[1][1]
        lens = {"yfov": 2 * math.atan(h / 2 / fy), "aspectRatio": (w / fx) / (h / fy), "znear": 0.01}
        lenses.append({"type": "perspective", "perspective": lens})
        exact = {"K": K, "world_from_cam": c2w, "time_s": time_s}
        place = {"rotation": quats[i], "translation": [row[3] for row in c2w[:3]]}
        nodes.append({"name": f"camera {i}", "camera": i} | place | {"extras": {"fourd": exact}})
    return lenses, nodes


def read(path: str | Path) -> tuple[Splats, Cameras, Sound | None, Provenance]:
    """Read a scene that ``write`` wrote.

    Raises:
        FormatError: If the file is broken, is no GLB, holds no scene of ours, or one of a newer layout.
    """
    document, ours = _opened(path)
    try:
        return (
            _read_splats(document, ours),
            _read_cameras(document, ours),
            _read_sound(document, ours),
            _notes.read_provenance(ours),
        )
    except FormatError:
        raise
    except InputError as error:  # A noun refused its values; the fault is the file's.
        raise FormatError(f"{path} is broken: {error}") from error


def is_ours(path: str | Path) -> bool:
    """Whether a GLB says that this program saved it.

    Raises:
        FormatError: If it is no GLB, or its container is broken.
    """
    extras = _gltf.Document(path, whole=False).json.get("extras")
    return isinstance(extras, dict) and "fourd" in extras


def check(path: str | Path) -> None:
    """Refuse what is no scene of ours by its container, its extras and its cameras; the splats are not looked at.

    Raises:
        FormatError: As ``read`` does.
    """
    _read_cameras(*_opened(path))


def _opened(path: str | Path) -> tuple[_gltf.Document, dict[str, Any]]:
    """A GLB and its ``extras.fourd``, if it is one of ours."""
    document = _gltf.Document(path)
    extras = _json.as_dict(document.json.get("extras", {}), f"{path}: extras")
    if "fourd" not in extras:
        raise FormatError(f"{path} is a GLB, but not one that this program saved: it has no extras.fourd.")
    ours = _json.as_dict(extras["fourd"], f"{path}: extras.fourd")
    version = _json.as_int(ours.get("version"), f"{path}: extras.fourd.version")
    if version > QUANTISED:
        raise FormatError(f"{path} has layout {version}; this program reads up to {QUANTISED}. Update fourd.")
    return document, ours


def _read_splats(document: _gltf.Document, ours: dict[str, Any]) -> Splats:
    count = _json.as_int(ours.get("splats"), f"{document.name}: splats")
    coefficients = _json.as_int(ours.get("coefficients"), f"{document.name}: coefficients")
    if coefficients not in _DEGREE:
        raise FormatError(f"{document.name}: {coefficients} coefficients; there must be 1, 4, 9 or 16.")
    meshes = _json.as_list(document.json.get("meshes", []), f"{document.name}: meshes")
    rounded = ours.get("version") == QUANTISED
    if rounded:
        facts = _json.as_list(ours.get("meshes"), f"{document.name}: extras.fourd.meshes")
        if len(facts) != len(meshes) or len(meshes) > 32:
            raise FormatError(f"{document.name}: there are {len(meshes)} meshes and facts about {len(facts)} of them.")
        parts = [_quantised.read(document, i, fact, coefficients) for i, fact in enumerate(facts)]
    else:
        parts = [_read_primitive(document, i, coefficients) for i in range(len(meshes[:2]))]
    if sum(map(len, parts)) != count or (len(meshes) > 2 and not rounded):
        raise FormatError(f"{document.name}: {count} splats in at most two meshes are expected; they are not there.")
    if parts and rounded:
        return Splats.concat(parts)
    if not parts:
        three, one = torch.zeros(0, 3), torch.zeros(0)
        colour, source = torch.zeros(0, coefficients, 3), torch.zeros(0, dtype=torch.uint8)
        return Splats(three, torch.zeros(0, 4), three, one, colour, three, one, one, source)
    if len(parts) == 1:
        return parts[0]
    order = _json.as_dict(ours.get("order"), f"{document.name}: order")
    bits, _ = document.view(order.get("bufferView"))
    if len(bits) * 8 < count:
        raise FormatError(f"{document.name}: the order of {count} splats is cut short.")
    first = torch.from_numpy(np.unpackbits(bits, count=count).astype(bool))
    if int(first.sum()) != len(parts[0]):
        raise FormatError(f"{document.name}: the order of the splats does not fit its meshes.")
    index = torch.empty(count, dtype=torch.int64)
    index[first] = torch.arange(len(parts[0]))
    index[~first] = torch.arange(len(parts[0]), count)
    return Splats.concat(parts)[index]


def _read_primitive(document: _gltf.Document, mesh: int, coefficients: int) -> Splats:
    values = _gltf.Attributes(document, mesh)
    duration = values.floats("_DURATION", "SCALAR")
    source = values.bytes("_SOURCE")
    colour = [values.floats(name, "VEC3") for name in _harmonics(coefficients)]
    if len({len(c) for c in colour}) > 1:
        raise FormatError(f"{document.name}: meshes[{mesh}]: the spherical harmonics are not equally many.")
    return Splats(
        mean_m=torch.from_numpy(values.floats("POSITION", "VEC3")),
        quat_wxyz=torch.from_numpy(values.floats(f"{EXTENSION}:ROTATION", "VEC4")[:, [3, 0, 1, 2]]),
        scale_m=torch.from_numpy(values.floats(f"{EXTENSION}:SCALE", "VEC3")),
        opacity=torch.from_numpy(values.floats(f"{EXTENSION}:OPACITY", "SCALAR")),
        colour=torch.from_numpy(np.stack(colour, 1)),
        velocity_mps=torch.from_numpy(values.floats("_VELOCITY", "VEC3")),
        time_s=torch.from_numpy(values.floats("_TIME", "SCALAR")),
        duration_s=torch.from_numpy(np.where(duration == ALWAYS, np.float32(np.inf), duration)),
        source=torch.from_numpy(source),
    )


def _read_cameras(document: _gltf.Document, ours: dict[str, Any]) -> Cameras:
    entries: list[tuple[Any, str]] = []
    for i, node in enumerate(_json.as_list(document.json.get("nodes", []), f"{document.name}: nodes")):
        where = f"{document.name}: nodes[{i}]"
        if "camera" not in _json.as_dict(node, where):
            continue
        entries.append((_json.as_dict(node.get("extras"), f"{where}.extras").get("fourd"), where))
    return _notes.read_cameras(ours.get("hw"), entries, document.name)


def _read_sound(document: _gltf.Document, ours: dict[str, Any]) -> Sound | None:
    if ours.get("sound") is None:
        return None
    sound = _json.as_dict(ours["sound"], f"{document.name}: sound")
    return _heard.read(sound, lambda told: document.view(told.get("bufferView"))[0].tobytes(), document.name)
