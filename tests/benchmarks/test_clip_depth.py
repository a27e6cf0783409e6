"""The command that judges the depth of clips: a table and a chart, or one clear error."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from benchmarks import clip_depth
from fourd.errors import InputError
from tests.benchmarks import worlds


def test_the_truth_is_without_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    told = worlds.world([0.0, 0.5, 1.0], [0.0, 0.0, 0.0])
    assert told.depth is not None and told.moving is not None
    monkeypatch.setattr(clip_depth.truth, "read", lambda _: told)
    monkeypatch.setattr(clip_depth, "found", lambda clip, depth: told.depth)
    chart = tmp_path / "charts" / "confidence.png"
    clip_depth.main(clip_depth.Options((Path("world"),), chart=chart))
    assert chart.read_bytes()[:4] == b"\x89PNG"
    figures, _ = clip_depth.judge(told, told.depth)
    assert [figures[k] for k in ("static", "whole", "flicker", "calibration")] == pytest.approx([0] * 4, abs=1e-5)
    assert capsys.readouterr().out.split("\n")[1].split() == "world 0.000 – 0.000 1.000 0.00 – 0.000".split()


def test_depth_is_found_as_the_pipeline_finds_it() -> None:
    told = worlds.world([0.0, 0.5, 1.0], [0.0, 0.0, 0.0])
    assert len(clip_depth.found(told.clip, "prior")) == 3


def test_what_cannot_be_judged_is_said() -> None:
    with pytest.raises(InputError, match="Name folders of truth, or scenes of the stage"):
        clip_depth.main(clip_depth.Options())
    told = worlds.world([0.0], [0.0])
    assert told.depth is not None
    with pytest.raises(InputError, match="'world' has no true depth; leave it out"):
        clip_depth.judge(dataclasses.replace(told, depth=None), told.depth)
