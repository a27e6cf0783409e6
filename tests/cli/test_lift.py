"""`fourd lift`, and the whole way from a video to another."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from fourd import media
from fourd.commands.common import megabytes
from fourd.formats import transforms
from fourd.pipeline import Config
from fourd.scene import Scene
from fourd.types import Clip
from tests.cli.said import Run, paragraph
from tests.scenes import MOVING, STILL, walk_cameras, write_walk


def test_lift_writes_the_scene_and_says_what_it_did(run: Run, clip: Path, stand_in: list[tuple[Clip, Config]]) -> None:
    status, out, err = run("lift", clip, "-o", "w.glb", "--no-sheet")
    assert status == 0 and not Path("w_sheet.png").exists()
    assert out == f"w.glb: {STILL + MOVING:,} splats, {megabytes(Path('w.glb'))}\n"
    assert err.splitlines() == [
        f"{clip}: 6 frames of 96 x 72 pixels, 0.60 s",
        "warning: motion: nothing moves [at all]",
        "motion: done in 0.5 s",
        "lifted in 3.5 s. To look at it:",
        "  fourd view w.glb",
        "  fourd render w.glb --path orbit -o w_orbit.mp4",
    ]
    assert len(Scene.open("w.glb").splats) == STILL + MOVING


def test_each_shot_of_a_clip_that_is_cut_becomes_a_scene(run: Run, stand_in: list[tuple[Clip, Config]]) -> None:
    write_walk(Path("one.mp4"))
    frames = Clip.open("one.mp4").frames
    media.write_video("film.mp4", [*frames, *frames.flip(1, 2)], fps=10)
    status, out, err = run("lift", "film.mp4", "--no-sheet")
    assert status == 0 and "It has 2 shots; each becomes a scene of its own.\n" in err
    assert [line.split(":")[0] for line in out.splitlines()] == ["film_1.glb", "film_2.glb"]
    assert [len(clip) for clip, _ in stand_in] == [6, 6] and not Path("film.glb").exists()

    status, out, _ = run("lift", "film.mp4", "--no-sheet", "--shots", "together")
    assert status == 0 and out.startswith("film.glb: ") and len(stand_in[-1][0]) == 12

    Path("film_2.glb").unlink()
    Path("film_2.glb").mkdir()
    status, _, err = run("lift", "film.mp4", "--no-sheet")
    assert status == 1 and "film_2.glb: a folder of that name is in the way" in err and len(stand_in) == 3


@pytest.mark.needs("native")
def test_lift_ends_with_a_contact_sheet(run: Run, clip: Path, stand_in: list[tuple[Clip, Config]]) -> None:
    status, out, _ = run("lift", clip, "-o", "w.glb")
    assert status == 0 and out.splitlines()[1:] == ["w_sheet.png: contact sheet"]
    # Four moments; filmed, rendered, depth and aside.
    h, w = media.read_picture("w_sheet.png").shape[:2]
    assert w == 4 * (48 + 4) + 4 and h == 4 * (36 + 14 + 4) + 4


def test_a_sheet_that_cannot_be_written_is_said_before_the_work(
    run: Run, clip: Path, stand_in: list[tuple[Clip, Config]]
) -> None:
    Path("w_sheet.png").mkdir()
    status, _, err = run("lift", clip, "-o", "w.glb")
    assert status == 1 and "w_sheet.png: a folder of that name is in the way" in paragraph(err) and not stand_in


@pytest.mark.needs("native")
def test_lift_names_the_scene_after_the_clip(run: Run, clip: Path, stand_in: list[tuple[Clip, Config]]) -> None:
    Path("elsewhere").mkdir()
    moved = clip.rename(Path("elsewhere/a walk.v2.mp4"))
    status, out, err = run("lift", moved)
    assert status == 0 and out.startswith("a walk.v2.glb: ")
    assert "fourd render 'a walk.v2.glb' --path orbit -o 'a walk.v2_orbit.mp4'" in err


def test_lift_hands_every_option_on(run: Run, clip: Path, stand_in: list[tuple[Clip, Config]]) -> None:
    options = (
        "--no-sheet --quality draft --size 48 --start 0.2 --duration 0.4 --fps 5 --camera still --depth prior --seed 7"
        " --inpaint telea --range 45"
    )
    assert run("lift", clip, *options.split())[0] == 0
    lifted, config = stand_in[0]
    assert (lifted.hw, len(lifted), lifted.frame_s) == ((36, 48), 2, pytest.approx(0.2))
    assert config.quality == "draft"
    assert (config.camera, config.depth, config.size, config.seed) == ("still", "prior", 48, 7)
    assert (config.inpaint, config.range_deg) == ("telea", 45.0)
    run("lift", clip, "--camera-file", "c.json", "--depth-file", "d.npz", "--size", "0", "--no-sheet")
    _, config = stand_in[1]
    assert (config.camera, config.camera_file, config.size) == ("file", Path("c.json"), None)
    assert (config.depth, config.depth_file) == ("file", Path("d.npz"))


def test_the_file_may_stand_in_place_of_the_name(run: Run, clip: Path, stand_in: list[tuple[Clip, Config]]) -> None:
    for folder in ("model", "still"):
        Path(folder).mkdir()
    for camera in ("c.json", "no/such", "model", "./still"):
        run("lift", clip, "--camera", camera, "--no-sheet")
        assert (stand_in[-1][1].camera, stand_in[-1][1].camera_file) == ("file", Path(camera))
    for camera in ("still", "nonsense"):
        run("lift", clip, "--camera", camera, "--no-sheet")
        assert (stand_in[-1][1].camera, stand_in[-1][1].camera_file) == (camera, None)


def test_defaults_of_lift_are_those_of_config(run: Run, clip: Path, stand_in: list[tuple[Clip, Config]]) -> None:
    run("lift", clip, "--no-sheet")
    expected = Config()
    for field in dataclasses.fields(Config):
        assert getattr(stand_in[0][1], field.name) == getattr(expected, field.name), field.name


def test_limits_can_be_set_and_are_named_by_the_error(run: Run, clip: Path, stand_in: list[object]) -> None:
    for option, value in {"frames": 3, "seconds": 0.1, "pixels": 100, "bytes": 1000}.items():
        status, _, err = run("lift", clip, f"--limits.{option}", value)
        assert status == 1 and f"limits.{option}" in paragraph(err)
    assert not stand_in


@pytest.mark.needs("native")
def test_the_whole_way(run: Run, clip: Path) -> None:
    transforms.write("cameras.json", walk_cameras())
    status, out, err = run("lift", clip, "-o", "w.glb", "--quality", "draft", "--camera-file", "cameras.json")
    assert status == 0 and out.startswith("w.glb: ")
    assert all(f"{stage}: done in" in err for stage in ("motion", "camera", "depth", "fuse"))
    known = json.loads(run("info", "w.glb", "--json")[1])
    assert (known["frames"], known["hw"], known["clip"]) == (6, [72, 96], Clip.open(clip).name)
    assert known["splats"]["total"] > 1000 and known["camera"]["motion"] == "moving"
    assert (known["config"]["quality"], known["config"]["camera_file"]) == ("draft", "cameras.json")
    assert run("render", "w.glb", "--path", "source", "-o", "w.mp4")[0] == 0
    filmed, again = Clip.open(clip), Clip.open("w.mp4")
    # The camera that filmed sees what it filmed: 2.3 grey levels were measured; a shift by one pixel makes 8.
    assert float((filmed.frames.float() - again.frames.float()).abs().mean()) < 5
    assert filmed.sound is not None and again.sound is not None
    for name in ("w.ply", "w.json"):
        assert run("export", "w.glb", "-o", name)[0] == 0
