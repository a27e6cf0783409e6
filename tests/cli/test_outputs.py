"""`fourd render`, `info`, `export` and `doctor`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from fourd import media
from fourd.commands.common import megabytes
from fourd.commands.view import playable
from fourd.scene import Scene
from tests.cli.said import Run, paragraph
from tests.scenes import FRAMES, HW, small_scene


@pytest.mark.needs("native")
def test_render_makes_a_video_and_never_writes_over_the_clip(run: Run, scene: Path) -> None:
    Path("ball.mp4").write_text("the clip")
    status, out, err = run("render", scene)
    assert (status, out, err) == (0, f"ball_orbit.mp4: {FRAMES} frames of {HW[1]} x {HW[0]} pixels\n", "")
    assert Path("ball.mp4").read_text() == "the clip"
    clip = media.read("ball_orbit.mp4")
    assert (len(clip), clip.hw, clip.sound is not None) == (FRAMES, HW, True)


@pytest.mark.needs("native")
def test_render_obeys_its_options(run: Run, scene: Path) -> None:
    words = "--path freeze --degrees 10 --at 0.3 --duration 0.5 --fps 12 --size 96 -o a.mp4"
    status, out, _ = run("render", scene, *words.split())
    assert (status, out) == (0, "a.mp4: 6 frames of 96 x 72 pixels\n")
    clip = media.read("a.mp4")
    assert (len(clip), clip.hw, clip.sound) == (6, (72, 96), None)
    assert clip.frame_s == pytest.approx(1 / 12)
    run("render", scene, "--hw", "32", "20", "--speed", "0.5", "-o", "b.mp4")
    assert media.read("b.mp4").hw == (32, 20) and len(media.read("b.mp4")) == 2 * FRAMES - 1


@pytest.mark.needs("native")
@pytest.mark.parametrize("show", ["rgb", "depth", "alpha"])
def test_render_makes_sheets_and_folders(run: Run, scene: Path, show: str) -> None:
    assert run("render", scene, "--show", show, "-o", "sheet.png")[0] == 0
    assert media.read_picture("sheet.png").shape[1] > 4 * HW[1]
    assert run("render", scene, "--show", show, "-o", "shots")[0] == 0
    assert len(list(Path("shots").iterdir())) == FRAMES


@pytest.mark.needs("native")
def test_render_flies_along_keyframes(run: Run, scene: Path) -> None:
    from fourd.formats import camera_path

    camera_path.write("fly.json", small_scene().cameras, fps=5)
    status, out, err = run("render", scene, "--keyframes", "fly.json", "--size", "24", "-o", "a")
    assert (status, err) == (0, "") and out.endswith("frames of 24 x 18 pixels\n")
    assert run("render", scene, "--path", "fly.json", "--size", "24", "-o", "b")[0] == 0
    # As pictures: x264 does not make the same bits of the same pictures every time.
    names = sorted(path.name for path in Path("a").iterdir())
    assert len(names) > 2 and names == sorted(path.name for path in Path("b").iterdir())
    assert all((Path("a") / name).read_bytes() == (Path("b") / name).read_bytes() for name in names)


@pytest.mark.needs("native")
def test_info_for_people_and_for_programs(run: Run, scene: Path) -> None:
    status, out, err = run("info", scene)
    assert (status, err) == (0, "")
    said = dict(re.split(r"  +", line.strip(), maxsplit=1) for line in out.splitlines())
    assert said["clip"] == "ball.mp4" and said["camera"] == "travels" and said["splats"] == "1,201"
    assert said["sound"] == "0.8 s, 1 channel at 8000 Hz" and said["warning"] == "the wall is [flat]"
    status, out, err = run("info", scene, "--json")
    assert (status, err) == (0, "")
    known = json.loads(out)
    assert known["file"] == str(scene) and known["bytes"] == scene.stat().st_size and known["splats"]["total"] == 1201


@pytest.mark.needs("native")
def test_export(run: Run, scene: Path) -> None:
    for name in ("a.ply", "a.spz", "a.splat", "a.json", "a.html", "a.glb", "a.4dgs", "a.splatv"):
        status, out, err = run("export", scene, "-o", name)
        assert (status, err) == (0, "") and out == f"{name}: {megabytes(Path(name))}\n"
    assert out.endswith(f": {Path('a.splatv').stat().st_size / 1e3:.1f} kB\n"), "small files are not 0.0 MB"
    assert (
        Path("a.ply").read_bytes().startswith(b"ply\n") and len(json.loads(Path("a.json").read_text())["frames"]) == 8
    )
    run("export", scene, "-o", "b.ply", "--at", "0.7")
    assert Path("b.ply").read_bytes() != Path("a.ply").read_bytes()
    status, _, err = run("export", scene, "-o", "a.json", "--at", "0.7")
    assert status == 1
    assert paragraph(err) == "--at chooses the moment of a file that holds one; 'a.json' holds all of them."
    status, _, err = run("export", scene, "-o", "a.obj")
    assert status == 1 and "its name must be one of NAME.glb (the scene in few bytes), NAME.4dgs" in paragraph(err)


@pytest.mark.needs("native")
def test_export_of_other_kinds(run: Run, scene: Path) -> None:
    for words in (["points", "p.ply"], ["mesh", "m.glb"], ["depth", "d.png"]):
        status, out, err = run("export", scene, "--as", words[0], "-o", words[1], "--at", "0.5")
        assert (status, err) == (0, "") and out.startswith(f"{words[1]}: ")
    for words in (["splats", "moments"], ["depth", "maps"]):
        assert run("export", scene, "--as", words[0], "-o", words[1])[0] == 0
    assert len(list(Path("moments").glob("*.ply"))) == len(list(Path("maps").glob("*.png"))) == 8
    status, _, err = run("export", scene, "--as", "mesh", "-o", "a.spz")
    assert status == 1 and "NAME.ply (one moment), NAME.glb (one moment)" in paragraph(err)
    run("export", scene, "-o", "small.glb")
    run("export", scene, "-o", "same.glb", "--exact")
    assert Path("small.glb").stat().st_size < 0.6 * scene.stat().st_size
    assert Path("same.glb").stat().st_size == scene.stat().st_size


@pytest.mark.needs("native")
def test_scenes_of_others_are_scenes(run: Run, scene: Path) -> None:
    """A .ply without cameras is shown from where everything is in view, and a word is said about it."""
    run("export", scene, "-o", "a.ply")
    status, out, err = run("info", "a.ply")
    assert status == 0 and "a.ply has no cameras: one was put where it has everything in view." in " ".join(err.split())
    assert "splats" in out
    status, _, _ = run("render", "a.ply", "--path", "orbit", "--degrees", "10", "--size", "64", "-o", "sheet.png")
    assert status == 0 and Path("sheet.png").stat().st_size > 0
    run("export", scene, "-o", "a.4dgs")
    assert run("info", "a.4dgs")[2] == ""
    with playable(Path("a.ply")) as file:
        assert len(Scene.open(file).splats) == len(Scene.open("a.ply").splats)
    assert not file.exists()
    with playable(scene) as file:
        assert file == scene
    # Splats that another program put into a GLB are read as such, and the player gets our own file.
    Path("theirs.glb").write_bytes(scene.read_bytes().replace(b'"fourd":', b'"other":'))
    with playable(Path("theirs.glb")) as file:
        assert file != Path("theirs.glb") and len(Scene.open(file).splats) > 0


def test_doctor(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from fourd import doctor

    monkeypatch.setattr(doctor, "examine", lambda: [doctor.Finding("CPU", "yes", "2 cores")])
    assert run("doctor") == (0, "CPU  yes  2 cores\n\nfourd can lift clips here.\n", "")
    monkeypatch.setattr(doctor, "examine", lambda: [doctor.Finding("video", "broken", "no encoder", "Get one.")])
    status, out, _ = run("doctor")
    assert status == 1 and "video  NO  no encoder" in out and "Get one." in out and "cannot lift clips here" in out
