"""Broken files: thousands of mutants a format in a process of their own, and those that somebody thought of."""

from __future__ import annotations

import gzip
import json
import math
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard
from fourdgs import opcode
from fourdgs.serialization import MAGIC, iter_records

from fourd.errors import FormatError
from fourd.formats import fourdgs, ply, splat, splatv, spz
from tests.formats import hostile, samples

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, Any]]:
    """What came of reading the mutants of every format."""
    quiet = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    words = [sys.executable, "-m", "tests.formats.hostile"]
    done = subprocess.run(words, cwd=ROOT, env=os.environ | quiet, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stderr == "", "Readers print nothing."
    return json.loads(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limit on memory is Linux's")
@pytest.mark.parametrize("name", [form.name for form in hostile.formats()])
def test_two_thousand_mutants_are_read_or_refused_in_bounded_time_and_memory(found: dict, name: str) -> None:
    assert found[name]["wrong"] == []
    assert found[name]["refused"] + found[name]["read"] == hostile.COUNT
    assert found[name]["refused"] > hostile.COUNT // 3


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limit on memory is Linux's")
@pytest.mark.parametrize("fault", [form.name for form in hostile.careless()])
def test_the_attack_finds_what_is_wrong(found: dict, fault: str) -> None:
    assert any(f": {fault}" in text for text in found[fault]["wrong"])


def refused(read: Callable[[Path], object], folder: Path, data: bytes, says: str) -> None:
    (folder / "x").write_bytes(data)
    with pytest.raises(FormatError, match=says):
        read(folder / "x")


# .splat: rows of 32 bytes, and nothing else to hold on to.

ROW = struct.pack("<6f8B", 1, 2, 3, 0.1, 0.1, 0.1, 9, 9, 9, 255, 255, 128, 128, 128)


def _row(at: int, value: float) -> bytes:
    return ROW + ROW[: 4 * at] + struct.pack("<f", value) + ROW[4 * at + 4 :]


@pytest.mark.parametrize("length", [1, 4, 12, 24, 28, 31, 33, 63, 95, 1000])
def test_a_splat_file_that_ends_within_a_row(length: int, tmp_path: Path) -> None:
    refused(splat.read, tmp_path, (ROW * 40)[:length], f"its {length} bytes are no multiple of 32")


@pytest.mark.parametrize("at", range(6))
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_splat_file_of_numbers_that_are_none(at: int, value: float, tmp_path: Path) -> None:
    refused(splat.read, tmp_path, _row(at, value), "is broken: Splats.(mean_m|scale_m)")


@pytest.mark.parametrize("value", [0.0, -1.0])
@pytest.mark.parametrize("at", [3, 4, 5])
def test_a_splat_file_of_splats_without_size(at: int, value: float, tmp_path: Path) -> None:
    refused(splat.read, tmp_path, _row(at, value), "scale_m must be positive; 1 values are not")


def test_a_splat_file_of_a_rotation_of_no_length(tmp_path: Path) -> None:
    refused(splat.read, tmp_path, ROW[:28] + bytes([128] * 4), "is broken: Splats.quat_wxyz holds NaN")


# .ply

NAMES = "x y z f_dc_0 f_dc_1 f_dc_2 opacity scale_0 scale_1 scale_2 rot_0 rot_1 rot_2 rot_3".split()
VALUES = [1.0, 2, 3, 0, 0, 0, 0, -3, -3, -3, 1, 0, 0, 0]


def _ply(names: list[str], values: list[float]) -> bytes:
    head = "ply\nformat binary_little_endian 1.0\nelement vertex 1\n"
    head += "".join(f"property float {name}\n" for name in names) + "end_header\n"
    return head.encode() + struct.pack(f"<{len(values)}f", *values)


def test_the_ply_that_is_broken_below_is_whole(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(_ply(NAMES, VALUES))
    assert len(ply.read(tmp_path / "x")) == 1


@pytest.mark.parametrize("name", NAMES)
def test_a_ply_without_one_of_its_properties(name: str, tmp_path: Path) -> None:
    rest = [other for other in NAMES if other != name]
    refused(ply.read, tmp_path, _ply(rest, VALUES[:-1]), f"its vertices have no property {name}")


@pytest.mark.parametrize("name", NAMES)
def test_a_ply_with_a_number_that_is_none(name: str, tmp_path: Path) -> None:
    values = [math.nan if other == name else value for other, value in zip(NAMES, VALUES, strict=True)]
    refused(ply.read, tmp_path, _ply(NAMES, values), "is broken: Splats")


@pytest.mark.parametrize("value", [1e30, -1e30, math.inf])
def test_a_ply_whose_logarithms_are_too_large(value: float, tmp_path: Path) -> None:
    values = [value if name == "scale_1" else other for name, other in zip(NAMES, VALUES, strict=True)]
    refused(ply.read, tmp_path, _ply(NAMES, values), "is broken: Splats.scale_m")


# .spz: bombs, on top of what test_interchange.py has.


@pytest.mark.parametrize("n", [10**6, 10**7, 10**8, 2**32 - 1])
@pytest.mark.parametrize("version", [2, 3])
def test_an_spz_of_more_splats_than_it_can_hold(n: int, version: int, tmp_path: Path) -> None:
    header = struct.pack("<IIIBBBB", 0x5053474E, version, n, 3, 12, 0, 0)
    refused(spz.read, tmp_path, gzip.compress(header + bytes(100_000)), f"{n} splats cannot be in")


@pytest.mark.parametrize("megabytes", [10, 100])
def test_an_spz_whose_stream_unpacks_to_far_more_than_it_says(megabytes: int, tmp_path: Path) -> None:
    """Of a gzip bomb no more is unpacked than was announced; a zstd frame says beforehand how long it is."""
    header = struct.pack("<IIIBBBB", 0x5053474E, 3, 1, 0, 12, 0, 0)
    (tmp_path / "x").write_bytes(gzip.compress(header + bytes([0] * 9 + [255] * 11) + bytes(megabytes * 10**6), 1))
    assert len(spz.read(tmp_path / "x")) == 1
    frames = [zstandard.compress(bytes(size)) for size in (megabytes * 10**6, 1, 3, 3, 4)]
    sizes = b"".join(struct.pack("<QQ", len(f), s) for f, s in zip(frames, (9, 1, 3, 3, 4), strict=True))
    head = struct.pack("<IIIBBBBI12x", 0x5053474E, 4, 1, 0, 12, 0, 5, 32)
    refused(spz.read, tmp_path, head + sizes + b"".join(frames), "stream 0 does not unpack to the 9 bytes")


# .splatv

TEXEL = np.zeros(32, "<f2")
TEXEL[6:13] = [1, 0, 0, 0, 0.1, 0.1, 0.1]
TEXEL[31] = 0.5
TEXEL[14:16] = np.array([0xFFFFFFFF], "<u4").view("<f2")


def _splatv(
    document: object = None, body: bytes | None = None, magic: int = 0x674B, length: int | None = None
) -> bytes:
    body = TEXEL.tobytes() if body is None else body
    text = json.dumps([{"type": "splat", "size": len(body)}] if document is None else document).encode()
    return struct.pack("<II", magic, len(text) if length is None else length) + text + body


def _chunk(**more: object) -> list[dict[str, object]]:
    return [{"type": "splat", "size": 64} | more]


def _lens(**more: object) -> dict[str, object]:
    eye = [[float(i == j) for j in range(4)] for i in range(4)]
    one = {"K": [[9, 0, 4], [0, 9, 4], [0, 0, 1]], "world_from_cam": eye, "time_s": 0.0} | more
    return {"hw": [8, 8], "cameras": [one]}


def _body(at: int, value: float) -> bytes:
    changed = TEXEL.copy()
    changed[at] = value
    return changed.tobytes()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "does not begin with 0x674b"),
        (b"Kg\0\0", "does not begin with 0x674b"),
        (_splatv(magic=0x674C), "does not begin with 0x674b"),
        (_splatv(length=2**32 - 1), "4294967295 bytes of JSON are not there"),
        (_splatv(length=0), "is not JSON"),
        (_splatv(length=5), "is not JSON"),
        (_splatv({}), "must be a JSON array, not an object"),
        (_splatv([]), "holds no splats: none of its 0 chunks"),
        (_splatv([3]), r"chunks\[0\] must be a JSON object, not 3"),
        (_splatv([{"type": "splat"}]), r"chunks\[0\].size must be a whole number"),
        (_splatv(_chunk(size=-64)), "size must be a whole number"),
        (_splatv(_chunk(size=2**40)), "chunk 0 says 1099511627776 bytes, there are 64"),
        (_splatv(_chunk(size=65)), "chunk 0 says 65 bytes, there are 64"),
        (_splatv(_chunk(size=63)), "its 63 bytes of splats are no multiple of 64"),
        (_splatv(_chunk(type="Splat")), "none of its 1 chunks is of the type 'splat'"),
        (_splatv([{"type": "a", "size": 64}, {"type": "splat", "size": 64}]), "chunk 1 says 64 bytes, there are 0"),
        (_splatv(_chunk(fourd=[])), "fourd must be a JSON object"),
        (_splatv(_chunk(fourd={"seconds": 0})), "fourd.seconds is 0; a film must last"),
        (_splatv(_chunk(fourd={"seconds": -1})), "a film must last"),
        (_splatv(_chunk(fourd={"seconds": 1e200})), "a film must last"),
        (_splatv(_chunk(fourd={"start_s": "now"})), 'fourd.start_s must be a finite number, not "now"'),
        (_splatv(_chunk(fourd={"splats": 2})), "fourd.splats must be a whole number from 0 to 1"),
        (_splatv(_chunk(fourd={"splats": -1})), "fourd.splats must be a whole number"),
        (_splatv(_chunk(fourd={"cameras": 3})), "fourd.cameras must be a JSON array"),
        (_splatv(_chunk(fourd={"cameras": [{}]})), "hw must be a JSON array"),
        (_splatv(_chunk(fourd=_lens(K=[1, 2]))), "K must hold 9 numbers"),
        (_splatv(_chunk(fourd=_lens(world_from_cam=[0] * 16))), "is not rigid"),
        (_splatv(_chunk(fourd=_lens(time_s=None))), "time_s must be a finite number"),
        (_splatv(_chunk(fourd=_lens() | {"cameras": []})), "Cameras holds no camera"),
        (_splatv(_chunk(fourd=_lens() | {"provenance": 3})), "provenance must be a JSON object"),
        (_splatv(_chunk(fourd={"splats": 1}), _body(6, 0)), "quat_wxyz holds NaN"),
        (_splatv(_chunk(fourd={"splats": 1}), _body(10, 0)), "scale_m must be positive"),
        (_splatv(_chunk(), _body(10, math.inf)), "is broken: Splats"),
        (_splatv(_chunk(), _body(16, math.nan)), "velocity_mps holds NaN"),
        (_splatv(_chunk(), _body(30, math.inf)), "time_s holds NaN"),
        (_splatv(_chunk(), _body(31, 0)), "duration_s must be positive"),
        (_splatv(_chunk(), _body(31, -1)), "duration_s must be positive"),
        (_splatv(_chunk(), b"\0\0\xc0\x7f" + TEXEL.tobytes()[4:]), "mean_m holds NaN"),
    ],
)
def test_a_broken_splatv_is_one_error(data: bytes, says: str, tmp_path: Path) -> None:
    refused(splatv.read, tmp_path, data, says)


# .4dgs: records of an opcode, a length and a content.


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[int, bytes]]:
    path = tmp_path_factory.mktemp("whole") / "x.4dgs"
    fourdgs.write(path, splats=samples.splats(6, 4), cameras=samples.cameras(2), sound=samples.sound())
    return [(r.opcode, bytes(r.content)) for r in iter_records(path.read_bytes(), len(MAGIC))]


def _joined(records: list[tuple[int, bytes]]) -> bytes:
    return MAGIC + b"".join(struct.pack("<BQ", op, len(content)) + content for op, content in records) + MAGIC


def _changed(records: list[tuple[int, bytes]], kind: int, change: Callable[[bytearray], object]) -> bytes:
    """The file with the first record of a kind changed."""
    index = [op for op, _ in records].index(kind)
    content = bytearray(records[index][1])
    change(content)
    return _joined([*records[:index], (kind, bytes(content)), *records[index + 1 :]])


def _stream(content: bytearray) -> int:
    """Where the first attribute stream of a chunk begins: after two times, level, count, no name, two lengths."""
    return 8 + 8 + 4 + 4 + 4 + 8 + 8


def _put(form: str, at: int, value: object, stream: bool = False) -> Callable[[bytearray], object]:
    return lambda content: struct.pack_into("<" + form, content, at + (_stream(content) if stream else 0), value)


def test_the_4dgs_that_is_broken_below_is_whole(records: list, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(_joined(records))
    assert len(fourdgs.read(tmp_path / "x").splats) == 6


@pytest.mark.parametrize(
    "change", [b"", b"\x89", b"\x894DGS1\r", b"4DGS1\r\n\0", b"PK\x03\x04aaaa", b"\x894DGS2\r\n", b"\x894DGS1\n\n"]
)
def test_what_is_no_4dgs(change: bytes, records: list, tmp_path: Path) -> None:
    refused(
        fourdgs.read, tmp_path, change + _joined(records)[8:] * bool(len(change) == 8), "is not a .4dgs|is broken|cut"
    )


@pytest.mark.parametrize("count", range(10))
def test_a_4dgs_that_ends_after_some_records(count: int, records: list, tmp_path: Path) -> None:
    refused(fourdgs.read, tmp_path, _joined(records[:count])[: -len(MAGIC)], "is broken: ")


@pytest.mark.parametrize("cut", [1, 7, 8, 9, 40, 200])
def test_a_4dgs_that_ends_within_a_record(cut: int, records: list, tmp_path: Path) -> None:
    refused(fourdgs.read, tmp_path, _joined(records)[:-cut], "is broken: ")


@pytest.mark.parametrize("kind", [opcode.HEADER, opcode.QUANTIZATION, opcode.AUDIO_DATA, opcode.AUDIO_SOURCE])
def test_a_4dgs_without_one_of_its_records(kind: int, records: list, tmp_path: Path) -> None:
    refused(fourdgs.read, tmp_path, _joined([r for r in records if r[0] != kind]), "is broken: ")


@pytest.mark.parametrize(
    ("kind", "change", "says"),
    [
        (opcode.CHUNK, _put("I", 20, 2**32 - 1), "4294967295 splats of 1 numbers cannot be in"),
        (opcode.CHUNK, _put("I", 20, 5), "declares 5 gaussians|is broken"),
        (opcode.CHUNK, _put("Q", 28, 2**50), "cannot be in"),
        (opcode.CHUNK, _put("Q", 28, 3), "declares uncompressed_size 3"),
        (opcode.CHUNK, _put("Q", 36, 2**63), "is broken"),
        (opcode.CHUNK, _put("B", 0, 200, stream=True), "missing required attributes"),
        (opcode.CHUNK, _put("B", 1, 3, stream=True), "bad symbol width 3"),
        (opcode.CHUNK, _put("B", 2, 9, stream=True), "unknown stream mode 9"),
        (opcode.CHUNK, _put("B", 3, 7, stream=True), "unknown stream codec 7"),
        (opcode.CHUNK, _put("B", 4, 0, stream=True), "zero channels"),
        (opcode.CHUNK, _put("B", 4, 255, stream=True), "6 splats of 255 numbers cannot be in"),
        (opcode.CHUNK, _put("I", 5, 2**31, stream=True), "2147483648 splats of 3 numbers cannot be in"),
        (opcode.CHUNK, _put("I", 5, 90_000, stream=True), "is broken"),
        (opcode.CHUNK, _put("Q", 9, 2**62, stream=True), "is broken"),
        (opcode.CHUNK, _put("B", 17, 0, stream=True), "is broken"),
        (opcode.SH_BAND_STREAM, _put("B", 0, 3), "do not form whole degrees"),
        (opcode.SH_BAND_STREAM, _put("I", 6, 2**31), "cannot be in"),
        (opcode.WINDOW_TABLE, _put("I", 0, 2**32 - 1), "is broken"),
        (opcode.HEADER, lambda c: c.__setitem__(slice(None), c.replace(b'"hw"', b'"wh"')), "hw must be a JSON array"),
        (opcode.HEADER, lambda c: c.__setitem__(slice(None), c.replace(b'"cameras"', b'"Cameras"')), None),
        (opcode.HEADER, lambda c: c.__setitem__(slice(None), c.replace(b'{"hw"', b'["hw"')), "is not JSON"),
        (opcode.HEADER, lambda c: c.__setitem__(slice(None), c.replace(b'"K":[[', b'"K":[{')), "is not JSON"),
        (
            opcode.HEADER,
            lambda c: c.__setitem__(slice(None), c.replace(b"gaussian-birth", b"gaussian-death")),
            "is broken",
        ),
        (opcode.AUDIO_DATA, lambda c: c.__setitem__(slice(None), c.replace(b"RIFF", b"RAFF")), "is not a WAV file"),
    ],
)
def test_a_broken_4dgs_is_one_error(
    kind: int, change: Callable, says: str | None, records: list, tmp_path: Path
) -> None:
    data = _changed(records, kind, change)
    if says is None:  # A camera fewer is no fault.
        (tmp_path / "x").write_bytes(data)
        assert fourdgs.read(tmp_path / "x").cameras is None
    else:
        refused(fourdgs.read, tmp_path, data, says)


@pytest.mark.parametrize("at", range(8, 200, 8))
def test_a_4dgs_of_steps_that_are_no_numbers(at: int, records: list, tmp_path: Path) -> None:
    """Wherever a float of 8 bytes stands in the quantisation, NaN is refused, or the splats are found to be none."""
    content = dict(records)[opcode.QUANTIZATION]
    if at + 8 > len(content):
        return
    data = _changed(records, opcode.QUANTIZATION, _put("d", at, math.nan))
    (tmp_path / "x").write_bytes(data)
    try:
        got = fourdgs.read(tmp_path / "x")
    except FormatError as error:
        assert "is broken: " in str(error)
    else:
        assert bool(got.splats.mean_m.isfinite().all())


def test_a_4dgs_that_would_unpack_to_gigabytes(records: list, tmp_path: Path) -> None:
    bomb = zlib.compress(bytes(50_000_000), 9)
    streams = struct.pack("<BBBBBIQ", 0, 1, 0, 0, 3, 16_666_666, len(bomb)) + bomb
    index = [op for op, _ in records].index(opcode.CHUNK)
    head = struct.pack("<ddIIIQQ", 0, 1, 0, 16_666_666, 0, len(streams), len(streams))
    data = _joined([*records[:index], (opcode.CHUNK, head + streams), *records[index + 1 :]])
    refused(fourdgs.read, tmp_path, data, "16666666 splats of 1 numbers cannot be in")
