"""`fourd report`: one page that shows a scene and says how it came out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from fourd.commands.common import SceneArg, megabytes, opened, optional
from fourd.errors import InputError
from fourd.view import output, terminal


def report(
    scene: SceneArg,
    /,
    out: Annotated[
        Path | None, optional("FILE.html", "SCENE_report.html in the current folder", aliases=["-o"])
    ] = None,
    clip: Annotated[str | None, optional("CLIP", "none: nothing is compared")] = None,
    start: Annotated[float, arg(metavar="SECONDS")] = 0.0,
) -> None:
    """Write a page that shows a scene and says how it came out: to look at, to send and to print.

    The page holds the player, source beside render, depth, the way of the camera, what is known and what is not,
    and how long it took.

    Args:
        scene: A scene that `fourd lift` made.
        out: The page to write; what is there is replaced.
        clip: The clip that was lifted, to compare with.
        start: Where in the clip the scene begins: what `fourd lift` was given as --start.
    """
    target = out or Path(f"{scene.stem}_report.html")
    output.check_target(target, {".html": "a page"})
    if start and clip is None:
        raise InputError("--start says where in the clip the scene begins; give the clip with --clip, too.")
    from fourd.formats import html
    from fourd.types import Clip
    from fourd.view import report as report_

    lifted = opened(scene)
    pictures = None
    if clip is not None:
        length_s = float(lifted.cameras.time_s[-1] - lifted.cameras.time_s[0]) + 1 / lifted.fps
        pictures = Clip.open(clip, start_s=start, duration_s=length_s, size=max(lifted.cameras.hw))
    html.write(target, terminal.follow(report_.page(lifted, pictures), terminal.console()))
    print(f"{target}: {megabytes(target)}")
