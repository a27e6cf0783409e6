"""`fourd export`: a scene as other programs read it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from fourd.commands.common import SceneArg, megabytes, opened, optional
from fourd.errors import InputError
from fourd.view import output


def export(
    scene: SceneArg,
    /,
    out: Annotated[Path, arg(metavar="FILE", aliases=["-o"], help_behavior_hint="(required)")],
    kind: Annotated[Literal["splats", "points", "mesh", "depth", "cameras"], arg(name="as")] = "splats",
    at: Annotated[float | None, optional("SECONDS", "the middle")] = None,
    exact: Annotated[bool, arg(help_behavior_hint="")] = False,
    spz_version: Literal[3, 4] = 3,
) -> None:
    """Write what other programs read.

    Args:
        scene: A scene that `fourd lift` made, or a .4dgs, .splatv, .ply, .spz or .splat.
        out: NAME.glb is the scene in less than half of its bytes, NAME.4dgs and NAME.splatv are for other players;
            NAME.html is a page to look at, with everything in it; NAME.ply, NAME.spz and NAME.splat are one moment
            as 3D Gaussians, and NAME a new folder of a .ply for each frame; NAME.json are the source cameras
            (transforms.json).
        kind: Splats; points (the centres of splats) or a mesh (the surface that the cameras see) of one moment, as
            NAME.ply or NAME.glb; depth, as NAME.png (16 bits, millimetres) or NAME.exr of one moment, or NAME, a
            new folder of PNGs; or the source cameras, as NAME.json (transforms.json), NAME.npz, NAME.txt (a TUM
            trajectory), or NAME, a new folder of a COLMAP text model.
        at: The moment of what holds only one.
        exact: Keep every bit of the splats in a .glb, at 88 bytes each.
        spz_version: 3, which every reader of .spz knows, or 4.
    """
    from fourd import exports

    output.check_target(out, exports.KINDS[kind])
    if at is not None and not exports.of_one_moment(kind, out):
        raise InputError(f"--at chooses the moment of a file that holds one; '{out.name}' holds all of them.")
    opened(scene).export(out, time_s=at, kind=kind, exact=exact, spz_version=spz_version)
    print(f"{out}: {megabytes(out)}")
