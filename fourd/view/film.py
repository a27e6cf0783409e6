"""A camera path through a scene, as a video, a folder of pictures, or a contact sheet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import UInt8
from torch import Tensor

from fourd import media, render
from fourd.events import Event, Progress
from fourd.files import growing
from fourd.geometry import clock, paths
from fourd.scene import Scene
from fourd.types import Cameras, Frames
from fourd.view.colour import Range, depth_picture, depth_range, quantised
from fourd.view.output import check_target
from fourd.view.sheet import contact_sheet

Show = Literal["rgb", "depth", "alpha"]

KINDS = {".mp4": "a video", ".png": "a contact sheet", "": "a folder of pictures"}
"""What the suffixes of names make."""
SHEET_PICTURES = 12
"""At most so many pictures are laid on a contact sheet."""
_SHEET_SIZE = 480
"""Longer side in pixels of each picture on a contact sheet, at most."""
_PROBES = 5
"""From so many frames the depth scale of a film is taken."""


def write(
    scene: Scene,
    cameras: Cameras,
    path: Path,
    *,
    fps: float,
    show: Show = "rgb",
    watch: Callable[[Event], None] = lambda event: None,
) -> int:
    """Render ``cameras`` to ``path``, whole or not at all; the name chooses what is made.

    ``.mp4`` is a video, in which the sound goes along where the scene's time runs as fast as the
    video's; ``.png`` a contact sheet; a name without a suffix a new folder of PNGs.

    Args:
        scene: What to show.
        cameras: One for each frame.
        path: Where to.
        fps: Frames a second of a video.
        show: Colours; depth by ``depth_picture``, on one scale for the whole film; or coverage in grey.
        watch: Called after every picture with the progress of the stage "render".

    Returns:
        How many pictures were made: fewer than there are cameras if it is a contact sheet.

    Raises:
        InputError: If the suffix is another.
        OutputError: If the path cannot be written, or is a folder with something in it.
    """
    check_target(path, KINDS)
    kind = path.suffix.lower()
    if kind == ".png":
        cameras = _of_sheet(cameras)
    developed = _watched(pictures(scene, cameras, show), len(cameras), watch)
    if kind == ".mp4":
        media.write_video(path, developed, fps=fps, sound=scene.heard(cameras, fps))
    elif kind == ".png":
        cells = [(f"{time_s:.2f} s", p) for time_s, p in zip(cameras.time_s.tolist(), developed, strict=True)]
        media.write_picture(path, contact_sheet(cells) if len(cells) > 1 else cells[0][1])
    else:
        with growing(path) as folder:
            for i, picture in enumerate(developed):
                media.write_picture(folder / f"{i:05}.png", picture)
    return len(cameras)


def _watched(pictures: Iterator[Tensor], count: int, watch: Callable[[Event], None]) -> Iterator[Tensor]:
    for done, picture in enumerate(pictures, start=1):
        yield picture
        watch(Progress("render", done, count))


def pictures(scene: Scene, cameras: Cameras, show: Show) -> Iterator[UInt8[Tensor, "h w 3"]]:
    """The film, picture by picture."""
    scale = _scale(scene, cameras) if show == "depth" else Range(1.0, 2.0)
    for frames in render.stream(scene.splats, cameras):
        yield from _developed(frames, show, scale)


def _developed(frames: Frames, show: Show, scale: Range) -> UInt8[Tensor, "t h w 3"]:
    if show == "depth":
        return depth_picture(frames, scale)
    return quantised(frames.rgb if show == "rgb" else frames.alpha[..., None].expand(*frames.alpha.shape, 3))


def _scale(scene: Scene, cameras: Cameras) -> Range:
    """The depth scale of a film, from a few of its frames."""
    probes = cameras[clock.spread(len(cameras), _PROBES)]
    return depth_range(render.render(scene.splats, small(probes, 160)))


def small(cameras: Cameras, size: int) -> Cameras:
    """The same cameras for pictures whose longer side is at most ``size`` pixels."""
    share = min(1.0, size / max(cameras.hw))
    h, w = (max(1, round(x * share)) for x in cameras.hw)
    return paths.resized(cameras, (h, w))


def _of_sheet(cameras: Cameras) -> Cameras:
    """Those of the frames that a contact sheet shows, small; one alone, large, if all would be the same."""
    some = cameras[clock.spread(len(cameras), SHEET_PICTURES)]
    same = some.time_s.diff() == 0
    for values in (some.world_from_cam, some.K):
        same &= values.diff(dim=0).abs().amax((1, 2)) < 1e-6
    some = some[torch.cat([torch.ones(1, dtype=torch.bool), ~same])]
    return small(some, _SHEET_SIZE) if len(some) > 1 else some
