"""Fillings become splats where they were seen, and go where a source camera would notice them."""

from __future__ import annotations

import pytest
import torch

from fourd import events, native
from fourd.fuse import invent
from fourd.types import INVENTED, Splats
from tests.fuse import worlds

pytestmark = pytest.mark.needs("native")


def _all(depth_m: float) -> Splats:
    camera = worlds.cameras(frames=1)
    rgb, _, _ = worlds.draw(camera)
    inverse = torch.full(worlds.HW, 1 / depth_m)
    return invent.invented(rgb[0], inverse, torch.ones(worlds.HW, dtype=torch.bool), camera)


def test_a_filled_picture_comes_back_as_it_was_filled() -> None:
    camera = worlds.cameras(frames=1)
    rgb, depth_m, _ = worlds.draw(camera)
    wanted = torch.zeros(worlds.HW, dtype=torch.bool)
    wanted[:, 20:44] = True
    splats = invent.invented(rgb[0], 1 / depth_m[0], wanted, camera)
    assert bool((splats.source == INVENTED).all()) and bool(splats.duration_s.isinf().all())
    drawn = native.rasterize(splats, camera.K[0], camera.world_from_cam[0], camera.hw, 0.0)
    inner = torch.zeros_like(wanted)
    inner[:, 22:42] = True
    assert float(drawn.alpha[inner].min()) > 0.9 and float(drawn.alpha[:, :18].max()) < 0.1
    assert worlds.psnr(drawn.rgb[inner], rgb[0][inner]) > 28  # Measured 31.
    torch.testing.assert_close(drawn.median_m[inner], depth_m[0][inner], rtol=0.02, atol=0)


def test_nothing_wanted_makes_nothing() -> None:
    camera = worlds.cameras(frames=1)
    nothing = torch.zeros(worlds.HW, dtype=torch.bool)
    assert len(invent.invented(torch.zeros(*worlds.HW, 3), torch.zeros(worlds.HW), nothing, camera)) == 0


def test_what_a_source_camera_would_see_goes_and_what_it_would_not_stays() -> None:
    filmed, hidden, before = _all(4.0), _all(5.0), _all(3.0)
    cameras = worlds.cameras(frames=3, travel_m=0.1)
    made = Splats.concat([hidden, before])
    kept = events.result(invent.unobtrusive(filmed, made, cameras))
    # What stands before the wall is seen by all, but for the far rim that leaves too little in any pixel.
    assert int((kept.mean_m[:, 2] < 4).sum()) < 0.05 * len(before)
    assert int((kept.mean_m[:, 2] > 4.5).sum()) > 0.8 * len(hidden)
