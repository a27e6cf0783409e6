"""What the notebooks share: the sample clip with its exact cameras and depth, and pictures side by side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fourd import Clip
from fourd.types import Cameras, DepthMaps
from fourd.view.sheet import contact_sheet

DATA = Path(__file__).parents[1] / "data"
CLIP = DATA / "sample.mp4"
SIZE, FPS, FRAMES = 128, 8, 12
"""Small and short, so that every notebook is over within a minute on a CPU."""


def clip() -> Clip:
    """The first second and a half of the sample clip."""
    return Clip.open(CLIP, size=SIZE, fps=FPS, duration_s=FRAMES / FPS)


def truth() -> tuple[Cameras, DepthMaps]:
    """The cameras and the depth that it was made with. Its depth maps are at the middle of every second pixel."""
    known = np.load(DATA / "sample_truth.npz")
    picked = known["depth_frames"][:FRAMES]
    hw = clip().hw
    K = torch.from_numpy(known["K"]).float().expand(FRAMES, 3, 3)
    filmed = Cameras(K, known["world_from_cam"][picked], tuple(known["hw"].tolist()), known["time_s"][picked])
    cameras = filmed.resized(hw)
    depth_m = torch.from_numpy(known["depth_m"][:FRAMES].astype(np.float32))
    depth_m = torch.nn.functional.interpolate(depth_m[:, None], hw, mode="nearest-exact")[:, 0]
    return cameras, DepthMaps(depth_m, torch.ones_like(depth_m), cameras.K, metric=True)


def show(pictures: dict[str, Tensor], across: int | None = None) -> Image.Image:
    """Pictures by name (u8, or floats from 0 to 1), twice as large, as one figure."""
    cells = []
    for name, picture in pictures.items():
        rgb = picture if picture.dtype == torch.uint8 else (picture.clamp(0, 1) * 255 + 0.5).to(torch.uint8)
        cells.append((name, rgb.repeat_interleave(2, 0).repeat_interleave(2, 1)))
    return Image.fromarray(contact_sheet(cells, across=across).numpy())
