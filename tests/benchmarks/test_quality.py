"""The command: from a folder to figures, sheets and a page, and one clear error for what cannot be judged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest
import torch

from benchmarks import judging, quality, report, rows, sheets, staged
from benchmarks.points import Points
from fourd import pipeline
from fourd.errors import FormatError, InputError
from fourd.types import Cameras, DepthMaps, Frames

from . import worlds

FIGURES = {"psnr", "ssim", "ms_ssim", "flip", "holes", "share"}


def run(tmp_path: Path, *folders: Path, **options: Any) -> tuple[int, dict[str, Any]]:
    out = tmp_path / "out"
    status = quality.main(quality.Options(folders=folders, out=out, **options))
    return status, report.read(out / "quality.json")


def test_points_of_a_folder(tmp_path: Path) -> None:
    status, figures = run(tmp_path, worlds.folder(tmp_path / "tiny"), rows=("points",))
    assert status == 0
    (scene,) = figures["scenes"]
    assert (scene["name"], scene["hw"], scene["frames"], scene["still"]) == ("tiny", [8, 32], 1, True)
    (row,) = scene["rows"]
    assert set(row) == {
        "row", "title", "mean", "views", "camera", "depth", "seconds", "splats", "sheet"
    }  # fmt: skip
    assert row["camera"] is None and row["depth"] is None  # They were given.
    view = row["views"]["R1"]
    assert set(view) == {"pictures", "render_s", "whole", "covisible", "sampled"}
    assert set(view["whole"]) == set(view["covisible"]) == FIGURES
    # What was seen is drawn exactly, so the error is infinitely small, which JSON cannot say.
    assert view["covisible"]["psnr"] is None
    assert view["covisible"]["holes"] == 0 and view["whole"]["holes"] > 0
    assert view["whole"]["psnr"] == pytest.approx(row["mean"]["whole"]["psnr"])
    sheet = iio.imread(tmp_path / "out" / row["sheet"])
    assert sheet.shape == (worlds.H + sheets.HEAD + sheets.GAP, 4 * (worlds.W + sheets.GAP), 3)
    page = (tmp_path / "out" / "index.html").read_text()
    assert row["sheet"] in page and "plain points" in page


def test_what_the_truth_does_not_hold_is_skipped_and_said(tmp_path: Path) -> None:
    folder = worlds.folder(tmp_path / "a", depth=None, dynamic=None, view_R1_depth=None)
    status, figures = run(tmp_path, folder, rows=("points", "given"))
    assert status == 0
    assert [row["skipped"] for row in figures["scenes"][0]["rows"]] == ["the truth has no depth"] * 2
    assert "the truth has no depth" in report.markdown(report.table(figures))


def test_a_row_that_fails_is_said_and_the_others_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise InputError("The clip is too short.")

    monkeypatch.setattr(pipeline, "steps", fail)
    status, figures = run(tmp_path, worlds.folder(tmp_path / "a"), rows=("points", "nothing"))
    assert status == 1
    points, nothing = figures["scenes"][0]["rows"]
    assert "mean" in points and nothing["error"] == "The clip is too short."


def test_figures_are_the_same_again(tmp_path: Path) -> None:
    folder = worlds.folder(tmp_path / "a")
    once, again = (run(tmp_path, folder, rows=("points",))[1]["scenes"][0]["rows"][0]["mean"] for _ in range(2))
    assert once == again


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, InputError, "Name folders of truth, or scenes of the stage: --stage room"),
        ({"stage": ("moon",)}, InputError, "There is no scene 'moon'. Choose of: room"),
        ({"jobs": 0}, InputError, "--jobs is 0"),
        ({"folders": (Path("nowhere"),)}, FormatError, "nowhere is no folder of truth"),
    ],
)
def test_bad_options_are_refused_before_anything_is_made(
    tmp_path: Path, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        quality.main(quality.Options(out=tmp_path / "out", **options))
    assert not (tmp_path / "out").exists()


def test_views_are_chosen_by_name(tmp_path: Path) -> None:
    folder = worlds.folder(tmp_path / "a")
    with pytest.raises(InputError, match="'a' has none of the views Q9; it has: R1"):
        run(tmp_path, folder, views=("Q9",))


def test_two_scenes_of_one_name_would_overwrite_each_other(tmp_path: Path) -> None:
    folders = worlds.folder(tmp_path / "x" / "a"), worlds.folder(tmp_path / "y" / "a")
    with pytest.raises(InputError, match="Two scenes are called a"):
        run(tmp_path, *folders)


def test_scenes_of_the_stage_have_views_and_exact_depth() -> None:
    truth = staged.make("tabletop", hw=(18, 32), frames=4, views=("R20",))
    (view,) = truth.views
    assert view.source_index.tolist() == [3] and view.cameras.time_s[0] == truth.clip.time_s[3]
    assert view.depth is not None and truth.depth is not None and view.moving is not None
    masks = judging.parts(truth)["R20"].of(0)
    assert masks["covisible"] is not None and masks["sampled"] is not None
    # What source pixels fall into they saw, but for the half pixel that each lookup rounds.
    assert 0.2 < float(masks["covisible"].float().mean()) < 1
    assert float((masks["sampled"] & ~masks["covisible"]).float().mean()) < 0.1
    assert judging.still(truth)


class Shrunk:
    """The points of a truth, in a world half as large: what a pipeline that does not know the scale makes."""

    def __init__(self, points: Points) -> None:
        self.points = points

    def render(self, cameras: Cameras) -> Frames:
        frames = self.points.render(cameras.scaled(2.0))
        return frames.replace(depth_m=frames.depth_m / 2)


@pytest.mark.parametrize("moves", [True, False])
def test_a_scene_of_another_scale_is_judged_as_if_it_had_ours(moves: bool) -> None:
    truth = worlds.world([0.0, 1.0 if moves else 0.0], [0.0, 0.0], view_m=1.0)
    assert judging.still(truth) != moves
    points = Points(truth)
    small = Shrunk(points)
    attempt = rows.Attempt(truth.cameras.scaled(0.5), small.render, True, None, {}, len(points))
    assert judging.alignment(truth, attempt).scale == pytest.approx(0.5)
    figures, (strip,) = judging.judge(truth, judging.parts(truth), attempt)
    assert figures["mean"]["covisible"]["psnr"] > 100
    assert figures["camera"]["position_m"] == pytest.approx(0, abs=1e-6)
    assert strip.dtype == np.uint8


def test_a_still_camera_without_depth_cannot_be_aligned(tmp_path: Path) -> None:
    import dataclasses

    truth = dataclasses.replace(worlds.world([0.0], [0.0]), depth=None)
    attempt = rows.Attempt(truth.cameras, lambda cameras: pytest.fail("not reached"), True, None, {}, 0)
    with pytest.raises(InputError, match="still and the truth has no depth: nothing tells the scale"):
        judging.alignment(truth, attempt)


@pytest.mark.needs("native")
def test_the_pipeline_tells_its_depth_and_cameras() -> None:
    truth = staged.make("room", hw=(36, 64), frames=6, views=("R10",))
    attempt = rows.attempt("cameras", truth, rows.Settings(quality="draft"))
    assert attempt.splats > 0 and not attempt.estimated_cameras
    assert isinstance(attempt.depth, DepthMaps) and len(attempt.depth) == 6
    assert {"motion", "camera", "depth", "fuse"} <= set(attempt.seconds)
    figures, _ = judging.judge(truth, judging.parts(truth), attempt)
    assert figures["camera"] is None and figures["depth"]["all"]["absrel"] > 0
    assert 5 < figures["mean"]["whole"]["psnr"] < 60
    given = rows.attempt("given", truth, rows.Settings(quality="draft"))
    assert given.depth is None


def test_the_report_reads_its_own_files_only(tmp_path: Path) -> None:
    path = tmp_path / "quality.json"
    path.write_text(json.dumps({"schema": 0, "scenes": []}))
    with pytest.raises(FormatError, match=r"holds no figures of benchmarks\.quality with schema 1"):
        report.read(path)
    path.write_text("{")
    with pytest.raises(FormatError, match="Cannot read"):
        report.read(path)


def test_tables_say_what_is_known(tmp_path: Path) -> None:
    row: dict[str, Any] = {
        "title": "nothing given",
        "mean": {"whole": {"psnr": 20.123}, "covisible": {"psnr": 25.5, "ssim": 0.9, "ms_ssim": None, "flip": 0.1}},
        "views": {"R10": {"whole": {"psnr": 20.0}, "covisible": {"psnr": 25.0, "share": 0.5, "holes": 0.01}}},
        "camera": {"rotation_deg": 0.05, "position_of_path": 0.0022, "focal": 0.007},
        "depth": {"all": {"absrel": 0.1, "delta1": 0.95}},
        "seconds": {"motion": 2.0, "fuse": 5.4},
    }
    figures = {"schema": 1, "scenes": [{"name": "room", "rows": [row]}]}
    head, rule, line = report.markdown(report.table(figures)).splitlines()
    assert head.startswith("| scene | given | PSNR whole |") and set(rule) <= set("|-: ")
    assert line == (
        "| room | nothing given | 20.12 | 25.50 | – | 0.900 | – | 0.100 | 0.100 / 0.950 | – | – | 0.05°"
        " | 0.22 % of path | +0.7 % | 7 |"
    )
    assert report.markdown(report.views_table(figures)).splitlines()[2] == (
        "| room | nothing given | R10 | 20.00 | 25.00 | – | – | – | – | 50 % | 1.0 % |"
    )


def test_pictures_with_nothing_co_visible_have_no_figure() -> None:
    truth = worlds.world([0.0], [0.0])
    empty = {"R1": judging.Parts(torch.zeros(1, 8, 32, dtype=torch.bool), torch.zeros(1, 8, 32, dtype=torch.bool))}
    points = Points(truth)
    attempt = rows.Attempt(truth.cameras, points.render, False, None, {}, len(points))
    figures, _ = judging.judge(truth, empty, attempt)
    assert np.isnan(figures["mean"]["covisible"]["psnr"]) and np.isfinite(figures["mean"]["whole"]["psnr"])
