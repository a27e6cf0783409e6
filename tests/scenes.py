"""A small scene with known contents, and a small clip that can be lifted."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import torch

from fourd import media
from fourd.scene import Scene
from fourd.types import INVENTED, SEEN, SH_C0, Cameras, Provenance, Sound, Splats

WALL_M, BALL_M = 4.0, 2.0
FPS, FRAMES, HW = 10, 8, (36, 48)
STILL, MOVING, MADE_UP = 1200, 1, 300


def small_scene(*, sound: bool = True, metric: bool = False, travels: bool = True) -> Scene:
    """Eight frames of 48 x 36 pixels at 10 a second.

    A grey-to-red wall fills the view, its right quarter invented; a bright ball of radius 0.25 goes from
    left to right before it. The camera goes 0.2 to the right, or stands still.
    """
    y, x = torch.meshgrid(torch.linspace(-3, 3, 30), torch.linspace(-4, 4, 40), indexing="ij")
    wall = torch.stack([x, y, torch.full_like(x, WALL_M)], -1).reshape(-1, 3)
    mean = torch.cat([wall, torch.tensor([[-0.6, 0.0, BALL_M]])])
    n = len(mean)
    rgb = torch.cat([torch.stack([0.5 + wall[:, 0] / 10, *[torch.full((n - 1,), 0.4)] * 2], -1), torch.ones(1, 3)])
    time_s = torch.arange(FRAMES, dtype=torch.float64) / FPS
    pose = torch.eye(4).repeat(FRAMES, 1, 1)
    if travels:
        pose[:, 0, 3] = torch.linspace(0, 0.2, FRAMES)
    moves = torch.zeros(n, 3)
    moves[-1, 0] = 1.2 / float(time_s[-1])
    splats = Splats(
        mean_m=mean,
        quat_wxyz=torch.tensor([1.0, 0, 0, 0]).expand(n, 4),
        scale_m=torch.cat([torch.tensor([0.15, 0.15, 0.01]).expand(n - 1, 3), torch.full((1, 3), 0.25)]),
        opacity=torch.ones(n),
        colour=((rgb - 0.5) / SH_C0)[:, None],
        velocity_mps=moves,
        time_s=torch.zeros(n),
        duration_s=torch.full((n,), math.inf),
        source=torch.where(mean[:, 0] > 2.0, INVENTED, SEEN).to(torch.uint8),
    )
    K = torch.tensor([[40.0, 0, HW[1] / 2], [0, 40, HW[0] / 2], [0, 0, 1]]).repeat(FRAMES, 1, 1)
    hum = Sound(torch.sin(torch.arange(6400) * 0.3)[:, None] / 4, 8000) if sound else None
    provenance = Provenance(
        clip="ball.mp4",
        config={"camera": "flow", "size": 640, "camera_file": None},
        versions={"fourd": "0.1.0"},
        seconds={"motion": 1.0, "fuse": 2.5},
        warnings=["the wall is [flat]"],
        metric=metric,
    )
    return Scene(splats, Cameras(K, pose, HW, time_s), hum, provenance)


def walk_cameras() -> Cameras:
    """The cameras of the clip of ``write_walk``: the wall is 4 away, and the panel a third of it."""
    pose = torch.eye(4).repeat(6, 1, 1)
    pose[:, 0, 3] = torch.arange(6) * 0.05
    K = torch.tensor([[80.0, 0, 48], [0, 80, 36], [0, 0, 1]]).repeat(6, 1, 1)
    return Cameras(K, pose, (72, 96), torch.arange(6, dtype=torch.float64) / FPS)


def write_walk(path: Path, *, sound: bool = False) -> None:
    """Six frames of 96 x 72 pixels at 10 a second: a camera passes a wall that has a panel before it."""
    rng = np.random.default_rng(0)

    def texture(h: int, w: int, cell: int) -> np.ndarray:
        coarse = rng.integers(40, 216, (h // cell + 2, w // cell + 2, 3)).astype(np.uint8)
        return cv2.resize(coarse, (w, h), interpolation=cv2.INTER_CUBIC)

    wall, panel = texture(72, 120, 8), texture(36, 36, 6)
    frames = []
    for i in range(6):
        picture = wall[:, i : i + 96].copy()
        picture[20:56, 50 - 3 * i : 86 - 3 * i] = panel  # Three times as near.
        frames.append(torch.from_numpy(picture))
    media.write_video(path, frames, fps=10, sound=small_scene().sound if sound else None)


def at_times(scene: Scene, *time_s: float) -> Cameras:
    """The scene's first camera at other moments."""
    first = scene.cameras[torch.zeros(len(time_s), dtype=torch.long)]
    return first.replace(time_s=torch.tensor(time_s, dtype=torch.float64))
