"""`fourd export`: a scene as other programs read it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from fourd.commands.common import SceneArg, megabytes, opened, optional
from fourd.errors import InputError
from fourd.formats import OF_ONE_MOMENT
from fourd.view import output


def export(
    scene: SceneArg,
    /,
    out: Annotated[Path, arg(metavar="FILE", aliases=["-o"], help_behavior_hint="(required)")],
    at: Annotated[float | None, optional("SECONDS", "the middle")] = None,
) -> None:
    """Write what other programs read.

    Args:
        scene: A scene that `fourd lift` made.
        out: NAME.html is a page to look at, with everything in it; NAME.ply, NAME.spz and NAME.splat one moment as 3D
            Gaussians; NAME.json the source cameras (transforms.json).
        at: The moment of a .ply, .spz or .splat.
    """
    moments = dict.fromkeys(OF_ONE_MOMENT, "one moment")
    output.check_target(out, {**moments, ".json": "the source cameras", ".html": "a page", ".glb": "the scene"})
    if at is not None and out.suffix.lower() not in moments:
        raise InputError(f"--at chooses the moment of a {', '.join(moments)}; '{out.name}' holds all of them.")
    opened(scene).export(out, time_s=at)
    print(f"{out}: {megabytes(out)}")
