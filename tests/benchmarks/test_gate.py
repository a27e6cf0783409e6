"""What counts as worse than the baseline, and what the rasterizer's benchmark writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import gate, raster
from benchmarks.gate import Metric
from fourd.errors import FormatError

OLD = {"yardstick_ms": 10.0, "metrics": {"draw": 40.0, "ratio": 3.0}}


@pytest.mark.parametrize(
    ("metric", "yardstick", "worse"),
    [
        (Metric("draw", 47.9, "ms", 0.2), 10.0, False),
        (Metric("draw", 48.1, "ms", 0.2), 10.0, True),
        (Metric("draw", 90.0, "ms", 0.2), 20.0, False),  # A machine half as fast.
        (Metric("draw", 30.0, "ms", 0.2), 5.0, True),  # And one that should be twice as fast.
        (Metric("ratio", 3.5, "", 0.2), 1.0, False),  # What is no time does not depend on the machine.
        (Metric("ratio", 3.7, "", 0.2), 100.0, True),
        (Metric("ratio", float("nan"), "", 0.2), 10.0, True),
        (Metric("new", 1e9, "ms", 0.2), 10.0, False),
    ],
)
def test_what_grew_beyond_its_tolerance_is_worse(metric: Metric, yardstick: float, worse: bool) -> None:
    assert bool(gate.compare([metric], yardstick, OLD)) == worse


def test_what_is_worse_is_said() -> None:
    (said,) = gate.compare([Metric("draw", 30.0, "ms", 0.2)], 5.0, OLD)
    assert said == "draw: 30.0 ms, where 20.0 ms are expected here and 24.0 ms allowed."


def test_a_baseline_comes_back_and_leaves_the_others(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    gate.update("other", [Metric("x", 1.0, "ms", 0.1)], 5.0, path)
    gate.update("raster", [Metric("draw", 40.0, "ms", 0.2)], 10.0, path)
    section, other = gate.read("raster", path), gate.read("other", path)
    assert section is not None and other is not None
    assert not gate.compare([Metric("draw", 40.0, "ms", 0.0)], 10.0, section)
    assert gate.compare([Metric("x", 2.0, "ms", 0.1)], 5.0, other)
    assert gate.read("third", path) is None and gate.read("raster", tmp_path / "none.json") is None


@pytest.mark.parametrize("text", ["[]", "{", '{"raster": 3}'])
def test_a_broken_baseline_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "baseline.json"
    path.write_text(text)
    with pytest.raises(FormatError, match=r"baseline\.json"):
        gate.read("raster", path)


@pytest.mark.parametrize("section", [{}, {"metrics": {}}, {"metrics": {}, "yardstick_ms": 0}])
def test_a_broken_section_is_refused(section: dict[str, object]) -> None:
    with pytest.raises(FormatError, match="must hold 'metrics'"):
        gate.compare([], 1.0, section)


def test_the_committed_baseline_knows_the_targets() -> None:
    section = gate.read("raster")
    assert section is not None
    timing = raster.Timing(raster.Case(1, (1, 1), 1), *[1.0] * 6)
    targets = [("targets", raster.Timing(raster.Case(n, hw, 2), *[1.0] * 6)) for n, hw in raster.TARGETS]
    assert {m.name for m in raster.metrics([*targets, ("splats", timing)])} == set(section["metrics"])  # type: ignore


@pytest.mark.needs("native")
def test_a_case_is_measured_and_written(tmp_path: Path) -> None:
    timing = raster.measure(raster.Case(500, (16, 24), 1, alive=0.5), repeats=2)
    assert 0 < timing.forward_best_ms <= timing.forward_wall_ms
    assert 0 < timing.both_best_ms <= timing.both_wall_ms
    raster.write(tmp_path / "raster.json", [("alive", timing)], 3.0)
    row = json.loads((tmp_path / "raster.json").read_text())["rows"][0]
    assert row["shows"] == "alive" and row["case"] == {"splats": 500, "hw": [16, 24], "threads": 1, "alive": 0.5}


def test_the_share_alive_is_the_share_asked_for() -> None:
    s = raster.scene(20_000, alive=0.3)
    assert float((s.time_s == 0).float().mean()) == pytest.approx(0.3, abs=0.02)


def test_a_run_is_settled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "baseline.json"
    slow, fast = ([Metric("draw", value, "ms", 0.2)] for value in (50.0, 40.0))
    assert gate.settle("raster", fast, 10.0, False, path) == 0, "nothing to compare with is no failure"
    assert gate.settle("raster", fast, 10.0, True, path) == 0
    assert gate.settle("raster", fast, 10.0, False, path) == 0
    assert gate.settle("raster", slow, 10.0, False, path) == 1
    path.write_text("[]")
    assert gate.settle("raster", fast, 10.0, False, path) == 1
    said = capsys.readouterr().out
    for words in ("There is no baseline yet", "is now this run", "No worse than", "draw: 50.0 ms", "a JSON object"):
        assert words in said
