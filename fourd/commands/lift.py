"""`fourd lift`: a video becomes a scene."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from fourd.commands.common import ClipArg, check_device, megabytes, optional, quoted
from fourd.view import output, terminal


def lift(
    clip: ClipArg,
    /,
    out: Annotated[Path | None, optional("SCENE.glb", "CLIP's name in the current folder", aliases=["-o"])] = None,
    quality: Literal["draft", "standard", "high"] = "standard",
    size: Annotated[int, arg(metavar="PIXELS")] = 640,
    start: Annotated[float, arg(metavar="SECONDS")] = 0.0,
    duration: Annotated[float | None, optional("SECONDS", "to the end")] = None,
    fps: Annotated[float | None, optional("RATE", "every frame, at its own time")] = None,
    camera: Annotated[str, arg(metavar="NAME|FILE")] = "flow",
    camera_file: Annotated[Path | None, optional("FILE", "none")] = None,
    depth: Annotated[str, arg(metavar="NAME")] = "parallax",
    depth_file: Annotated[Path | None, optional("FILE", "none")] = None,
    inpaint: Annotated[str | None, optional("NAME", "embedded; stretch for a draft")] = None,
    range_deg: Annotated[float, arg(metavar="DEGREES", name="range")] = 30.0,
    device: Literal["cpu", "cuda"] = "cpu",
    seed: int = 0,
    sheet: bool = True,
    limits_frames: Annotated[int | None, optional("COUNT", "10000", name="limits.frames")] = None,
    limits_seconds: Annotated[float | None, optional("SECONDS", "3600", name="limits.seconds")] = None,
    limits_pixels: Annotated[int | None, optional("COUNT", "64000000", name="limits.pixels")] = None,
    limits_bytes: Annotated[int | None, optional("BYTES", "8000000000", name="limits.bytes")] = None,
) -> None:
    """Turn a video into a 4D scene.

    Args:
        clip: A video, an animation, a picture, or a folder or glob of pictures.
        out: The scene to write; what is there is replaced.
        quality: How finely to fuse: draft is quicker, high keeps more splats.
        size: Longer side of the working picture; pictures are never enlarged. 0 keeps the clip's own size.
        start: Where in the clip to begin.
        duration: How much of the clip to lift.
        fps: Take so many frames a second.
        camera: How to find the cameras: flow (from the pictures), still (the camera never moves), colmap (by COLMAP:
            pip install 'fourd[colmap]') or file; or the file or folder itself.
        camera_file: The cameras: transforms.json, a COLMAP model's folder, a TUM trajectory, or .npz. Implies
            --camera file.
        depth: How to find depth: parallax (from the camera's motion), embedded (a small network), prior (a plain
            guess), file, or parallax with a published model behind it: depth-anything, depth-anything-base,
            depth-anything-large, depth-anything-indoor, depth-anything-outdoor, depth-pro, zoedepth, moge, a hub id
            (owner/name) or a folder (pip install 'fourd[hub]').
        depth_file: The depth maps: .npz, or a folder of 16-bit PNGs. Implies --depth file.
        inpaint: How to fill what nobody saw: embedded (a small diffusion model that learns the clip), stretch (the
            nearest background, drawn out), copy, telea, ns, one of the published models wan-vace, sd, sdxl, flux-fill,
            qwen-image and z-image (pip install 'fourd[hub]'), or none, which leaves the holes.
        range_deg: Fill as far as a camera may turn about the subject to either side, up to 90.
        device: Where the splats live while they are made.
        seed: The same clip, options and seed give the same scene.
        sheet: End with a contact sheet, SCENE_sheet.png: what was filmed, the same views of the scene, its depth, and
            views from beside.
        limits_frames: Refuse clips of more frames.
        limits_seconds: Refuse longer clips.
        limits_pixels: Refuse pictures of more pixels.
        limits_bytes: Refuse clips that need more memory at the working size.
    """
    target = out or Path(f"{Path(clip).stem.strip('*?[]') or 'scene'}.glb")
    output.check_target(target, {".glb": "the scene"})
    sheet_target = target.with_name(f"{target.stem}_sheet.png")
    if sheet:
        output.check_target(sheet_target, {".png": "a contact sheet"})
    check_device(device)
    from fourd import media, pipeline
    from fourd.types import Clip, Limits
    from fourd.view import overview

    caps = {
        "frames": limits_frames,
        "seconds": limits_seconds,
        "pixels": limits_pixels,
        "bytes": limits_bytes,
    }
    if camera_file is None and _is_path(camera):
        camera_file = Path(camera)
    config = pipeline.Config(
        camera="file" if camera_file else camera,
        camera_file=camera_file,
        depth="file" if depth_file else depth,
        depth_file=depth_file,
        inpaint=inpaint,
        range_deg=range_deg,
        quality=quality,
        size=size or None,
        device=device,
        seed=seed,
    )
    console = terminal.console()
    pictures = Clip.open(
        clip,
        start_s=start,
        duration_s=duration,
        fps=fps,
        size=size or None,
        limits=dataclasses.replace(Limits(), **{k: v for k, v in caps.items() if v is not None}),
    )
    h, w = pictures.hw
    terminal.say(console, f"{clip}: {len(pictures)} frames of {w} x {h} pixels, {pictures.duration_s:.2f} s")
    scene = terminal.follow(pipeline.steps(pictures, config), console)
    scene.save(target)
    print(f"{target}: {len(scene.splats):,} splats, {megabytes(target)}")
    if sheet:
        media.write_picture(sheet_target, overview.sheet(terminal.follow(overview.glances(scene, pictures), console)))
        print(f"{sheet_target}: contact sheet")
    terminal.say(
        console,
        f"lifted in {terminal.said(sum(scene.provenance.seconds.values()))}. To look at it:\n"
        f"  fourd view {quoted(target)}\n"
        f"  fourd render {quoted(target)} --path orbit -o {quoted(target.with_name(f'{target.stem}_orbit.mp4'))}",
    )


def _is_path(camera: str) -> bool:
    """Whether this is a file of cameras and not the name of a way to find them, which never has a dot or a slash."""
    from fourd.camera import NAMES

    path = Path(camera)
    return path.name != camera or bool(path.suffix) or (path.exists() and camera not in (*NAMES, "file"))
