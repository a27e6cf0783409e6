"""`fourd lift`: a video becomes a scene."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import arg

from fourd.commands.common import ClipArg, check_device, counted, megabytes, optional, quoted
from fourd.view import output, terminal

if TYPE_CHECKING:
    from rich.console import Console

    from fourd.pipeline import Config
    from fourd.types import Clip


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
    shots: Literal["apart", "together"] = "apart",
    sheet: Annotated[bool, arg(help_behavior_hint="")] = True,
    limits_frames: Annotated[int | None, optional("COUNT", "10000", name="limits.frames")] = None,
    limits_seconds: Annotated[float | None, optional("SECONDS", "3600", name="limits.seconds")] = None,
    limits_pixels: Annotated[int | None, optional("COUNT", "64000000", name="limits.pixels")] = None,
    limits_bytes: Annotated[int | None, optional("BYTES", "8000000000", name="limits.bytes")] = None,
) -> None:
    """Turn a video into a 4D scene.

    Args:
        clip: A video, an animation, a picture, or a folder or glob of pictures.
        out: The scene to write; what is there is replaced.
        quality: How finely to match and to fuse: draft is quicker, high keeps more splats.
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
        shots: What to do with a clip that is cut: lift each shot on its own, into SCENE_1.glb, SCENE_2.glb and so on,
            or all together, as if filmed in one go. With given cameras or depth, a clip stays together.
        sheet: Do without the contact sheet, SCENE_sheet.png, which shows what was filmed, the same views of the scene,
            its depth, and views from beside.
        limits_frames: Refuse clips of more frames.
        limits_seconds: Refuse longer clips.
        limits_pixels: Refuse pictures of more pixels.
        limits_bytes: Refuse clips that need more memory at the working size.
    """
    target = out or Path(f"{Path(clip).stem.strip('*?[]') or 'scene'}.glb")
    _check(target, sheet)
    check_device(device)
    from fourd import pipeline
    from fourd.media import cutting
    from fourd.types import Clip, Limits

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
    terminal.say(console, f"{clip}: {counted(len(pictures), 'frame')} of {w} x {h} pixels, {pictures.duration_s:.2f} s")
    parts = [pictures] if shots == "together" or camera_file or depth_file else cutting.shots(pictures)
    if len(parts) == 1:
        return _lifted(parts[0], config, target, sheet, console)
    terminal.say(console, f"It has {len(parts)} shots; each becomes a scene of its own.")
    targets = [target.with_name(f"{target.stem}_{number}{target.suffix}") for number in range(1, len(parts) + 1)]
    for to in targets:
        _check(to, sheet)
    for part, to in zip(parts, targets, strict=True):
        _lifted(part, config, to, sheet, console)


def _lifted(clip: Clip, config: Config, target: Path, sheet: bool, console: Console) -> None:
    """Lift a shot and write what comes of it."""
    from fourd import media, pipeline
    from fourd.view import overview

    scene = terminal.follow(pipeline.steps(clip, config), console)
    scene.save(target)
    print(f"{target}: {len(scene.splats):,} splats, {megabytes(target)}")
    if sheet:
        picture = overview.sheet(terminal.follow(overview.glances(scene, clip), console))
        media.write_picture(_sheet(target), picture)
        print(f"{_sheet(target)}: contact sheet")
    terminal.say(
        console,
        f"lifted in {terminal.said(sum(scene.provenance.seconds.values()))}. To look at it:\n"
        f"  fourd view {quoted(target)}\n"
        f"  fourd render {quoted(target)} --path orbit -o {quoted(target.with_name(f'{target.stem}_orbit.mp4'))}",
    )


def _check(target: Path, sheet: bool) -> None:
    """Refuse targets that cannot be written, before any work."""
    output.check_target(target, {".glb": "the scene"})
    if sheet:
        output.check_target(_sheet(target), {".png": "a contact sheet"})


def _sheet(target: Path) -> Path:
    return target.with_name(f"{target.stem}_sheet.png")


def _is_path(camera: str) -> bool:
    """Whether this is a file of cameras and not the name of a way to find them, which never has a dot or a slash."""
    from fourd.camera import NAMES

    path = Path(camera)
    return path.name != camera or bool(path.suffix) or (path.exists() and camera not in (*NAMES, "file"))
