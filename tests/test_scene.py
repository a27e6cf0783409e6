"""What a scene knows of itself."""

from __future__ import annotations

import dataclasses

import pytest

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
