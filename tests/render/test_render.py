"""Pictures one after the other, at the moments of their cameras."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from fourd.errors import InputError
from fourd.render import render, stream
from fourd.types import Cameras, Splats
from tests.native.splats import beside, pinhole, scatter, splats

HW = (20, 30)


def cameras(times: list[float], poses: Tensor | None = None, K: Tensor | None = None) -> Cameras:
    n = len(times)
    return Cameras(
        K=(pinhole(HW, 25.0) if K is None else K).expand(n, 3, 3),
        world_from_cam=torch.eye(4).expand(n, 4, 4) if poses is None else poses,
        hw=HW,
        time_s=torch.tensor(times, dtype=torch.float64),
    )


@pytest.mark.needs("native")
def test_render_is_the_stream_laid_together() -> None:
    s, where = scatter(50), cameras([-0.5, 0.0, 2.0], torch.stack([torch.eye(4), beside(), torch.eye(4)]))
    parts, whole = list(stream(s, where)), render(s, where)
    assert [len(part) for part in parts] == [1, 1, 1]
    for name in ("rgb", "alpha", "depth_m", "time_s"):
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name))
    assert whole.rgb.shape == (3, *HW, 3)
    assert torch.equal(whole.time_s, where.time_s)


@pytest.mark.needs("native")
def test_pictures_are_drawn_when_asked_for() -> None:
    pictures = stream(scatter(5), cameras([float(i) for i in range(100_000)]))
    assert len(next(pictures)) == 1  # All of them would take minutes and gigabytes.


@pytest.mark.needs("native")
def test_each_camera_sees_its_own_moment() -> None:
    # 0.4 m a second at 2 m and 25 px: 5 pixels a second to the right.
    s = splats([[0.04, 0.04, 2.0]], velocity_mps=[0.4, 0, 0], scale_m=[0.03] * 3)
    peaks = render(s, cameras([-1.0, 0.0, 2.0])).alpha.flatten(1).argmax(1)
    assert (peaks % HW[1]).tolist() == [10, 15, 25]
    assert (peaks // HW[1]).tolist() == [10] * 3


@pytest.mark.needs("native")
def test_holes_are_what_is_less_than_half_covered() -> None:
    wall = splats([[1.2, 0, 2.0]], scale_m=[1.0, 50.0, 1e-3], opacity=0.9)  # 15 pixels to the right, 12.5 wide.
    frames = render(wall, cameras([0.0]))
    assert torch.equal(frames.hole, frames.alpha < 0.5)
    assert 0 < int(frames.hole.sum()) < frames.hole.numel()
    middle = frames.hole[0, 10]
    assert not middle[-1] and bool(middle[14])
    assert float(frames.rgb[0, 10, 14].max()) <= float(frames.alpha[0, 10, 14]) + 1e-6


@pytest.mark.needs("native")
def test_nothing_to_see_is_black_and_all_hole() -> None:
    for s in (scatter(0), splats([[0, 0, -5.0]])):
        frames = render(s, cameras([0.0]))
        assert bool(frames.hole.all()) and not frames.rgb.any() and not frames.depth_m.any()


@pytest.mark.needs("native")
def test_colours_end_at_one() -> None:
    frames = render(splats([[0, 0, 2.0]], rgb=[7.0, 1.0, -2.0], scale_m=[1.0] * 3), cameras([0.0]))
    assert float(frames.rgb.max()) == 1.0 and float(frames.rgb.min()) == 0.0


def test_splats_elsewhere_are_refused() -> None:
    s = scatter(2)
    for name in Splats.__dataclass_fields__:
        object.__setattr__(s, name, getattr(s, name).to("meta"))
    with pytest.raises(InputError, match=r"splats is on meta\. Move it with \.to\('cpu'\)"):
        render(s, cameras([0.0]))
