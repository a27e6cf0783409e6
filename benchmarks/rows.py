"""What is judged: the same clip, lifted with more or less of the truth given."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import torch

from benchmarks.points import Points
from benchmarks.truth import Truth
from fourd import pipeline
from fourd.errors import InputError
from fourd.events import Finished
from fourd.geometry import clock
from fourd.scene import Scene
from fourd.types import Cameras, DepthMaps, Frames

Row: TypeAlias = Literal["points", "given", "cameras", "nothing"]

ROWS: tuple[Row, ...] = get_args(Row)

TITLES: dict[Row, str] = {
    "points": "plain points, given cameras and depth",
    "given": "given cameras and depth",
    "cameras": "given cameras",
    "nothing": "nothing given",
}


@dataclass(frozen=True)
class Settings:
    """How clips are lifted."""

    size: int | None = None
    """Longer side of the working picture; the pipeline's own by default."""
    quality: pipeline.Quality = "standard"
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Attempt:
    """A scene to be judged."""

    cameras: Cameras
    """The source cameras in the scene's world."""
    render: Callable[[Cameras], Frames]
    estimated_cameras: bool
    depth: DepthMaps | None
    """The depth that was estimated, in a unit of its own; None where depth was given."""
    seconds: dict[str, float]
    """Wall time of each stage."""
    splats: int

    def seen_depth(self, most: int = 5) -> tuple[torch.Tensor, DepthMaps]:
        """Depth of the scene as some of the source cameras see it, in the scene's unit, and which ones."""
        picked = clock.spread(len(self.cameras), most)
        cameras = self.cameras[picked]
        frames = self.render(cameras)
        covered = ((frames.alpha > 0.5) & (frames.depth_m > 0)).float()
        return picked, DepthMaps(frames.depth_m.float(), covered, cameras.K)


def needs(row: Row, truth: Truth) -> str:
    """Why a row cannot be made of a truth; empty if it can."""
    return "the truth has no depth" if row in ("points", "given") and truth.depth is None else ""


def attempt(row: Row, truth: Truth, settings: Settings = Settings()) -> Attempt:
    """Make the scene of a row.

    Raises:
        InputError: If the row needs depth that the truth does not have.
        FourdError: Whatever the pipeline raises.
    """
    if reason := needs(row, truth):
        raise InputError(f"Row '{row}' of '{truth.name}' cannot be made: {reason}.")
    if row == "points":
        start = time.perf_counter()
        points = Points(truth)
        seconds = {"points": time.perf_counter() - start}
        return Attempt(truth.cameras, points.render, False, None, seconds, len(points))
    return _lifted(row, truth, settings)


def _lifted(row: Row, truth: Truth, settings: Settings) -> Attempt:
    # What is made up is judged by benchmarks.inpaint; here what nobody saw stays empty.
    size = settings.size or pipeline.Config.size
    config = pipeline.Config(quality=settings.quality, seed=settings.seed, size=size, inpaint="none")
    changes: dict[str, Any] = {}
    if row in ("given", "cameras"):
        changes["camera"] = truth.cameras
    if row == "given":
        changes["depth"] = truth.depth
    config = dataclasses.replace(config, **changes)
    found: dict[str, object] = {}
    for event in pipeline.steps(truth.clip, config):
        if isinstance(event, Finished):
            found[event.stage] = event.result
    scene, depth = found["lift"], found.get("depth")
    if not isinstance(scene, Scene):
        raise InputError(f"The pipeline ended with {type(scene).__name__} and not with a scene.")
    estimated = depth if row != "given" and isinstance(depth, DepthMaps) else None
    return Attempt(
        cameras=scene.cameras,
        render=scene.render,
        estimated_cameras=row == "nothing",
        depth=estimated,
        seconds=dict(scene.provenance.seconds),
        splats=len(scene.splats),
    )
