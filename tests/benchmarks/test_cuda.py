"""The figures of the GPU, made on the CPU: that they can be made at all."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import cuda
from fourd.errors import MissingError


@pytest.mark.needs("native")
def test_a_long_scene_has_the_share_alive_that_it_says() -> None:
    splats = cuda.long_scene(10_000, 0.1)
    alive = splats.opacity * torch.exp(-0.5 * (splats.time_s / splats.duration_s) ** 2) > 1 / 255
    assert abs(float(alive.float().mean()) - 0.1) < 0.01


@pytest.mark.needs("native")
def test_the_figures_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "a" / "figures.json"
    words = f"--device cpu --splats 300 --hw 12 16 --planes 4 --repeats 1 --out {out}"
    monkeypatch.setattr(sys, "argv", ["cuda", *words.split()])
    cuda.main()
    rows = json.loads(out.read_text())["rows"]
    assert {row["what"] for row in rows} >= {"draw", "draw, and gradients", "semi-global matching", "discs"}
    assert all(row["ms"] > 0 for row in rows)


def test_without_a_gpu_it_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["cuda"])
    with pytest.raises(MissingError, match="--device is cuda, but CUDA cannot be used here"):
        cuda.main()
