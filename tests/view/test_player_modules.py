"""The player's modules that need no browser, in Node: against exact answers and against what Python writes."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from fourd.formats import camera_path, glb, packed
from fourd.geometry import rigid
from fourd.types import Provenance, Splats
from tests.formats import samples

FOLDER = Path(__file__).parent / "player"
PLAYER = Path(__file__).parents[2] / "fourd" / "view" / "player"

pytestmark = pytest.mark.needs("node")


def node(*words: object, **env: object) -> str:
    done = subprocess.run(
        ["node", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {name: str(value) for name, value in env.items()},
        timeout=60,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


@pytest.mark.parametrize("name", ["camera", "gltf", "sort"])
def test_modules(name: str, tmp_path: Path) -> None:
    whole = {"splats": samples.splats(), "cameras": samples.cameras(), "sound": samples.sound()}
    glb.write(tmp_path / "s.glb", **whole)
    (tmp_path / "s.packed").write_bytes(packed.pack(**whole))
    paths = {"FOURD_TEST_GLB": tmp_path / "s.glb", "FOURD_TEST_PACKED": tmp_path / "s.packed"}
    said = node("--test", FOLDER / f"{name}.test.mjs", **paths)
    assert "# fail 0" in said or "fail 0" in said


def values(path: Path) -> tuple[dict[str, Any], Splats]:
    """What the player reads out of a file."""
    read = json.loads(node(FOLDER / "values.mjs", path))
    parts = [{name: torch.tensor(value) for name, value in part.items()} for part in read["parts"]]
    n = sum(int(part["count"]) for part in parts)

    def whole(name: str, *shape: int) -> torch.Tensor:
        return torch.cat([part[name] for part in parts]).reshape(n, *shape)

    harmonics = torch.cat([part["harmonics"].reshape(part["harmonics"].shape[0], -1, 3) for part in parts], 1)
    duration = whole("duration").double()
    return read["facts"], Splats(
        mean_m=whole("position", 3),
        quat_wxyz=whole("rotation", 4)[:, [3, 0, 1, 2]],
        scale_m=whole("scale", 3),
        opacity=whole("opacity"),
        colour=harmonics.permute(1, 0, 2),
        velocity_mps=whole("velocity", 3),
        time_s=whole("time"),
        duration_s=torch.where(duration > 3.4e38, torch.inf, duration).float(),
        source=whole("source").to(torch.uint8),
    )


def by_place(splats: Splats) -> Splats:
    """The same in an order of their own."""
    return splats[splats.mean_m[:, 0].argsort()]


@pytest.mark.parametrize("coefficients", [1, 4, 9, 16])
def test_the_player_reads_what_a_scene_file_holds(tmp_path: Path, coefficients: int) -> None:
    wrote = samples.splats(coefficients=coefficients)
    cameras = samples.cameras()
    notes = Provenance(clip="a <b>walk</b>.mp4", metric=True, up=[0.6, -0.8, 0.0])
    glb.write(tmp_path / "s.glb", splats=wrote, cameras=cameras, sound=samples.sound(), provenance=notes)
    facts, read = values(tmp_path / "s.glb")
    wrote, read = by_place(wrote), by_place(read)
    for name in (
        "mean_m",
        "quat_wxyz",
        "scale_m",
        "opacity",
        "colour",
        "velocity_mps",
        "time_s",
        "duration_s",
        "source",
    ):
        assert torch.equal(getattr(wrote, name), getattr(read, name)), name
    assert (facts["name"], facts["metric"], facts["splats"]) == (notes.clip, True, len(wrote))
    assert facts["up"] == pytest.approx(notes.up)
    assert tuple(facts["hw"]) == cameras.hw and facts["coefficients"] == coefficients
    assert torch.equal(torch.tensor([c["K"] for c in facts["cameras"]]).reshape(-1, 3, 3), cameras.K)
    pose = torch.tensor([c["pose"] for c in facts["cameras"]]).reshape(-1, 4, 4)
    assert torch.equal(pose, cameras.world_from_cam)
    assert [c["time_s"] for c in facts["cameras"]] == cameras.time_s.tolist()


@pytest.mark.parametrize("coefficients", [1, 4, 16])
def test_the_player_reads_a_rounded_file_as_python_does(tmp_path: Path, coefficients: int) -> None:
    wrote = samples.splats(300, coefficients=coefficients)
    wrote = wrote.replace(velocity_mps=torch.where(wrote.duration_s[:, None] == torch.inf, 0.0, wrote.velocity_mps))
    glb.write(tmp_path / "s.glb", splats=wrote, cameras=samples.cameras(), sound=samples.sound(), quantised=True)
    facts, read = values(tmp_path / "s.glb")
    assert (facts["splats"], len(facts["cameras"])) == (300, 5) and facts["sound"]["tracks"][0]["length"] > 0
    ours = by_place(glb.read(tmp_path / "s.glb")[0])
    read = by_place(read)
    for name in (field.name for field in dataclasses.fields(Splats)):
        torch.testing.assert_close(getattr(read, name), getattr(ours, name), rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("coefficients", [1, 16])
def test_a_packed_scene_is_the_scene_but_for_rounding(tmp_path: Path, coefficients: int) -> None:
    wrote = samples.splats(300, coefficients=coefficients)
    wrote = wrote.replace(velocity_mps=torch.where(wrote.duration_s[:, None] == torch.inf, 0.0, wrote.velocity_mps))
    (tmp_path / "s").write_bytes(packed.pack(wrote, samples.cameras()))
    facts, read = values(tmp_path / "s")
    assert facts["splats"] == 300 and len(facts["cameras"]) == 5
    wrote, read = by_place(wrote), by_place(read)
    torch.testing.assert_close(read.mean_m, wrote.mean_m, rtol=2**-16, atol=0)
    # Three components to half of 1/(511 sqrt 2); the fourth follows from them.
    angle = 2 * torch.acos((read.quat_wxyz * wrote.quat_wxyz).sum(1).abs().clamp(max=1))
    assert float(angle.max()) < 4e-3
    span = float(torch.log2(wrote.scale_m).max() - torch.log2(wrote.scale_m).min())
    torch.testing.assert_close(torch.log2(read.scale_m), torch.log2(wrote.scale_m), rtol=0, atol=0.51 * span / 1023)
    torch.testing.assert_close(read.opacity, wrote.opacity, rtol=0, atol=0.51 / 255)
    base = wrote.colour[:, 0]
    torch.testing.assert_close(read.colour[:, 0], base, rtol=0, atol=0.51 * float(base.max() - base.min()) / 1023)
    sheen = wrote.colour[:, 1:]
    if sheen.numel():
        torch.testing.assert_close(read.colour[:, 1:], sheen, rtol=0, atol=0.51 * float(sheen.abs().max()) / 127)
    torch.testing.assert_close(read.velocity_mps, wrote.velocity_mps, rtol=2**-11, atol=2**-25)
    assert torch.equal(read.duration_s, wrote.duration_s)
    lives = torch.isfinite(wrote.duration_s)
    assert torch.equal(read.time_s[lives], wrote.time_s[lives])  # The time of what stays means nothing.
    assert torch.equal(read.source, wrote.source)


def test_python_reads_a_path_that_the_player_recorded(tmp_path: Path) -> None:
    path = tmp_path / "camera_path.json"
    path.write_text(node(FOLDER / "path.mjs"))
    keys = camera_path.read(path)
    # A leg of 2 s where time stands still, and one of the second that passes, at 8 frames a second.
    assert len(keys.cameras) == 25 and float(keys.play_s[-1]) == 3.0 and keys.cameras.hw == (240, 320)
    for index, place, angle, time_s in ((0, [0, 0, 0], 0.0, 0.5), (16, [1, 2, 3], 0.3, 0.5), (24, [2, 2, 3], 0.6, 1.5)):
        turn = rigid.matrix_from_rotvec(torch.tensor([0.0, angle, 0.0]))
        pose = keys.cameras.world_from_cam[index]
        torch.testing.assert_close(pose[:3, 3], torch.tensor(place).float(), rtol=0, atol=1e-6)
        torch.testing.assert_close(pose[:3, :3], turn, rtol=0, atol=1e-5)
        assert float(keys.cameras.time_s[index]) == pytest.approx(time_s)
    assert keys.cameras.K[7].tolist() == [[400, 0, 161], [0, 410, 117], [0, 0, 1]]


def test_the_player_stays_small_and_fetches_nothing_from_elsewhere() -> None:
    scripts = list(PLAYER.glob("*.js"))
    assert len(scripts) > 10 and sum(path.stat().st_size for path in scripts) <= 120_000
    for path in PLAYER.iterdir():
        text = path.read_text()
        assert "http://" not in text and "https://" not in text and "importScripts" not in text, path.name
