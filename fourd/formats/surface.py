"""One moment as points or as a mesh, for programs that know no splats: PLY and GLB, through trimesh.

The mesh is the surface that the source cameras see. Each camera's depth map becomes a grid of triangles, cut where
neighbouring pixels lie on different things: where the surface would be steeper than 85 degrees to the line of sight.
A later camera adds only what the ones before it do not see.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from fourd.checked import checked
from fourd.errors import InputError
from fourd.files import replacing
from fourd.formats import moment
from fourd.formats._axes import POINT_SIGNS
from fourd.geometry import pinhole
from fourd.poses import inverse
from fourd.srgb import linear
from fourd.types import Cameras, Frames, Splats

if TYPE_CHECKING:
    import trimesh

KINDS = (".ply", ".glb")
_SOLID = 0.5
"""Fainter splats, and less covered pixels, are no points."""
_STEEPEST = math.tan(math.radians(85))
_SAME = 0.02
"""What an earlier camera sees within this share of the depth, a later one need not add."""


@checked
def write_points(path: str | Path, splats: Splats, time_s: float) -> int:
    """Write the centres of the splats of a moment that are at least half opaque, with their colours.

    Args:
        path: A ``.ply``, in the scene's own world (y down), or a ``.glb``, in glTF's (y up); replaced as a whole or
            not at all.
        splats: Splats that live in time.
        time_s: The moment.

    Returns:
        How many points were written.

    Raises:
        InputError: If the suffix is another, or there is no point.
        OutputError: If the file system refuses.
    """
    import trimesh

    now = moment.at(splats.to("cpu"), time_s)
    now = now[now.opacity >= _SOLID]
    if not len(now):
        raise InputError(f"No splat is half opaque at {time_s:g} s; there are no points to write.")
    _write(Path(path), now.mean_m.numpy(), now.rgb.numpy(), lambda place, rgba: trimesh.PointCloud(place, rgba))
    return len(now)


@checked
def write_mesh(path: str | Path, frames: Frames, cameras: Cameras) -> int:
    """Write the surface that cameras see at one moment, with its colours.

    Args:
        path: As for ``write_points``.
        frames: The scene as each camera sees it, all at the same moment.
        cameras: Those cameras; the first is the most important.

    Returns:
        How many triangles were written.

    Raises:
        InputError: If the suffix is another, or nothing is seen.
        OutputError: If the file system refuses.
    """
    import trimesh

    places, colours, faces, count = [], [], [], 0
    frames, cameras = frames.to("cpu"), cameras.to("cpu")
    for i in range(len(cameras)):
        fresh = _solid(frames, i)
        for j in range(i):
            fresh &= ~_seen(frames, cameras, i, j)
        place, face = _patch(frames, cameras, i, fresh)
        places.append(place)
        colours.append((frames.rgb[i] / frames.alpha[i].clamp(min=1e-6)[..., None]).reshape(-1, 3))
        faces.append(face + count)
        count += len(place)
    face = torch.cat(faces)
    if not len(face):
        raise InputError("No camera sees a surface; there is no mesh to write.")
    used, face = torch.unique(face, return_inverse=True)
    place, rgb = torch.cat(places)[used].numpy(), torch.cat(colours)[used].numpy()

    def made(vertices: np.ndarray, rgba: np.ndarray) -> trimesh.Trimesh:
        return trimesh.Trimesh(vertices, face.numpy(), vertex_colors=rgba, process=False)

    _write(Path(path), place, rgb, made)
    return len(face)


def _solid(frames: Frames, i: int) -> Tensor:
    return (frames.alpha[i] >= _SOLID) & (frames.depth_m[i] > 0) & torch.isfinite(frames.depth_m[i])


def _patch(frames: Frames, cameras: Cameras, i: int, fresh: Tensor) -> tuple[Tensor, Tensor]:
    """Corners [h w, 3] in the world and triangles [f, 3] of one camera's depth map, where ``fresh`` [h, w] is true."""
    depth = torch.where(_solid(frames, i), frames.depth_m[i].double(), 1.0)
    h, w = depth.shape
    pose = cameras.world_from_cam[i].double()
    points = pinhole.transform(pose, pinhole.unproject(depth, cameras.K[i].double()))
    index = torch.arange(h * w).reshape(h, w)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
    # Seen from the camera, counter-clockwise corners face it.
    triangles = torch.stack([torch.stack([a, c, b], -1), torch.stack([b, c, d], -1)], 2).reshape(-1, 3)
    corner = depth.flatten()[triangles]
    focal = float(cameras.K[i].diagonal()[:2].min())
    limit = _STEEPEST / focal
    near, far = corner.min(1).values, corner.max(1).values
    whole = _solid(frames, i).flatten()[triangles].all(1) & fresh.flatten()[triangles].any(1)
    return points.reshape(-1, 3).float(), triangles[whole & (far - near <= limit * near)]


def _seen(frames: Frames, cameras: Cameras, i: int, j: int) -> Tensor:
    """True [h, w] where camera ``j`` sees the surface that camera ``i`` sees, as far as its own surface goes."""
    depth = torch.where(_solid(frames, i), frames.depth_m[i].double(), 1.0)
    j_from_i = inverse(cameras.world_from_cam[j].double()) @ cameras.world_from_cam[i].double()
    points = pinhole.transform(j_from_i, pinhole.unproject(depth, cameras.K[i].double()))
    z = points[..., 2]
    x, y = pinhole.project(points, cameras.K[j].double())[0].unbind(-1)
    h, w = frames.depth_m.shape[1:]
    inside = (z > 0) & (x >= 0) & (y >= 0) & (x < w) & (y < h)
    col, row = (torch.where(inside, v, 0.0).long() for v in (x, y))
    there = frames.depth_m[j][row, col].double()
    return inside & _solid(frames, j)[row, col] & ((there - z).abs() <= _SAME * z)


def _write(path: Path, place: np.ndarray, rgb: np.ndarray, made: Any) -> None:
    kind = path.suffix.lower()
    if kind not in KINDS:
        raise InputError(f"Cannot write '{path.name}'. Points and meshes are written as {' or '.join(KINDS)}.")
    rgb = rgb.clip(0, 1)
    if kind == ".glb":
        # glTF's world is y up, and its colours of corners are linear.
        place = place * POINT_SIGNS.numpy()
        rgb = linear(rgb)
    rgba = np.concatenate([np.rint(rgb * 255), np.full((len(rgb), 1), 255)], 1).astype(np.uint8)
    thing = made(place, rgba)
    options = {"tree_postprocessor": _unlit} if kind == ".glb" else {}
    data = thing.export(file_type=kind[1:], **options)
    with replacing(path) as fresh:
        fresh.write_bytes(data)


def _unlit(tree: dict[str, Any]) -> None:
    """What was filmed has its light in its colours: no viewer shall light it again."""
    tree["materials"] = [{"extensions": {"KHR_materials_unlit": {}}, "doubleSided": True}]
    tree["extensionsUsed"] = ["KHR_materials_unlit"]
    for mesh in tree["meshes"]:
        for primitive in mesh["primitives"]:
            primitive["material"] = 0
