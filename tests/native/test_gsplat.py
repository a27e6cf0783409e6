"""What fourd hands to gsplat, checked without it and without a GPU; and gsplat itself, where there is one."""

from __future__ import annotations

import math
import sys
from typing import Any

import pytest
import torch
from torch import Tensor

from fourd.errors import InputError, MissingError
from fourd.geometry import rigid
from fourd.native import draw, gsplat, rasterize, reference
from fourd.types import SH_C0, Splats
from tests.native.splats import beside, pinhole, scatter, splats

HW = (20, 30)
K = pinhole(HW, 25.0)
FIELDS = "mean_m quat_wxyz scale_m opacity colour velocity_mps time_s duration_s".split()


def moved(world_from_cam: Tensor, twist: Tensor) -> Tensor:
    """The pose after a small motion. By all 16 numbers of a pose gradients differ with how a rigid one is inverted."""
    top = torch.cat([rigid.matrix_from_rotvec(twist[:3]), twist[3:, None]], 1)
    return world_from_cam @ torch.cat([top, top.new_tensor([[0, 0, 0, 1]])])


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Puts our reference behind gsplat's interface; the list fills with what it is asked."""
    asked: list[dict[str, Any]] = []

    def rasterization(**given: Any) -> tuple[Tensor, Tensor, dict[str, Any]]:
        asked.append(given)
        n = len(given["means"])
        assert given["colors"].shape == (n, 3) and "sh_degree" not in given
        rgb, alpha, depth_m, _, _ = reference.rasterize(
            *(given[name] for name in ("means", "quats", "scales", "opacities")),
            ((given["colors"] - 0.5) / SH_C0)[:, None],
            torch.zeros(n, 3), torch.zeros(n), torch.full((n,), math.inf),
            given["Ks"][0], torch.linalg.inv(given["viewmats"][0]), given["height"], given["width"],
            0.0, given["eps2d"], given["near_plane"],
        )  # fmt: skip
        return torch.cat([rgb, depth_m[..., None]], -1)[None], alpha[None, ..., None], {}

    monkeypatch.setattr(gsplat, "load", lambda: rasterization)
    return asked


@pytest.mark.needs("native")
@pytest.mark.parametrize("at_s", [-0.5, 1.0])
@pytest.mark.parametrize("k", [1, 4, 9, 16])
def test_gsplat_is_asked_for_the_same_picture(k: int, at_s: float, calls: list[dict[str, Any]]) -> None:
    s = scatter(60, k=k)
    theirs, ours = gsplat.draw(s, K, beside(), HW, at_s), draw(s, K, beside(), HW, at_s)
    for a, b in zip(theirs, ours, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
    (asked,) = calls
    assert (asked["render_mode"], asked["rasterize_mode"]) == ("RGB+ED", "antialiased")
    assert 0 < len(asked["means"]) < len(s), "only what is alive and in view"


@pytest.mark.needs("native")
def test_gradients_are_those_of_the_cpu(calls: list[dict[str, Any]]) -> None:
    s = scatter(30, k=4, seed=5)
    g = torch.Generator().manual_seed(1)
    by_rgb, by_alpha, by_depth = (
        torch.randn(*HW, 3, generator=g),
        torch.randn(HW, generator=g),
        torch.randn(HW, generator=g),
    )

    def gradients(how: Any) -> list[Tensor]:
        asked = Splats(*(getattr(s, name).clone().requires_grad_() for name in FIELDS), s.source)
        twist = torch.full((6,), 0.01, requires_grad=True)
        rgb, alpha, depth_m, *_ = how(asked, K, moved(beside(), twist), HW, 0.3)
        ((rgb * by_rgb).sum() + (alpha * by_alpha).sum() + (depth_m * by_depth).sum() * 0.1).backward()
        return [*(getattr(asked, name).grad for name in FIELDS), twist.grad]

    for name, a, b in zip([*FIELDS, "pose"], gradients(gsplat.draw), gradients(rasterize), strict=True):
        # Single precision through a sum over pixels; relative to the largest gradient of its kind.
        assert b.abs().max() > 0, name
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3 * float(b.abs().max()), msg=lambda m, n=name: f"{n}: {m}")


def test_gsplat_is_not_asked_for_an_empty_moment(calls: list[dict[str, Any]]) -> None:
    gone = splats([[0, 0, 2.0]], duration_s=0.1)
    mean_m = gone.mean_m.clone().requires_grad_()
    rgb, alpha, depth_m = gsplat.draw(gone.replace(mean_m=mean_m), K, torch.eye(4), HW, 50.0)
    assert not calls and rgb.shape == (*HW, 3) and alpha.shape == depth_m.shape == HW
    assert not rgb.any() and not alpha.any() and not depth_m.any()
    (rgb.sum() + alpha.sum() + depth_m.sum()).backward()  # As for every other picture.
    assert not mean_m.grad.any()


def test_gsplat_cannot_draw_skew() -> None:
    with pytest.raises(InputError, match="has skew, which gsplat cannot draw"):
        gsplat.draw(scatter(1), pinhole(HW, 25.0, skew=2.0), torch.eye(4), HW, 0.0)


def test_without_gsplat_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gsplat", None)
    with pytest.raises(MissingError) as caught:
        gsplat.draw(scatter(1), K, torch.eye(4), HW, 0.0)
    assert str(caught.value) == (
        "Rendering on CUDA needs the package 'gsplat', which is not installed.\n"
        "  Install it:      pip install 'fourd[gpu]'\n"
        "  Or use another:  the CPU: splats.to('cpu')"
    )


@pytest.mark.needs("native", "cuda", "gsplat")
@pytest.mark.filterwarnings("ignore")  # gsplat may build its kernels now, and torch has much to say of that.
def test_gsplat_draws_what_we_draw() -> None:
    s = scatter(2000, k=4, scale_m=0.1)
    ours = draw(s, K, beside(), HW, 0.0)
    theirs = draw(s.to("cuda"), K.cuda(), beside().cuda(), HW, 0.0)
    # gsplat leaves out the splat that would close a pixel; we draw it. That is at most 1e-4 / 0.001 of a
    # pixel, where an opaque splat comes last.
    assert float((ours.alpha - theirs.alpha.cpu()).abs().mean()) < 2e-3
    assert float((ours.rgb - theirs.rgb.cpu()).abs().mean()) < 2e-3
    torch.testing.assert_close(theirs.depth_m.cpu(), ours.depth_m, rtol=2e-2, atol=2e-2)


@pytest.mark.needs("native", "cuda", "gsplat")
@pytest.mark.filterwarnings("ignore")  # gsplat may build its kernels now, and torch has much to say of that.
def test_gsplat_has_our_gradients() -> None:
    s = scatter(300, k=4, seed=5)

    def gradients(device: str) -> list[Tensor]:
        asked = Splats(*(getattr(s, name).to(device).requires_grad_() for name in FIELDS), s.source.to(device))
        twist = torch.full((6,), 0.01, device=device, requires_grad=True)
        rgb, alpha, depth_m = draw(asked, K.to(device), moved(beside().to(device), twist), HW, 0.3)
        (rgb.square().sum() + alpha.sum() + 0.1 * depth_m.sum()).backward()
        return [*(getattr(asked, name).grad.cpu() for name in FIELDS), twist.grad.cpu()]

    for name, a, b in zip([*FIELDS, "pose"], gradients("cuda"), gradients("cpu"), strict=True):
        # The picture's own difference (above), as a share of the whole gradient.
        assert float((a - b).norm()) < 0.05 * float(b.norm()), name


@pytest.mark.needs("gsplat")
def test_gsplat_takes_what_it_is_given(calls: list[dict[str, Any]]) -> None:
    import inspect

    from gsplat import rasterization

    gsplat.draw(scatter(30), K, torch.eye(4), HW, 0.0)
    given = inspect.signature(rasterization).bind(**calls[0]).arguments  # TypeError if a name is not known.
    assert given["render_mode"] == "RGB+ED"
