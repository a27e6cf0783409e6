"""Two thousand broken files of each format, read in a process of its own that may not take much memory.

``python -m tests.formats.hostile`` prints JSON: for each format how many were refused and how many read, and what went
wrong: any error but a ``FourdError``, more than two seconds of processor time, or more than 256 MB beyond what the
process had before. It is a process of its own so that the limit on its memory means something, and so that nothing
checks annotations meanwhile, which takes ten times as long as the reading.
"""

from __future__ import annotations

import dataclasses
import functools
import gzip
import json
import re
import resource
import signal
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
import zstandard

from fourd.errors import FourdError
from fourd.formats import (
    camera_path,
    cameras,
    colmap,
    depth,
    depth_pictures,
    fourdgs,
    glb,
    khr,
    ply,
    splat,
    splatv,
    spz,
    trajectory,
    transforms,
)
from tests.formats import samples, test_khr

COUNT = 2000
LIMIT_BYTES = 256_000_000
LIMIT_S = 2.0
_NUMBER = re.compile(rb"-?\d+(\.\d+)?([eE][-+]?\d+)?")
_WORDS = [
    b"0",
    b"-1",
    b"1e999",
    b"1e308",
    b"NaN",
    b"null",
    b"[]",
    b"{}",
    b'""',
    b"true",
    b"4294967296",
    b"0.5",
    b"1" * 400,
]
_INTEGERS = [0, 1, 2, 255, 2**15, 2**16 - 1, 2**24, 2**31 - 1, 2**31, 2**32 - 1]
_FLOATS = [float("nan"), float("inf"), float("-inf"), 3e38, -3e38, 1e-45, 0.0, -1.0]


def mutants(data: bytes, count: int, rng: np.random.Generator) -> Iterator[bytes]:
    """Cut, flipped, swapped, overwritten with extremes, repeated, emptied."""
    for i in range(count):
        broken = bytearray(data)
        # Headers are short and matter most: half of the changes are there.
        reach = len(data) if i % 2 else min(len(data), 400)

        def where(room: int, reach: int = reach) -> int:
            return int(rng.integers(max(1, reach - room)))

        kind = i % 10
        if kind == 0:
            yield data[: where(0)]
            continue
        if kind == 1 and (numbers := [m.span() for m in _NUMBER.finditer(data)]):
            start, end = numbers[int(rng.integers(len(numbers)))]
            broken[start:end] = _WORDS[int(rng.integers(len(_WORDS)))]
        elif kind in (2, 3):
            for _ in range(int(rng.integers(1, 4))):
                broken[where(0)] ^= 1 << int(rng.integers(8))
        elif kind == 4:
            width = int(rng.choice([1, 2, 4, 8]))
            at = where(width)
            value = _INTEGERS[int(rng.integers(len(_INTEGERS)))] % 2 ** (8 * width)
            broken[at : at + width] = value.to_bytes(width, "little")
        elif kind == 5:
            at = where(4) & ~3
            broken[at : at + 4] = struct.pack("<f", _FLOATS[int(rng.integers(len(_FLOATS)))])
        elif kind == 6:
            a, b = where(4), where(4)
            broken[a : a + 4], broken[b : b + 4] = broken[b : b + 4], broken[a : a + 4]
        elif kind == 7:
            at, long = where(0), int(rng.integers(1, 64))
            broken[at : at + long] = bytes(rng.integers(0, 256, min(long, len(data) - at), dtype=np.uint8))
        elif kind == 8:
            at, long = where(0), int(rng.integers(1, 64))
            broken[at:at] = broken[at : at + long]
        else:
            at, long = where(0), int(rng.integers(1, 64))
            del broken[at : at + long]
        yield bytes(broken)


def unzipped(data: bytes, count: int, rng: np.random.Generator) -> Iterator[bytes]:
    """Half of the changes are made to what a gzip stream holds."""
    yield from mutants(data, count // 2, rng)
    yield from (gzip.compress(m, 1) for m in mutants(gzip.decompress(data), count - count // 2, rng))


def unframed(data: bytes, count: int, rng: np.random.Generator) -> Iterator[bytes]:
    """Half of the changes are made to the streams of an SPZ of version 4, whose sizes then fit again, or do not."""
    yield from mutants(data, count // 2, rng)
    streams, table_at = struct.unpack_from("<BI", data, 15)
    at, columns = table_at + 16 * streams, []
    for i in range(streams):
        size = struct.unpack_from("<Q", data, table_at + 16 * i)[0]
        columns.append(zstandard.decompress(data[at : at + size]))
        at += size
    for i, broken in enumerate(mutants(columns[0] + bytes(64), count - count // 2, rng)):
        packed = [zstandard.compress(c, 1) for c in columns]
        column = i % streams
        packed[column] = zstandard.compress(broken * (1 if i % 50 else 200_000), 1)
        table = b"".join(struct.pack("<QQ", len(p), len(c)) for p, c in zip(packed, columns, strict=True))
        yield data[:table_at] + table + b"".join(packed)


def _png() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        depth_pictures.write(Path(folder) / "d.png", torch.rand(6, 8) + 1, torch.ones(6, 8))
        return (Path(folder) / "d.png").read_bytes()


def _read_depth(path: Path) -> object:
    """A folder with one picture of depth, or an .npz."""
    return depth.read_depth(path if path.suffix == ".npz" else path.parent, torch.eye(3)[None], (6, 8))


def _model(path: Path, binary: int) -> None:
    colmap.write(path.parent, samples.upright(2), binary=bool(binary))


def _read_model(path: Path) -> object:
    return cameras.read_cameras(path.parent, time_s=torch.arange(2, dtype=torch.float64))


@dataclasses.dataclass(frozen=True)
class Format:
    """How a small file of a format is made, broken and read."""

    name: str
    write: Callable[[Path], object]
    read: Callable[[Path], object]
    breaks: Callable[[bytes, int, np.random.Generator], Iterator[bytes]] = mutants


def formats() -> list[Format]:
    splats, lenses = samples.splats(4, 4), samples.upright(1)
    whole = {"splats": splats, "cameras": lenses}
    K, pose = lenses.K.numpy(), lenses.world_from_cam.numpy()
    return [
        Format("exact.glb", lambda p: glb.write(p, **whole, sound=samples.sound()), glb.read),
        Format("small.glb", lambda p: glb.write(p, **whole, quantised=True), glb.read),
        Format("foreign.glb", lambda p: test_khr.foreign(p, splats), khr.read),
        Format("x.4dgs", lambda p: fourdgs.write(p, **whole), fourdgs.read),
        Format("x.splatv", lambda p: splatv.write(p, **whole), splatv.read),
        Format("x.ply", lambda p: ply.write(p, splats, 1.5), ply.read),
        Format("3.spz", lambda p: spz.write(p, splats, 1.5), spz.read, unzipped),
        Format("4.spz", lambda p: spz.write(p, splats, 1.5, version=4), spz.read, unframed),
        Format("x.splat", lambda p: splat.write(p, splats, 1.5), splat.read),
        Format("transforms.json", lambda p: transforms.write(p, lenses), cameras.read_cameras),
        Format("camera_path.json", lambda p: camera_path.write(p, lenses, fps=24), camera_path.read),
        Format("t.txt", lambda p: trajectory.write(p, lenses), cameras.read_cameras),
        *(
            Format(f"{name[:6]}{binary:d}/{name}", functools.partial(_model, binary=binary), _read_model)
            for binary, names in enumerate((("cameras.txt", "images.txt"), ("cameras.bin", "images.bin")))
            for name in names
        ),
        Format(
            "cameras.npz",
            lambda p: np.savez(p, K=K, world_from_cam=pose, hw=samples.HW, time_s=np.zeros(1)),
            cameras.read_cameras,
        ),
        Format("depth.npz", lambda p: np.savez(p, depth_m=np.ones((1, 6, 8), np.float32)), _read_depth),
        Format("depth/0.png", lambda p: p.write_bytes(_png()), _read_depth),
    ]


class TooSlow(BaseException):
    """Nothing that reads a file may catch it."""


def _too_slow(*_: object) -> None:
    raise TooSlow


def _memory_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def attack(form: Format, folder: Path, count: int, limit_s: float = LIMIT_S) -> dict[str, object]:
    """Read ``count`` mutants of a format."""
    path = folder / form.name
    path.parent.mkdir(exist_ok=True)
    form.write(path)
    form.read(path)  # What is not broken is read, and what is imported late is imported now.
    data = path.read_bytes()
    rng = np.random.default_rng([len(form.name), *form.name.encode()])
    found: dict[str, object] = {"refused": 0, "read": 0}
    wrong: list[str] = []
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_memory_bytes() + LIMIT_BYTES, hard))
    for i, mutant in enumerate(form.breaks(data, count, rng)):
        path.write_bytes(mutant)
        signal.setitimer(signal.ITIMER_VIRTUAL, limit_s)
        try:
            form.read(path)
            found["read"] += 1  # type: ignore[operator]
        except FourdError as error:
            found["refused"] += 1  # type: ignore[operator]
            if not str(error):
                wrong.append(f"{i}: an error without words")
        except (Exception, TooSlow) as error:
            wrong.append(f"{i}: {type(error).__name__}: {error}"[:300])
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    path.unlink()
    return found | {"wrong": wrong}


def careless() -> list[Format]:
    """Readers with the faults that an attack is to find: memory, time, and errors of any kind."""
    whole = b"0123456789" * 10

    def greedy(path: Path) -> object:
        return path.read_bytes() == whole or bytearray(2 * LIMIT_BYTES)

    def endless(path: Path) -> object:
        data = path.read_bytes()
        while data != whole:
            pass
        return None

    readers = {"MemoryError": greedy, "TooSlow": endless, "ValueError": lambda path: int(path.read_bytes()[:5])}
    return [Format(name, lambda p: p.write_bytes(whole), read) for name, read in readers.items()]


def main(count: int) -> None:
    import warnings

    warnings.simplefilter("error")
    torch.set_num_threads(1)
    signal.signal(signal.SIGVTALRM, _too_slow)
    # In memory where that is offered: twenty thousand files are written and read.
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        found = {form.name: attack(form, Path(folder), count) for form in formats()}
        found |= {form.name: attack(form, Path(folder), 10, limit_s=0.1) for form in careless()}
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else COUNT)
