"""Triangle meshes with texture coordinates, and the shapes that scenes are built from.

Shapes stand in metres in a frame of their own, y up. Texture coordinates belong to the corners of
triangles and not to vertices, so that a seam needs no doubled vertices. Coordinates of round shapes
run once from 0 to 1 around and along them; those of the others are metres on the surface.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Float32, Int

from fourd.checked import checked
from fourd.errors import InputError

if TYPE_CHECKING:
    import trimesh


@dataclass(frozen=True, eq=False)
class Mesh:
    """A textured triangle mesh at rest."""

    vertices_m: Float32[np.ndarray, "v 3"]
    faces: Int[np.ndarray, "f 3"]
    uv: Float32[np.ndarray, "_ 3 2"]
    """Texture coordinates of the three corners of each face; the texture repeats every 1."""
    crease_deg: float = 40.0
    """Neighbouring faces that meet at a larger angle are shaded with an edge between them."""

    def __post_init__(self) -> None:
        vertices = np.ascontiguousarray(self.vertices_m, np.float32)
        faces = np.ascontiguousarray(self.faces, np.int64)
        uv = np.ascontiguousarray(self.uv, np.float32)
        if vertices.ndim != 2 or vertices.shape[1:] != (3,) or faces.ndim != 2 or faces.shape[1:] != (3,):
            raise InputError(
                f"Mesh has vertices of shape {vertices.shape} and faces of shape {faces.shape};"
                " they must be [v, 3] and [f, 3]."
            )
        if len(faces) == 0:
            raise InputError("Mesh has no faces; it needs at least one triangle.")
        if faces.min() < 0 or faces.max() >= len(vertices):
            raise InputError(
                f"Mesh.faces names vertex {faces.max() if faces.min() >= 0 else faces.min()},"
                f" and there are {len(vertices)} vertices."
            )
        if uv.shape != (len(faces), 3, 2):
            raise InputError(f"Mesh.uv has shape {uv.shape}; it must be {(len(faces), 3, 2)}, one pair a corner.")
        if not (np.isfinite(vertices).all() and np.isfinite(uv).all()):
            raise InputError("Mesh has vertices or texture coordinates that are not finite.")
        for name, value in dict(vertices_m=vertices, faces=faces, uv=uv).items():
            object.__setattr__(self, name, value)

    @cached_property
    def _rings(self) -> tuple[np.ndarray, np.ndarray]:
        """For every corner, the faces whose normals it averages: their indices, and where each corner's begin."""
        corner_vertex = self.faces.ravel()
        order = np.argsort(corner_vertex, kind="stable")
        counts = np.bincount(corner_vertex, minlength=len(self.vertices_m))
        first = np.concatenate([[0], np.cumsum(counts)[:-1]])
        # All pairs (corner, face at the same vertex), as one flat list.
        sizes = counts[corner_vertex]
        start = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        corner = np.repeat(np.arange(len(corner_vertex)), sizes)
        face = order[first[corner_vertex[corner]] + np.arange(len(corner)) - start[corner]] // 3
        normal = face_normals(self.vertices_m[self.faces])
        normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-20
        own = corner // 3
        together = (normal[own] * normal[face]).sum(1) > np.cos(np.radians(self.crease_deg))
        together |= own == face
        sizes = np.bincount(corner[together], minlength=len(corner_vertex))
        return face[together], np.concatenate([[0], np.cumsum(sizes)[:-1]])

    def normals(self, vertices_m: Float32[np.ndarray, "v 3"] | None = None) -> Float32[np.ndarray, "f 3 3"]:
        """Unit normals at the corners, averaged over the faces around that meet without a crease.

        Args:
            vertices_m: Where the vertices stand; at rest by default.
        """
        corners = (self.vertices_m if vertices_m is None else vertices_m)[self.faces]
        faces, start = self._rings
        # The normals of faces are as long as their area, so large faces count more.
        total = np.add.reduceat(face_normals(corners)[faces], start, axis=0)
        total /= np.linalg.norm(total, axis=1, keepdims=True) + 1e-20
        return total.reshape(-1, 3, 3).astype(np.float32)

    def moved(self, offset_m: Sequence[float] = (0, 0, 0), rotation: np.ndarray | None = None) -> Mesh:
        """The same mesh, turned by a rotation matrix and then moved, at rest."""
        vertices = self.vertices_m if rotation is None else self.vertices_m @ np.asarray(rotation, np.float32).T
        return Mesh(vertices + np.asarray(offset_m, np.float32), self.faces, self.uv, self.crease_deg)

    def tiled(self, u: float, v: float) -> Mesh:
        """The same mesh with its texture repeated ``u`` and ``v`` times as often."""
        return Mesh(self.vertices_m, self.faces, self.uv * np.array([u, v], np.float32), self.crease_deg)

    def shifted(self, u: float, v: float) -> Mesh:
        """The same mesh with its texture coordinates larger by ``u`` and ``v``."""
        return Mesh(self.vertices_m, self.faces, self.uv + np.array([u, v], np.float32), self.crease_deg)


def face_normals(corners: Float[np.ndarray, "f 3 3"]) -> Float[np.ndarray, "f 3"]:
    """Normals of triangles, twice their area long."""
    return np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])


def merge(meshes: Sequence[Mesh]) -> Mesh:
    """Lay meshes together into one; they share one texture then."""
    starts = np.cumsum([0] + [len(m.vertices_m) for m in meshes])
    return Mesh(
        np.concatenate([m.vertices_m for m in meshes]),
        np.concatenate([m.faces + s for m, s in zip(meshes, starts[:-1], strict=True)]),
        np.concatenate([m.uv for m in meshes]),
        meshes[0].crease_deg,
    )


def projected(vertices_m: np.ndarray, faces: np.ndarray, crease_deg: float = 40.0) -> Mesh:
    """A mesh with texture coordinates in metres, seen along the axis that each face looks along most."""
    vertices = np.asarray(vertices_m, np.float32)
    corners = vertices[faces]
    axis = np.abs(face_normals(corners)).argmax(1)
    # Upright textures stay upright on walls: v is height for what faces sideways.
    u_axis, v_axis = np.array([2, 0, 0])[axis], np.array([1, 2, 1])[axis]
    u = np.take_along_axis(corners, u_axis[:, None, None].repeat(3, 1), 2)
    v = np.take_along_axis(corners, v_axis[:, None, None].repeat(3, 1), 2)
    return Mesh(vertices, faces, np.concatenate([u, v], 2), crease_deg)


def from_trimesh(mesh: trimesh.Trimesh, crease_deg: float = 40.0) -> Mesh:
    """Any trimesh mesh, textured in metres along the axes."""
    return projected(np.asarray(mesh.vertices), np.asarray(mesh.faces), crease_deg)


def _quads(rows: int, columns: int, *, wrap_rows: bool = False, wrap_columns: bool = False) -> np.ndarray:
    """Two triangles for every cell of a grid of vertices; the corners' (row, column), not yet wrapped."""
    i, j = np.meshgrid(
        np.arange(rows if wrap_rows else rows - 1), np.arange(columns if wrap_columns else columns - 1), indexing="ij"
    )
    a, b, c, d = ([i, j], [i + 1, j], [i, j + 1], [i + 1, j + 1])
    cells = [[a, b, c], [c, b, d]]
    return np.concatenate([np.stack([np.stack(p, -1).reshape(-1, 2) for p in cell], 1) for cell in cells])


def surface(points: np.ndarray, uv: np.ndarray, *, wrap_rows: bool = False, wrap_columns: bool = False) -> Mesh:
    """A mesh over a grid of points [r, c, 3]; ``uv`` has one more row or column where the grid wraps."""
    rows, columns = points.shape[:2]
    cells = _quads(rows, columns, wrap_rows=wrap_rows, wrap_columns=wrap_columns)
    faces = (cells[..., 0] % rows) * columns + cells[..., 1] % columns
    corners = points.reshape(-1, 3)[faces]
    solid = np.linalg.norm(face_normals(corners), axis=1) > 1e-12  # Poles and apices leave triangles without area.
    return Mesh(
        points.reshape(-1, 3).astype(np.float32),
        faces[solid],
        uv[cells[..., 0], cells[..., 1]][solid].astype(np.float32),
    )


@checked
def lathe(profile_m: Float[np.ndarray, "k 2"], segments: int = 32) -> Mesh:
    """Turn a profile of (radius, height) about the y axis; from bottom to top, its outside faces out.

    Texture coordinates: u once around, v once along the profile by length.
    """
    profile = np.asarray(profile_m, float)
    angle = 2 * np.pi * np.arange(segments) / segments
    radius, height = profile[:, :1], profile[:, 1:]
    points = np.stack([radius * np.sin(angle), height.repeat(segments, 1), radius * np.cos(angle)], -1)
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(profile, axis=0), axis=1))])
    u, v = np.meshgrid(np.arange(segments + 1) / segments, along / max(along[-1], 1e-9))
    # Rows run upwards and columns to the right seen from outside, which turns triangles inside out.
    mesh = surface(points, np.stack([u, v], -1), wrap_columns=True)
    return Mesh(mesh.vertices_m, mesh.faces[:, ::-1], mesh.uv[:, ::-1], mesh.crease_deg)


def sphere(radius_m: float, segments: int = 40) -> Mesh:
    """A ball about the origin; u is the longitude and v runs from its south to its north pole."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, segments // 2 + 1)
    radius = np.where(np.abs(np.abs(angle) - np.pi / 2) < 1e-9, 0.0, np.cos(angle))
    return lathe(radius_m * np.stack([radius, np.sin(angle)], -1), segments)


def cylinder(radius_m: float, height_m: float, segments: int = 32) -> Mesh:
    """A closed cylinder that stands on the origin."""
    r, h = radius_m, height_m
    return lathe(np.array([[0, 0], [r, 0], [r, h], [0, h]], float), segments)


def cone(radius_m: float, height_m: float, segments: int = 32) -> Mesh:
    """A closed cone that stands on the origin."""
    return lathe(np.array([[0, 0], [radius_m, 0], [0, height_m]], float), segments)


def torus(radius_m: float, tube_m: float, segments: int = 40, sides: int = 16) -> Mesh:
    """A ring about the y axis; u once around the ring, v once around the tube."""
    a = 2 * np.pi * np.arange(segments)[None] / segments
    b = 2 * np.pi * np.arange(sides)[:, None] / sides
    radius = radius_m + tube_m * np.cos(b)
    points = np.stack([radius * np.sin(a), tube_m * np.sin(b) + 0 * a, radius * np.cos(a)], -1)
    u, v = np.meshgrid(np.arange(segments + 1) / segments, np.arange(sides + 1) / sides)
    mesh = surface(points, np.stack([u, v], -1), wrap_rows=True, wrap_columns=True)
    return Mesh(mesh.vertices_m, mesh.faces[:, ::-1], mesh.uv[:, ::-1], mesh.crease_deg)


def box(size_m: Sequence[float], bevel_m: float = 0.0) -> Mesh:
    """A box that stands on the origin, its edges rounded by ``bevel_m``; coordinates in metres."""
    import trimesh

    half = np.asarray(size_m, float) / 2
    if bevel_m <= 0:
        mesh = trimesh.creation.box(2 * half)
        return projected(np.asarray(mesh.vertices), np.asarray(mesh.faces)).moved((0, half[1], 0))
    bevel = min(bevel_m, *half)
    # A cube cut into five, its outer cells as wide as the bevel, pushed onto the rounded surface.
    cut = np.array([-1, -0.45, 0.45, 1.0])
    i, j = np.meshgrid(cut, cut, indexing="ij")
    sides = []
    for axis in range(3):
        for sign in (-1, 1):
            points = np.zeros((len(cut), len(cut), 3))
            points[..., axis], points[..., (axis + 1) % 3], points[..., (axis + 2) % 3] = sign, i, sign * j
            sides.append(points)
    cube = np.stack(sides)
    outwards = np.where(np.abs(cube) > 0.99, np.sign(cube), 0.0)
    outwards /= np.linalg.norm(outwards, axis=-1, keepdims=True)
    points = np.sign(cube) * (half - bevel) + bevel * outwards
    cells = _quads(len(cut), len(cut))
    faces = np.concatenate([k * len(cut) ** 2 + cells[..., 0] * len(cut) + cells[..., 1] for k in range(6)])
    vertices, index = np.unique(np.round(points.reshape(-1, 3), 7), axis=0, return_inverse=True)
    faces = index.reshape(-1)[faces]
    corners = vertices[faces]
    normals = face_normals(corners)
    inwards = (normals * corners.mean(1)).sum(1) < 0
    faces[inwards] = faces[inwards][:, ::-1]
    solid = np.linalg.norm(normals, axis=1) > 1e-14  # A bevel as wide as the box leaves cells without area.
    return projected(vertices, faces[solid], crease_deg=60.0).moved((0, half[1], 0))


def sheet(size_m: tuple[float, float], cells: tuple[int, int] = (1, 1)) -> Mesh:
    """A flat rectangle about the origin in the x-z plane that faces up; coordinates in metres."""
    x = np.linspace(-0.5, 0.5, cells[0] + 1) * size_m[0]
    z = np.linspace(-0.5, 0.5, cells[1] + 1) * size_m[1]
    Z, X = np.meshgrid(z, x, indexing="ij")
    return surface(np.stack([X, 0 * X, Z], -1), np.stack([X, -Z], -1))


def blob(radius_m: float, rng: np.random.Generator, roughness: float = 0.2) -> Mesh:
    """A lumpy stone or bush: a ball whose radius wanders smoothly with direction."""
    import trimesh

    mesh = trimesh.creation.icosphere(subdivisions=3, radius=1.0)
    direction = np.asarray(mesh.vertices)
    height = np.zeros(len(direction))
    for octave in range(4):
        waves = rng.normal(size=(3, 3)) * 2.0 * 2**octave
        height += np.sin(direction @ waves.T + rng.uniform(0, 6.28, 3)).sum(1) * 0.5**octave / 3
    return projected(direction * radius_m * (1 + roughness * height[:, None]), np.asarray(mesh.faces), 180.0)


def tube(path_m: np.ndarray, radius_m: np.ndarray | float, sides: int = 10) -> Mesh:
    """A round tube along a path of points, which must not run along x; u around it, v along it."""
    path = np.asarray(path_m, float)
    ahead = np.gradient(path, axis=0)
    ahead /= np.linalg.norm(ahead, axis=1, keepdims=True)
    across = np.cross(ahead, [1.0, 0, 0])
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    third = np.cross(ahead, across)
    radius = np.broadcast_to(np.asarray(radius_m, float), (len(path),))[:, None, None]
    angle = 2 * np.pi * np.arange(sides) / sides
    ring = np.cos(angle)[None, :, None] * across[:, None] + np.sin(angle)[None, :, None] * third[:, None]
    u, v = np.meshgrid(np.arange(sides + 1) / sides, np.linspace(0, 1, len(path)))
    mesh = surface(path[:, None] + radius * ring, np.stack([u, v], -1), wrap_columns=True)
    return Mesh(mesh.vertices_m, mesh.faces[:, ::-1], mesh.uv[:, ::-1], mesh.crease_deg)
