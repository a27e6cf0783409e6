"""Sequences, points, meshes and depth; and that a PLY is what trainers and gsplat take it for."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from fourd import exports
from fourd.errors import InputError, MissingError, OutputError
from fourd.events import Progress, result
from fourd.formats import depth, depth_pictures, moment, ply, sequence, surface
from fourd.native import rasterize
from fourd.types import Cameras, Frames, Provenance
from tests.formats import samples
from tests.formats.test_interchange import seen

# A PLY, as gsplat's and other trainers' scripts read it.


def taken_in(path: Path) -> dict[str, np.ndarray]:
    """Means, quaternions w x y z, linear scales, opacities and harmonics [n, k, 3], as gsplat wants them."""
    head, body = path.read_bytes().split(b"end_header\n", 1)
    names = [line.split()[-1] for line in head.decode().splitlines() if line.startswith("property")]
    table = np.frombuffer(body, "<f4").reshape(-1, len(names))
    of = {name: table[:, i].astype(np.float64) for i, name in enumerate(names)}
    rest = np.stack([of[f"f_rest_{i}"] for i in range(sum(n.startswith("f_rest") for n in names))], 1)
    sh0 = np.stack([of[f"f_dc_{i}"] for i in range(3)], 1)[:, None]
    return {
        "means": np.stack([of[n] for n in "xyz"], 1),
        "quats": np.stack([of[f"rot_{i}"] for i in range(4)], 1),
        "scales": np.exp(np.stack([of[f"scale_{i}"] for i in range(3)], 1)),
        "opacities": 1 / (1 + np.exp(-of["opacity"])),
        "sh": np.concatenate([sh0, rest.reshape(len(table), 3, -1).transpose(0, 2, 1)], 1),
    }


def covariance(quats: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """R S S R^T, R of a quaternion w x y z as gsplat defines it."""
    w, x, y, z = (quats / np.linalg.norm(quats, axis=1, keepdims=True)).T
    R = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    ).transpose(2, 0, 1)
    M = R * scales[:, None]
    return M @ M.transpose(0, 2, 1)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**16), time_s=st.floats(0, 4), coefficients=st.sampled_from([4, 9, 16]))
def test_a_ply_means_what_trainers_take_it_for(seed: int, time_s: float, coefficients: int, tmp_path_factory) -> None:
    splats = samples.splats(30, coefficients, seed)
    path = tmp_path_factory.mktemp("q") / "x.ply"
    ply.write(path, splats, time_s)
    taken, now = taken_in(path), moment.at(splats, time_s)
    np.testing.assert_array_equal(taken["means"], now.mean_m.numpy())
    np.testing.assert_allclose(taken["opacities"], now.opacity.numpy(), rtol=2e-6, atol=2e-7)
    np.testing.assert_allclose(taken["sh"], now.colour.numpy(), rtol=1e-6)
    ours = covariance(now.quat_wxyz.double().numpy(), now.scale_m.double().numpy())
    np.testing.assert_allclose(covariance(taken["quats"], taken["scales"]), ours, rtol=1e-5, atol=1e-7)


@pytest.mark.needs("native")
@settings(max_examples=15, deadline=None)
@given(time_s=st.floats(0, 4), coefficients=st.sampled_from([1, 4, 16]))
def test_a_ply_of_a_moment_is_the_picture_of_that_moment(time_s: float, coefficients: int, tmp_path_factory) -> None:
    splats = seen(coefficients)
    path = tmp_path_factory.mktemp("q") / "x.ply"
    ply.write(path, splats, time_s)
    K = torch.tensor([[60.0, 0, 32], [0, 60, 24], [0, 0, 1]])
    ours = rasterize(splats, K, torch.eye(4), (48, 64), time_s).rgb
    again = rasterize(ply.read(path), K, torch.eye(4), (48, 64), 77.0).rgb
    # What is fainter than 1/255 was left out, and a splat of just 1/255 may be on either side of that.
    assert float((ours - again).abs().max()) < 3 / 255
    assert float((ours - again).square().mean()) < 1e-6


def test_a_sequence_is_one_ply_a_moment(tmp_path: Path) -> None:
    splats, times = samples.splats(40), torch.tensor([0.5, 1.0, 2.5], dtype=torch.float64)
    steps = sequence.write(tmp_path / "all", splats, times)
    assert next(steps) == Progress("export", 1, 3)
    assert not (tmp_path / "all").exists(), "It is there when it is whole."
    assert result(steps) == 3
    names = sorted(path.name for path in (tmp_path / "all").iterdir())
    assert names == ["00000.ply", "00001.ply", "00002.ply", "times.json"]
    assert json.loads((tmp_path / "all" / "times.json").read_text()) == {"time_s": [0.5, 1.0, 2.5]}
    ply.write(tmp_path / "one.ply", splats, 1.0)
    assert (tmp_path / "all" / "00001.ply").read_bytes() == (tmp_path / "one.ply").read_bytes()
    with pytest.raises(OutputError, match="it exists and is not an empty folder"):
        result(sequence.write(tmp_path / "all", splats, times))
    with pytest.raises(InputError, match="needs at least one moment"):
        result(sequence.write(tmp_path / "none", splats, times[:0]))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all", "one.ply"]


def test_a_sequence_that_is_stopped_leaves_nothing(tmp_path: Path) -> None:
    steps = sequence.write(tmp_path / "all", samples.splats(4), torch.zeros(3, dtype=torch.float64))
    next(steps)
    steps.close()
    assert not list(tmp_path.iterdir())


# Points and meshes.


@pytest.mark.parametrize("suffix", [".ply", ".glb"])
def test_points_are_the_splats_of_the_moment(suffix: str, tmp_path: Path) -> None:
    splats = samples.splats(80)
    count = surface.write_points(tmp_path / f"x{suffix}", splats, 1.5)
    now = moment.at(splats, 1.5)
    now = now[now.opacity >= 0.5]
    loaded = trimesh.load(tmp_path / f"x{suffix}")
    cloud = next(iter(loaded.geometry.values())) if isinstance(loaded, trimesh.Scene) else loaded
    assert isinstance(cloud, trimesh.PointCloud) and count == len(now) == len(cloud.vertices)
    turn = np.array([1, -1, -1] if suffix == ".glb" else [1, 1, 1])
    np.testing.assert_allclose(cloud.vertices, now.mean_m.numpy() * turn, rtol=1e-6)
    if suffix == ".ply":
        rgb = np.rint(now.rgb.numpy().clip(0, 1) * 255)
        np.testing.assert_allclose(np.asarray(cloud.colors)[:, :3], rgb, atol=1)


def wall(hw: tuple[int, int] = (24, 32), depth_m: float = 2.0, box: float | None = None) -> tuple[Frames, Cameras]:
    """A red wall, in front of which a green box may stand, as two cameras side by side see it."""
    h, w = hw
    K = torch.tensor([[30.0, 0, w / 2], [0, 30, h / 2], [0, 0, 1]]).repeat(2, 1, 1)
    pose = torch.eye(4).repeat(2, 1, 1)
    pose[1, 0, 3] = 0.5
    x = (torch.arange(w) + 0.5 - w / 2) / 30
    depth_maps, rgb = torch.full((2, h, w), depth_m), torch.zeros(2, h, w, 3)
    rgb[..., 0] = 1
    if box is not None:
        for i in range(2):
            on = ((x * box + pose[i, 0, 3]).abs() < 0.2)[None].expand(h, w)
            depth_maps[i][on] = box
            rgb[i][on] = torch.tensor([0.0, 1, 0])
    moments = torch.zeros(2, dtype=torch.float64)
    return Frames(rgb, torch.ones(2, h, w), depth_maps, moments), Cameras(K, pose, hw, moments)


def test_a_wall_becomes_one_flat_sheet(tmp_path: Path) -> None:
    frames, cameras = wall()
    one = Frames(*(getattr(frames, n)[:1] for n in ("rgb", "alpha", "depth_m", "time_s")))
    assert surface.write_mesh(tmp_path / "x.ply", one, cameras[:1]) == 2 * 23 * 31
    mesh = trimesh.load(tmp_path / "x.ply", process=False)
    np.testing.assert_allclose(mesh.vertices[:, 2], 2, rtol=1e-6)
    assert mesh.area == pytest.approx(23 * 31 * (2 / 30) ** 2, rel=1e-5)
    np.testing.assert_allclose(mesh.face_normals, [[0, 0, -1]] * len(mesh.faces), atol=1e-6)  # It faces the camera.
    assert (np.asarray(mesh.visual.vertex_colors) == [255, 0, 0, 255]).all()


def test_a_second_camera_adds_what_the_first_does_not_see(tmp_path: Path) -> None:
    frames, cameras = wall()
    surface.write_mesh(tmp_path / "x.ply", frames, cameras)
    mesh = trimesh.load(tmp_path / "x.ply", process=False)
    # Half a metre to the right of what the first one saw, and a row of triangles where they meet.
    whole = 23 * (2 / 30) * (31 * 2 / 30 + 0.5)
    assert whole * 0.98 < mesh.area < whole * 1.1


def test_the_surface_is_cut_where_one_thing_hides_another(tmp_path: Path) -> None:
    frames, cameras = wall(box=1.0)
    surface.write_mesh(tmp_path / "x.glb", frames, cameras)
    mesh = next(iter(trimesh.load(tmp_path / "x.glb", process=False).geometry.values()))
    corners = -mesh.vertices[mesh.faces][..., 2]  # glTF looks along -z.
    assert np.ptp(corners, axis=1).max() < 1e-5, "No triangle joins the box to the wall."
    assert set(np.round(corners.min(1), 3)) == {1.0, 2.0}


def test_holes_stay_holes(tmp_path: Path) -> None:
    frames, cameras = wall()
    alpha = frames.alpha.clone()
    alpha[:, 5:10, 5:10] = 0.4
    holed = Frames(frames.rgb * alpha[..., None], alpha, frames.depth_m, frames.time_s)
    whole = surface.write_mesh(tmp_path / "a.ply", frames, cameras)
    assert surface.write_mesh(tmp_path / "b.ply", holed, cameras) < whole
    assert (np.asarray(trimesh.load(tmp_path / "b.ply", process=False).visual.vertex_colors)[:, 0] == 255).all()
    nothing = Frames(frames.rgb * 0, alpha * 0, frames.depth_m * 0, frames.time_s)
    with pytest.raises(InputError, match="No camera sees a surface"):
        surface.write_mesh(tmp_path / "c.ply", nothing, cameras)
    with pytest.raises(InputError, match="No splat is half opaque at 99 s"):
        moving = samples.splats(9).replace(duration_s=torch.full((9,), 0.1))
        surface.write_points(tmp_path / "c.ply", moving, 99.0)
    with pytest.raises(InputError, match=r"Points and meshes are written as .ply or .glb"):
        surface.write_points(tmp_path / "c.obj", samples.splats(9), 1.0)


# Depth.


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**16), scale=st.sampled_from([0.001, 0.0005, 0.01]))
def test_depth_comes_back_from_a_png(seed: int, scale: float, tmp_path_factory) -> None:
    g = torch.Generator().manual_seed(seed)
    depth_m, alpha = torch.rand(5, 7, generator=g) * 30 + 0.01, torch.rand(5, 7, generator=g)
    folder = tmp_path_factory.mktemp("d")
    depth_pictures.write(folder / "0.png", depth_m, alpha, scale=scale)
    maps = depth.read_depth(folder, torch.eye(3)[None], (5, 7), scale=scale)
    assert torch.equal(maps.confidence[0] > 0, alpha >= 0.5)
    error = (maps.depth_m[0] - depth_m)[alpha >= 0.5].abs()
    assert not len(error) or float(error.max()) <= scale / 2 + 1e-5


def test_what_a_png_cannot_say_of_depth(tmp_path: Path) -> None:
    """The farthest is kept at the end of the scale, the nearest is not taken for unknown."""
    depth_pictures.write(tmp_path / "0.png", torch.tensor([[1e-5, 1000.0, 0.0, math.inf]]), torch.ones(1, 4))
    maps = depth.read_depth(tmp_path, torch.eye(3)[None], (1, 4))
    assert maps.depth_m[0, 0].tolist() == pytest.approx([0.001, 65.535, 0, 65.535])
    with pytest.raises(InputError, match=r"Cannot write depth to 'x.tif'. Known are .png and .exr"):
        depth_pictures.write(tmp_path / "x.tif", torch.ones(1, 1), torch.ones(1, 1))
    with pytest.raises(InputError, match="scale of a depth picture is 0"):
        depth_pictures.write(tmp_path / "x.png", torch.ones(1, 1), torch.ones(1, 1), scale=0)


def test_depth_comes_back_exactly_from_exr(tmp_path: Path) -> None:
    OpenEXR = pytest.importorskip("OpenEXR")
    depth_m, alpha = torch.rand(5, 7) * 1e4, torch.rand(5, 7)
    depth_pictures.write(tmp_path / "x.exr", depth_m, alpha)
    with OpenEXR.File(str(tmp_path / "x.exr")) as file:
        channels = {name: np.asarray(channel.pixels) for name, channel in file.channels().items()}
    np.testing.assert_array_equal(channels["Z"], torch.where(alpha >= 0.5, depth_m, 0.0).numpy())
    np.testing.assert_array_equal(channels["A"], alpha.numpy())


def test_without_openexr_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "OpenEXR", None)
    with pytest.raises(
        MissingError, match=r"(?s)Writing x.exr needs the package 'OpenEXR'.*pip install 'fourd\[exr\]'"
    ):
        depth_pictures.write(tmp_path / "x.exr", torch.ones(1, 1), torch.ones(1, 1))
    assert not list(tmp_path.iterdir())


# Which kind and suffix make what.


@pytest.mark.needs("native")
def test_every_kind_and_suffix_makes_something(tmp_path: Path) -> None:
    whole = {"splats": seen(), "cameras": samples.upright(2), "sound": None, "provenance": Provenance()}
    lens = whole["cameras"].K[:1].expand(2, 3, 3)  # One, because a trajectory knows no more.
    whole["cameras"] = whole["cameras"].replace(world_from_cam=torch.eye(4).repeat(2, 1, 1), K=lens)
    made = 0
    for kind, suffixes in exports.KINDS.items():
        for suffix in suffixes:
            path = tmp_path / f"{kind}{suffix}"
            exports.write(path, **whole, kind=kind, time_s=1.5)
            made += 1
            assert path.is_dir() if not suffix else path.stat().st_size > 0
    assert made == len(list(tmp_path.iterdir())) == 20
    with pytest.raises(InputError, match=r"Cannot export mesh to 'a.spz'. Known are NAME.ply, NAME.glb"):
        exports.write(tmp_path / "a.spz", **whole, kind="mesh")
