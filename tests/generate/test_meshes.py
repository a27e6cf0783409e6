"""Shapes: closed, the right size, facing out, smooth where round and sharp where they have edges."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from fourd.errors import InputError
from fourd.generate import meshes, things
from fourd.generate.meshes import Mesh


def solid(mesh: Mesh) -> trimesh.Trimesh:
    return trimesh.Trimesh(mesh.vertices_m, mesh.faces, process=True)


CLOSED = {
    "sphere": (meshes.sphere(0.7, 96), 4 / 3 * np.pi * 0.7**3),
    "cylinder": (meshes.cylinder(0.5, 2.0, 128), np.pi * 0.25 * 2),
    "cone": (meshes.cone(0.5, 3.0, 128), np.pi * 0.25),
    "torus": (meshes.torus(1.0, 0.2, 128, 64), 2 * np.pi**2 * 0.04),
    "box": (meshes.box((1, 2, 3)), 6.0),
    "bevelled box": (meshes.box((1, 2, 3), 0.001), 6.0),
}


@pytest.mark.parametrize("name", CLOSED)
def test_closed_shapes_hold_their_volume_and_face_out(name: str) -> None:
    mesh, volume = CLOSED[name]
    body = solid(mesh)
    assert body.is_watertight
    assert body.volume == pytest.approx(volume, rel=5e-3)  # Facets lie inside; outwards is positive.


def test_a_bevel_rounds_the_edges_and_keeps_the_size() -> None:
    body = solid(meshes.box((1, 1, 1), 0.2))
    np.testing.assert_allclose(body.extents, 1)
    np.testing.assert_allclose(body.bounds[0][1], 0, atol=1e-7)
    assert 0.85 < body.volume < 0.97


def test_shapes_stand_on_the_origin() -> None:
    for mesh in (meshes.box((1, 2, 3)), meshes.cylinder(1, 2), things.pot(0.4, 0.2), things.jug(0.4, 0.2)):
        assert mesh.vertices_m[:, 1].min() == pytest.approx(0)


def test_normals_are_smooth_on_round_things_and_sharp_at_edges() -> None:
    ball = meshes.sphere(2.0, 64)
    outwards = ball.vertices_m[ball.faces] / 2
    assert (ball.normals() * outwards).sum(-1).min() > 0.998
    cube = meshes.box((1, 1, 1))
    flat = meshes.face_normals(cube.vertices_m[cube.faces])
    np.testing.assert_allclose(
        cube.normals(), (flat / np.linalg.norm(flat, axis=1, keepdims=True))[:, None].repeat(3, 1)
    )
    rod = meshes.cylinder(1.0, 1.0, 64).normals()
    assert set(np.unique(np.round(np.abs(rod[..., 1]), 3))) == {0.0, 1.0}  # Sides level, lids upright, no mixture.


def test_normals_follow_a_deformation() -> None:
    sheet = meshes.sheet((2, 2), (20, 20))
    tilted = sheet.vertices_m.copy()
    tilted[:, 1] += tilted[:, 0]
    np.testing.assert_allclose(
        sheet.normals(tilted), np.broadcast_to([-(0.5**0.5), 0.5**0.5, 0], (800, 3, 3)), atol=1e-6
    )


def test_texture_coordinates_of_boxes_are_metres() -> None:
    mesh = meshes.box((1, 2, 3))
    corners, uv = mesh.vertices_m[mesh.faces], mesh.uv
    np.testing.assert_allclose(
        np.linalg.norm(np.diff(corners, axis=1), axis=2), np.linalg.norm(np.diff(uv, axis=1), axis=2), atol=1e-6
    )
    assert np.ptp(mesh.tiled(2, 5).uv) > np.ptp(mesh.uv)


def test_round_shapes_wear_their_texture_once_around() -> None:
    uv = meshes.sphere(1.0).uv
    assert uv.min() == 0 and uv.max() == 1
    assert np.ptp(uv[..., 0], axis=1).max() < 0.1  # No face runs back over the whole texture at the seam.


def test_any_trimesh_mesh_can_be_used() -> None:
    mesh = meshes.from_trimesh(trimesh.creation.capsule(1.0, 0.3))
    assert mesh.uv.shape == (len(mesh.faces), 3, 2)


def test_merging_keeps_every_face_in_its_place() -> None:
    both = meshes.merge([meshes.box((1, 1, 1)), meshes.box((1, 1, 1)).moved((5, 0, 0))])
    assert solid(both).volume == pytest.approx(2)
    assert solid(both).body_count == 2


def test_hostile_meshes_are_refused() -> None:
    v, f, uv = np.zeros((3, 3), np.float32), np.array([[0, 1, 2]]), np.zeros((1, 3, 2), np.float32)
    with pytest.raises(InputError, match="Mesh has no faces"):
        Mesh(v, np.zeros((0, 3), int), np.zeros((0, 3, 2), np.float32))
    with pytest.raises(InputError, match=r"Mesh\.faces names vertex 3, and there are 3 vertices\."):
        Mesh(v, f + 1, uv)
    with pytest.raises(InputError, match=r"Mesh\.faces names vertex -1"):
        Mesh(v, f - 1, uv)
    with pytest.raises(InputError, match="not finite"):
        Mesh(v + np.float32(np.nan), f, uv)
    with pytest.raises(InputError, match=r"Mesh\.uv has shape \(2, 3, 2\); it must be \(1, 3, 2\)"):
        Mesh(v, f, np.zeros((2, 3, 2), np.float32))
