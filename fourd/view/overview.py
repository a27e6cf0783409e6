"""A scene at a glance: a few moments, each as it was filmed, as it is rendered, as depth, and from beside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from fourd.checked import checked
from fourd.errors import InputError
from fourd.events import Progress, Steps
from fourd.geometry import clock
from fourd.scene import Scene
from fourd.types import Cameras, Clip
from fourd.view.colour import depth_picture, depth_range, quantised
from fourd.view.film import small
from fourd.view.sheet import contact_sheet

ASIDE_DEG = 12.0
"""How far the camera goes round the subject for the look from beside."""
_SHAPE_SLACK = 0.03
"""Pictures whose proportions differ by more than this are not of one clip; sizes are rounded to even pixels."""


@dataclass(frozen=True, eq=False)
class Glance:
    """One moment, in pictures of one size."""

    time_s: float
    filmed: UInt8[Tensor, "h w 3"] | None
    """The clip's own frame, if the clip was there."""
    rendered: UInt8[Tensor, "h w 3"]
    """From where it was filmed."""
    depth: UInt8[Tensor, "h w 3"]
    aside: UInt8[Tensor, "h w 3"]
    """From ``ASIDE_DEG`` to the right about the subject: what nobody filmed is black, or was invented."""


@checked
def turned(scene: Scene, time_s: float, degrees: float, focus_m: float) -> Cameras:
    """The camera of a moment, gone round its subject to the right."""
    film = scene.path("arc", degrees=degrees, at_s=time_s, duration_s=2 / scene.fps, focus_m=focus_m)
    return film[-1:]


@checked
def check_clip(scene: Scene, clip: Clip) -> None:
    """Refuse a clip that cannot be the one that became the scene.

    Raises:
        InputError: If it is shorter than the scene, or its pictures have other proportions.
    """
    length_s = float(scene.cameras.time_s[-1] - scene.cameras.time_s[0])
    if clip.duration_s + clip.frame_s < length_s:
        raise InputError(
            f"The clip '{clip.name}' lasts {clip.duration_s:.2f} s and the scene {length_s:.2f} s. Give the clip that"
            " was lifted, and --start if it was lifted from later on."
        )
    shapes = [w / h for h, w in (clip.hw, scene.cameras.hw)]
    if abs(shapes[0] / shapes[1] - 1) > _SHAPE_SLACK:
        raise InputError(
            f"The pictures of clip '{clip.name}' are {clip.hw[1]} x {clip.hw[0]} and the scene was filmed in"
            f" {scene.cameras.hw[1]} x {scene.cameras.hw[0]}: other proportions. Give the clip that was lifted."
        )


@checked
def filmed(clip: Clip, time_s: float, hw: tuple[int, int]) -> UInt8[Tensor, "h w 3"]:
    """The clip's frame nearest to a moment, at another size."""
    import cv2

    frame = clip.frames[int((clip.time_s - time_s).abs().argmin())].cpu().numpy()
    if frame.shape[:2] == hw:
        return torch.from_numpy(frame)
    how = cv2.INTER_AREA if hw[0] < frame.shape[0] else cv2.INTER_LINEAR
    return torch.from_numpy(np.ascontiguousarray(cv2.resize(frame, hw[::-1], interpolation=how)))


@checked
def glances(scene: Scene, clip: Clip | None = None, *, count: int = 4, size: int = 480) -> Steps[list[Glance]]:
    """Look at a scene at a few moments.

    Args:
        scene: What to look at.
        clip: The clip that it was lifted from, on the clock of the scene; may be of another size.
        count: How many moments, evenly spread; fewer if the scene has fewer frames.
        size: Longer side of the pictures in pixels, at most.

    Yields:
        Progress of the stage "look".
    """
    focus_m = scene.focus_m()
    cameras = small(scene.cameras[clock.spread(len(scene.cameras), count)], size)
    scale = None
    found = []
    for i, time_s in enumerate(cameras.time_s.tolist()):
        frames = scene.render(cameras[i : i + 1])
        scale = scale or depth_range(frames)  # One scale for all: what comes nearer becomes lighter.
        beside = scene.render(small(turned(scene, time_s, ASIDE_DEG, focus_m), size))
        found.append(
            Glance(
                time_s,
                None if clip is None else filmed(clip, time_s, cameras.hw),
                quantised(frames.rgb)[0],
                depth_picture(frames, scale)[0],
                quantised(beside.rgb)[0],
            )
        )
        yield Progress("look", i + 1, len(cameras))
    return found


@checked
def sheet(found: list[Glance]) -> UInt8[Tensor, "H W 3"]:
    """Glances as a contact sheet: a column for each moment, a row for each way to look.

    Raises:
        InputError: If there are none.
    """
    rows = {
        "filmed": [g.filmed for g in found],
        "rendered": [g.rendered for g in found],
        "depth": [g.depth for g in found],
        f"{ASIDE_DEG:g} degrees aside": [g.aside for g in found],
    }
    cells = [
        (f"{name}, {glance.time_s:.2f} s", picture)
        for name, pictures in rows.items()
        for glance, picture in zip(found, pictures, strict=True)
        if picture is not None
    ]
    return contact_sheet(cells, across=len(found))
