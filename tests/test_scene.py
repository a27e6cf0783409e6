"""What a scene knows of itself."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
import torch
from jaxtyping import TypeCheckError

from fourd import exports
from fourd.errors import FormatError, InputError
from fourd.formats import _notes
from fourd.geometry.paths import PATHS
from fourd.scene import Scene
from fourd.types import Cameras
from tests.scenes import at_times, small_scene

SCENE = small_scene()


@pytest.mark.parametrize(
    ("cameras", "fps", "start_s"),
    [
        (SCENE.cameras, 10.0, 0.0),
        (SCENE.cameras[2:], 10.0, -0.2),  # The film begins later than the sound.
        (at_times(SCENE, 0.0, 0.1, 0.2, 0.2, 0.2), 10.0, 0.0),  # The last moment is held.
        (SCENE.cameras, 20.0, None),  # Twice as fast.
        (at_times(SCENE, 0.3, 0.2, 0.1), 10.0, None),  # Backwards.
        (at_times(SCENE, 0.3, 0.3, 0.3), 10.0, None),  # Bullet time.
        (at_times(SCENE, 0.3), 10.0, None),
    ],
    ids=["as filmed", "later", "held", "fast", "backwards", "frozen", "one"],
)
def test_sound_goes_along_where_time_runs_as_it_ran(cameras: Cameras, fps: float, start_s: float | None) -> None:
    sound = SCENE.heard(cameras, fps)
    assert (sound and sound.start_s) == (start_s if start_s is None else pytest.approx(start_s))
    assert dataclasses.replace(SCENE, sound=None).heard(cameras, fps) is None


@pytest.mark.parametrize("time_s", [-0.2, 0.9, 99.0, float("nan")])
def test_moments_outside_are_refused(tmp_path: Path, time_s: float) -> None:
    words = rf"The moment {time_s:g} s is not in the scene: it lasts from 0 to 0\.7 s\."
    with pytest.raises(InputError, match=words):
        SCENE.export(tmp_path / "a.ply", time_s=time_s)
    with pytest.raises(InputError, match=words):
        SCENE.path("freeze", at_s=time_s)
    assert not list(tmp_path.iterdir())


def test_a_kind_that_is_not_known(tmp_path: Path) -> None:
    with pytest.raises(TypeCheckError, match="Actual value: 'voxels'"):
        exports.write(tmp_path / "a.ply", **SCENE._whole(), kind="voxels")  # type: ignore[arg-type]


def test_a_frame_rate_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="fps is 0"):
        SCENE.write_video(tmp_path / "a.mp4", SCENE.cameras, fps=0)


def test_the_help_of_path_names_every_path() -> None:
    said = re.findall(r"``([\w-]+)``", (Scene.path.__doc__ or "").split("options:")[0])
    assert said == list(PATHS)


def test_orbits_go_about_the_up_that_the_scene_knows() -> None:
    aslant = [0.6, -0.8, 0.0]
    leaning = dataclasses.replace(SCENE, provenance=dataclasses.replace(SCENE.provenance, up=aslant))
    assert leaning.up.tolist() == aslant and SCENE.up.tolist() == [0, -1, 0]
    for scene in (SCENE, leaning):
        film = scene.path("orbit", degrees=30, at_s=0.3, duration_s=1.0)
        # About an axis all cameras turn, and along it nobody moves.
        along = film.centre_m.double() @ scene.up
        torch.testing.assert_close(along, along[:1].expand(len(along)), rtol=0, atol=1e-6)
    other = torch.tensor([0.0, 0.0, 1.0])
    film = leaning.path("orbit", degrees=30, at_s=0.3, duration_s=1.0, up=other)
    assert float((film.centre_m @ other).diff().abs().max()) < 1e-6


def test_an_up_that_is_no_direction_is_refused() -> None:
    for up, says in (([0, 0, 0], "has the length 0; it must be a direction"), ([1, 2], "must hold 3 numbers")):
        with pytest.raises(FormatError, match=f"extras.fourd.provenance.up {says}"):
            _notes.read_provenance({"provenance": {"up": up}})
    assert _notes.read_provenance({"provenance": {"up": [0, 2, 0]}}).up == [0, 1, 0]
    assert _notes.read_provenance({"provenance": {"up": None}}).up is None
