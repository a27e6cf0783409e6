"""Gaussian splats in the GLB of others, by KHR_gaussian_splatting: splats without time, wherever nodes put them.

Read are primitives with the extension in the file's scene, moved, turned and scaled as the nodes above them say, and
the first camera. Colours that are linear become sRGB, as far as the constant harmonic goes. A GLB of ours is read by
``glb``, with its time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fourd.checked import checked
from fourd.errors import FormatError, InputError
from fourd.formats import _gltf, _json, moment
from fourd.formats._axes import GL_FROM_CV, half_turned
from fourd.formats._quantised import EXTENSION
from fourd.formats.contents import Contents
from fourd.geometry import rigid
from fourd.native import reference
from fourd.srgb import encoded
from fourd.types import SH_C0, Cameras, Splats

_UNEVEN = 1e-3
_PICTURE_HEIGHT = 720


@checked
def read(path: str | Path) -> Contents:
    """Read the splats of a GLB; they count as seen, at time 0.

    Raises:
        FormatError: If the file is broken, holds no splats by the extension, or scales them unevenly.
    """
    document = _gltf.Document(path)
    parts: list[Splats] = []
    camera: Cameras | None = None
    warnings: list[str] = []
    with np.errstate(all="ignore"):  # What is no number the nouns refuse.
        try:
            for node, place in _nodes(document):
                if "mesh" in node:
                    parts += [_placed(part, place) for part in _splats(document, node["mesh"], warnings)]
                if "camera" in node and camera is None:
                    camera = _camera(document, node["camera"], place)
            splats = half_turned(Splats.concat(_alike(parts))) if parts else None
        except FormatError:
            raise
        except InputError as error:
            raise FormatError(f"{path} is broken: {error}") from error
    if splats is None:
        raise FormatError(
            f"{path} is a GLB, but not one that this program saved, and holds no splats by {EXTENSION} either."
        )
    return Contents(splats, camera, warnings=tuple(dict.fromkeys(warnings)))


def _nodes(document: _gltf.Document) -> Iterator[tuple[dict[str, Any], Tensor]]:
    """Each node of the scene, and the matrix [4, 4] that takes what hangs on it into the world."""
    if not document.json.get("scenes"):
        return
    scene = document.item("scenes", document.json.get("scene", 0))
    roots = _json.as_list(scene.get("nodes", []), "scene.nodes")
    waiting = [(i, torch.eye(4, dtype=torch.float64)) for i in reversed(roots)]
    seen: set[int] = set()
    while waiting:
        index, above = waiting.pop()
        node = document.item("nodes", index)
        if index in seen:
            raise FormatError(f"{document.name} is broken: nodes[{index}] hangs in the scene twice, or in a circle.")
        seen.add(index)
        place = above @ _matrix(node, f"{document.name}: nodes[{index}]")
        yield node, place
        waiting += [(child, place) for child in reversed(_json.as_list(node.get("children", []), "node.children"))]


def _matrix(node: dict[str, Any], where: str) -> Tensor:
    if "matrix" in node:  # Column after column.
        return torch.tensor(_json.as_floats(node["matrix"], 16, f"{where}.matrix"), dtype=torch.float64).reshape(4, 4).T
    place = torch.eye(4, dtype=torch.float64)
    x, y, z, w = _json.as_floats(node.get("rotation", [0, 0, 0, 1]), 4, f"{where}.rotation")
    quat = torch.tensor([w, x, y, z], dtype=torch.float64)
    turn = rigid.matrix_from_quat(quat / quat.norm().clamp(min=1e-12))
    scale = torch.tensor(_json.as_floats(node.get("scale", [1, 1, 1]), 3, f"{where}.scale"), dtype=torch.float64)
    place[:3, :3] = turn * scale
    place[:3, 3] = torch.tensor(_json.as_floats(node.get("translation", [0, 0, 0]), 3, f"{where}.translation"))
    return place


def _splats(document: _gltf.Document, mesh: Any, warnings: list[str]) -> Iterator[Splats]:
    """The splats of each primitive of a mesh that has the extension."""
    primitives = _json.as_list(document.item("meshes", mesh).get("primitives"), f"{document.name}: primitives")
    for i, value in enumerate(primitives):
        primitive = _json.as_dict(value, f"{document.name}: primitives[{i}]")
        extensions = _json.as_dict(primitive.get("extensions", {}), f"{document.name}: primitives[{i}].extensions")
        if EXTENSION not in extensions:
            continue
        says = _json.as_dict(extensions[EXTENSION], EXTENSION)
        values = _gltf.Attributes(document, _json.as_int(mesh, "node.mesh"), i)
        colour = [values.floats(f"{EXTENSION}:SH_DEGREE_0_COEF_0", "VEC3")]
        for degree in (1, 2, 3):
            names = [f"{EXTENSION}:SH_DEGREE_{degree}_COEF_{n}" for n in range(2 * degree + 1)]
            if names[0] not in values:
                break
            colour += [values.floats(name, "VEC3") for name in names]
        place, turn = values.floats("POSITION", "VEC3"), values.floats(f"{EXTENSION}:ROTATION", "VEC4")
        scale, opacity = values.floats(f"{EXTENSION}:SCALE", "VEC3"), values.floats(f"{EXTENSION}:OPACITY", "SCALAR")
        if len({len(values) for values in (place, turn, scale, opacity, *colour)}) > 1:
            raise FormatError(f"{document.name}: meshes[{mesh}]: its attributes are not equally many.")
        if says.get("colorSpace") == "lin_rec709_display":
            warnings.append("The colours of the file are linear: splats that lie over each other may look different.")
            shown = encoded(np.clip(0.5 + SH_C0 * colour[0], 0, 1))
            colour = [((shown - 0.5) / SH_C0).astype(np.float32)]
        yield moment.still(
            mean_m=torch.from_numpy(place),
            quat_wxyz=torch.from_numpy(turn[:, [3, 0, 1, 2]]),
            scale_m=torch.from_numpy(scale).clamp(min=1e-12),
            opacity=torch.from_numpy(opacity),
            colour=torch.from_numpy(np.stack(colour, 1)),
        )


def _placed(splats: Splats, place: Tensor) -> Splats:
    """The splats where a node's matrix puts them."""
    if torch.equal(place, torch.eye(4, dtype=torch.float64)):
        return splats
    size, turn = _decomposed(place)
    k = splats.colour.shape[1]
    return splats.replace(
        mean_m=(splats.mean_m.double() @ place[:3, :3].T + place[:3, 3]).float(),
        quat_wxyz=rigid.quat_from_matrix(turn @ rigid.matrix_from_quat(splats.quat_wxyz.double())).float(),
        scale_m=splats.scale_m * size,
        colour=torch.einsum("ij,njc->nic", _harmonics_turned(turn)[:k, :k].float(), splats.colour),
    )


def _decomposed(place: Tensor) -> tuple[float, Tensor]:
    """Scale and rotation of a matrix that has one scale for all axes."""
    size = float(torch.linalg.det(place[:3, :3])) if bool(place.isfinite().all()) else math.nan
    turn = place[:3, :3] / max(size, 1e-300) ** (1 / 3)
    if not size > 0 or float((turn @ turn.T - torch.eye(3)).abs().max()) > _UNEVEN:
        raise FormatError("A node mirrors its splats, flattens them, or scales them unevenly; that cannot be read.")
    return size ** (1 / 3), turn


def _harmonics_turned(turn: Tensor) -> Tensor:
    """What a rotation [3, 3] of the world does to harmonics, [16, 16]: found from what they look like from around."""
    g = torch.Generator().manual_seed(0)
    away = torch.nn.functional.normalize(torch.randn(64, 3, generator=g, dtype=torch.float64), dim=1)
    before = reference.sh_basis((away @ turn).float()).double()
    return torch.linalg.lstsq(reference.sh_basis(away.float()).double(), before).solution


def _alike(parts: list[Splats]) -> list[Splats]:
    """The same with as many harmonics each as any of them has."""
    most = max(part.colour.shape[1] for part in parts)
    return [
        part.replace(colour=torch.nn.functional.pad(part.colour, (0, 0, 0, most - part.colour.shape[1])))
        for part in parts
    ]


def _camera(document: _gltf.Document, index: Any, place: Tensor) -> Cameras | None:
    """A perspective camera of the file, for pictures 720 pixels high."""
    lens = _json.as_dict(document.item("cameras", index).get("perspective", {}), f"{document.name}: perspective")
    if "yfov" not in lens:
        return None
    aspect = _json.as_float(lens.get("aspectRatio", 16 / 9), f"{document.name}: aspectRatio")
    yfov = _json.as_float(lens["yfov"], f"{document.name}: yfov")
    if not (0.05 < aspect < 20 and 0 < yfov < math.pi):
        raise FormatError(f"{document.name}: a camera has a view of {yfov:g} and proportions of {aspect:g}.")
    _, turn = _decomposed(place)
    pose = torch.eye(4, dtype=torch.float64)
    pose[:3, :3], pose[:3, 3] = turn, place[:3, 3]
    h, w = _PICTURE_HEIGHT, round(_PICTURE_HEIGHT * aspect)
    focal = h / 2 / math.tan(yfov / 2)
    return Cameras(
        K=torch.tensor([[[focal, 0, w / 2], [0, focal, h / 2], [0, 0, 1]]]),
        world_from_cam=(GL_FROM_CV @ pose @ GL_FROM_CV).float()[None],
        hw=(h, w),
        time_s=torch.zeros(1, dtype=torch.float64),
    )
