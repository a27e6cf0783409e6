"""Splats in the GLB of others: nodes that move, turn and scale them; linear colours; what is refused."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fourdgs as package
import numpy as np
import pytest
import torch

from fourd.errors import FormatError
from fourd.formats import glb, khr, scenes
from fourd.geometry import rigid
from fourd.native import rasterize, reference
from fourd.types import Splats
from tests.formats import samples
from tests.formats.test_exports import covariance
from tests.formats.test_glb import rewritten
from tests.formats.test_glb_quantised import mixed

EXTENSION = "KHR_gaussian_splatting"


def still(n: int = 40, coefficients: int = 4) -> Splats:
    made = samples.splats(n, coefficients)
    return made.replace(
        duration_s=torch.full((n,), math.inf),
        velocity_mps=torch.zeros(n, 3),
        time_s=torch.zeros(n),
        source=torch.zeros(n, dtype=torch.uint8),
    )


def foreign(
    path: Path, splats: Splats, change: Callable[[dict[str, Any]], object] = lambda d: None, **how: bool
) -> Path:
    """A file of ours without what makes it ours: splats by the extension, cameras of glTF."""

    def strip(document: dict[str, Any]) -> None:
        document.pop("extras")
        for node in document["nodes"]:
            node.pop("extras", None)
        change(document)

    glb.write(path, splats=splats, cameras=samples.upright(2), **how)
    rewritten(path, strip)
    return path


def test_splats_of_others_are_read_as_they_are(tmp_path: Path) -> None:
    splats = still()
    got = khr.read(foreign(tmp_path / "x.glb", splats))
    for name in ("mean_m", "scale_m", "opacity", "colour"):
        torch.testing.assert_close(getattr(got.splats, name), getattr(splats, name), rtol=1e-5, atol=1e-5)
    # A splat whose own axes point the other way is the same splat.
    shapes = [covariance(s.quat_wxyz.double().numpy(), s.scale_m.double().numpy()) for s in (got.splats, splats)]
    np.testing.assert_allclose(*shapes, rtol=1e-4, atol=1e-8)
    assert got.cameras is not None and got.cameras.hw[0] == 720
    torch.testing.assert_close(got.cameras.world_from_cam[0], samples.upright(2).world_from_cam[0], rtol=0, atol=1e-5)


def test_scene_open_takes_them_too(tmp_path: Path) -> None:
    splats, cameras, sound, notes = scenes.read(foreign(tmp_path / "x.glb", still()))
    assert (len(splats), len(cameras), sound, notes.warnings) == (40, 1, None, [])
    path = foreign(tmp_path / "y.glb", still(), lambda d: [node.pop("camera", None) for node in d["nodes"]])
    assert scenes.read(path)[3].warnings == ["y.glb has no cameras: one was put where it has everything in view."]


def test_rounded_splats_of_others(tmp_path: Path) -> None:
    """Small types, meshes under nodes of several scales: what a viewer of the extension has to take."""
    splats = mixed(200)
    power = torch.linspace(-4, 1, 200)[:, None]
    splats = splats.replace(scale_m=10**power * (0.3 + 0.7 * torch.rand(200, 3)))
    got = khr.read(foreign(tmp_path / "x.glb", splats, quantised=True)).splats
    assert 60 < len(got) < 200, "What stands, and the moment that is shown."
    for one in range(len(got)):
        near = int((splats.mean_m - got.mean_m[one]).norm(dim=1).argmin())
        torch.testing.assert_close(got.mean_m[one], splats.mean_m[near], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(got.scale_m[one], splats.scale_m[near], rtol=0.021, atol=0)


@pytest.mark.needs("native")
def test_a_turned_node_turns_places_shapes_and_harmonics(tmp_path: Path) -> None:
    """A picture from a camera that is turned with the world is the same picture."""
    g = torch.Generator().manual_seed(1)
    splats = still(300, 16)
    splats = splats.replace(
        mean_m=splats.mean_m * 0.3 + torch.tensor([0.0, 0, 4]),
        scale_m=0.02 + 0.1 * torch.rand(300, 3, generator=g),
        colour=splats.colour * torch.tensor([1.0] + [0.3] * 15)[:, None],
    )
    quat = torch.nn.functional.normalize(torch.tensor([0.3, -0.5, 0.7, 0.2]), dim=0)
    place = {"rotation": quat[[1, 2, 3, 0]].tolist(), "translation": [0.5, -1, 2], "scale": [2, 2, 2]}

    def hang(document: dict[str, Any]) -> None:
        """A node above all."""
        document["nodes"].append(place | {"children": document["scenes"][0]["nodes"]})
        document["scenes"][0]["nodes"] = [len(document["nodes"]) - 1]

    got = khr.read(foreign(tmp_path / "x.glb", splats, hang)).splats
    K = torch.tensor([[60.0, 0, 32], [0, 60, 24], [0, 0, 1]])
    gl = torch.diag(torch.tensor([1.0, -1, -1, 1]))
    moved = torch.eye(4)
    moved[:3, :3] = rigid.matrix_from_quat(quat)
    moved[:3, 3] = torch.tensor([0.5, -1, 2])
    pose = gl @ moved @ gl  # The node stands in glTF's world, the camera in ours; twice as large is twice as far.
    one = rasterize(splats, K, torch.eye(4), (48, 64), 0.0).rgb
    other = rasterize(got, K, pose, (48, 64), 0.0).rgb
    assert float(one.max()) > 0.5
    assert -10 * math.log10(float((one - other).square().mean())) > 55


def test_harmonics_turn_as_what_they_look_like() -> None:
    turn = rigid.matrix_from_rotvec(torch.tensor([0.3, -1.0, 0.5])).double()
    away = torch.nn.functional.normalize(torch.randn(50, 3, dtype=torch.float64), dim=1)
    coefficients = torch.randn(16, 3)
    turned = khr._harmonics_turned(turn).float() @ coefficients
    then, now = reference.sh_basis(away.float()), reference.sh_basis((away @ turn).float())
    torch.testing.assert_close(then @ turned, now @ coefficients, rtol=0, atol=2e-4)


def test_linear_colours_become_srgb(tmp_path: Path) -> None:
    def linear(document: dict[str, Any]) -> None:
        for mesh in document["meshes"]:
            mesh["primitives"][0]["extensions"][EXTENSION]["colorSpace"] = "lin_rec709_display"

    splats = still(9).replace(colour=torch.zeros(9, 4, 3))  # 0.5.
    got = khr.read(foreign(tmp_path / "x.glb", splats, linear))
    assert got.splats.rgb.flatten().tolist() == pytest.approx([0.7354] * 27, abs=1e-4)
    assert got.warnings == ("The colours of the file are linear: splats that lie over each other may look different.",)


def test_what_the_package_fourdgs_exports_is_read(tmp_path: Path) -> None:
    """A file that another program wrote by the same extension."""
    n = 20
    g = np.random.default_rng(0)
    turns = g.normal(size=(n, 4))
    turns /= np.linalg.norm(turns, axis=1, keepdims=True)
    gaussians = package.GaussianSet(
        positions=g.normal(size=(n, 3)).astype(np.float32),
        scales=np.full((n, 3), 0.1, np.float32),
        rotations=turns.astype(np.float32),
        colors=g.uniform(0.1, 0.9, (n, 4)).astype(np.float32),
        motions=np.zeros((n, 3), np.float32),
        mu_t=np.zeros(n, np.float32),
        sigma_t=np.full(n, np.inf, np.float32),
        win_lo=np.full(n, -np.inf),
        win_hi=np.full(n, np.inf),
    )
    package.to_gltf(
        str(tmp_path / "x.glb"), gaussians, time_sec=0.0, cutoff=0.05, coordinate_system="y-up-right-handed"
    )
    got = scenes.read(tmp_path / "x.glb")[0]
    np.testing.assert_allclose(got.mean_m.numpy(), gaussians.positions * [1, -1, -1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(got.rgb.numpy(), gaussians.colors[:, :3], atol=1e-5)
    np.testing.assert_allclose(got.scale_m.numpy(), gaussians.scales, rtol=1e-5)


def _primitive(document: dict[str, Any]) -> dict[str, Any]:
    return document["meshes"][0]["primitives"][0]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: _primitive(d).pop("extensions"), f"holds no splats by {EXTENSION} either"),
        (lambda d: d.pop("scenes"), "holds no splats by"),
        (lambda d: d.update(scene=7), r"scenes\[7\] is asked for, and there are 1"),
        (lambda d: d["scenes"][0].update(nodes=[99]), r"nodes\[99\] is asked for"),
        (lambda d: d["nodes"][-1].update(children=[len(d["nodes"]) - 1]), "hangs in the scene twice, or in a circle"),
        (lambda d: d["nodes"][-1].update(scale=[1, 2, 1]), "scales them unevenly"),
        (lambda d: d["nodes"][-1].update(scale=[1, 1, -1]), "mirrors its splats"),
        (lambda d: d["nodes"][-1].update(scale=[0, 0, 0]), "flattens them"),
        (lambda d: d["nodes"][-1].update(rotation=[0, 0, 0]), "rotation must hold 4 numbers"),
        (lambda d: d["nodes"][-1].update(matrix=[1] * 15), "matrix must hold 16 numbers"),
        (lambda d: d["nodes"][-1].update(matrix=[1e299] * 16), "mirrors its splats|broken"),
        (
            lambda d: _primitive(d)["attributes"].pop(f"{EXTENSION}:SCALE"),
            "has no attribute KHR_gaussian_splatting:SCALE",
        ),
        (lambda d: _primitive(d)["attributes"].update({f"{EXTENSION}:SH_DEGREE_1_COEF_2": 99}), r"accessors\[99\]"),
        (lambda d: d["accessors"][0].update(count=2), "its attributes are not equally many"),
        (lambda d: d["meshes"][0].update(primitives=[3]), "must be a JSON object"),
        (lambda d: d["cameras"][0]["perspective"].update(yfov=9), "a camera has a view of 9"),
        (lambda d: d["cameras"][0]["perspective"].update(aspectRatio=0), "proportions of 0"),
    ],
)
def test_what_is_wrong_is_said(change: Callable, says: str, tmp_path: Path) -> None:
    path = foreign(tmp_path / "x.glb", still(9), change)
    with pytest.raises(FormatError, match=says):
        khr.read(path)


def test_no_splats_at_all(tmp_path: Path) -> None:
    text = json.dumps({"asset": {"version": "2.0"}}).encode().ljust(28)
    (tmp_path / "x.glb").write_bytes(struct.pack("<4sIII4s", b"glTF", 2, 20 + len(text), len(text), b"JSON") + text)
    with pytest.raises(FormatError, match="but not one that this program saved, and holds no splats by"):
        scenes.read(tmp_path / "x.glb")
