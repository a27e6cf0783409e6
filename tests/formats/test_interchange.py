"""SPZ and .splat: what comes back looks the same, numbers worked out by hand, hostile files."""

from __future__ import annotations

import gzip
import math
import struct
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Literal

import numpy as np
import pytest
import torch
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from fourd import native
from fourd.errors import FormatError, InputError
from fourd.formats import moment, splat, spz
from fourd.formats._axes import POINT_SIGNS, SH_SIGNS
from fourd.native import reference
from fourd.types import Splats
from tests.formats import samples

FORMATS = pytest.mark.parametrize("codec", [spz, splat], ids=["spz", "splat"])


def seen(coefficients: int = 1) -> Splats:
    """Splats as fusion makes them: in front of a camera, of modest colours."""
    made = samples.splats(400, coefficients)
    g = torch.Generator().manual_seed(5)
    return made.replace(
        mean_m=made.mean_m * 0.3 + torch.tensor([0.0, 0, 4]),
        colour=made.colour * torch.tensor([1.0] + [0.3] * (coefficients - 1))[:, None],
        scale_m=0.02 + 0.1 * torch.rand(len(made), 3, generator=g),
    )


def drawn(splats: Splats) -> torch.Tensor:
    K = torch.tensor([[60.0, 0, 32], [0, 60, 24], [0, 0, 1]])
    return native.rasterize(splats, K, torch.eye(4), (48, 64), 0.0).rgb


@pytest.mark.needs("native")
@pytest.mark.parametrize(("codec", "coefficients"), [(spz, 1), (spz, 4), (spz, 16), (splat, 1)])
def test_a_picture_of_what_comes_back_is_the_same(codec: ModuleType, coefficients: int, tmp_path: Path) -> None:
    splats = seen(coefficients)
    codec.write(tmp_path / "x", splats, 1.5)
    now, again = drawn(moment.at(splats, 1.5)), drawn(codec.read(tmp_path / "x"))
    assert float(now.max()) > 0.5
    assert -10 * math.log10(float((now - again).square().mean())) > 38


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    coefficients=st.sampled_from([1, 4, 9, 16]),
    version=st.sampled_from([3, 4]),
    time_s=st.floats(0, 4),
)
def test_spz_is_as_exact_as_it_says(
    seed: int, coefficients: int, version: Literal[3, 4], time_s: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    splats, path = samples.splats(60, coefficients, seed), tmp_path_factory.mktemp("q") / "x.spz"
    spz.write(path, splats, time_s, version=version)
    now, again = moment.at(splats, time_s), spz.read(path)
    assert float((again.mean_m - now.mean_m).abs().max()) <= float(now.mean_m.abs().max()) * 2**-22
    assert float((again.scale_m / now.scale_m).log().abs().max()) < 1 / 32 + 1e-5
    cosine = (again.quat_wxyz * now.quat_wxyz).sum(1).abs().double().clamp(max=1)
    assert float(2 * torch.rad2deg(torch.acos(cosine)).max()) < 0.25
    assert float((again.opacity - now.opacity).abs().max()) < 1 / 255
    # A step of the byte is 1/38.25 of the coefficient, which is 0.0074 of a colour; the rest is cut off.
    assert float((again.rgb - now.rgb.clamp(-0.44, 1.44)).abs().max()) < 0.0074 / 2 + 1e-4
    small = now.colour[:, 1:].abs() < 0.99
    if bool(small.any()):
        assert float((again.colour - now.colour)[:, 1:][small].abs().max()) <= 0.5 / 128 + 1e-6


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**16), time_s=st.floats(0, 4))
def test_splat_is_as_exact_as_it_says(seed: int, time_s: float, tmp_path_factory: pytest.TempPathFactory) -> None:
    splats, path = samples.splats(60, 1, seed), tmp_path_factory.mktemp("q") / "x.splat"
    splat.write(path, splats, time_s)
    now, again = moment.at(splats, time_s), splat.read(path)
    now = now[torch.argsort(now.scale_m.prod(1) * now.opacity, descending=True, stable=True)]
    samples.same(again, now, "mean_m", "scale_m")
    cosine = (again.quat_wxyz * now.quat_wxyz).sum(1).abs().double().clamp(max=1)
    assert float(2 * torch.rad2deg(torch.acos(cosine)).max()) < 1.0
    assert float((again.opacity - now.opacity).abs().max()) <= 0.5 / 255 + 1e-6
    assert float((again.rgb - now.rgb.clamp(0, 1)).abs().max()) <= 0.5 / 255 + 1e-6


def test_spz_bytes_are_those_worked_out_by_hand(tmp_path: Path) -> None:
    half = math.sqrt(0.5)
    one = moment.still(
        mean_m=torch.tensor([[1.0, 2, -4]]),
        quat_wxyz=torch.tensor([[half, 0, half, 0]]),  # A right angle about y.
        scale_m=torch.tensor([[1.0, math.e, math.exp(-2)]]),
        opacity=torch.tensor([0.2]),
        colour=torch.tensor([[[0.0, 1.0, -1.0]]]),
    )
    spz.write(tmp_path / "x.spz", one, 0.0)
    data = gzip.decompress((tmp_path / "x.spz").read_bytes())
    assert struct.unpack("<IIIBBBB", data[:16]) == (0x5053474E, 3, 1, 0, 20, 1, 0)
    fixed = [int.from_bytes(data[16 + 3 * i : 19 + 3 * i], "little", signed=True) for i in range(3)]
    assert fixed == [2**20, -2 * 2**20, 4 * 2**20]  # y up, z back.
    assert list(data[25:32]) == [51, 128, 166, 89, 160, 176, 128]
    # x, y, z, w = 0, -0.7071, 0, 0.7071: y comes first of the two largest, and is made positive.
    assert int.from_bytes(data[32:36], "little") == 1 << 30 | 0 << 20 | 0 << 10 | 1 << 9 | 511
    assert len(data) == 36


def test_spz_of_version_2_is_read(tmp_path: Path) -> None:
    header = struct.pack("<IIIBBBB", 0x5053474E, 2, 1, 0, 12, 0, 0)
    position = b"".join((v & 0xFFFFFF).to_bytes(3, "little") for v in (4096, -8192, 4096 * 3))
    body = position + bytes([255]) + bytes([127, 127, 127]) + bytes([160, 160, 160]) + bytes([128, 128, 255])
    (tmp_path / "x.spz").write_bytes(gzip.compress(header + body))
    got = spz.read(tmp_path / "x.spz")
    assert got.mean_m.tolist() == [[1.0, 2.0, -3.0]] and got.scale_m.tolist() == [[1.0, 1.0, 1.0]]
    assert got.quat_wxyz[0].abs().tolist() == pytest.approx([0, 0, 0, 1], abs=0.01)


def test_spz_of_version_4_is_laid_out_as_published(tmp_path: Path) -> None:
    """A plain header, the sizes of the streams, and each stream the same as the column of version 3."""
    spz.write(tmp_path / "4.spz", seen(4), 1.5, version=4)
    spz.write(tmp_path / "3.spz", seen(4), 1.5, version=3)
    data, old = (tmp_path / "4.spz").read_bytes(), gzip.decompress((tmp_path / "3.spz").read_bytes())
    assert data[:4] == b"NGSP"
    version, n, degree, bits, flags, streams, table_at = struct.unpack("<IIBBBBI", data[4:20])
    assert (version, n, degree, streams, table_at, flags) == (4, len(moment.at(seen(4), 1.5)), 1, 6, 32, 1)
    assert data[20:32] == bytes(12) and bits == old[13]
    at, columns = 32 + 16 * 6, []
    for i in range(6):
        packed, unpacked = struct.unpack_from("<QQ", data, 32 + 16 * i)
        columns.append(zstandard.decompress(data[at : at + packed]))
        assert len(columns[-1]) == unpacked
        at += packed
    assert at == len(data) and b"".join(columns) == old[16:]
    four, three = spz.read(tmp_path / "4.spz"), spz.read(tmp_path / "3.spz")
    samples.same(four, three, "mean_m", "quat_wxyz", "scale_m", "opacity", "colour")


def test_spz_of_degree_4_loses_its_last_band(tmp_path: Path) -> None:
    higher = bytes(range(100, 172))
    columns = [bytes(9), b"\xff", bytes([128] * 3), bytes([160] * 3), bytes(4), higher]
    packed = [zstandard.compress(column) for column in columns]
    table = b"".join(struct.pack("<QQ", len(p), len(c)) for p, c in zip(packed, columns, strict=True))
    header = struct.pack(
        "<IIIBBBBI12x", 0x5053474E, 4, 1, 4, 12, 2, 6, 40
    )  # Eight bytes of an extension before the table.
    (tmp_path / "x.spz").write_bytes(header + b"whatever" + table + b"".join(packed))
    got = spz.read(tmp_path / "x.spz")
    assert got.colour.shape == (1, 16, 3)
    sheen = (np.array(list(higher[:45]), np.float32).reshape(15, 3) - 128) / 128
    torch.testing.assert_close(got.colour[0, 1:], torch.from_numpy(sheen) * SH_SIGNS[1:, None])


def test_harmonics_look_the_same_from_the_other_axes() -> None:
    away = torch.nn.functional.normalize(torch.randn(30, 3, generator=torch.Generator().manual_seed(2)), dim=1)
    there = reference.sh_basis(away * POINT_SIGNS)
    torch.testing.assert_close(there * SH_SIGNS, reference.sh_basis(away))


@FORMATS
def test_mutants_are_refused_or_read(codec: ModuleType, tmp_path: Path) -> None:
    codec.write(tmp_path / "x", seen(), 1.5)
    assert samples.survives(codec.read, tmp_path / "y", samples.mutants((tmp_path / "x").read_bytes(), 120)) > 20


@FORMATS
def test_nothing_is_a_scene_too(codec: ModuleType, tmp_path: Path) -> None:
    codec.write(tmp_path / "x", samples.splats(5)[:0], 0.0)
    assert len(codec.read(tmp_path / "x")) == 0


@FORMATS
def test_a_moment_must_be_finite(codec: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="time_s is nan"):
        codec.write(tmp_path / "x", samples.splats(5), math.nan)
    assert list(tmp_path.iterdir()) == []


def header_4(
    version: int = 4, n: int = 1, degree: int = 0, bits: int = 12, streams: int = 5, table_at: int = 32
) -> bytes:
    return struct.pack("<IIIBBBBI12x", 0x5053474E, version, n, degree, bits, 0, streams, table_at)


def framed(columns: list[bytes], *, lie: int = 0, spoil: bool = False, bomb: bool = False) -> bytes:
    """A file of version 4 for one splat; its last stream may be spoiled, or unpack to a megabyte."""
    packed = [zstandard.compress(column) for column in columns]
    if bomb:
        packed[-1] = zstandard.compress(bytes(1_000_000))
    if spoil:
        packed[-1] = b"\0" * len(packed[-1])
    sizes = [(lie or len(small), len(column)) for small, column in zip(packed, columns, strict=True)]
    table = b"".join(struct.pack("<QQ", *pair) for pair in sizes)
    return header_4() + table.ljust(80, b"\0") + b"".join(packed)


def header(n: int = 1, version: int = 3, degree: int = 0, bits: int = 12, magic: int = 0x5053474E) -> bytes:
    return struct.pack("<IIIBBBB", magic, version, n, degree, bits, 0, 0)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "begins neither as gzip nor with 'NGSP'"),
        (b"NGSP" + bytes(40), "is SPZ of version 0"),
        (header_4()[:31], "its header has 31 bytes, not 32"),
        (header_4(version=5), "is SPZ of version 5"),
        (header_4(degree=5), "harmonics of degree 5"),
        (header_4(bits=24), "24 fractional bits"),
        (header_4(n=2**32 - 1), "4294967295 splats cannot be in 32 bytes"),
        (header_4(streams=6), "its 6 streams do not fit 1 splats of degree 0"),
        (header_4(table_at=16), "its 5 streams do not fit"),
        (header_4(table_at=2**32 - 1), "its 5 streams do not fit"),
        (header_4() + bytes(80), "stream 0 says 0 and 0 bytes; 9 are expected"),
        (framed([b"x" * 9], lie=2**60), "stream 0 says .* 9 are expected"),
        (framed([bytes(10)] + [b"x"] * 4), "stream 0 says .* and 10 bytes; 9 are expected"),
        (framed([bytes(9), b"", b"", b"", b""]), "stream 1 says .* and 0 bytes; 1 are expected"),
        (framed([bytes(9), b"1", bytes(3), bytes(3), bytes(4)], spoil=True), "stream 4 cannot be unpacked"),
        (framed([bytes(9), b"1", bytes(3), bytes(3), bytes(4)], bomb=True), "stream 4 does not unpack to the 4 bytes"),
        (b"\x1f\x8b" + bytes(20), "is broken"),
        (gzip.compress(b"short"), "cut short: its header has 5 bytes"),
        (gzip.compress(header(magic=7) + bytes(20)), "begins with 0x7"),
        (gzip.compress(header(version=1) + bytes(20)), "version 1"),
        (gzip.compress(header(degree=9) + bytes(20)), "degree 9"),
        (gzip.compress(header(bits=60) + bytes(20)), "60 fractional bits"),
        (gzip.compress(header() + bytes(19)), "need 20 bytes, there are 19"),
        (gzip.compress(header(n=2**32 - 1) + bytes(100)), "cannot be in"),
        (gzip.compress(header(n=100) + bytes(2000))[:-20], "is "),
    ],
)
def test_a_broken_spz_is_one_error(data: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "x.spz").write_bytes(data)
    with pytest.raises(FormatError, match=says):
        spz.read(tmp_path / "x.spz")


@pytest.mark.parametrize(
    ("data", "says"),
    [(bytes(33), "no multiple of 32"), (bytes(32), "scale_m"), (np.full(8, np.nan, "<f4").tobytes(), "broken")],
)
def test_a_broken_splat_is_one_error(data: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "x.splat").write_bytes(data)
    with pytest.raises(FormatError, match=says):
        splat.read(tmp_path / "x.splat")


@FORMATS
def test_a_missing_file(codec: ModuleType, tmp_path: Path) -> None:
    read: Callable[[Path], Splats] = codec.read
    with pytest.raises(FormatError, match="Cannot read"):
        read(tmp_path / "nowhere")
