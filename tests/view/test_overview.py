"""A scene at a glance, and what of it is known: exact answers on a scene whose contents are known."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from fourd.errors import InputError
from fourd.events import result
from fourd.types import INVENTED, SEEN, Clip
from fourd.view import measures, overview, plan
from fourd.view.colour import quantised
from tests.scenes import FRAMES, HW, WALL_M, small_scene

pytestmark = pytest.mark.needs("native")

SCENE = small_scene()


def own_clip(hw: tuple[int, int] = HW) -> Clip:
    """The clip that the scene could have been lifted from: its own pictures."""
    cameras = overview.small(SCENE.cameras, 10_000) if hw == HW else SCENE.cameras.resized(hw)
    return Clip(quantised(SCENE.render(cameras).rgb), SCENE.cameras.time_s, name="ball")


def test_a_glance_is_what_was_filmed_and_what_is_rendered() -> None:
    clip = own_clip()
    found = result(overview.glances(SCENE, clip, count=3))
    assert [g.time_s for g in found] == pytest.approx([0.0, 0.4, 0.7])
    for glance in found:
        assert glance.filmed is not None
        assert torch.equal(glance.filmed, clip.frames[round(glance.time_s * 10)])
        assert torch.equal(glance.filmed, glance.rendered)  # This clip is the render.
        assert glance.depth.shape == glance.aside.shape == (*HW, 3)
        assert not torch.equal(glance.aside, glance.rendered)
    assert [g.filmed for g in result(overview.glances(SCENE, count=2))] == [None, None]


def test_the_look_from_beside_goes_round_the_subject_by_the_angle() -> None:
    focus_m = 3.0
    here = overview.turned(SCENE, 0.35, 0.0, focus_m)
    there = overview.turned(SCENE, 0.35, 30.0, focus_m)
    turn = here.world_from_cam[0, :3, :3].T.double() @ there.world_from_cam[0, :3, :3].double()
    assert math.degrees(math.acos((float(turn.trace()) - 1) / 2)) == pytest.approx(30, abs=1e-3)
    subject = [c.world_from_cam[0, :3, 3] + focus_m * c.world_from_cam[0, :3, 2] for c in (here, there)]
    torch.testing.assert_close(*subject)
    assert float(there.time_s[0]) == pytest.approx(0.35)


def test_a_sheet_has_a_row_for_each_way_to_look() -> None:
    found = result(overview.glances(SCENE, own_clip(), count=3))
    with_clip, without = overview.sheet(found), overview.sheet([dataclasses.replace(g, filmed=None) for g in found])
    assert with_clip.shape[1] == without.shape[1] and with_clip.shape[0] * 3 == pytest.approx(without.shape[0] * 4, 0.1)


def test_clips_of_another_size_are_compared_at_the_scenes() -> None:
    assert overview.filmed(own_clip((72, 96)), 0.1, HW).shape == (*HW, 3)
    assert overview.filmed(own_clip((18, 24)), 0.1, HW).shape == (*HW, 3)


def test_the_wrong_clip_is_refused() -> None:
    clip = own_clip()
    overview.check_clip(SCENE, clip)
    short = clip.replace(frames=clip.frames[:4], time_s=clip.time_s[:4])
    with pytest.raises(InputError, match=r"'ball' lasts 0.40 s and the scene 0.70 s. Give the clip that was lifted"):
        overview.check_clip(SCENE, short)
    with pytest.raises(InputError, match="are 36 x 48 and the scene was filmed in 48 x 36: other proportions"):
        overview.check_clip(SCENE, clip.replace(frames=clip.frames.transpose(1, 2).contiguous()))


def test_what_is_known_adds_up_and_falls_with_the_angle() -> None:
    known = {k.degrees: k for k in result(measures.known(SCENE))}
    assert all(k.seen + k.invented + k.hole == pytest.approx(1) for k in known.values())
    assert known[0].hole == 0 and known[45].hole > known[30].hole > known[20].hole
    # The right quarter of the wall is invented: the farther to the right the camera goes, the less of it is seen.
    assert known[-10].invented > known[0].invented > known[10].invented > known[30].invented == 0
    splats = SCENE.splats
    for source, name in ((SEEN, "seen"), (INVENTED, "invented")):
        one = dataclasses.replace(SCENE, splats=splats.replace(source=torch.full_like(splats.source, source)))
        middle = next(k for k in result(measures.known(one)) if k.degrees == 0)
        assert getattr(middle, name) == pytest.approx(1 - known[0].hole)


def test_truth_is_exact() -> None:
    clip = own_clip()
    assert min(db for _, db in result(measures.truth(SCENE, clip))) > 55  # Rounded to 8 bits.
    off = clip.replace(frames=clip.frames.clamp(max=235) + 20)  # At most 235: a step of exactly 20 grey levels.
    measured = result(measures.truth(SCENE, off, count=4))
    bright = float((clip.frames > 235).double().mean())
    assert len(measured) == 4 and bright < 0.1
    assert measured[1][1] == pytest.approx(-20 * math.log10(20 / 255), abs=0.5)


def test_plans_are_true_to_scale() -> None:
    above, side = plan.plans(SCENE)
    # The camera goes 0.2 to the right and stays level; from above that is to the right, from the side it is nothing.
    torch.testing.assert_close(above.eyes[-1] - above.eyes[0], torch.tensor([0.2, 0.0]).double())
    torch.testing.assert_close(side.eyes[-1], side.eyes[0])
    eye = above.eyes[FRAMES // 2]
    assert float(above.subject[0] - eye[0]) == pytest.approx(0, abs=1e-6)
    focus_m = float(above.subject[1] - eye[1])
    assert focus_m == pytest.approx(SCENE.focus_m()) and focus_m <= WALL_M
    # A lens of 40 px on 48 x 36 pixels.
    left, right = above.wedges[0, 1:] - above.wedges[0, 0]
    assert float((right - left)[0] / right[1]) == pytest.approx(48 / 40)
    lower, upper = sorted((side.wedges[0, 1:] - side.wedges[0, 0])[:, 1].tolist())
    assert upper == pytest.approx(-lower) and upper / float(right[1]) == pytest.approx(18 / 40)
    drawn = plan.drawing(above, label='from "above"', metric=True)
    assert "from &quot;above&quot;" in drawn and drawn.count("wedge") == 7 and " m</text>" in drawn
    assert "nan" not in drawn and "unit" in plan.drawing(side, label="", metric=False)


def test_plans_of_odd_scenes_are_drawn() -> None:
    one = dataclasses.replace(SCENE, cameras=SCENE.cameras[:1])
    empty = dataclasses.replace(SCENE, splats=SCENE.splats[:0])
    still = dataclasses.replace(SCENE, cameras=SCENE.cameras.replace(world_from_cam=torch.eye(4).repeat(FRAMES, 1, 1)))
    for scene in (one, empty, still):
        for each in plan.plans(scene):
            drawn = plan.drawing(each, label="a", metric=False)
            assert "nan" not in drawn and "inf" not in drawn
