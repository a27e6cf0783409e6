"""The judge of single-frame depth: exact answers for made-up maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import depth
from tests.benchmarks import worlds
from tests.depth import tiny

KNOWN = np.ones((40, 60), bool)


def steps(column: int) -> np.ndarray:
    """One metre to the left of a column, two to its right."""
    depth_m = np.ones((40, 60))
    depth_m[:, column:] = 2
    return depth_m


def test_scale_and_shift_of_inverse_depth_are_free() -> None:
    depth_m = np.random.default_rng(0).uniform(1, 5, (40, 60))
    guess = 3 / depth_m - 0.7
    np.testing.assert_allclose(depth.fitted(guess, depth_m, KNOWN, 10.0), depth_m, rtol=1e-9)


def test_what_falls_out_of_the_range_is_cut_off() -> None:
    depth_m = np.linspace(1, 5, 2400).reshape(40, 60)
    far = np.where(depth_m > 4.99, -5.0, 1 / depth_m)
    fit = depth.fitted(far, depth_m, KNOWN, 10.0)
    assert fit.max() == pytest.approx(10)
    assert fit.min() >= depth.NEAR_M


@pytest.mark.parametrize(("off", "f1"), [(0, 1.0), (1, 1.0), (12, 0.0)])
def test_edges_count_within_two_pixels(off: int, f1: float) -> None:
    assert depth.boundary_f1(steps(30 + off), steps(30), KNOWN) == pytest.approx(f1)


def test_blur_has_no_edges_and_edges_beyond_the_known_do_not_count() -> None:
    ramp = 1 + np.linspace(0, 1, 60)[None].repeat(40, 0)
    assert depth.boundary_f1(ramp, steps(30), KNOWN) == 0
    left = KNOWN.copy()
    left[:, 25:] = False
    assert not depth.edges(steps(30), left).any()


@pytest.mark.needs("transformers")
def test_published_models_are_judged_beside_the_prior(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, sheet = worlds.folder(tmp_path / "scene"), tmp_path / "sheet.png"
    model = str(tiny.depth_anything(tmp_path / "model"))
    depth.main(depth.Options((folder,), model=model, every=3, sheet=sheet))
    said = capsys.readouterr().out
    assert "network" in said and "nan" not in said
    assert sheet.stat().st_size > 0
