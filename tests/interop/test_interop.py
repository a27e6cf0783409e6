"""A point is projected by our camera and by that of another library: it must be the same pixel."""

from __future__ import annotations

import math
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from fourd import interop
from fourd.errors import InputError, MissingError
from fourd.geometry import pinhole
from fourd.interop import open3d, pytorch3d
from fourd.types import Cameras
from tests.formats import samples

PX = 5e-4
"""Rotations in single precision are rotations to some 1e-6, and the transposed is not the inverse by as much."""


def points(cameras: Cameras, n: int = 20) -> tuple[Tensor, Tensor]:
    """Points of the world in front of each camera, and the pixels (x, y) that our conventions give them."""
    at = torch.rand(len(cameras), n, 3, dtype=torch.float64) * torch.tensor([2.0, 1, 4]) + torch.tensor([-1, -0.5, 3.0])
    pose, K = cameras.world_from_cam.double(), cameras.K.double()
    uvw = at @ K.mT
    return at @ pose[:, :3, :3].mT + pose[:, None, :3, 3], uvw[..., :2] / uvw[..., 2:]


def same(got: Cameras, wanted: Cameras) -> None:
    """Doubles in between, so only single precision may be lost, once."""
    torch.testing.assert_close(got.K, wanted.K, rtol=1e-6, atol=0)
    torch.testing.assert_close(got.world_from_cam, wanted.world_from_cam, rtol=0, atol=2e-6)
    assert got.hw == wanted.hw and torch.equal(got.time_s, wanted.time_s)


@pytest.mark.needs("kornia")
def test_kornia_sees_the_same_half_a_pixel_aside() -> None:
    cameras = samples.cameras(4)  # Skew goes along.
    theirs = interop.to_kornia(cameras)
    world, pixels = points(cameras)
    torch.testing.assert_close(theirs.project(world) + 0.5, pixels, rtol=0, atol=PX)
    same(interop.from_kornia(theirs, cameras.time_s), cameras)


@pytest.mark.needs("kornia")
def test_kornia_lifts_depth_to_the_same_points() -> None:
    from kornia.geometry.depth import depth_to_3d

    cameras = samples.upright(1)  # This function reads over skew.
    depth = torch.rand(1, 1, *cameras.hw) + 1
    theirs = depth_to_3d(depth, interop.to_kornia(cameras).intrinsics[:, :3, :3].float())
    ours = pinhole.unproject(depth[0, 0], cameras.K[0])
    torch.testing.assert_close(theirs[0].permute(1, 2, 0), ours, rtol=0, atol=1e-5)


@pytest.mark.parametrize("hw", [(72, 128), (128, 72), (96, 96)])
def test_the_arithmetic_of_pytorch3d(hw: tuple[int, int]) -> None:
    cameras = samples.upright(4).replace(hw=hw)
    made = {name: value.double() for name, value in pytorch3d.arguments(cameras).items()}
    world, pixels = points(cameras)
    view = world @ made["R"] + made["T"][:, None]
    assert bool((view[..., 2] > 0).all())
    ndc = made["focal_length"][:, None] * view[..., :2] / view[..., 2:] + made["principal_point"][:, None]
    h, w = hw
    # Their picture ends at 1 along its shorter side; left and up are positive.
    screen = torch.tensor([w / 2, h / 2], dtype=torch.float64) - ndc * min(h, w) / 2
    torch.testing.assert_close(screen, pixels, rtol=0, atol=PX)
    torch.testing.assert_close(torch.linalg.det(made["R"]), torch.ones(4, dtype=torch.float64), rtol=0, atol=1e-5)
    assert made["image_size"].tolist() == [list(hw)] * 4


def _pytorch3d(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in that keeps what it is given."""

    def cameras(in_ndc: bool, **values: Tensor) -> SimpleNamespace:
        return SimpleNamespace(in_ndc=lambda: in_ndc, **values)

    renderer = ModuleType("pytorch3d.renderer")
    renderer.PerspectiveCameras = cameras  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pytorch3d", ModuleType("pytorch3d"))
    monkeypatch.setitem(sys.modules, "pytorch3d.renderer", renderer)


def test_pytorch3d_and_back(monkeypatch: pytest.MonkeyPatch) -> None:
    _pytorch3d(monkeypatch)
    cameras = samples.upright(3)
    theirs = interop.to_pytorch3d(cameras)
    same(interop.from_pytorch3d(theirs, cameras.time_s), cameras)
    theirs.focal_length = cameras.K.diagonal(dim1=1, dim2=2)[:, :2]
    theirs.principal_point, theirs.in_ndc = cameras.K[:, :2, 2], lambda: False
    same(interop.from_pytorch3d(theirs, cameras.time_s), cameras)
    del theirs.image_size
    with pytest.raises(InputError, match="have no image_size; give it when they are made"):
        interop.from_pytorch3d(theirs, cameras.time_s)


@pytest.mark.needs("pytorch3d")
def test_pytorch3d_itself() -> None:
    cameras = samples.upright(3)
    theirs = interop.to_pytorch3d(cameras)
    world, pixels = points(cameras)
    got = theirs.transform_points_screen(world.float())[..., :2]
    torch.testing.assert_close(got, pixels.float(), rtol=0, atol=1e-3)
    same(interop.from_pytorch3d(theirs, cameras.time_s), cameras)


def test_the_arithmetic_of_open3d() -> None:
    cameras = samples.upright(3)
    world, pixels = points(cameras)
    for i, made in enumerate(open3d.arguments(cameras)):
        assert (made["width"], made["height"]) == (128, 72)
        at = world[i].numpy() @ made["extrinsic"][:3, :3].T + made["extrinsic"][:3, 3]
        u = made["fx"] * at[:, 0] / at[:, 2] + made["cx"]
        v = made["fy"] * at[:, 1] / at[:, 2] + made["cy"]
        np.testing.assert_allclose(np.stack([u, v], 1) + 0.5, pixels[i].numpy(), atol=PX)


def _open3d(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in that keeps what it is given."""

    def intrinsic(**v: float) -> SimpleNamespace:
        matrix = np.array([[v["fx"], 0, v["cx"]], [0, v["fy"], v["cy"]], [0, 0, 1]])
        return SimpleNamespace(intrinsic_matrix=matrix, **v)

    camera = ModuleType("open3d.camera")
    camera.PinholeCameraIntrinsic = intrinsic  # type: ignore[attr-defined]
    camera.PinholeCameraParameters = camera.PinholeCameraTrajectory = SimpleNamespace  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "open3d", ModuleType("open3d"))
    monkeypatch.setitem(sys.modules, "open3d.camera", camera)


def test_open3d_and_back(monkeypatch: pytest.MonkeyPatch) -> None:
    _open3d(monkeypatch)
    cameras = samples.upright(3)
    theirs = interop.to_open3d(cameras)
    same(interop.from_open3d(theirs, cameras.time_s), cameras)
    theirs.parameters[1].intrinsic.width = 64
    with pytest.raises(InputError, match="for pictures of 2 sizes; Cameras have one"):
        interop.from_open3d(theirs, cameras.time_s)


@pytest.mark.needs("open3d")
def test_open3d_itself() -> None:
    cameras = samples.upright(3)
    theirs = interop.to_open3d(cameras)
    assert (theirs.parameters[0].intrinsic.width, theirs.parameters[0].intrinsic.height) == (128, 72)
    same(interop.from_open3d(theirs, cameras.time_s), cameras)


def test_what_other_libraries_cannot_say() -> None:
    for made, name in ((pytorch3d.arguments, "PyTorch3D"), (open3d.arguments, "Open3D")):
        with pytest.raises(InputError, match=f"K is skewed; {name} cannot say so"):
            made(samples.cameras(2))


@pytest.mark.needs("kornia")
def test_moments_are_asked_for() -> None:
    theirs = interop.to_kornia(samples.cameras(3))
    with pytest.raises(InputError, match="time_s has 2 moments for 3 cameras; there must be one for each"):
        interop.from_kornia(theirs, torch.zeros(2, dtype=torch.float64))
    theirs.extrinsics[0, 0, 0] = math.nan
    with pytest.raises(InputError, match="holds NaN"):
        interop.from_kornia(theirs, torch.zeros(3, dtype=torch.float64))


@pytest.mark.parametrize(
    ("name", "module", "install"),
    [
        ("kornia", "kornia.geometry.camera", r"fourd\[interop\]"),
        ("pytorch3d", "pytorch3d.renderer", r"git\+https://github.com/facebookresearch/pytorch3d.git"),
        ("open3d", "open3d.camera", "open3d"),
    ],
)
def test_a_missing_library_is_one_error(monkeypatch: pytest.MonkeyPatch, name: str, module: str, install: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # As if it were not there.
    says = f"A {name} camera needs the package '{name}', which is not installed.\n"
    says += f"  Install it:      pip install '{install}'"
    with pytest.raises(MissingError, match=says):
        getattr(interop, f"to_{name}")(samples.upright(2))


def test_a_library_that_does_not_start_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(module: str) -> None:
        raise OSError(f"libusb-1.0.so.0: no such file, for {module}")

    monkeypatch.setattr("importlib.import_module", broken)
    with pytest.raises(MissingError, match=r"which cannot be imported: libusb-1.0.so.0"):
        interop.to_open3d(samples.upright(2))
