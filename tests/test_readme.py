"""What the README tells people to type works."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fourd import cli
from fourd.formats import camera_path
from tests.scenes import small_scene, write_walk

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
WORDS = [shlex.split(line, comments=True) for line in re.findall(r"^    (fourd .*)$", README, re.MULTILINE)]
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a small video."""
    write_walk(tmp_path / "walk.mp4")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_there_is_something_to_check() -> None:
    assert len(SNIPPETS) == 2
    assert {words[1] for words in WORDS} == set(cli.COMMANDS)


@pytest.mark.needs("native")
@pytest.mark.parametrize("words", [w for w in WORDS if w[1] not in ("lift", "doctor", "view")], ids=" ".join)
def test_commands_work_on_a_scene(folder: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    scene = small_scene()
    long = replace(scene, cameras=scene.cameras.replace(time_s=scene.cameras.time_s * 3))  # The README looks at 1.5 s.
    long.save("walk.glb")
    scene.export("garden.ply")
    camera_path.write("camera_path.json", scene.cameras, fps=10)
    before = set(folder.iterdir())
    assert cli.main(words[1:]) == 0, capsys.readouterr().err
    if "-o" in words:
        assert set(folder.iterdir()) - before == {folder / words[words.index("-o") + 1]}


@pytest.mark.needs("native")
def test_snippets_run_one_after_the_other(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    exec(compile(SNIPPETS[0], "README.md", "exec"), names)
    clip = names["clip"]
    names["clip"] = clip.replace(frames=clip.frames[:2], time_s=clip.time_s[:2])  # Two frames are lifted sooner.
    exec(compile(SNIPPETS[1], "README.md", "exec"), names)
    assert {p.name for p in folder.iterdir()} == {"walk.mp4", "walk.glb", "orbit.mp4"}
    assert type(names["scene"]).__name__ == "Scene" and len(names["frames"]) == 6
    assert "fuse: Splats" in capsys.readouterr().out


def test_the_loop_over_a_folder_goes_on_where_it_was(folder: Path) -> None:
    (loop,) = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    (folder / "clips").mkdir()
    (folder / "scenes").mkdir()
    for name in ("a b.mp4", 'it\'s "it".mov', "-dash.gif", "broken.mp4", "done.mp4"):
        (folder / "clips" / name).touch()
    (folder / "scenes" / "done.done").touch()
    fourd = folder / "fourd"
    fourd.write_text(
        f"#!{sys.executable}\nimport sys\n_, command, clip, flag, out = sys.argv\n"
        "if 'broken' in clip: sys.exit(f'fourd: Cannot read {clip}.')\n"
        "print(command, flag, clip); open(out, 'x')\n"
    )
    fourd.chmod(0o755)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    runs = [
        subprocess.run(["sh", "-c", loop], env={"PATH": path}, capture_output=True, text=True, check=False)
        for _ in "12"
    ]
    assert sorted(runs[0].stdout.splitlines()) == [
        "fourd: Cannot read clips/broken.mp4.",
        "lift -o clips/-dash.gif",
        "lift -o clips/a b.mp4",
        'lift -o clips/it\'s "it".mov',
    ]
    assert runs[1].stdout.splitlines() == ["fourd: Cannot read clips/broken.mp4."]
    assert not runs[0].stderr and not runs[1].stderr


def test_links_lead_somewhere() -> None:
    for page in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        links = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / page).read_text())
        assert len(links) >= 1 or page == "CHANGELOG.md"
        assert not [link for link in links if not (ROOT / link).exists()], page


def test_targets_that_are_named_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    text = "".join((ROOT / page).read_text() for page in ("README.md", "CONTRIBUTING.md"))
    for target in set(re.findall(r"\bmake ([a-z]+)\b(?=[ `\n])", text)) - {"you"}:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
