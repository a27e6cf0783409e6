"""The command line: ``fourd lift``, ``render``, ``view``, ``info``, ``export`` and ``doctor``.

Functions with type hints, made commands by tyro. What is heavy is imported when a command runs, so that
``fourd --help`` answers at once. Results go to the standard output, everything else to the standard error.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json as json_
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from tyro.conf import Positional, arg

from fourd.errors import FourdError, InputError
from fourd.formats import OF_ONE_MOMENT
from fourd.view import output, terminal

if TYPE_CHECKING:
    from fourd.scene import Scene
    from fourd.types import Cameras


def _optional(metavar: str, meaning: str, **more: Any) -> Any:
    """An option that may stay away; ``meaning`` is what happens then."""
    return arg(metavar=metavar, help_behavior_hint=f"(default: {meaning})", **more)


ClipArg = Annotated[str, Positional, arg(metavar="CLIP")]
SceneArg = Annotated[Path, Positional, arg(metavar="SCENE")]


def lift(
    clip: ClipArg,
    /,
    out: Annotated[Path | None, _optional("SCENE.glb", "CLIP's name in the current folder", aliases=["-o"])] = None,
    quality: Literal["draft", "standard", "high"] = "standard",
    size: Annotated[int, arg(metavar="PIXELS")] = 640,
    start: Annotated[float, arg(metavar="SECONDS")] = 0.0,
    duration: Annotated[float | None, _optional("SECONDS", "to the end")] = None,
    fps: Annotated[float | None, _optional("RATE", "every frame, at its own time")] = None,
    camera: Annotated[str, arg(metavar="NAME")] = "flow",
    camera_file: Annotated[Path | None, _optional("FILE", "none")] = None,
    depth: Annotated[str, arg(metavar="NAME")] = "parallax",
    depth_file: Annotated[Path | None, _optional("FILE", "none")] = None,
    device: Literal["cpu", "cuda"] = "cpu",
    seed: int = 0,
    limits_frames: Annotated[int | None, _optional("COUNT", "10000", name="limits.frames")] = None,
    limits_seconds: Annotated[float | None, _optional("SECONDS", "3600", name="limits.seconds")] = None,
    limits_pixels: Annotated[int | None, _optional("COUNT", "64000000", name="limits.pixels")] = None,
    limits_bytes: Annotated[int | None, _optional("BYTES", "8000000000", name="limits.bytes")] = None,
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
        camera: How to find the cameras: flow (from the pictures), still (the camera never moves) or file.
        camera_file: The cameras: transforms.json, a COLMAP text model's folder, or .npz. Implies --camera file.
        depth: How to find depth: parallax (from the camera's motion), embedded (a small network), prior (a plain
            guess) or file.
        depth_file: The depth maps: .npz, or a folder of 16-bit PNGs. Implies --depth file.
        device: Where the splats live while they are made.
        seed: The same clip, options and seed give the same scene.
        limits_frames: Refuse clips of more frames.
        limits_seconds: Refuse longer clips.
        limits_pixels: Refuse pictures of more pixels.
        limits_bytes: Refuse clips that need more memory at the working size.
    """
    target = out or Path(f"{Path(clip).stem.strip('*?[]') or 'scene'}.glb")
    output.check_target(target, {".glb": "the scene"})
    _check_device(device)
    from fourd import pipeline
    from fourd.types import Clip, Limits

    caps = {
        "frames": limits_frames,
        "seconds": limits_seconds,
        "pixels": limits_pixels,
        "bytes": limits_bytes,
    }
    config = pipeline.Config(
        camera="file" if camera_file else camera,
        camera_file=camera_file,
        depth="file" if depth_file else depth,
        depth_file=depth_file,
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
    print(f"{target}: {len(scene.splats):,} splats, {_megabytes(target)}")
    terminal.say(
        console,
        f"lifted in {terminal.said(sum(scene.provenance.seconds.values()))}. To look at it:\n"
        f"  fourd view {_quoted(target)}\n"
        f"  fourd render {_quoted(target)} --path orbit -o {_quoted(target.with_name(f'{target.stem}_orbit.mp4'))}",
    )


def _paths(_: str) -> str:
    """The table of paths, for the help of ``render``."""
    from fourd.geometry.paths import PATHS

    lines = ["One of these, with the amount unless another is given:"]
    for name, path in PATHS.items():
        amounts = {"": "", "factor": f" (factor {path.default:g})"}
        lines.append(f"{name:<11}{path.says}{amounts.get(path.unit, f' ({path.default:g} {path.unit})')}")
    return "\n".join(lines)


def render(
    scene: SceneArg,
    /,
    out: Annotated[Path | None, _optional("PATH", "SCENE_PATH.mp4 in the current folder", aliases=["-o"])] = None,
    path: Annotated[str, arg(metavar="NAME", help_behavior_hint=_paths)] = "orbit",
    degrees: Annotated[float | None, _optional("DEGREES", "the path's own")] = None,
    amount: Annotated[float | None, _optional("AMOUNT", "the path's own")] = None,
    at: Annotated[float | None, _optional("SECONDS", "time runs, but the path freeze takes the middle")] = None,
    duration: Annotated[
        float | None, _optional("SECONDS", "as long as the scene, or 4 where time stands still")
    ] = None,
    speed: Annotated[float, arg(metavar="FACTOR")] = 1.0,
    fps: Annotated[float | None, _optional("RATE", "the clip's")] = None,
    turns: Annotated[float, arg(metavar="COUNT")] = 1.0,
    keyframes: Annotated[Path | None, _optional("FILE", "none")] = None,
    size: Annotated[int | None, _optional("PIXELS", "the clip's")] = None,
    hw: Annotated[tuple[int, int] | None, _optional("HEIGHT WIDTH", "the clip's")] = None,
    show: Literal["rgb", "depth", "alpha"] = "rgb",
    device: Literal["cpu", "cuda"] = "cpu",
) -> None:
    """Fly a camera through a scene: a video, a contact sheet or single pictures.

    Args:
        scene: A scene that `fourd lift` made.
        out: NAME.mp4 is a video (with the clip's sound), NAME.png a contact sheet, and NAME a new folder of PNGs.
        path: How the camera moves.
        degrees: How far to turn or swing, for paths that are measured in degrees.
        amount: How far to go in the path's own unit.
        at: Let time stand still at this moment.
        duration: Length of the video.
        speed: How fast the scene's time runs; 0.5 is slow motion.
        fps: Frames a second of the video.
        turns: How often orbit and freeze swing to both sides.
        keyframes: A camera_path.json of the player or of nerfstudio to fly along; --path FILE.json says the same.
        size: Longer side of the pictures.
        hw: Size of the pictures; the view is cut to these proportions.
        show: Colours; depth (near is light, holes are black); or how much of each pixel is covered.
        device: Where to render.
    """
    from fourd.view import film

    if keyframes is None and path.lower().endswith(".json"):
        keyframes = Path(path)
    # Never the scene's own name: the clip may lie there.
    target = out or Path(f"{scene.stem}_{'keyframes' if keyframes else path}.mp4")
    output.check_target(target, film.KINDS)
    _check_device(device)
    if size is not None and hw is not None:
        raise InputError("--size and --hw were both given; give the longer side or both sides, not both.")
    opened = _opened(scene, device)
    rate = opened.fps if fps is None else fps
    options: dict[str, Any] = {"fps": rate, "speed": speed, "turns": turns, "at_s": at, "duration_s": duration}
    options |= {"degrees": degrees, "amount": amount, "hw": hw}
    cameras = _cameras(opened, path, keyframes, options, size)
    with terminal.watching(terminal.console()) as watch:
        made = film.write(opened, cameras, target, fps=rate, show=show, watch=watch)
    if made == len(cameras):
        print(f"{target}: {made} frames of {cameras.hw[1]} x {cameras.hw[0]} pixels")
    else:
        print(f"{target}: {made} of {len(cameras)} frames")


def info(scene: SceneArg, /, json: Annotated[bool, arg(help_behavior_hint="")] = False) -> None:
    """Say what is in a scene.

    Args:
        scene: A scene that `fourd lift` made.
        json: Print JSON, for programs.
    """
    from fourd.view import facts

    known = {"file": str(scene), "bytes": _bytes(scene)} | facts.facts(_opened(scene))
    if json:
        print(json_.dumps(known, indent=2))
        return
    terminal.table([("file", f"{scene}, {_megabytes(scene)}"), *facts.rows(known)])


def export(
    scene: SceneArg,
    /,
    out: Annotated[Path, arg(metavar="FILE", aliases=["-o"], help_behavior_hint="(required)")],
    at: Annotated[float | None, _optional("SECONDS", "the middle")] = None,
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
    _opened(scene).export(out, time_s=at)
    print(f"{out}: {_megabytes(out)}")


def view(
    scene: SceneArg,
    /,
    host: Annotated[str, arg(metavar="ADDRESS")] = "127.0.0.1",
    port: Annotated[int, arg(metavar="NUMBER")] = 0,
    allow_network: Annotated[bool, arg(help_behavior_hint="")] = False,
    browser: bool = True,
) -> None:
    """Look at a scene in a browser, until Ctrl-C.

    Args:
        scene: A scene that `fourd lift` made.
        host: Where to listen; other machines reach 127.0.0.1 only through a tunnel.
        port: Where to listen; 0 takes any that is free.
        allow_network: Let --host be an address that other machines reach.
        browser: Open a browser; its address is printed in any case.
    """
    from fourd.view import server

    server.check_host(host, port, allow_network=allow_network)
    server.check_scene(scene)

    def ready(address: str) -> None:
        print(address, flush=True)
        opened = browser and server.open_browser(address)
        terminal.say(terminal.console(), f"{'' if opened else 'Open this address in a browser. '}Ctrl-C ends it.")

    server.serve(scene, host=host, port=port, ready=ready)


def doctor() -> int:
    """Say what this installation can do, and why not.

    The exit status is 0 if it can lift a clip, and 1 if something is missing for that.
    """
    from rich.text import Text

    from fourd import doctor as doctor_

    marks = {"yes": ("yes", "green"), "no": ("no", "yellow"), "broken": ("NO", "bold red")}
    found = doctor_.examine()
    rows = []
    for finding in found:
        says = finding.says + (f"\n{finding.todo}" if finding.todo else "")
        rows.append((finding.name, Text(marks[finding.state][0], marks[finding.state][1]), says))
    terminal.table(rows)
    able = doctor_.can_lift(found)
    print("\nfourd can lift clips here." if able else "\nfourd cannot lift clips here: see the lines with NO.")
    return 0 if able else 1


COMMANDS = {"lift": lift, "render": render, "view": view, "info": info, "export": export, "doctor": doctor}

_DESCRIPTION = """Turn one ordinary video into a 4D scene that anyone can fly through.

  fourd lift walk.mp4 -o walk.glb
  fourd view walk.glb
  fourd render walk.glb --path orbit --degrees 30 -o orbit.mp4

`fourd COMMAND --help` says more about each command, `fourd --version` which version this is."""


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        args: The words after ``fourd``; those of the process by default.

    Returns:
        0 if all went well, 1 if the work could not be done, 2 if the words make no sense, and 130 if it was
        interrupted.
    """
    words = list(sys.argv[1:] if args is None else args)
    try:
        with _one_paragraph():
            if words == ["--version"]:
                import importlib.metadata

                print(f"fourd {importlib.metadata.version('fourd')}", flush=True)
                return 0
            status = tyro.extras.subcommand_cli_from_dict(
                COMMANDS,
                prog="fourd",
                description=_DESCRIPTION,
                args=words or ["--help"],
                config=(tyro.conf.DisallowNone, tyro.conf.FlagCreatePairsOff),
            )
            sys.stdout.flush()
            return status or 0
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(bool(end.code))


@contextlib.contextmanager
def _one_paragraph() -> Iterator[None]:
    """Turn what a user can do something about into a paragraph on the standard error, and a status."""
    try:
        yield
    except FourdError as error:
        print(f"fourd: {error}", file=sys.stderr)
        sys.exit(1)
    except (MemoryError, RuntimeError) as error:
        # PyTorch has errors of its own for this, on CPU and GPU.
        if not isinstance(error, MemoryError) and "memory" not in str(error):
            raise
        print("fourd: The memory is full. Use a smaller --size, --duration or --fps.", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("\nfourd: Interrupted; nothing was written.", file=sys.stderr)
        sys.exit(130)
    except OSError as error:
        # Whoever read the output has gone, or its disk is full. Python would try, and complain, again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            print(f"fourd: {error}", file=sys.stderr)
        sys.exit(1)


def _check_device(device: str) -> None:
    if device == "cuda":
        from fourd.native import require_cuda

        require_cuda("--device cuda was asked for")


def _opened(path: Path, device: str = "cpu") -> Scene:
    from fourd.scene import Scene

    scene = Scene.open(path)
    return dataclasses.replace(scene, splats=scene.splats.to(device)) if device != "cpu" else scene


def _cameras(scene: Scene, path: str, keyframes: Path | None, options: dict[str, Any], size: int | None) -> Cameras:
    """The cameras of the film, from a file or along a named path."""
    own_hw = scene.cameras.hw
    if keyframes is not None:
        from fourd.formats import camera_path

        path, options["keyframes"] = "keyframes", camera_path.read(keyframes, start_s=float(scene.cameras.time_s[0]))
        own_hw = options["keyframes"].cameras.hw
    if size is not None:
        if size < 16:
            raise InputError(f"--size is {size}; a picture needs at least 16 pixels.")
        h, w = (max(2, 2 * round(x * size / max(own_hw) / 2)) for x in own_hw)
        options["hw"] = h, w
    return scene.path(path, **options)


def _bytes(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _megabytes(path: Path) -> str:
    return f"{_bytes(path) / 1e6:.1f} MB"


def _quoted(path: Path) -> str:
    import shlex

    return shlex.quote(str(path))


if __name__ == "__main__":
    sys.exit(main())
