"""The command line, as its users meet it: what it makes, what it says, and how it fails."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from fourd import camera, cli, depth, events, media, pipeline
from fourd.events import Steps
from fourd.formats import transforms
from fourd.geometry.paths import PATHS
from fourd.pipeline import Config
from fourd.scene import Scene
from fourd.types import Clip
from tests.scenes import FRAMES, HW, MOVING, STILL, small_scene, walk_cameras, write_walk

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command line in an empty folder: words to (status, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")

    def run(*words: object) -> tuple[int, str, str]:
        status = cli.main([str(word) for word in words])
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A small video with sound."""
    path = tmp_path / "wall.mp4"
    write_walk(path, sound=True)
    return path


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    path = tmp_path / "ball.glb"
    small_scene().save(path)
    return path


def paragraph(err: str) -> str:
    """The text of an error, if it is what errors have to be: one paragraph, and no traceback."""
    assert err.startswith("fourd: ") and err.endswith("\n"), err
    assert "Traceback" not in err and "\n\n" not in err, err
    return err.removeprefix("fourd: ").rstrip("\n")


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Clip, Config]]:
    """Puts a quick stand-in in the engine's place; the list holds what it was called with."""
    calls: list[tuple[Clip, Config]] = []

    def steps(clip: Clip, config: Config) -> Steps[Scene]:
        calls.append((clip, config))
        yield events.Started("motion")
        yield events.Progress("motion", 1, 2)
        yield events.Warned("motion", "nothing moves [at all]")
        yield events.Finished("motion", None, 0.5)
        lifted = small_scene()
        yield events.Finished("lift", lifted, 0.5)
        return lifted

    monkeypatch.setattr(pipeline, "steps", steps)
    return calls


# --- help ---------------------------------------------------------------------------------------------------


def test_help_names_every_command_and_how_to_begin(run: Run) -> None:
    status, out, err = run("--help")
    assert (status, err) == (0, "")
    assert all(f"• {name} " in out for name in cli.COMMANDS)
    assert "fourd lift walk.mp4 -o walk.glb" in out
    assert run() == (status, out, err)  # No words at all ask for help, too.


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_has_help_for_every_option(run: Run, command: str) -> None:
    status, out, err = run(command, "--help")
    assert (status, err) == (0, "")
    # The last thing on each option's line or the next is what it does: no option is only a name.
    assert "(default: None)" not in out and "{None}" not in out
    assert f"usage: fourd {command}" in out


def test_help_of_render_lists_the_paths(run: Run) -> None:
    _, out, _ = run("render", "--help")
    assert all(f"{name} " in out and path.says in out for name, path in PATHS.items())


def test_help_of_lift_names_the_backends_that_there_are(run: Run) -> None:
    _, out, _ = run("lift", "--help")
    words = out.replace(",", " ").replace(".", " ").split()
    for known in (*camera._BACKENDS, *depth._BACKENDS, "file"):
        assert known in words


def test_version(run: Run) -> None:
    assert run("--version") == (0, "fourd 0.1.0\n", "")


# --- words that make no sense: status 2 ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["lft"], "lft"),
        (["lift"], "CLIP"),
        (["lift", "a.mp4", "--qualty", "high"], "--quality"),
        (["lift", "a.mp4", "--quality", "best"], "draft"),
        (["lift", "a.mp4", "--size", "big"], "--size"),
        (["lift", "a.mp4", "--fps", "None"], "--fps"),
        (["export", "a.glb"], "--out"),
    ],
    ids=" ".join,
)
def test_words_that_make_no_sense(run: Run, words: list[str], says: str) -> None:
    status, out, err = run(*words)
    assert (status, out) == (2, "")
    assert says in err and "Traceback" not in err and "--help" in err


# --- lift ---------------------------------------------------------------------------------------------------


def test_lift_writes_the_scene_and_says_what_it_did(run: Run, clip: Path, stand_in: list[tuple[Clip, Config]]) -> None:
    status, out, err = run("lift", clip, "-o", "w.glb")
    assert status == 0
    assert out == f"w.glb: {STILL + MOVING:,} splats, {Path('w.glb').stat().st_size / 1e6:.1f} MB\n"
    assert err.splitlines() == [
        f"{clip}: 6 frames of 96 x 72 pixels, 0.60 s",
        "warning: motion: nothing moves [at all]",
        "motion: done in 0.5 s",
        "lifted in 3.5 s. To look at it:",
        "  fourd render w.glb --path orbit -o w_orbit.mp4",
    ]
    assert len(Scene.open("w.glb").splats) == STILL + MOVING


def test_lift_names_the_scene_after_the_clip(run: Run, clip: Path, stand_in: list[tuple[Clip, Config]]) -> None:
    Path("elsewhere").mkdir()
    moved = clip.rename(Path("elsewhere/a walk.v2.mp4"))
    status, out, err = run("lift", moved)
    assert status == 0 and out.startswith("a walk.v2.glb: ")
    assert "fourd render 'a walk.v2.glb' --path orbit -o 'a walk.v2_orbit.mp4'" in err


def test_lift_hands_every_option_on(run: Run, clip: Path, stand_in: list[tuple[Clip, Config]]) -> None:
    options = "--quality draft --size 48 --start 0.2 --duration 0.4 --fps 5 --camera still --depth prior --seed 7"
    assert run("lift", clip, *options.split())[0] == 0
    lifted, config = stand_in[0]
    assert (lifted.hw, len(lifted), lifted.frame_s) == ((36, 48), 2, pytest.approx(0.2))
    assert config.quality == "draft"
    assert (config.camera, config.depth, config.size, config.seed) == ("still", "prior", 48, 7)
    run("lift", clip, "--camera-file", "c.json", "--depth-file", "d.npz", "--size", "0")
    _, config = stand_in[1]
    assert (config.camera, config.camera_file, config.size) == ("file", Path("c.json"), None)
    assert (config.depth, config.depth_file) == ("file", Path("d.npz"))


def test_defaults_of_lift_are_those_of_config(run: Run, clip: Path, stand_in: list[tuple[Clip, Config]]) -> None:
    run("lift", clip)
    expected = Config()
    for field in dataclasses.fields(Config):
        assert getattr(stand_in[0][1], field.name) == getattr(expected, field.name), field.name


def test_limits_can_be_set_and_are_named_by_the_error(run: Run, clip: Path, stand_in: list[object]) -> None:
    for option, value in {"frames": 3, "seconds": 0.1, "pixels": 100, "bytes": 1000}.items():
        status, _, err = run("lift", clip, f"--limits.{option}", value)
        assert status == 1 and f"limits.{option}" in paragraph(err)
    assert not stand_in


# --- what cannot be done: status 1 and one paragraph --------------------------------------------------------


def test_lift_of_a_missing_file(run: Run) -> None:
    status, out, err = run("lift", "nowhere.mp4")
    assert (status, out) == (1, "")
    assert paragraph(err) == "Cannot read nowhere.mp4: there is no such file."


@pytest.mark.parametrize("content", [b"", b"not a video", bytes(range(256)) * 40], ids=["empty", "text", "noise"])
def test_lift_of_what_is_no_video(run: Run, content: bytes) -> None:
    Path("a.mp4").write_bytes(content)
    status, out, err = run("lift", "a.mp4")
    assert (status, out) == (1, "") and paragraph(err).startswith("Cannot read a.mp4: ")
    assert not Path("a.glb").exists()


def test_lift_of_sound_alone(run: Run) -> None:
    import wave

    with wave.open("song.wav", "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(8000))
    status, _, err = run("lift", "song.wav")
    assert status == 1 and "song.wav" in paragraph(err)


@pytest.mark.parametrize(
    ("out", "says"),
    [
        ("scene.ply", "Cannot write 'scene.ply': its name must be NAME.glb (the scene)."),
        ("scene", "Cannot write 'scene': its name must be NAME.glb (the scene)."),
        ("no/scene.glb", "Cannot write no/scene.glb: no does not exist; create it first."),
        ("file/scene.glb", "Cannot write file/scene.glb: file is not a folder."),
        ("folder.glb", "Cannot write folder.glb: a folder of that name is in the way."),
        (
            "/proc/scene.glb",
            "Cannot write /proc/scene.glb: the folder /proc refuses new files (No such file or directory).",
        ),
    ],
)
def test_an_output_that_cannot_be_written_is_refused_before_the_work(
    run: Run, clip: Path, stand_in: list[object], out: str, says: str
) -> None:
    Path("file").touch()
    Path("folder.glb").mkdir()
    status, _, err = run("lift", clip, "-o", out)
    assert status == 1 and paragraph(err) == says
    assert not stand_in


@pytest.mark.parametrize("command", ["lift", "render"])
def test_a_gpu_that_is_not_there(run: Run, clip: Path, scene: Path, command: str, monkeypatch: object) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    status, _, err = run(command, clip if command == "lift" else scene, "--device", "cuda")
    assert status == 1
    assert paragraph(err) == "--device cuda was asked for, but PyTorch sees no CUDA device; `fourd doctor` says why."


@pytest.mark.parametrize("content", [b"", b"glTF", b"not a scene" * 99], ids=["empty", "short", "text"])
@pytest.mark.parametrize("words", [["info"], ["render", "-o", "a.mp4"], ["export", "-o", "a.ply"]], ids=lambda w: w[0])
def test_a_broken_scene(run: Run, content: bytes, words: list[str]) -> None:
    Path("s.glb").write_bytes(content)
    status, out, err = run(words[0], "s.glb", *words[1:])
    assert (status, out) == (1, "") and "s.glb" in paragraph(err)
    assert [p.name for p in Path().iterdir()] == ["s.glb"]


def test_a_scene_cut_short(run: Run, scene: Path) -> None:
    whole = scene.read_bytes()
    scene.write_bytes(whole[: len(whole) // 2])
    status, _, err = run("info", scene)
    assert status == 1 and "ball.glb" in paragraph(err)


@pytest.mark.needs("native")
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--path", "loop"], "Camera path 'loop' is not known. Use one of: orbit, arc, freeze"),
        (["--path", "dolly", "--degrees", "3"], "Camera path 'dolly' takes amount or metres (in focus distances), not"),
        (["--path", "keyframes"], "The path 'keyframes' needs keyframes"),
        (["--fps", "0"], "fps is 0; it must be above 0."),
        (["--speed", "nan"], "speed is nan; it must be above 0."),
        (["--at", "inf"], "at_s is inf; it must be finite."),
        (["--size", "3"], "--size is 3; a picture needs at least 16 pixels."),
        (["--size", "64", "--hw", "32", "32"], "--size and --hw were both given;"),
        (["--keyframes", "none.json"], "none.json"),
        (["-o", "film.gif"], "Cannot write 'film.gif': its name must be one of NAME.mp4 (a video),"),
        (["-o", "no/film.mp4"], "Cannot write no/film.mp4: no does not exist; create it first."),
        (["-o", "full"], "Cannot write pictures to full: it exists and is not an empty folder. Give a new name."),
    ],
    ids=lambda w: " ".join(w) if isinstance(w, list) else "",
)
def test_renders_that_cannot_be(run: Run, scene: Path, words: list[str], says: str) -> None:
    Path("full").mkdir()
    Path("full/a.txt").touch()
    before = sorted(Path().rglob("*"))
    status, out, err = run("render", scene, *words)
    assert (status, out) == (1, "") and says in paragraph(err)
    assert sorted(Path().rglob("*")) == before


def test_interruption_leaves_nothing_and_says_so(run: Run, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def steps(clip: Clip, config: Config) -> Steps[Scene]:
        yield events.Started("motion")
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "steps", steps)
    status, out, err = run("lift", clip)
    assert (status, out) == (130, "") and err.endswith("\nfourd: Interrupted; nothing was written.\n")
    assert [p.name for p in Path().iterdir()] == ["wall.mp4"]


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")]
)
def test_a_full_memory_is_no_traceback(run: Run, clip: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def steps(clip: Clip, config: Config) -> Steps[Scene]:
        yield events.Started("motion")
        raise error

    monkeypatch.setattr(pipeline, "steps", steps)
    status, _, err = run("lift", clip)
    assert status == 1 and "The memory is full. Use a smaller --size, --duration or --fps." in err


def test_a_bug_is_not_hidden(run: Run, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def steps(clip: Clip, config: Config) -> Steps[Scene]:
        yield events.Started("motion")
        raise RuntimeError("a bug")

    monkeypatch.setattr(pipeline, "steps", steps)
    with pytest.raises(RuntimeError, match="a bug"):
        run("lift", clip)


def test_the_paragraph_check_can_fail() -> None:
    for text in ("Traceback (most recent call last):\n", "fourd: a\n\nb\n", "fourd: no end"):
        with pytest.raises(AssertionError):
            paragraph(text)


# --- render, info, export -----------------------------------------------------------------------------------


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
    status, out, err = run("render", scene, "--keyframes", "fly.json", "--size", "24", "-o", "a.mp4")
    assert (status, err) == (0, "") and out.endswith("frames of 24 x 18 pixels\n")


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
    for name in ("a.ply", "a.json", "a.glb"):
        status, out, err = run("export", scene, "-o", name)
        assert (status, err) == (0, "") and out == f"{name}: {Path(name).stat().st_size / 1e6:.1f} MB\n"
    assert (
        Path("a.ply").read_bytes().startswith(b"ply\n") and len(json.loads(Path("a.json").read_text())["frames"]) == 8
    )
    run("export", scene, "-o", "b.ply", "--at", "0.7")
    assert Path("b.ply").read_bytes() != Path("a.ply").read_bytes()
    status, _, err = run("export", scene, "-o", "a.json", "--at", "0.7")
    assert status == 1 and paragraph(err) == "--at chooses the moment of a .ply; 'a.json' holds all of them."
    status, _, err = run("export", scene, "-o", "a.obj")
    assert status == 1 and "its name must be one of NAME.ply (one moment), NAME.json" in paragraph(err)


def test_doctor(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from fourd import doctor

    monkeypatch.setattr(doctor, "examine", lambda: [doctor.Finding("CPU", "yes", "2 cores")])
    assert run("doctor") == (0, "CPU  yes  2 cores\n\nfourd can lift clips here.\n", "")
    monkeypatch.setattr(doctor, "examine", lambda: [doctor.Finding("video", "broken", "no encoder", "Get one.")])
    status, out, _ = run("doctor")
    assert status == 1 and "video  NO  no encoder" in out and "Get one." in out and "cannot lift clips here" in out


# --- the whole way ------------------------------------------------------------------------------------------


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


# --- importing is free --------------------------------------------------------------------------------------

_HEAVY = ("fourd.native._cpu", "gsplat", "embreex", "transformers", "diffusers", "pycolmap")


def _imported(code: str) -> list[str]:
    """The modules that a fresh Python holds after running ``code``."""
    code += "\nimport sys, json; sys.stdout.write('\\n' + json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_help_loads_nothing_heavy() -> None:
    loaded = _imported("from fourd.cli import main\nassert main(['--help']) == 0")
    assert not set(loaded) & {*_HEAVY, "torch", "cv2", "av", "numpy"}


def test_importing_fourd_loads_no_kernels_and_changes_nothing() -> None:
    # What others do when they are imported is theirs: cv2 sets LD_LIBRARY_PATH, rich draws a number.
    code = """
import os, random, av, cv2, numpy, rich.progress, torch, tyro
def state():
    flags = torch.backends.cudnn.benchmark, torch.are_deterministic_algorithms_enabled(), torch.is_grad_enabled()
    drawn = random.getstate(), str(numpy.random.get_state()), torch.random.get_rng_state().tolist()
    return torch.get_num_threads(), torch.get_default_dtype(), dict(os.environ), flags, drawn
before = state()
import fourd, fourd.pipeline, fourd.scene, fourd.cli, fourd.doctor, fourd.view.film
assert state() == before
"""
    assert not set(_imported(code)) & set(_HEAVY)


def test_the_check_of_imports_can_fail() -> None:
    assert "embreex" in _imported("import embreex")
    with pytest.raises(subprocess.CalledProcessError):
        _imported("assert False")


def test_a_user_sees_a_paragraph_and_the_shell_a_status(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "fourd.cli", "export", "a.glb", "-o", "a.obj"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert paragraph(done.stderr).startswith("Cannot write 'a.obj': its name must be one of")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_behind_the_output_is_no_traceback(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        words = [sys.executable, "-m", "fourd.cli", "--version"]
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1 and paragraph(done.stderr) == "[Errno 28] No space left on device"


def test_a_reader_that_leaves_early_is_nothing_to_talk_about(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    words = [sys.executable, "-m", "fourd.cli", "--version"]
    done = subprocess.run(words, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


def test_unknown_backends_are_named_with_the_known_ones(run: Run, clip: Path) -> None:
    for option, known in {"--camera": "flow", "--depth": "parallax"}.items():
        status, _, err = run("lift", clip, option, "magic")
        lines = err.splitlines()
        assert status == 1 and "'magic'" in lines[-1] and known in lines[-1] and lines[-1].startswith("fourd: ")
