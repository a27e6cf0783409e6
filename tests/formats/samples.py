"""Scenes made for these tests: every field is used and no two splats are alike."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from fourd.errors import FormatError
from fourd.geometry import rigid
from fourd.types import Cameras, Provenance, Sound, Splats, Uncertainty

HW = (72, 128)


def splats(n: int = 50, coefficients: int = 4, seed: int = 0) -> Splats:
    """Splats of all ages; a third of them is always there."""
    g = torch.Generator().manual_seed(seed)
    duration = 0.05 + torch.rand(n, generator=g)
    duration[::3] = math.inf
    return Splats(
        mean_m=torch.randn(n, 3, generator=g) * 3,
        quat_wxyz=torch.nn.functional.normalize(torch.randn(n, 4, generator=g), dim=1),
        scale_m=torch.rand(n, 3, generator=g) * 0.1 + 1e-4,
        opacity=torch.rand(n, generator=g),
        colour=torch.randn(n, coefficients, 3, generator=g),
        velocity_mps=torch.randn(n, 3, generator=g),
        time_s=torch.rand(n, generator=g) * 4,
        duration_s=duration,
        source=torch.randint(0, 2, (n,), generator=g, dtype=torch.uint8),
    )


def cameras(n: int = 5, seed: int = 0) -> Cameras:
    """Cameras with oblong, slightly skewed pixels and a principal point off the middle."""
    g = torch.Generator().manual_seed(seed)
    pose = torch.eye(4).repeat(n, 1, 1)
    pose[:, :3, :3] = rigid.matrix_from_rotvec(torch.randn(n, 3, generator=g))
    pose[:, :3, 3] = torch.randn(n, 3, generator=g)
    K = torch.tensor([[100.1, 0.25, 60.3], [0, 103.7, 39.9], [0, 0, 1]]).repeat(n, 1, 1)
    K[:, 0, 0] += torch.rand(n, generator=g)
    return Cameras(K, pose, HW, torch.arange(n, dtype=torch.float64) * 0.3 + 0.1)


def upright(n: int = 5, seed: int = 0) -> Cameras:
    """The same without skew, for formats that know none."""
    made = cameras(n, seed)
    K = made.K.clone()
    K[:, 0, 1] = 0
    return made.replace(K=K)


def sound() -> Sound:
    """A tenth of a second of stereo noise."""
    samples = torch.rand(800, 2, generator=torch.Generator().manual_seed(1)) * 2 - 1
    return Sound(samples, rate_hz=8000, start_s=-0.05)


def provenance() -> Provenance:
    """All fields filled."""
    return Provenance(
        "läufer.mp4",
        {"seed": 1, "fuse": {"k": [1, 2.5, None]}},
        {"fourd": "0.1"},
        {"depth": 1.25},
        ["dark"],
        True,
        0.5,
        [0.6, -0.8, 0.0],
        Uncertainty(0.002, 0.1, 0.01),
    )


def same(a: object, b: object, *names: str) -> None:
    """Fields are equal bit for bit."""
    for name in names:
        assert torch.equal(getattr(a, name), getattr(b, name)), name


def mutants(data: bytes, count: int, seed: int = 0) -> list[bytes]:
    """Broken copies: cut short at many points, then bytes changed at random, singly and in runs."""
    g = torch.Generator().manual_seed(seed)

    def draw(high: int) -> int:
        return int(torch.randint(0, max(high, 1), (1,), generator=g))

    cut = [data[: draw(len(data))] for _ in range(count // 4)] + [data[:i] for i in range(0, min(len(data), 60), 3)]
    changed = []
    for i in range(count - count // 4):
        # Half of the changes hit the first bytes, where headers are.
        broken = bytearray(data)
        for _ in range(1 + i % 4):
            where = draw(min(len(data), 2000) if i % 2 else len(data))
            for k in range(where, min(where + 1 + draw(3), len(data))):
                broken[k] = draw(256)
        changed.append(bytes(broken))
    return cut + changed


def survives(read, path: Path, data: list[bytes]) -> int:
    """Read every mutant: a FormatError or a result, never anything else. Returns how many were refused."""
    refused = 0
    for i, mutant in enumerate(data):
        path.write_bytes(mutant)
        try:
            read(path)
        except FormatError as error:
            assert str(error)
            refused += 1
        except Exception as error:
            pytest.fail(f"Mutant {i} of {len(data)} raised {type(error).__name__}: {error}")
    return refused
