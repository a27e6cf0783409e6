"""`fourd render`: a camera flies through a scene."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import arg

from fourd.commands.common import SceneArg, check_device, counted, opened, optional
from fourd.errors import InputError
from fourd.view import output, terminal

if TYPE_CHECKING:
    from fourd.scene import Scene
    from fourd.types import Cameras


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
    out: Annotated[Path | None, optional("PATH", "SCENE_PATH.mp4 in the current folder", aliases=["-o"])] = None,
    path: Annotated[str, arg(metavar="NAME", help_behavior_hint=_paths)] = "orbit",
    degrees: Annotated[float | None, optional("DEGREES", "the path's own")] = None,
    amount: Annotated[float | None, optional("AMOUNT", "the path's own")] = None,
    at: Annotated[float | None, optional("SECONDS", "time runs, but the path freeze takes the middle")] = None,
    duration: Annotated[float | None, optional("SECONDS", "as long as the scene, or 4 where time stands still")] = None,
    speed: Annotated[float, arg(metavar="FACTOR")] = 1.0,
    fps: Annotated[float | None, optional("RATE", "the clip's")] = None,
    turns: Annotated[float, arg(metavar="COUNT")] = 1.0,
    keyframes: Annotated[Path | None, optional("FILE", "none")] = None,
    size: Annotated[int | None, optional("PIXELS", "the clip's")] = None,
    hw: Annotated[tuple[int, int] | None, optional("HEIGHT WIDTH", "the clip's")] = None,
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
    check_device(device)
    if size is not None and hw is not None:
        raise InputError("--size and --hw were both given; give the longer side or both sides, not both.")
    lifted = opened(scene, device)
    rate = lifted.fps if fps is None else fps
    options: dict[str, Any] = {"fps": rate, "speed": speed, "turns": turns, "at_s": at, "duration_s": duration}
    options |= {"degrees": degrees, "amount": amount, "hw": hw}
    cameras = _cameras(lifted, path, keyframes, options, size)
    with terminal.watching(terminal.console()) as watch:
        made = film.write(lifted, cameras, target, fps=rate, show=show, watch=watch)
    if made == len(cameras):
        print(f"{target}: {counted(made, 'frame')} of {cameras.hw[1]} x {cameras.hw[0]} pixels")
    else:
        print(f"{target}: {made} of {counted(len(cameras), 'frame')}")


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
