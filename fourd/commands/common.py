"""What several commands share: how their arguments look, and how files and devices are spoken of."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

if TYPE_CHECKING:
    from fourd.scene import Scene


def optional(metavar: str, meaning: str, **more: Any) -> Any:
    """An option that may stay away; ``meaning`` is what happens then."""
    return arg(metavar=metavar, help_behavior_hint=f"(default: {meaning})", **more)


ClipArg = Annotated[str, Positional, arg(metavar="CLIP")]
SceneArg = Annotated[Path, Positional, arg(metavar="SCENE")]


def check_device(device: str) -> None:
    """Refuse a device that cannot be used, before the work."""
    if device == "cuda":
        from fourd.native import require_cuda

        require_cuda("--device cuda was asked for")


def opened(path: Path, device: str = "cpu") -> Scene:
    """The scene of a file, with its splats on ``device``; what a file of others could not say is said."""
    from fourd.scene import Scene
    from fourd.view import terminal

    scene = Scene.open(path)
    for text in scene.provenance.warnings:
        if text.startswith(path.name):
            terminal.say(terminal.console(), text)
    return dataclasses.replace(scene, splats=scene.splats.to(device)) if device != "cpu" else scene


def size_bytes(path: Path) -> int:
    """How long a file is, or all files of a folder; 0 where there is none."""
    files = path.iterdir() if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def megabytes(path: Path) -> str:
    """The same for people."""
    count = size_bytes(path)
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"


def counted(count: int, what: str) -> str:
    """A number of things.

    Example:
        >>> counted(1, "frame"), counted(1200, "frame")
        ('1 frame', '1200 frames')
    """
    return f"{count} {what}{'s' * (count != 1)}"


def quoted(path: Path) -> str:
    """A path as one word of a shell, which no command takes for an option."""
    return shlex.quote(f"./{path}" if str(path).startswith("-") else str(path))
