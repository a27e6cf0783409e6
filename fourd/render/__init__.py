"""Splats and cameras to pictures: the native rasterizer on a CPU, gsplat on a GPU."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import torch

from fourd import native
from fourd.checked import checked
from fourd.types import Cameras, Frames, Splats


@checked
def stream(splats: Splats, cameras: Cameras) -> Iterator[Frames]:
    """Render picture after picture, so that memory does not grow with their number.

    Args:
        splats: On a CPU or a CUDA device, where the pictures will be too.
        cameras: One for each picture; each sees the splats at its own ``time_s``.

    Yields:
        Frames of length 1.

    Raises:
        InputError: If the splats are on another kind of device, or a picture is larger than can be drawn.
        MissingError: If what draws there is not installed: the extension, or gsplat and NVRTC.
    """
    device = splats.mean_m.device
    cameras = cameras.to(str(device) if device.type == "cuda" else "cpu")
    for i in range(len(cameras)):
        seen = native.draw(splats, cameras.K[i], cameras.world_from_cam[i], cameras.hw, float(cameras.time_s[i]))
        yield Frames(
            rgb=seen.rgb.clamp(max=1)[None],
            alpha=seen.alpha[None],
            depth_m=seen.depth_m[None],
            time_s=cameras.time_s[i : i + 1],
        )


@checked
def render(splats: Splats, cameras: Cameras) -> Frames:
    """Render all pictures at once; ``stream`` says the rest, and is the one for long videos."""
    pictures = list(stream(splats, cameras))
    return Frames(*(torch.cat([getattr(p, f.name) for p in pictures]) for f in dataclasses.fields(Frames)))
