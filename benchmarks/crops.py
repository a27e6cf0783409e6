"""The pictures of docs/inpainting.md: ``python -m benchmarks.crops``.

Scenes of the stage are lifted with the cameras and depth of the truth and filled. Of each held-out view is shown the
part that the source saw least of: without filling, with it, and the truth.
"""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import torch
import tyro
from torch import Tensor

from benchmarks import sheets, staged
from benchmarks.covisible import covisible
from benchmarks.truth import Truth, View
from fourd import events, inpaint, pipeline
from fourd.errors import FourdError
from fourd.files import replacing
from fourd.filling import fill
from fourd.render import render


@dataclass(frozen=True)
class Options:
    """What to show."""

    stage: tuple[str, ...] = ("room", "garden")
    """Scenes of the stage."""
    views: tuple[str, ...] = ("R20", "L30", "R45")
    """Names of held-out views."""
    inpainter: str = "embedded"
    """What fills."""
    frames: int = 18
    """Of each clip."""
    hw: tuple[int, int] = (216, 384)
    """Height and width of the pictures."""
    crop_hw: tuple[int, int] = (180, 270)
    """Height and width of what is shown of them."""
    seed: int = 0
    out: Path = Path("docs/inpainting.jpg")
    """Where the picture goes."""


def rows(known: Truth, options: Options) -> list[np.ndarray]:
    """One strip for each view of a scene: without filling, with it, and the truth."""
    config = pipeline.Config(camera=known.cameras, depth=known.depth or "", inpaint="none", seed=options.seed)
    bare = pipeline.lift(known.clip, config).splats
    backend = inpaint.backend(options.inpainter)
    degrees = max(abs(staged.VIEWS[view.name]) for view in known.views)
    filled = events.result(fill(bare, known.clip, known.cameras, backend, degrees, options.seed)).splats
    made = []
    for view in known.views:
        middle = torch.tensor([len(view) // 2])
        part = _least_seen(view, known, middle, options.crop_hw)
        drawn = [render(splats, view.cameras[middle]).rgb[0] for splats in (bare, filled)]
        pictures = [*((x.clamp(0, 1) * 255 + 0.5).to(torch.uint8) for x in drawn), view.frames[middle][0]]
        names = [f"{known.name}, {view.name}: what was filmed", "with what was made up", "truth"]
        tiles = [sheets.tile(x[part].numpy(), name) for x, name in zip(pictures, names, strict=True)]
        made.append(np.concatenate(tiles, 1))
    return made


def _least_seen(view: View, known: Truth, middle: Tensor, hw: tuple[int, int]) -> tuple[slice, slice]:
    """The window with most pixels that no frame of the source saw."""
    assert view.depth is not None and view.moving is not None  # The stage says both.
    at = {"source_index": view.source_index[middle], "depth": view.depth[middle], "moving": view.moving[middle]}
    one = dataclasses.replace(view, frames=view.frames[middle], cameras=view.cameras[middle], **at)
    seen = covisible(one, known)
    assert seen is not None
    h, w = min(hw[0], seen.shape[1]), min(hw[1], seen.shape[2])
    count = torch.nn.functional.avg_pool2d((~seen[0]).double()[None], (h, w), stride=1)[0]
    top, left = divmod(int(count.argmax()), count.shape[1])
    return slice(top, top + h), slice(left, left + w)


def main(options: Options) -> int:
    """Draw, and write the picture; returns the exit status.

    Raises:
        FourdError: If there is no such scene, view or inpainter.
    """
    strips = []
    for name in options.stage:
        known = staged.make(name, hw=options.hw, frames=options.frames, seed=options.seed, views=options.views)
        strips += rows(known, options)
        options.out.parent.mkdir(parents=True, exist_ok=True)
        with replacing(options.out) as fresh:
            iio.imwrite(fresh, np.concatenate(strips), extension=".jpg", quality=75)
    print(options.out)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(tyro.cli(Options, prog="python -m benchmarks.crops")))
    except FourdError as error:
        sys.exit(f"{error}")
