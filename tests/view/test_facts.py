"""What is said about a scene is what is in it."""

from __future__ import annotations

import dataclasses
import json

import pytest

from fourd.types import Uncertainty
from fourd.view.facts import facts, rows
from tests.scenes import MADE_UP, MOVING, STILL, small_scene

pytestmark = pytest.mark.needs("native")


def test_facts_are_json_and_true() -> None:
    known = facts(small_scene())
    assert json.loads(json.dumps(known)) == known
    assert (known["clip"], known["frames"], known["fps"], known["duration_s"]) == ("ball.mp4", 8, 10, 0.8)
    assert known["hw"] == [36, 48]
    assert known["splats"] == {"total": STILL + MOVING, "still": STILL, "moving": MOVING, "invented": MADE_UP}
    assert known["camera"]["focal_px"] == [40, 40]
    assert known["camera"]["fov_across_deg"] == 61.9  # 2 atan(24 / 40)
    assert known["camera"]["fov_down_deg"] == 48.5  # 2 atan(18 / 40)
    assert known["sound"] == {"duration_s": 0.8, "rate_hz": 8000, "channels": 1}
    assert known["seconds"] == {"motion": 1.0, "fuse": 2.5} and known["warnings"] == ["the wall is [flat]"]


def test_what_other_moments_showed_is_said_where_something_was_filled() -> None:
    plain = small_scene()
    assert "  shown by other moments" not in dict(rows(facts(plain)))
    told = dataclasses.replace(plain, provenance=dataclasses.replace(plain.provenance, evidence=0.69))
    assert dict(rows(facts(told)))["  shown by other moments"].startswith("69% of what single frames leave open")


def test_how_sure_cameras_are_is_said_where_they_were_found() -> None:
    plain = small_scene()
    assert facts(plain)["camera"]["uncertainty"] is None and "  sure to" not in dict(rows(facts(plain)))
    for told, says in (
        (Uncertainty(0.0012, 0.04, 0.007), "0.12% of the path's length, 0.04 degrees, 0.7% of the focal length"),
        (Uncertainty(0.0, 0.04, None), "0.04 degrees, a focal length that was guessed"),
    ):
        scene = dataclasses.replace(plain, provenance=dataclasses.replace(plain.provenance, uncertainty=told))
        known = facts(scene)
        assert known["camera"]["uncertainty"] == dataclasses.asdict(told) and json.dumps(known)
        assert dict(rows(known))["  sure to"] == says + " (standard deviations)"


@pytest.mark.parametrize(("travels", "says"), [(True, "travels"), (False, "stands still")])
def test_the_cameras_motion_is_named(travels: bool, says: str) -> None:
    assert dict(rows(facts(small_scene(travels=travels))))["camera"] == says


def test_people_are_told_what_the_unit_is_and_what_is_missing() -> None:
    metric, relative = (dict(rows(facts(small_scene(metric=m, sound=m)))) for m in (True, False))
    assert metric["unit"] == "the metre" and "true size is unknown" in relative["unit"]
    given = facts(small_scene())
    given["config"] = {"camera": "file"}
    assert dict(rows(given))["unit"].startswith("that of the cameras or depth that were given")
    assert metric["sound"] == "0.8 s, 1 channel at 8000 Hz" and relative["sound"] == "none"
    assert metric["warning"] == "the wall is [flat]"
    assert metric["config"] == "camera=flow, size=640"
