"""The camera of the stage: a Clip of what the props do, and the exact truth about it.

What stands on the stage is in props.py; the world has y up and is in metres. Depth, flow and what moves
are those of the ray through the middle of each pixel; colours average several rays a pixel.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int16
from torch import Tensor

from fourd import fields
from fourd.checked import checked
from fourd.errors import InputError
from fourd.events import Progress, Steps, result
from fourd.generate import picture, truth
from fourd.generate.props import Stage
from fourd.generate.tracing import Geometry
from fourd.types import Cameras, Clip, DepthMaps, Motion, Sound
from fourd.workers import each


@dataclass(frozen=True, eq=False)
class Take(fields.Noun):
    """What a camera saw of a stage, and what was really there."""

    clip: Clip
    cameras: Cameras
    depth: DepthMaps
    """Exact: confidence 1 everywhere, infinite in the sky, metric."""
    motion: Motion
    """Exact flow of the surface points, also of those that the other frame does not see; ``visible_*`` tells
    them apart. ``moving`` is 1 on every prop of which any part moves between this frame and a
    neighbour, or deforms."""
    prop: Int16[Tensor, "t h w"]
    """Which of the stage's props each pixel shows; -1 is the sky."""
    names: tuple[str, ...]
    """Names of the props, in their order."""


@checked
def shoot(
    stage: Stage, cameras: Cameras, *, samples: int = 4, rays: int = 3, sound: Sound | None = None, name: str = "stage"
) -> Take:
    """Film a stage; ``shooting`` without its events.

    Args:
        stage: What there is to see.
        cameras: One camera a frame; their times are those of the stage and of the clip.
        samples: Rays a pixel for its colour: 1 has jagged edges, 4 is good, 16 is fine.
        rays: Rays a pixel towards each light, which soften shadows; averaged over neighbours.
        sound: What is heard, kept in the clip as it is.
        name: Name of the clip.

    Raises:
        InputError: If ``samples`` or ``rays`` is below 1, or a prop has no usable pose or shape.
    """
    return result(shooting(stage, cameras, samples=samples, rays=rays, sound=sound, name=name))


def shooting(
    stage: Stage, cameras: Cameras, *, samples: int = 4, rays: int = 3, sound: Sound | None = None, name: str = "stage"
) -> Steps[Take]:
    """Film a stage, yielding Progress a frame, and return the Take. See ``shoot``."""
    if samples < 1 or rays < 1:
        raise InputError(f"samples is {samples} and rays is {rays}; both must be at least 1.")
    geometry = Geometry(stage)
    frames, maps = [], []
    for frame, truths in _in_order(geometry, cameras, samples, rays):
        frames.append(frame)
        maps.append(truths)
        yield Progress("generate", len(frames), len(cameras))
    stacked = {key: torch.from_numpy(np.stack([m[key] for m in maps])) for key in maps[0]}
    prop, depth_m = stacked.pop("prop"), stacked.pop("depth_m")
    return Take(
        clip=Clip(torch.from_numpy(np.stack(frames)), cameras.time_s, sound=sound, name=name),
        cameras=cameras,
        depth=DepthMaps(depth_m, torch.ones_like(depth_m), cameras.K, metric=True),
        motion=Motion(**stacked),
        prop=prop,
        names=tuple(p.name for p in stage.props),
    )


def _in_order(
    geometry: Geometry, cameras: Cameras, samples: int, rays: int
) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Pictures and truth frame by frame, made by a few threads that run a little ahead."""

    def work(i: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        hits = picture.centre_hits(geometry, cameras, i)
        frame = picture.take(geometry, cameras, i, hits, samples, rays)
        return frame, truth.of(geometry, cameras, i, hits)

    return each(work, range(len(cameras)), threads=min(8, os.cpu_count() or 1))
