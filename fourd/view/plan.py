"""The way of the camera on a map: seen from above and from the side, among the splats."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor

from fourd.checked import checked
from fourd.formats import moment
from fourd.geometry import clock
from fourd.scene import Scene
from fourd.types import Cameras
from fourd.view.plots import step

_W, _H = 480.0, 360.0
_POINTS = 5000
"""About so many splats are drawn, each as a dot in its colour."""
_SHADES = 5
"""Steps of each of red, green and blue of the dots, so that many share one path of the drawing."""
_WEDGES = 7
_REACH = 3.0
"""Splats farther from the camera than so many distances of the subject are left out: the sky is far."""


@dataclass(frozen=True, eq=False)
class Plan:
    """Places on a map: first to the right, then up the page, in scene units."""

    eyes: Float64[Tensor, "t 2"]
    subject: Float64[Tensor, " 2"]
    wedges: Float64[Tensor, "k 3 2"]
    """Eye and the two far ends of the view of some cameras."""
    dots: Float64[Tensor, "n 2"]
    rgb: Float64[Tensor, "n 3"]


@checked
def plans(scene: Scene) -> tuple[Plan, Plan]:
    """The scene from above (what the middle camera sees is up the page), and from the side (it is to the right)."""
    cameras, focus_m = scene.cameras.to("cpu"), scene.focus_m()
    middle = cameras.world_from_cam[len(cameras) // 2].double()
    up = scene.up
    right = torch.linalg.cross(middle[:3, 2], up)  # x right, y down, z forward: right is forward x up.
    right = middle[:3, 0] if float(right.norm()) < 1e-3 else right / right.norm()
    ahead = torch.linalg.cross(up, right)
    subject = middle[:3, 3] + focus_m * middle[:3, 2]
    dots, rgb = _dots(scene, focus_m)
    wedge_m = 0.22 * focus_m
    return tuple(
        Plan(
            eyes=cameras.centre_m.double() @ page,
            subject=subject @ page,
            wedges=_wedges(cameras, axis, wedge_m) @ page,
            dots=dots @ page,
            rgb=rgb,
        )
        for page, axis in ((torch.stack([right, ahead], 1), 0), (torch.stack([ahead, up], 1), 1))
    )  # pyright: ignore[reportReturnType]


def _wedges(cameras: Cameras, axis: int, length_m: float) -> Float64[Tensor, "k 3 3"]:
    """What some cameras see: eye, and left and right (axis 0) or upper and lower (axis 1) end of the view."""
    some = cameras[clock.spread(len(cameras), _WEDGES)]
    pose, K = some.world_from_cam.double(), some.K.double()
    size = some.hw[1 - axis]
    ends = []
    for edge in (0.0, float(size)):
        ray = torch.zeros(len(some), 3, dtype=torch.float64)
        ray[:, 2] = 1
        ray[:, axis] = (edge - K[:, axis, 2]) / K[:, axis, axis]
        ends.append(pose[:, :3, 3] + length_m * (pose[:, :3, :3] @ ray[..., None])[..., 0])
    return torch.stack([pose[:, :3, 3], *ends], 1)


def _dots(scene: Scene, focus_m: float) -> tuple[Tensor, Tensor]:
    """Where some of the splats are in the middle of the clip, and their colours."""
    splats = moment.at(scene.splats, scene.middle_s)
    eye = scene.cameras.centre_m[len(scene.cameras) // 2].to(splats.mean_m)
    there = (splats.opacity > 0.5) & ((splats.mean_m - eye).norm(dim=1) < _REACH * focus_m)
    index = torch.nonzero(there)[:, 0]
    index = index[torch.linspace(0, max(len(index) - 1, 0), min(len(index), _POINTS)).long()]
    return splats.mean_m[index].double().cpu(), splats.rgb[index].double().clamp(0, 1).cpu()


@checked
def drawing(plan: Plan, *, label: str, metric: bool) -> str:
    """A plan as SVG, with a bar that says how long so much is.

    Args:
        plan: What to draw.
        label: What it shows, for those who do not see it.
        metric: Whether lengths are in metres, and not only in units of the scene.
    """
    low, high = _bounds(plan)
    scale = min((_W - 24) / float(high[0] - low[0]), (_H - 24) / float(high[1] - low[1]))
    centre = (low + high) / 2

    def px(points: Tensor) -> Tensor:
        moved = (points - centre) * scale
        return torch.stack([_W / 2 + moved[..., 0], _H / 2 - moved[..., 1]], -1)

    drawn = [_dot_paths(px(plan.dots), plan.rgb)]
    drawn += [f'<path class="wedge" d="M{_joined(px(wedge))}z"/>' for wedge in plan.wedges]
    way = px(plan.eyes)
    drawn.append(f'<path class="way" d="M{_joined(way)}"/>')
    (x, y), (sx, sy) = way[0].tolist(), px(plan.subject).tolist()
    drawn.append(f'<circle class="start" cx="{x:.1f}" cy="{y:.1f}" r="4"/>')
    cross = f"M{sx - 7:.1f} {sy:.1f}h14M{sx:.1f} {sy - 7:.1f}v14"
    drawn.append(f'<path class="halo" d="{cross}"/><path class="subject" d="{cross}"/>')
    length = step(_W / scale, 5)
    unit = "m" if metric else "unit" if length == 1 else "units"
    drawn.append(
        f'<path class="rule" d="M12 {_H - 14:g}h{length * scale:.1f}m0 -4v8m{-length * scale:.1f} -8v8"/>'
        f'<text x="12" y="{_H - 22:g}">{length:g} {unit}</text>'
    )
    return f'<svg viewBox="0 0 {_W:g} {_H:g}" role="img" aria-label="{html.escape(label)}">{"".join(drawn)}</svg>'


def _bounds(plan: Plan) -> tuple[Tensor, Tensor]:
    """Corners of what the drawing holds: all cameras, the subject, and most of the splats."""
    must = torch.cat([plan.eyes, plan.subject[None], plan.wedges.reshape(-1, 2)])
    if len(plan.dots) > 20:
        must = torch.cat([must, plan.dots.quantile(torch.tensor([0.05, 0.95], dtype=torch.float64), dim=0)])
    low, high = must.amin(0), must.amax(0)
    slack = 0.04 * (high - low).amax().clamp(min=1e-6)
    return low - slack, high + slack


def _joined(points: Tensor) -> str:
    return "L".join(f"{x:.1f} {y:.1f}" for x, y in points.tolist())


def _dot_paths(px: Tensor, rgb: Tensor) -> str:
    """One path for all dots of one shade."""
    inside = ((px > 0) & (px < torch.tensor([_W, _H], dtype=px.dtype))).all(-1)
    levels = (rgb * (_SHADES - 1)).round().long()
    shades: dict[tuple[int, ...], list[str]] = {}
    for (x, y), shade in zip(px[inside].tolist(), levels[inside].tolist(), strict=True):
        shades.setdefault(tuple(shade), []).append(f"M{x:.0f} {y:.0f}h0")
    paths = []
    for shade, dots in sorted(shades.items()):
        colour = "".join(f"{math.floor(level * 255 / (_SHADES - 1)):02x}" for level in shade)
        paths.append(f'<path stroke="#{colour}" d="{"".join(dots)}"/>')
    return f'<g class="dots">{"".join(paths)}</g>'
