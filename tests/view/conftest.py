"""One browser and one server for all tests of a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fourd.scene import Scene
from tests.view.browser import Browser
from tests.view.pages import Served, busy_scene


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    served = Served()
    yield served
    served.close()


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Scene, Path]:
    scene, path = busy_scene(), tmp_path_factory.mktemp("scene") / "busy.glb"
    scene.save(path)
    return scene, path
