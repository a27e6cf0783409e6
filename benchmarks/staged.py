"""Truth that anyone can make: the stage's ready-made scenes, filmed with the views that are held out."""

from __future__ import annotations

import torch

from benchmarks.truth import Truth, View
from fourd import generate
from fourd.generate import Take
from fourd.types import Cameras

VIEWS = {"L10": -10.0, "R10": 10.0, "R20": 20.0, "L30": -30.0, "R45": 45.0}
"""Name and degrees of the held-out views: turned about what the camera looks at, L to the left."""
EVERY = 6
"""A held-out picture for so many frames of the clip."""


def _moving(take: Take) -> torch.Tensor:
    return take.motion.moving > 0.5


def make(
    name: str, *, hw: tuple[int, int] = (216, 384), frames: int = 36, seed: int = 0, views: tuple[str, ...] = ()
) -> Truth:
    """Film a scene of the stage.

    Args:
        name: One of ``fourd.generate.SCENES``.
        hw: Size of the pictures.
        frames: How many frames the clip has.
        seed: What is drawn by chance in the scene.
        views: Names of the held-out views, of ``VIEWS``; all by default.

    Raises:
        InputError: If there is no such scene.
    """
    scene = generate.scene(name, seed, hw=hw, frames=frames)
    take = generate.shoot(scene.stage, scene.cameras, name=name)
    # From the middle of the first stretch on, so that no held-out moment is an end of the clip.
    picked = torch.arange(min(EVERY // 2, frames - 1), frames, EVERY)
    return Truth(
        name=name,
        clip=take.clip,
        cameras=take.cameras,
        depth=take.depth,
        moving=_moving(take),
        views=tuple(_view(view, scene, scene.cameras[picked], picked) for view in views or VIEWS),
    )


def _view(name: str, scene: generate.Scene, cameras: Cameras, picked: torch.Tensor) -> View:
    take = generate.shoot(scene.stage, generate.held_out(cameras, scene.focus_m, VIEWS[name]), name=name)
    return View(name, take.clip.frames, take.cameras, picked, take.depth, _moving(take))
