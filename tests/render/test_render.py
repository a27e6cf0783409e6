"""Pictures one after the other, at the moments of their cameras."""

from __future__ import annotations

import math
import sys
from typing import Any

import pytest
import torch
from torch import Tensor

from fourd.errors import InputError, MissingError
from fourd.native import reference
from fourd.render import gsplat, render, stream
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


# What fourd hands to gsplat, checked without it and without a GPU.


def as_gsplat(calls: list[dict[str, Any]]) -> Any:
    """Stands in for ``gsplat.rasterization``: our reference behind its interface."""

    def rasterization(**given: Any) -> tuple[Tensor, Tensor, dict[str, Any]]:
        calls.append(given)
        n = len(given["means"])
        assert given["colors"].shape == (n, (given["sh_degree"] + 1) ** 2, 3)
        rgb, alpha, depth_m, _, _ = reference.rasterize(
            *(given[name] for name in ("means", "quats", "scales", "opacities", "colors")),
            torch.zeros(n, 3), torch.zeros(n), torch.full((n,), math.inf),
            given["Ks"][0], torch.linalg.inv(given["viewmats"][0]), given["height"], given["width"],
            0.0, given["eps2d"], given["near_plane"],
        )  # fmt: skip
        return torch.cat([rgb, depth_m[..., None]], -1)[None], alpha[None, ..., None], {}

    return rasterization


@pytest.mark.needs("native")
@pytest.mark.parametrize("k", [1, 4, 9, 16])
def test_gsplat_is_asked_for_the_same_pictures(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr(gsplat, "load", lambda: as_gsplat(calls))
    s, where = scatter(60, k=k), cameras([-0.5, 1.0], torch.stack([beside(), torch.eye(4)]))
    for theirs, ours in zip(gsplat.stream(s, where), stream(s, where), strict=True):
        for name in ("rgb", "alpha", "depth_m"):
            torch.testing.assert_close(getattr(theirs, name), getattr(ours, name), rtol=1e-4, atol=1e-4)
        assert torch.equal(theirs.time_s, ours.time_s)
    assert [(c["render_mode"], c["rasterize_mode"]) for c in calls] == [("RGB+ED", "antialiased")] * 2


def test_gsplat_is_not_asked_for_an_empty_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr(gsplat, "load", lambda: as_gsplat(calls))
    gone = splats([[0, 0, 2.0]], duration_s=0.1)
    (frames,) = gsplat.stream(gone, cameras([50.0]))
    assert not calls and bool(frames.hole.all()) and frames.rgb.shape == (1, *HW, 3)


def test_gsplat_cannot_draw_skew() -> None:
    with pytest.raises(InputError, match="has skew, which gsplat cannot draw"):
        next(gsplat.stream(scatter(1), cameras([0.0], K=pinhole(HW, 25.0, skew=2.0))))


def test_without_gsplat_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gsplat", None)
    with pytest.raises(MissingError) as caught:
        next(gsplat.stream(scatter(1), cameras([0.0])))
    assert str(caught.value) == (
        "Rendering on CUDA needs the package 'gsplat', which is not installed.\n"
        "  Install it:      pip install 'fourd[gpu]'\n"
        "  Or use another:  the CPU: splats.to('cpu')"
    )


@pytest.mark.needs("native", "cuda", "gsplat")
def test_gsplat_draws_what_we_draw() -> None:
    s, where = scatter(2000, k=4, scale_m=0.1), cameras([0.0], beside()[None])
    ours, theirs = render(s, where), render(s.to("cuda"), where).to("cpu")
    # gsplat leaves out the splat that would close a pixel; we draw it. That is at most 1e-4 / 0.001 of a
    # pixel, where an opaque splat comes last.
    assert float((ours.alpha - theirs.alpha).abs().mean()) < 2e-3
    assert float((ours.rgb - theirs.rgb).abs().mean()) < 2e-3


def test_splats_elsewhere_are_refused() -> None:
    s = scatter(2)
    for name in Splats.__dataclass_fields__:
        object.__setattr__(s, name, getattr(s, name).to("meta"))
    with pytest.raises(InputError, match=r"splats is on meta\. Move it with \.to\('cpu'\)"):
        render(s, cameras([0.0]))
