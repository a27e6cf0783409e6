"""What all tests share: the ``needs`` mark, whose skips can be made loud, and seeded randomness."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

import pytest
import torch

SHARED = Path(__file__).parents[2] / "shared"
"""Real clips and truth for measurement; present on the project's own machines only."""


def _native() -> str:
    return "" if importlib.util.find_spec("fourd.native._cpu") else "the extension is not built: make native"


def _importable(name: str) -> str:
    return "" if importlib.util.find_spec(name) else f"the package {name} is not installed"


def _nvrtc() -> str:
    from fourd.native import cuda_compile  # Not before the import hook stands.

    try:
        cuda_compile.version()
    except ImportError as error:
        return str(error).splitlines()[0]
    return ""


def _program(what: str, *names: str) -> str:
    return "" if any(map(shutil.which, names)) else f"{what} is not installed"


REASONS = {
    "native": _native,
    "cuda": lambda: "" if torch.cuda.is_available() else "there is no CUDA device",
    "nvrtc": _nvrtc,
    "gsplat": lambda: _importable("gsplat"),
    "diffusers": lambda: _importable("diffusers"),
    "transformers": lambda: _importable("transformers"),
    "pycolmap": lambda: _importable("pycolmap"),
    "kornia": lambda: _importable("kornia"),
    "open3d": lambda: _importable("open3d"),
    "pytorch3d": lambda: _importable("pytorch3d"),
    "chromium": lambda: _program("Chromium", "chromium", "chromium-browser", "google-chrome"),
    "node": lambda: _program("Node.js", "node"),
    "shared": lambda: "" if SHARED.is_dir() else f"the measuring data is not at {SHARED}",
}


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what cannot run here; fail instead where FOURD_REQUIRE names it."""
    required = set(filter(None, os.environ.get("FOURD_REQUIRE", "").split(",")))
    for mark in item.iter_markers("needs"):
        for what in mark.args:
            reason = REASONS[what]()
            if reason and what in required:
                pytest.fail(f"FOURD_REQUIRE asks for {what}, but {reason}.")
            if reason:
                pytest.skip(reason)


@pytest.fixture
def shared() -> Path:
    """The folder of real clips; use with ``@pytest.mark.needs("shared")``."""
    return SHARED


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is asked of the hub of models; use with ``@pytest.mark.usefixtures("offline")``."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
