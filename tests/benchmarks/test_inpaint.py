"""The judge of inpainting: exact on pictures made by hand, and the whole of it on a scene of the stage."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from benchmarks import filling, inpaint
from benchmarks.filling import Filler
from benchmarks.truth import View
from fourd.errors import InputError
from fourd.types import Cameras, Frames, Splats
from tests.benchmarks import worlds

H, W = worlds.H, worlds.W


def _frames(rgb: torch.Tensor, alpha: torch.Tensor) -> Frames:
    return Frames(rgb[None], alpha[None], torch.ones(1, H, W), torch.zeros(1, dtype=torch.float64))


def _view() -> View:
    return worlds.world([0.0, 0.0], [0.0, 0.0]).views[0]


def test_the_truth_itself_is_perfect_and_black_is_not() -> None:
    view = _view()
    unseen = torch.zeros(1, H, W, dtype=torch.bool)
    unseen[0, :, 4:30] = True
    true = view.frames[0].float() / 255
    perfect = filling.figures(_frames(true, torch.ones(H, W)), view, [0], {"unseen": unseen})
    assert perfect["unseen"]["psnr"] == pytest.approx(120) and perfect["unseen"]["ssim"] == pytest.approx(1)
    assert perfect["unseen"]["detail"] == pytest.approx(1) and perfect["unseen"]["empty"] == 0
    assert perfect["unseen"]["share"] == pytest.approx(26 / W) and perfect["seen"]["share"] == pytest.approx(6 / W)
    half = torch.ones(H, W)
    half[:, :17] = 0.3
    black = filling.figures(_frames(torch.zeros(H, W, 3), half), view, [0], {"unseen": unseen})
    assert black["unseen"]["detail"] == 0 and black["unseen"]["empty"] == pytest.approx(13 / 26)
    mse = float(true[:, 4:30].double().square().mean())
    assert black["unseen"]["psnr"] == pytest.approx(-10 * math.log10(mse), abs=1e-4)


def test_a_part_that_is_empty_is_not_judged() -> None:
    view = _view()
    nothing = torch.zeros(1, H, W, dtype=torch.bool)
    said = filling.figures(_frames(torch.zeros(H, W, 3), torch.ones(H, W)), view, [0], {"unseen": nothing})
    assert math.isnan(said["unseen"]["psnr"]) and said["seen"]["share"] == 1


def test_energy_counts_neighbours_inside_the_part_only() -> None:
    rgb = torch.zeros(3, 4, 3)
    rgb[:, 2:] = 0.5
    everywhere = torch.ones(3, 4, dtype=torch.bool)
    assert filling.energy(rgb, everywhere) == pytest.approx(3 * 0.25)
    left = everywhere.clone()
    left[:, 2:] = False
    assert filling.energy(rgb, left) == 0


def test_what_one_frame_did_not_see_is_more_than_what_no_frame_saw() -> None:
    # The card hides columns of the wall from the first camera, which the second, a metre aside, sees.
    known = worlds.world([0.0, 1.0], [0.0, 0.0], view_m=1.0)
    closed = filling.unseen_at_its_moment(known.views[0], known)
    assert worlds.columns(closed[0]) > set()
    from benchmarks.covisible import covisible

    seen = covisible(known.views[0], known)
    assert seen is not None and not bool((~seen & ~closed).any())
    assert int(closed.sum()) > int((~seen).sum())


@pytest.mark.needs("native")
def test_unchanged_splats_change_nothing_and_flicker_is_seen() -> None:
    n = 40
    splats = Splats(
        mean_m=torch.cat([torch.randn(n, 2, generator=torch.Generator().manual_seed(0)), torch.full((n, 1), 4.0)], 1),
        quat_wxyz=torch.tensor([1.0, 0, 0, 0]).expand(n, 4),
        scale_m=torch.full((n, 3), 0.2),
        opacity=torch.full((n,), 0.9),
        colour=torch.ones(n, 1, 3),
        velocity_mps=torch.zeros(n, 3),
        time_s=torch.zeros(n),
        duration_s=torch.full((n,), torch.inf),
        source=torch.zeros(n, dtype=torch.uint8),
    )
    known = worlds.world([0.0, 0.5, 1.0], [0.0, 0.0, 0.0])
    assert filling.change_db(splats, splats, known.cameras) == pytest.approx(120)
    brighter = splats.replace(colour=splats.colour * 1.2)
    assert filling.change_db(splats, brighter, known.cameras) < 40
    # A light that is on at one moment flickers over what was empty; the scene that has no light does not.
    lamp = splats[:1].replace(
        mean_m=torch.tensor([[0.0, 0.0, 3.0]]), scale_m=torch.full((1, 3), 3.0), duration_s=torch.tensor([0.3])
    )
    view = known.views[0]
    assert filling.flicker(Filler(splats), splats, view, known) == 0
    assert filling.flicker(Filler(Splats.concat([splats, lamp])), splats, view, known) > 0.01


@pytest.mark.needs("native")
def test_open_pixels_are_counted_over_whole_orbits() -> None:
    known = worlds.world([0.0, 0.5, 1.0], [0.0, 0.0, 0.0])
    one = Splats(
        torch.tensor([[0.0, 0.0, 4.0]]), torch.tensor([[1.0, 0, 0, 0]]), torch.full((1, 3), 50.0),
        torch.tensor([0.8]), torch.zeros(1, 1, 3), torch.zeros(1, 3), torch.zeros(1), torch.full((1,), torch.inf),
        torch.zeros(1, dtype=torch.uint8),
    )  # fmt: skip
    # A veil over everything lets a fifth through; two of them a twenty-fifth; and nothing lets all.
    assert filling.open_shares(one, known.cameras, 20.0) == pytest.approx({"half": 0.0, "tenth": 1.0})
    assert filling.open_shares(Splats.concat([one, one]), known.cameras, 20.0) == pytest.approx({"half": 0, "tenth": 0})
    assert filling.open_shares(one[:0], known.cameras, 20.0) == pytest.approx({"half": 1.0, "tenth": 1.0})


@pytest.mark.needs("native")
def test_evidence_is_all_or_nothing_where_other_moments_know_all_or_nothing() -> None:
    cameras = Cameras(
        *(getattr(worlds.cameras([0.0, 0.0], [0.0, 1.0]), n) for n in ("K", "world_from_cam", "hw", "time_s"))
    )
    y, x = torch.meshgrid(torch.linspace(-4, 4, 33), torch.linspace(-14, 14, 113), indexing="ij")
    mean = torch.stack([x, y, torch.full_like(x, 8.0)], -1).reshape(-1, 3)
    n = len(mean)
    wall = Splats(
        mean, torch.tensor([1.0, 0, 0, 0]).expand(n, 4), torch.tensor([0.25, 0.25, 0.01]).expand(n, 3),
        torch.full((n,), 0.99), torch.zeros(n, 1, 3), torch.zeros(n, 3), torch.zeros(n), torch.full((n,), torch.inf),
        torch.zeros(n, dtype=torch.uint8),
    )  # fmt: skip
    aside = worlds.cameras([3.0], [0.0])
    assert filling.evidence(wall, aside, cameras[:1]) > 0.95, "the wall goes on where the frame ends"
    seen_only = wall[wall.mean_m[:, 0] < 8.0 - 0.5]
    assert filling.evidence(seen_only, worlds.cameras([14.0], [0.0]), cameras[:1]) < 0.2


@pytest.mark.needs("native")
def test_a_scene_of_the_stage_is_judged_from_end_to_end(tmp_path: Path) -> None:
    options = inpaint.Options(
        stage=("room",), rows=("none", "telea", "copy", "alone", "plain"), views=("R20",), inpainter="stretch",
        range_deg=20.0, quality="draft", stage_frames=4, stage_hw=(36, 64), out=tmp_path / "figures",
    )  # fmt: skip
    assert inpaint.main(options) == 0
    figures = json.loads((tmp_path / "figures" / "inpaint.json").read_text())
    rows = {row["row"]: row for row in figures["scenes"][0]["rows"]}
    assert list(rows) == list(options.rows)
    empty = {name: row["views"]["R20"]["unseen"]["empty"] for name, row in rows.items()}
    assert empty["none"] > 0.2 > 0.1 > empty["plain"] and empty["telea"] == 0
    psnr = {name: row["views"]["R20"]["unseen"]["psnr"] for name, row in rows.items()}
    assert min(psnr["telea"], psnr["copy"], psnr["alone"], psnr["plain"]) > psnr["none"] + 3
    assert rows["telea"]["open"] is None and 0 <= rows["plain"]["open"]["half"] <= rows["plain"]["open"]["tenth"] < 0.2
    assert rows["plain"]["change_db"] > 50 and rows["telea"]["change_db"] is None
    assert (tmp_path / "figures" / "room-R20.png").is_file()
    assert 0 <= figures["scenes"][0]["evidence"]["R20"] <= 1


def test_wrong_words_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no row 'magic'. Choose of: none, telea"):
        inpaint.main(inpaint.Options(stage=("room",), rows=("magic",), out=tmp_path))
    with pytest.raises(InputError, match="There is no inpainter 'magic'"):
        inpaint.main(inpaint.Options(stage=("room",), inpainter="magic", out=tmp_path))
    with pytest.raises(InputError, match="Name folders of truth"):
        inpaint.main(inpaint.Options(out=tmp_path))
