"""Pictures for a player whose machine cannot hold the scene: drawn here, asked for one by one."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor

from fourd import render
from fourd.errors import InputError
from fourd.geometry import rigid
from fourd.poses import inverse
from fourd.scene import Scene
from fourd.types import INVENTED, SH_C0, Cameras, Splats
from fourd.view.colour import Range, depth_picture, quantised
from fourd.view.film import small

MODES = ("colour", "depth", "source")
_GROUND = (11, 12, 14)
_ACCENT = (240, 169, 78)
"""As --ground and --accent of the player's style.css, and ``background`` and ``accent`` of its renderer."""
_LUMINANCE = (0.2126, 0.7152, 0.0722)
_LONGEST_PX, _PIXELS = 8192, 9_000_000
_JPEG_QUALITY = 92
_PROBE_PX = 160


@dataclass(frozen=True, eq=False)
class Ask:
    """One picture that a player wants."""

    camera: Cameras
    """One, at its moment."""
    mode: str = "colour"
    scale: Range = Range(0.5, 5.0)  # noqa: RUF009  Frozen.
    """Of depth."""
    part: tuple[float, float, float, float] = (0.25, 0.25, 0.5, 0.5)
    """Left, top, width and height of what counts when the player asks how far away things are, in shares."""
    viewer: str = ""
    """Who asks."""
    number: int = 0
    """The how manieth picture it is for that viewer."""


def parse(text: str) -> Ask:
    """What a player asks for, as it says it.

    Raises:
        InputError: If it is not what players say.
    """
    try:
        said = json.loads(text)
        lens = {key: _number(said["lens"][key]) for key in ("fx", "fy", "cx", "cy", "skew", "h", "w")}
        h, w = int(lens["h"]), int(lens["w"])
        if not (1 <= min(h, w) and max(h, w) <= _LONGEST_PX and h * w <= _PIXELS):
            raise InputError(f"A picture of {w:g} x {h:g} pixels was asked for; at most {_PIXELS} pixels are drawn.")
        if said.get("mode", "colour") not in MODES:
            raise InputError(f"The mode must be one of {', '.join(MODES)}.")
        near, far = _numbers(said.get("range", (0.5, 5.0)), 2).tolist()
        if not 0 < near < far:
            raise InputError("The range of depths must be two positive numbers, nearest first.")
        left, top, width, height = _numbers(said.get("part", (0.25, 0.25, 0.5, 0.5)), 4).tolist()
        K = [[lens["fx"], lens["skew"], lens["cx"]], [0, lens["fy"], lens["cy"]], [0, 0, 1]]
        camera = Cameras(
            K=torch.tensor([K], dtype=torch.float32),
            world_from_cam=_pose(said)[None].float(),
            hw=(h, w),
            time_s=torch.tensor([_number(said["time_s"])], dtype=torch.float64),
        )
        return Ask(
            camera,
            said.get("mode", "colour"),
            Range(near, far),
            (left, top, width, height),
            str(said.get("viewer", ""))[:32],
            int(_number(said.get("number", 0))),
        )
    except InputError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise InputError("This is not how the player asks for pictures.") from error


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise InputError("The player asks for pictures with finite numbers.")
    return float(value)


def _numbers(values: Any, count: int) -> Float64[Tensor, " n"]:
    if not isinstance(values, (list, tuple)) or len(values) != count:
        raise InputError(f"The player asks for pictures with {count} numbers, where something else was said.")
    return torch.tensor([_number(value) for value in values], dtype=torch.float64)


def _pose(said: dict[str, Any]) -> Float[Tensor, "4 4"]:
    """Where the camera is: ``rows``, which are those of cam_from_world, or ``p`` and ``q``."""
    pose = torch.eye(4, dtype=torch.float64)
    if "rows" in said:
        pose[:3] = _numbers(said["rows"], 12).reshape(3, 4)
        return inverse(pose)
    q = _numbers(said["q"], 4)
    if not 0.5 < float(q.norm()) < 2:
        raise InputError("The rotation of the camera is no quaternion of length 1.")
    pose[:3, :3] = rigid.matrix_from_quat(q / q.norm())
    pose[:3, 3] = _numbers(said["p"], 3)
    return pose


class Studio:
    """Draws one scene."""

    def __init__(self, scene: Scene, file: Path) -> None:
        """Take a scene, and the file with everything of it but the splats."""
        self.scene = scene
        self.file = file

    @property
    def facts(self) -> dict[str, int]:
        """What the player cannot find in a file without splats."""
        splats = self.scene.splats
        return {"splats": len(splats), "invented": int((splats.source == INVENTED).sum())}

    @cached_property
    def _by_source(self) -> Splats:
        """The splats in grey where they were seen, and tinted where they were invented."""
        splats = self.scene.splats
        grey = (splats.rgb.clamp(0, 1) * splats.rgb.new_tensor(_LUMINANCE)).sum(1, keepdim=True)
        tint = 0.3 * grey + 0.7 * splats.rgb.new_tensor(_ACCENT) / 255
        rgb = torch.where((splats.source == INVENTED)[:, None], tint, grey.expand(-1, 3))
        return splats.replace(colour=((rgb - 0.5) / SH_C0)[:, None])

    def pixels(self, ask: Ask) -> UInt8[Tensor, "h w 3"]:
        """The picture, on the player's ground."""
        splats = self._by_source if ask.mode == "source" else self.scene.splats
        frames = render.render(splats, ask.camera)
        ground = frames.rgb.new_tensor(_GROUND) / 255
        if ask.mode == "depth":
            shown = depth_picture(frames, ask.scale)[0]
            return torch.where(frames.hole[0].cpu()[..., None], torch.tensor(_GROUND, dtype=torch.uint8), shown)
        return quantised(frames.rgb + (1 - frames.alpha[..., None]) * ground)[0]

    def picture(self, ask: Ask) -> bytes:
        """The same as a JPEG."""
        import cv2

        bgr = self.pixels(ask).flip(-1).contiguous().numpy()
        return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes()

    def focus(self, ask: Ask) -> dict[str, float] | None:
        """How far away is what a part of the picture shows: median, near and far depth; None where nothing is."""
        camera = small(ask.camera, _PROBE_PX)
        frames = render.render(self.scene.splats, camera)
        h, w = camera.hw
        left, top, width, height = ask.part
        x, y = ((torch.arange(n, device=frames.alpha.device) + 0.5) / n for n in (w, h))
        inside = ((y >= top) & (y <= top + height))[:, None] & ((x >= left) & (x <= left + width))
        depth = frames.depth_m[0][inside & ~frames.hole[0]].double().cpu()
        if not len(depth):
            return None
        low, middle, high = depth.quantile(torch.tensor([0.02, 0.5, 0.98], dtype=torch.float64)).tolist()
        return {"near": low, "median": middle, "far": high}


@contextlib.contextmanager
def studio(scene: Scene) -> Iterator[Studio]:
    """A studio for a scene; the file that its player reads is there as long as the context lasts."""
    with tempfile.TemporaryDirectory(prefix="fourd-") as folder:
        file = Path(folder) / "scene.glb"
        dataclasses.replace(scene, splats=scene.splats[:0].to("cpu")).save(file)
        yield Studio(scene, file)
