"""A command line in an empty folder, and what to give it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fourd import cli, events, pipeline
from fourd.events import Steps
from fourd.pipeline import Config
from fourd.scene import Scene
from fourd.types import Clip
from tests.cli.said import Run
from tests.scenes import small_scene, write_walk


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command line in an empty folder: words to (status, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")

    def run(*words: object) -> tuple[int, str, str]:
        status = cli.main([str(word) for word in words])
        said = capsys.readouterr()
        return status, said.out, said.err

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
