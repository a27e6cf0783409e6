"""The notebooks run from a fresh kernel, and every one of them shows figures."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "notebooks"
NAMES = ("01_first_scene", "02_cameras_and_paths", "03_swap_the_depth_model", "04_inside_the_splats")


def opened(name: str) -> Any:
    import nbformat

    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def test_all_notebooks_are_tested() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == list(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_notebooks_are_kept_without_what_they_show(name: str) -> None:
    # Pictures of the player alone would be megabytes, and would differ with every change.
    code = [cell for cell in opened(name).cells if cell.cell_type == "code"]
    assert code and all(not cell.outputs and cell.execution_count is None for cell in code)
    assert (FOLDER / f"{name}.ipynb").stat().st_size < 30_000


@pytest.mark.needs("native")
@pytest.mark.parametrize("name", NAMES)
def test_notebooks_run(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    notebook = opened(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # What Jupyter's own packages say of each other.
        from nbclient import NotebookClient

        NotebookClient(
            notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": str(FOLDER)}}
        ).execute()  # A cell that fails raises.
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    shown = [output.get("data", {}) for output in outputs]
    figures = [data for data in shown if "image/png" in data or "image/svg+xml" in data]
    assert len(figures) >= 2
    if name == "01_first_scene":
        assert any("<iframe srcdoc=" in data.get("text/html", "") for data in shown)  # The player.
    # Nothing is said on the error stream, neither warnings nor anything else; but matplotlib may find its fonts first.
    said = [output.text for output in outputs if output.output_type == "stream" and output.name == "stderr"]
    assert [text for text in said if "font cache" not in text] == []
