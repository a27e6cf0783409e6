"""Values that the rasterizer must survive, and input that it must refuse."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor

from fourd.errors import InputError, MissingError
from fourd.native import Raster, contribution, loader, rasterize
from fourd.types import Splats
from tests.native.splats import arguments, beside, pinhole, scatter, splats

HW = (20, 30)
K, EYE = pinhole(HW, 25.0), torch.eye(4)
HUGE, TINY, DENORMAL = 3e38, 1e-37, 1e-42


def sane(seen: Raster, n: int) -> None:
    """Every value is one that a picture may have."""
    for x in seen[:4]:
        assert bool(x.isfinite().all()) and bool((x >= 0).all())
    assert float(seen.alpha.max()) <= 1
    assert int(seen.index.min()) >= -1 and int(seen.index.max()) < max(n, 1)
    assert torch.equal(seen.index >= 0, seen.alpha > 0)
    assert torch.equal(seen.depth_m > 0, seen.alpha > 0)


@pytest.mark.needs("native")
@pytest.mark.parametrize("hw", [(1, 1), (1, 100), (100, 1), (16, 16), (17, 15)], ids=str)
@pytest.mark.parametrize("n", [0, 1, 50])
def test_any_size(hw: tuple[int, int], n: int) -> None:
    seen = rasterize(scatter(n), pinhole(hw, 20.0), EYE, hw, 0.0)
    sane(seen, n)
    assert [tuple(x.shape) for x in seen] == [(*hw, 3), hw, hw, hw, hw]
    if n == 0:
        assert not any(x.any() for x in seen[:4]) and bool((seen.index == -1).all())


@pytest.mark.needs("native")
@pytest.mark.parametrize("value", [HUGE, 1e20, 1e6, TINY, DENORMAL])
@pytest.mark.parametrize("axes", [[0], [1], [2], [0, 1], [0, 1, 2]], ids=str)
def test_any_scale(value: float, axes: list[int]) -> None:
    scale = torch.full((3,), 0.2)
    scale[axes] = value
    for pose in (EYE, beside()):
        seen = rasterize(splats([[0.1, -0.2, 3.0], [0, 0, 5.0]], scale_m=scale), K, pose, HW, 0.0)
        sane(seen, 2)
        if value > 1 and pose is EYE and axes == [0, 1, 2]:
            assert float(seen.alpha.min()) > 0.9985  # So large a splat covers everything.
        if value < 1 and {0, 1} <= set(axes):
            assert not seen.alpha.any()  # And so small a one nothing.


@pytest.mark.needs("native")
@pytest.mark.parametrize("value", [HUGE, -HUGE, 1e20, 1e9, DENORMAL, -DENORMAL, 0.0])
@pytest.mark.parametrize("name", ["mean_m", "velocity_mps"])
def test_any_place(name: str, value: float) -> None:
    for axis in range(3):
        s = scatter(20)
        field = getattr(s, name).clone()
        field[::2, axis] = value
        for at_s in (0.0, 1e6):
            sane(rasterize(s.replace(**{name: field}), K, beside(), HW, at_s), 20)


@pytest.mark.needs("native")
@pytest.mark.parametrize(
    "field", [{"duration_s": DENORMAL}, {"duration_s": HUGE}, {"time_s": HUGE}, {"opacity": DENORMAL}]
)
@pytest.mark.parametrize("at_s", [0.0, 1.0, -1e300])
def test_any_time(field: dict[str, float], at_s: float) -> None:
    sane(rasterize(splats([[0, 0, 3.0]], **field), K, EYE, HW, at_s), 1)


@pytest.mark.needs("native")
@pytest.mark.parametrize("colour", [HUGE, -HUGE, 1e30])
def test_colours_that_overflow_stay_in_their_pixels(colour: float) -> None:
    values = torch.zeros(2, 16, 3)
    values[0] = colour  # The sum over the basis is infinite, and infinity times weight 0 would be NaN.
    seen = rasterize(splats([[0.3, 0.3, 3.0], [0.8, 0, 3.0]], colour=values), K, EYE, HW, 0.0)
    sane(seen, 2)
    assert float(seen.rgb[seen.index == -1].max()) == 0.0


@pytest.mark.needs("native")
@pytest.mark.parametrize("focal_px", [1e-3, 1.0, 1e6])
def test_any_focal_length(focal_px: float) -> None:
    sane(rasterize(scatter(100), pinhole(HW, focal_px), beside(), HW, 0.0), 100)


@pytest.mark.needs("native")
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_the_operator_survives_what_the_noun_refuses(value: float) -> None:
    # Splats holds no NaN; whoever calls the operator itself gets no crash, and a NaN costs that splat only.
    alone = rasterize(splats([[0.8, 0, 3.0]]), K, EYE, HW, 0.0)
    for i, name in enumerate(("mean", "quat", "scale", "opacity", "colour", "velocity", "time", "duration")):
        args = arguments(splats([[0, 0, 3.0], [0.8, 0, 3.0]]), K, EYE, HW)
        args[i] = args[i].clone()
        args[i][0] = value
        rgb, alpha, _, _, index = torch.ops.fourd.rasterize(*args)
        assert bool(rgb.isfinite().all()) and bool(alpha.isfinite().all()), name
        if math.isnan(value) and name != "colour":
            assert torch.equal(alpha, alone.alpha) and int(index.max()) == 1, name


@pytest.mark.needs("native")
def test_a_million_in_one_tile() -> None:
    g = torch.Generator().manual_seed(0)
    n = 1_000_000
    s = splats(torch.randn(n, 3, generator=g) * 0.01 + torch.tensor([0, 0, 4.0]), scale_m=[0.1] * 3, opacity=0.02)
    seen = rasterize(s, pinhole((16, 16), 25.0), EYE, (16, 16), 0.0)
    sane(seen, n)
    assert float(seen.alpha[8, 8]) > 0.999
    weight = contribution(s, pinhole((16, 16), 25.0), EYE, (16, 16), 0.0).weight
    assert float(weight.double().sum()) == pytest.approx(float(seen.alpha.double().sum()), rel=1e-4)


@pytest.mark.needs("native")
def test_very_many_that_cover_everything() -> None:
    # Each is in each of 300 tiles: 90 million entries are more than are kept at a time. A few close the picture.
    n, hw = 300_000, (240, 320)
    mean_m = torch.tensor([0, 0, 1.0]) * (1 + torch.arange(n)[:, None] / n)
    seen = rasterize(splats(mean_m, scale_m=[1e3] * 3, opacity=0.5), pinhole(hw, 200.0), EYE, hw, 0.0)
    sane(seen, n)
    assert float(seen.alpha.min()) > 0.9998 and int(seen.index.max()) == 0


@pytest.mark.needs("native")
def test_memory_layout_does_not_matter() -> None:
    s = scatter(40, k=4)
    plain = torch.ops.fourd.rasterize(*arguments(s, K, beside(), HW))
    strided = []
    for x in arguments(s, K, beside(), HW):
        if isinstance(x, Tensor):
            wide = torch.empty(*x.shape[:-1], x.shape[-1] * 2)
            wide[..., ::2] = x
            x = wide[..., ::2]
            assert not x.is_contiguous()
        strided.append(x)
    assert all(torch.equal(a, b) for a, b in zip(plain, torch.ops.fourd.rasterize(*strided), strict=True))


@pytest.mark.needs("native")
def test_cameras_in_double_precision_are_taken() -> None:
    s = scatter(10)
    both = (rasterize(s, K.to(d), beside().to(d), HW, 0.0) for d in (torch.float32, torch.float64))
    assert all(torch.equal(a, b) for a, b in zip(*both, strict=True))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hw": (0, 5)}, r"hw is \(0, 5\); each side must be 1 to 32767 pixels"),
        ({"hw": (5, 40_000)}, r"hw is \(5, 40000\)"),
        ({"eps2d_px": 0.0}, "eps2d_px is 0; it must lie between 1e-6 and 1e6"),
        ({"near_m": 0.0}, "near_m is 0; it must be positive and finite"),
        ({"time_s": math.nan}, "time_s is nan; it must be finite"),
        ({"K": torch.zeros(3, 3)}, "focal lengths positive"),
        ({"world_from_cam": torch.full((4, 4), math.nan)}, "must be finite"),
        ({"K": torch.eye(3, device="meta")}, "K is on meta. Move it with"),
    ],
    ids=lambda x: next(iter(x)) if isinstance(x, dict) else "",
)
def test_what_cannot_be_drawn_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        rasterize(**({"splats": scatter(2), "K": K, "world_from_cam": EYE, "hw": HW, "time_s": 0.0} | change))


def test_the_operator_refuses_other_dtypes() -> None:
    args = arguments(scatter(2), K, EYE, HW)
    args[3] = args[3].double()
    with pytest.raises(InputError, match=r"opacity has dtype torch.float64; it must be torch.float32"):
        torch.ops.fourd.rasterize(*args)


@pytest.mark.needs("native")
@pytest.mark.parametrize(("i", "value"), [(0, torch.zeros(3, 3)), (4, torch.zeros(2, 2, 3)), (8, torch.zeros(4, 4))])
def test_the_operator_refuses_other_shapes(i: int, value: Tensor) -> None:
    args = arguments(scatter(2), K, EYE, HW)
    args[i] = value
    with pytest.raises((TypeError, ValueError)):
        torch.ops.fourd.rasterize(*args)


def test_a_missing_extension_says_how_to_build_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fourd.native._cpu", None)
    loader.cpu.cache_clear()
    try:
        with pytest.raises(MissingError, match="make native"):
            rasterize(scatter(2), K, EYE, HW, 0.0)
    finally:
        loader.cpu.cache_clear()


def test_importing_loads_no_kernel() -> None:
    code = "import sys, fourd.native, fourd.render; print('fourd.native._cpu' in sys.modules, 'gsplat' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["False", "False"]


def test_splats_refuse_nan() -> None:
    with pytest.raises(InputError, match="mean_m holds NaN"):
        splats([[math.nan, 0, 0]])
    assert isinstance(splats([[0, 0, 0]]), Splats)
