"""What cannot be done: status 1 and one paragraph."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fourd import events, pipeline
from fourd.events import Steps
from fourd.pipeline import Config
from fourd.scene import Scene
from fourd.types import Clip
from tests.cli.said import Run, paragraph


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


def test_cameras_that_are_not_there_are_missed_before_the_work(run: Run, clip: Path) -> None:
    status, _, err = run("lift", clip, "--camera", "nowhere.json", "--no-sheet")
    assert status == 1 and "Cannot read nowhere.json: there is no such file or folder." in " ".join(err.split())
    assert "motion" not in err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--range", "100"], "--range is 100; it must be above 0 and at most 90 degrees."),
        (["--size", "3"], "--size is 3; a working picture needs at least 16 pixels."),
        (["--start", "99"], "--start=99 lies beyond its end."),
        (["--duration", "-1"], "--duration is -1.0; it must be more than 0 seconds"),
        (["--limits.frames", "3"], "Read less of it (--duration, --fps), or raise --limits.frames."),
        (["--camera", "file"], "--camera is 'file' but --camera-file is not set; name the file to read."),
    ],
    ids=lambda w: " ".join(w) if isinstance(w, list) else "",
)
def test_errors_name_the_options_that_were_typed(run: Run, clip: Path, words: list[str], says: str) -> None:
    status, out, err = run("lift", clip, "--no-sheet", *words)
    assert (status, out) == (1, "") and says in " ".join(err.split()), err


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
    assert paragraph(err).startswith("--device cuda was asked for, but CUDA cannot be used here: ")
    assert "What to do:" in paragraph(err) and paragraph(err).endswith("Or use another:  cpu")


@pytest.mark.parametrize("content", [b"", b"glTF", b"not a scene" * 99], ids=["empty", "short", "text"])
@pytest.mark.parametrize("words", [["info"], ["render", "-o", "a.mp4"], ["export", "-o", "a.ply"]], ids=lambda w: w[0])
def test_a_broken_scene(run: Run, content: bytes, words: list[str]) -> None:
    Path("s.glb").write_bytes(content)
    status, out, err = run(words[0], "s.glb", *words[1:])
    assert (status, out) == (1, "") and "s.glb" in paragraph(err)
    assert [p.name for p in Path().iterdir()] == ["s.glb"]


@pytest.mark.parametrize("command", ["info", "view", "render"])
def test_a_video_that_is_taken_for_a_scene(run: Run, clip: Path, command: str) -> None:
    status, out, err = run(command, clip)
    assert (status, out) == (1, "") and paragraph(err).endswith(" A video becomes one by `fourd lift`.")


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
        (["--at", "inf"], "The moment inf s is not in the scene: it lasts from 0 to 0.7 s."),
        (["--at", "99"], "The moment 99 s is not in the scene: it lasts from 0 to 0.7 s."),
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
    assert (status, out) == (130, "") and err.endswith("\nfourd: Interrupted; nothing is left half-written.\n")
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
