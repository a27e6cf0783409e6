"""The PLY of one moment: numbers worked out by hand, round trips, hostile files."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from fourd.errors import FormatError, InputError
from fourd.formats import moment, ply
from tests.formats import samples


def one(**changes: object):
    """A splat at (1, 2, 3) at 0.5 s, turned a right angle about z."""
    half = math.sqrt(0.5)
    splat = samples.splats(1, 4).replace(
        mean_m=torch.tensor([[1.0, 2, 3]]),
        quat_wxyz=torch.tensor([[half, 0, 0, half]]),
        scale_m=torch.tensor([[0.1, 0.2, 0.4]]),
        opacity=torch.tensor([0.8]),
        colour=torch.arange(12.0).reshape(1, 4, 3) / 10,
        velocity_mps=torch.tensor([[2.0, -4, 0]]),
        time_s=torch.tensor([0.5]),
        duration_s=torch.tensor([0.25]),
    )
    return splat.replace(**changes)


def test_the_bytes_are_those_worked_out_by_hand(tmp_path: Path) -> None:
    ply.write(tmp_path / "x.ply", one(), 0.75)  # A quarter of a second, one duration, later.
    data = (tmp_path / "x.ply").read_bytes()
    header, body = data.split(b"end_header\n")
    lines = header.decode().splitlines()
    assert lines[:3] == ["ply", "format binary_little_endian 1.0", "element vertex 1"]
    rest = [f"f_rest_{i}" for i in range(9)]
    names = ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", *rest]
    names += ["opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"]
    assert lines[3:] == [f"property float {name}" for name in names]
    opacity = 0.8 * math.exp(-0.5)
    expected = [1.5, 1, 3, 0, 0, 0]  # Half a metre right and one up.
    expected += [0, 0.1, 0.2]  # The constant coefficient of each channel,
    expected += [0.3, 0.6, 0.9, 0.4, 0.7, 1.0, 0.5, 0.8, 1.1]  # then all red ones, all green, all blue.
    expected += [math.log(opacity / (1 - opacity)), math.log(0.1), math.log(0.2), math.log(0.4)]
    expected += [math.sqrt(0.5), 0, 0, math.sqrt(0.5)]
    assert struct.unpack(f"<{len(names)}f", body) == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_what_cannot_be_seen_at_the_moment_is_left_out() -> None:
    splats = samples.splats(200)
    now = moment.at(splats, 1.5)
    age = (1.5 - splats.time_s.double()) / splats.duration_s.double()
    opacity = splats.opacity.double() * torch.exp(-(age**2) / 2)
    assert 0 < len(now) < 200
    assert len(now) == int((opacity >= 1 / 255).sum())
    torch.testing.assert_close(now.opacity.double(), opacity[opacity >= 1 / 255], rtol=1e-6, atol=0)
    assert bool(torch.isinf(now.duration_s).all())
    assert float(now.velocity_mps.abs().max()) == 0


def test_the_moment_of_a_moment_is_itself() -> None:
    now = moment.at(samples.splats(200), 1.5)
    samples.same(moment.at(now, 99.0), now, "mean_m", "opacity", "scale_m", "quat_wxyz", "colour")


@pytest.mark.parametrize("coefficients", [1, 4, 9, 16])
@pytest.mark.parametrize("n", [0, 1, 40])
def test_a_moment_comes_back(tmp_path: Path, n: int, coefficients: int) -> None:
    now = moment.at(samples.splats(n, coefficients), 2.0)
    ply.write(tmp_path / "x.ply", now, 2.0)
    got = ply.read(tmp_path / "x.ply")
    samples.same(got, now, "mean_m", "colour")
    for name in ("scale_m", "opacity", "quat_wxyz"):  # Through a logarithm and back, in float32.
        torch.testing.assert_close(getattr(got, name), getattr(now, name), rtol=2e-6, atol=2e-7)


def test_opaque_splats_stay_opaque(tmp_path: Path) -> None:
    ply.write(tmp_path / "x.ply", one(opacity=torch.tensor([1.0])), 0.5)
    assert float(ply.read(tmp_path / "x.ply").opacity) == pytest.approx(1, abs=1e-6)


def test_files_of_trainers_are_read(tmp_path: Path) -> None:
    """Rotations of any length, properties in any order and of other types, a second element, comments."""
    head = "ply\nformat binary_little_endian 1.0\ncomment made elsewhere\nelement vertex 1\n"
    names = "rot_0 rot_1 rot_2 rot_3 z y x scale_0 scale_1 scale_2 opacity f_dc_0 f_dc_1 f_dc_2".split()
    head += "".join(f"property double {name}\n" for name in names)
    head += "property uchar red\nelement face 0\nproperty list uchar int vertex_indices\nend_header\n"
    values = [0, 0, 3, 0, 3, 2, 1, 0, 0, 0, 0, 0.1, 0.2, 0.3]
    (tmp_path / "x.ply").write_bytes(head.encode() + struct.pack("<14dB", *values, 9))
    got = ply.read(tmp_path / "x.ply")
    assert got.mean_m.tolist() == [[1, 2, 3]]
    assert got.quat_wxyz.tolist() == [[0, 0, 1, 0]]
    assert got.opacity.tolist() == [0.5]
    assert got.scale_m.tolist() == [[1, 1, 1]]


def _file(header: str, body: bytes = b"") -> bytes:
    return f"ply\n{header}end_header\n".encode() + body


GOOD = "format binary_little_endian 1.0\n"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "does not begin with 'ply'"),
        (b"ply\n" + b"comment x\n" * 10000, "its header does not end within"),
        (_file("format ascii 1.0\nelement vertex 1\nproperty float x\n", b"1"), "not a binary little-endian PLY"),
        (_file(GOOD), "its first element must be 'vertex'"),
        (_file(GOOD + "element vertex -1\n"), "its first element must be 'vertex'"),
        (_file(GOOD + "element vertex 1\nproperty list uchar int x\n"), "a list, unknown or there twice"),
        (_file(GOOD + "element vertex 1\nproperty float x\nproperty float x\n", bytes(8)), "there twice"),
        (_file(GOOD + f"element vertex {10**30}\nproperty float x\n"), "is cut short"),
        (
            _file(GOOD + "element vertex 9999999999\nproperty float x\n", bytes(40)),
            "is cut short: 9999999999 splats of 4",
        ),
        (_file(GOOD + "element vertex 1\nproperty float x\n", bytes(4)), "no property f_dc_0"),
        (_file(GOOD + "element vertex 1\nproperty float f_rest_0\n", bytes(4)), "there must be 0, 9, 24 or 45"),
    ],
)
def test_what_is_no_splat_ply_is_refused(tmp_path: Path, data: bytes, says: str) -> None:
    (tmp_path / "x.ply").write_bytes(data)
    with pytest.raises(FormatError, match=says):
        ply.read(tmp_path / "x.ply")


def test_hostile_files_never_do_worse_than_a_format_error(tmp_path: Path) -> None:
    ply.write(tmp_path / "x.ply", samples.splats(20, 4), 1.0)
    broken = samples.mutants((tmp_path / "x.ply").read_bytes(), 300)
    assert samples.survives(ply.read, tmp_path / "x.ply", broken) > 50


def test_a_moment_must_be_finite(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a moment must be finite"):
        ply.write(tmp_path / "x.ply", one(), math.nan)
    assert not list(tmp_path.iterdir())


def test_numbers_are_little_endian_wherever_we_run(tmp_path: Path) -> None:
    ply.write(tmp_path / "x.ply", one(), 0.5)
    body = (tmp_path / "x.ply").read_bytes().split(b"end_header\n")[1]
    assert np.frombuffer(body, "<f4")[0] == 1
