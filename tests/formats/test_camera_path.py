"""nerfstudio's camera paths: round trips, its axes, its field of view, its times."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from fourd.errors import FormatError, InputError
from fourd.formats import camera_path, transforms
from fourd.geometry import paths
from tests.formats import samples
from tests.formats.test_cameras import OPENCV, OPENGL
from tests.scenes import small_scene

FLAT = [x for row in OPENGL for x in row]


def written(path: Path, frames: int = 3, **changes: object) -> Path:
    entry = {"camera_to_world": FLAT, "fov": 90.0, "aspect": 2.0}
    document = {"camera_type": "perspective", "render_height": 100, "render_width": 200, "fps": 24, "seconds": 3}
    document |= {"camera_path": [entry] * frames} | changes
    path.write_text(json.dumps({k: v for k, v in document.items() if v is not None}))
    return path


def test_a_path_comes_back_exactly(tmp_path: Path) -> None:
    cameras = samples.cameras(6)
    camera_path.write(tmp_path / "x.json", cameras, fps=30.0)
    keys = camera_path.read(tmp_path / "x.json")
    samples.same(keys.cameras, cameras, "K", "world_from_cam", "time_s")
    assert keys.cameras.hw == cameras.hw
    torch.testing.assert_close(keys.play_s, torch.arange(6, dtype=torch.float64) / 30)
    film = paths.make("keyframes", cameras, keyframes=keys, fps=30.0)
    torch.testing.assert_close(film.world_from_cam, cameras.world_from_cam, rtol=0, atol=1e-6)
    torch.testing.assert_close(film.time_s, cameras.time_s)


def test_bullet_time_survives_the_file(tmp_path: Path) -> None:
    frozen = paths.make("freeze", samples.upright(5), focus_m=2.0)
    camera_path.write(tmp_path / "x.json", frozen, fps=10.0)
    samples.same(camera_path.read(tmp_path / "x.json").cameras, frozen, "K", "world_from_cam", "time_s")


def test_axes_and_vertical_field_of_view_by_hand(tmp_path: Path) -> None:
    keys = camera_path.read(written(tmp_path / "x.json"))
    assert keys.cameras.world_from_cam[0].tolist() == OPENCV
    torch.testing.assert_close(keys.cameras.K[0], torch.tensor([[50.0, 0, 100], [0, 50, 50], [0, 0, 1]]))
    assert keys.cameras.hw == (100, 200)


def test_what_is_written_is_what_nerfstudio_reads(tmp_path: Path) -> None:
    camera_path.write(tmp_path / "x.json", samples.upright(2), fps=24.0)
    document = json.loads((tmp_path / "x.json").read_text())
    entry = document["camera_path"][1]
    assert (document["camera_type"], document["render_height"], document["render_width"]) == ("perspective", 72, 128)
    assert document["seconds"] == pytest.approx(2 / 24)
    assert len(entry["camera_to_world"]) == 16 and entry["camera_to_world"][12:] == [0, 0, 0, 1]
    assert math.tan(math.radians(entry["fov"]) / 2) == pytest.approx(36 / 103.7, rel=1e-5)
    assert entry["render_time"] == pytest.approx(0.4)


def test_without_render_time_the_scene_runs_with_the_film(tmp_path: Path) -> None:
    keys = camera_path.read(written(tmp_path / "x.json"), start_s=5.0)
    torch.testing.assert_close(keys.cameras.time_s, 5 + torch.arange(3, dtype=torch.float64) / 24)
    keys = camera_path.read(written(tmp_path / "x.json", fps=None))  # Three cameras in three seconds.
    torch.testing.assert_close(keys.play_s, torch.arange(3, dtype=torch.float64))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"camera_type": "equirectangular"}, "camera type 'equirectangular'; only 'perspective'"),
        ({"camera_path": []}, "camera_path is empty"),
        ({"camera_path": None}, "camera_path must be a JSON array, not null"),
        ({"render_height": 0}, "must be a whole number from 1"),
        ({"fps": 0}, "plays 0 frames a second"),
        ({"camera_path": [{"camera_to_world": [1] * 15, "fov": 50}]}, "camera_to_world must hold 16 numbers"),
        ({"camera_path": [{"camera_to_world": FLAT, "fov": 180}]}, "must be between 0 and 180 degrees"),
        ({"camera_path": [{"camera_to_world": FLAT}]}, "fov must be a finite number, not null"),
        ({"camera_path": [{"camera_to_world": [0] * 16, "fov": 50}]}, "is not rigid"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, changes: dict, says: str) -> None:
    with pytest.raises(FormatError, match=says):
        camera_path.read(written(tmp_path / "x.json", **changes))


def test_a_film_must_have_a_speed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="fps is 0"):
        camera_path.write(tmp_path / "x.json", samples.cameras(), fps=0.0)


def test_hostile_files_never_do_worse_than_a_format_error(tmp_path: Path) -> None:
    path = written(tmp_path / "x.json")
    assert samples.survives(camera_path.read, path, samples.mutants(path.read_bytes(), 300)) > 50


def test_cameras_of_a_clip_are_no_path(tmp_path: Path) -> None:
    transforms.write(tmp_path / "walk.json", small_scene().cameras)
    with pytest.raises(FormatError) as error:
        camera_path.read(tmp_path / "walk.json")
    assert str(error.value) == (
        f"{tmp_path / 'walk.json'} holds the cameras of a clip (transforms.json) and no camera_path. Record one in the"
        " player, or in nerfstudio's."
    )
