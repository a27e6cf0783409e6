"""Khronos' glTF-Validator has its word on the scene files, the exact and the rounded one.

The validator is fetched with npm into pytest's own cache, once; where that is not possible its tests skip. Of our files
it says two things that are no faults of theirs: it does not know KHR_gaussian_splatting, and therefore takes the names
of that extension's attributes for mistakes.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from fourd.formats import glb, surface
from tests.formats import samples

pytestmark = pytest.mark.needs("node")

VERSION = "2.0.0-dev.3.10"
_SCRIPT = """
const fs = require("fs"), validator = require("gltf-validator");
validator.validateBytes(new Uint8Array(fs.readFileSync(process.argv[1])), { maxIssues: 0 })
  .then((report) => process.stdout.write(JSON.stringify(report)));
"""


@pytest.fixture(scope="module")
def validator(pytestconfig: pytest.Config) -> Path:
    """The folder in which Node.js finds the validator."""
    assert pytestconfig.cache is not None
    folder = Path(pytestconfig.cache.mkdir(f"gltf-validator-{VERSION}"))
    if not (folder / "node_modules" / "gltf-validator").is_dir():
        words = [
            "npm",
            "install",
            "--ignore-scripts",
            "--no-save",
            "--no-audit",
            "--no-fund",
            f"gltf-validator@{VERSION}",
        ]
        try:
            done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            pytest.skip(f"gltf-validator could not be fetched: {error}")
        if done.returncode:
            pytest.skip(f"gltf-validator could not be fetched: {done.stderr.strip()[-200:]}")
    return folder


def report(validator: Path, path: Path) -> dict[str, Any]:
    done = subprocess.run(
        ["node", "-e", _SCRIPT, str(path)], cwd=validator, capture_output=True, text=True, timeout=60, check=True
    )
    return json.loads(done.stdout)


ERROR, INFORMATION = 0, 2


def faults(said: dict[str, Any]) -> list[tuple[str, str]]:
    """What the validator calls errors or warnings, but for the names of the extension's attributes."""
    return [
        (message["code"], message["pointer"])
        for message in said["issues"]["messages"]
        if message["severity"] < INFORMATION
        and not (
            message["code"] == "MESH_PRIMITIVE_INVALID_ATTRIBUTE"
            and "/attributes/KHR_gaussian_splatting:" in message["pointer"]
        )
    ]


@pytest.mark.parametrize("quantised", [False, True], ids=["exact", "quantised"])
@pytest.mark.parametrize("coefficients", [1, 9])
def test_scene_files_are_valid(validator: Path, quantised: bool, coefficients: int, tmp_path: Path) -> None:
    made = samples.splats(90, coefficients)
    still = torch.isinf(made.duration_s)[:, None]
    splats = made.replace(velocity_mps=torch.where(still, torch.zeros(3), made.velocity_mps))
    path = tmp_path / "x.glb"
    glb.write(path, splats=splats, cameras=samples.cameras(), sound=samples.sound(), quantised=quantised)
    said = report(validator, path)
    assert faults(said) == []
    assert said["info"]["totalVertexCount"] == 90
    infos = {m["code"] for m in said["issues"]["messages"] if m["severity"] == INFORMATION}
    # The extension; and that the sound and the other moments hang in no scene.
    assert infos <= {"UNSUPPORTED_EXTENSION", "UNUSED_OBJECT"}


def test_points_are_valid(validator: Path, tmp_path: Path) -> None:
    surface.write_points(tmp_path / "x.glb", samples.splats(90), 1.5)
    assert faults(report(validator, tmp_path / "x.glb")) == []


def test_the_validator_finds_faults(validator: Path, tmp_path: Path) -> None:
    from tests.formats.test_glb import rewritten

    path = tmp_path / "x.glb"
    glb.write(path, splats=samples.splats(9), cameras=samples.cameras(), quantised=True)
    rewritten(path, lambda document: document["bufferViews"][0].update(byteStride=6))
    assert "VALUE_MULTIPLE_OF" in {code for code, _ in faults(report(validator, path))}
