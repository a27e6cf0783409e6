"""Help, and words that make no sense: status 2."""

from __future__ import annotations

from pathlib import Path

import pytest

from fourd import camera, cli, depth, inpaint
from fourd.geometry.paths import PATHS
from tests.cli.said import Run


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
    for known in (*camera._BACKENDS, *depth._BACKENDS, *inpaint.BACKENDS, "file", "none"):
        assert known in words


def test_version(run: Run) -> None:
    assert run("--version") == (0, "fourd 0.1.0\n", "")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["lift", "-a.mp4"], "fourd: A name that begins with a dash is given as ./-a.mp4\n"),
        (["lift", "b.mp4", "b.glb"], "fourd: One clip is lifted at a time, and -o names the scene: fourd lift CLIP -o"),
        (["lift", "b.mp4", "c.mp4"], "fourd: One clip is lifted at a time"),
    ],
    ids=" ".join,
)
def test_what_was_probably_meant(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("-a.mp4", "b.mp4", "c.mp4"):
        Path(name).touch()
    status, out, err = run(*words)
    assert (status, out) == (2, "") and says in err
    assert "fourd: " not in run("lift", "b.mp4", "--qualty", "high")[2], "only where something is known"


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
