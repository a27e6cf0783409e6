"""Rays against the triangles of a stage, with Embree: what is hit first, and what is in the way.

What never moves is built once. What moves has a second, small scene for every moment; a ray is traced
in both, and the nearer hit counts.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int

from fourd.generate.atlas import Atlas
from fourd.generate.meshes import face_normals
from fourd.generate.props import Stage


@dataclass(frozen=True, eq=False)
class Hits:
    """Where rays first meet a surface."""

    face: Int[np.ndarray, " n"]
    """Triangle, or -1 where nothing is hit."""
    b1: Float32[np.ndarray, " n"]
    b2: Float32[np.ndarray, " n"]
    """Barycentric weights of the triangle's second and third corner."""
    t: Float32[np.ndarray, " n"]
    """Distance in lengths of the direction; infinity where nothing is hit."""

    def __getitem__(self, index: Any) -> Hits:
        """The hits that a mask or an index picks."""
        return Hits(self.face[index], self.b1[index], self.b2[index], self.t[index])


class Geometry:
    """The triangles of a stage, those that never move first, and what is constant about them."""

    def __init__(self, stage: Stage) -> None:
        order = sorted(range(len(stage.props)), key=lambda i: stage.props[i].moves)
        self.stage = stage
        self.still = [stage.props[i] for i in order if not stage.props[i].moves]
        self.moving = [stage.props[i] for i in order if stage.props[i].moves]
        meshes = [stage.props[i].mesh for i in order]
        counts = [len(m.faces) for m in meshes]
        self.prop = np.repeat(np.array(order, np.int16), counts)
        """Which of the stage's props a face belongs to."""
        pictures = {id(p.texture): p.texture for p in stage.props}
        places = {key: k for k, key in enumerate(pictures)}
        self.atlas = Atlas(list(pictures.values()))
        texture = [places[id(stage.props[i].texture)] for i in order]
        self.texture = np.repeat(np.array(texture, np.int32), counts)
        uv = np.concatenate([m.uv for m in meshes])
        self.uv = _from_first_corner(uv)
        corners = np.concatenate([m.vertices_m[m.faces] for m in meshes])
        # Texels a metre on each face, from its areas in the picture and on the mesh at rest.
        d1, d2 = uv[:, 1] - uv[:, 0], uv[:, 2] - uv[:, 0]
        area = np.abs(d1[:, 0] * d2[:, 1] - d1[:, 1] * d2[:, 0]) * self.atlas.width()[self.texture] ** 2
        extent = np.linalg.norm(face_normals(corners), axis=1)
        self.texels_per_m = np.sqrt(np.maximum(area, 1e-6) / np.maximum(extent, 1e-12)).astype(np.float32)
        self.still_corners, self.still_normals = _place(self.still, 0.0)
        self.still_scene = _scene(self.still_corners)
        # Moments refer to the geometry weakly, or they and it would hold each other, and hundreds of megabytes.
        me = weakref.proxy(self)
        self.at = lru_cache(maxsize=12)(lambda time_s: Moment(me, time_s))


class Moment:
    """The stage at one moment, ready for rays as long as its geometry is held."""

    def __init__(self, geometry: Geometry, time_s: float) -> None:
        corners, normals = _place(geometry.moving, time_s)
        self.geometry, self.time_s = geometry, time_s
        self._scenes = [(0, geometry.still_scene), (len(geometry.still_corners), _scene(corners))]
        corners = np.concatenate([geometry.still_corners, corners])
        normals = np.concatenate([geometry.still_normals, normals])
        self.corners = _from_first_corner(corners)
        """[f, 9]: the first corner of each face in the world, and the ways from there to the others."""
        self.normals = _from_first_corner(normals)
        """The same for the normals at the corners."""
        flat = face_normals(corners)
        self.flat = flat / (np.linalg.norm(flat, axis=1, keepdims=True) + 1e-20)
        """[f, 3]: unit normals of the faces themselves."""

    def hits(self, origin: Float32[np.ndarray, "n 3"], direction: Float32[np.ndarray, "n 3"]) -> Hits:
        """What each ray meets first."""
        found: Hits | None = None
        for start, scene in self._scenes:
            if scene is None:
                continue
            # Hits beyond what was found already need not be looked for.
            reach = np.full(len(origin), 1e30, np.float32) if found is None else np.minimum(found.t, 1e30)
            hit = scene.run(origin, direction, dists=reach, output=1)
            face = hit["primID"]
            there = face >= 0
            if found is None:
                face = np.where(there, face + start, -1)
                found = Hits(face, hit["u"], hit["v"], np.where(there, hit["tfar"], np.float32(np.inf)))
            else:
                index = np.flatnonzero(there)
                found.face[index] = face[index] + start
                found.b1[index], found.b2[index] = hit["u"][index], hit["v"][index]
                found.t[index] = hit["tfar"][index]
        assert found is not None  # A stage has at least one prop.
        return found

    def blocked(
        self,
        origin: Float32[np.ndarray, "n 3"],
        direction: Float32[np.ndarray, "n 3"],
        reach: Float32[np.ndarray, " n"],
    ) -> Bool[np.ndarray, " n"]:
        """True where something is in the way within ``reach`` lengths of the direction."""
        blocked = np.zeros(len(origin), bool)
        for _, scene in self._scenes:
            if scene is not None:
                blocked |= scene.run(origin, direction, dists=reach, query="OCCLUDED") >= 0
        return blocked


def weigh(packed: np.ndarray, hits: Hits) -> np.ndarray:
    """Interpolate what is packed as by ``_from_first_corner`` over the faces that were hit."""
    rows = np.take(packed, hits.face, axis=0)
    k = packed.shape[1] // 3
    return rows[:, :k] + hits.b1[:, None] * rows[:, k : 2 * k] + hits.b2[:, None] * rows[:, 2 * k :]


def turned(points: Float32[np.ndarray, "n 3"], R: np.ndarray) -> Float32[np.ndarray, "n 3"]:
    """Rows times a matrix from the left, column by column: BLAS starts threads of its own, which get in the way."""
    a, b, c = R.T.astype(np.float32)
    return points[:, :1] * a + points[:, 1:2] * b + points[:, 2:] * c


def _from_first_corner(values: np.ndarray) -> np.ndarray:
    """[f, 3, k] to [f, 3 k]: the first corner's values and the differences of the others to them."""
    return np.concatenate([values[:, 0], values[:, 1] - values[:, 0], values[:, 2] - values[:, 0]], 1)


def _place(props: list, time_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Corners and normals [f, 3, 3] of all faces in the world at a moment."""
    corners, normals = [np.zeros((0, 3, 3), np.float32)], [np.zeros((0, 3, 3), np.float32)]
    for prop in props:
        pose, vertices = prop.pose_at(time_s), prop.vertices_at(time_s)
        world = vertices.astype(np.float64) @ pose[:3, :3].T + pose[:3, 3]
        corners.append(world.astype(np.float32)[prop.mesh.faces])
        normal = prop.mesh.normals(None if prop.deform is None else vertices)
        normals.append(normal @ np.linalg.inv(pose[:3, :3]).astype(np.float32))
    return np.concatenate(corners), np.concatenate(normals)


def _scene(corners: np.ndarray) -> Any:
    """An Embree scene of a soup of triangles; None if there are none."""
    from embreex.mesh_construction import TriangleMesh
    from embreex.rtcore_scene import EmbreeScene

    if len(corners) == 0:
        return None
    scene = EmbreeScene()
    TriangleMesh(scene, np.ascontiguousarray(corners))
    # The first ray builds the tree; later ones may then come from several threads.
    scene.run(np.zeros((1, 3), np.float32), np.ones((1, 3), np.float32), query="OCCLUDED")
    return scene
