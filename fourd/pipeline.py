"""The whole dataflow, on one screen: which stage follows which, and what each hands to the next.

    clip ─> motion ─> camera ─> motion again ─> depth ─> motion again ─> fuse ─> refine ─> fill ─> Scene

Stages do not know each other; here they are wired, and in ``filling.py`` those of the loop that fills holes.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import math
import time
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, no_type_check

import torch
import torch.nn.functional as F

from fourd import camera, depth, events, formats, fuse, inpaint, motion, native
from fourd.checked import checked
from fourd.depth import Backend as DepthBackend
from fourd.errors import InputError
from fourd.events import Finished, Started, Steps, Warned
from fourd.filling import Filled, fill
from fourd.fuse.refine import RefineConfig, refine
from fourd.inpaint import Inpainter
from fourd.media.cutting import cuts
from fourd.scene import Scene
from fourd.types import Cameras, Clip, DepthMaps, Motion, Provenance, Splats

T = TypeVar("T")

Quality = Literal["draft", "standard", "high"]

_FUSE: dict[Quality, fuse.FuseConfig] = {
    "draft": fuse.FuseConfig(keyframes=12, moving_splats=1_000_000),
    "standard": fuse.FuseConfig(moving_splats=4_000_000),
    "high": fuse.FuseConfig(keyframes=96, moving_splats=16_000_000),
}
_REFINE: dict[Quality, RefineConfig] = {
    "draft": RefineConfig(steps=0),
    "standard": RefineConfig(),
    "high": RefineConfig(rounds=12, steps=3000),
}


_NOWHERE = (
    "The clip says where its sounds come from, but not where its cameras are, so the sounds have no place in the scene."
    " Give the cameras to keep them."
)

_FADES = (
    "Frames {} to {} are mixed of two shots, one of which fades into the other. One scene cannot hold both: lift each"
    " of fourd.shots(clip)."
)
_BENT = (
    "The lens bends straight lines. The pictures are made straight, and what this moves out of them at the rim is lost."
)


@no_type_check  # It checks itself, in words of its own.
@dataclass(frozen=True, eq=False)
class Config:
    """How to lift a clip. The defaults suit a first look at any video on two CPU cores."""

    camera: str | Cameras = "flow"
    """How to find the cameras: a backend's name, "file", or the cameras themselves."""
    depth: str | DepthMaps | DepthBackend = "parallax"
    """How to find depth: a backend's name, "file", the depth maps themselves, or the backend itself."""
    camera_file: Path | None = None
    """Cameras to read: transforms.json, a COLMAP model's folder, a TUM trajectory, or an .npz; ``camera`` is "file"."""
    depth_file: Path | None = None
    """Depth maps to read: an .npz, or a folder of 16-bit PNGs; ``depth`` is "file"."""
    inpaint: str | Inpainter | None = None
    """How to fill what nobody saw: an inpainter's name, or the inpainter itself; "none" leaves the holes. By default
    "embedded", which learns the clip for half a minute, and "stretch" for a draft."""
    range_deg: float = 30.0
    """How far a camera may turn about the subject, to either side, before it comes upon what is not filled."""
    quality: Quality = "standard"
    """How finely to match and to fuse, and how long to fit what was fused to the clip; a draft is not fitted, and is
    matched at half its size."""
    size: int | None = 640
    """Longer side of the working picture in pixels; pictures are never enlarged. None keeps the clip's size."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where the splats are to be fitted, to live and to be rendered."""
    seed: int = 0
    """The same clip, configuration and seed give the same scene."""

    def __post_init__(self) -> None:
        """Refuse what no stage could make sense of, before any work."""
        for name, known in (("quality", get_args(Quality)), ("device", ("cpu", "cuda"))):
            if getattr(self, name) not in known:
                raise InputError(f"Config.{name} is {getattr(self, name)!r}; choose one of: {', '.join(known)}.")
        for name in ("size", "seed"):
            value = getattr(self, name)
            if not isinstance(value, Integral) and not (name == "size" and value is None):
                raise InputError(f"Config.{name} is {value!r}; it must be a whole number.")
        if self.size is not None and self.size < 16:
            raise InputError(f"Config.size is {self.size}; a working picture needs at least 16 pixels.")
        for what in ("camera", "depth"):
            file = getattr(self, f"{what}_file")
            if file is None:
                continue
            # What is not the default was asked for, too.
            if getattr(self, what) not in ("file", getattr(Config, what)):
                raise InputError(f"Config.{what} and Config.{what}_file were both given; give one of them.")
            object.__setattr__(self, what, "file")
            object.__setattr__(self, f"{what}_file", Path(file))


@checked
def lift(clip: Clip, config: Config = Config()) -> Scene:
    """Turn a clip into a 4D scene. See ``steps`` for one that reports on the way.

    Example:
        ``scene = fourd.lift(fourd.Clip.open("walk.mp4"))``
    """
    return events.result(steps(clip, config))


@checked
def steps(clip: Clip, config: Config = Config()) -> Steps[Scene]:
    """Lift ``clip``, yielding an event whenever there is something to show.

    Nothing is printed and no file is written: the caller decides. Stop iterating to cancel. The scene
    is the result of the last ``Finished`` event, whose stage is "lift", and the generator's value.

    Raises:
        InputError: If given cameras or depth do not fit the clip, or a backend's name is unknown.
        MissingError: If a backend needs a package that is not installed, or CUDA is asked for and cannot be used.
    """
    log = _Log()
    find_cameras, find_depth = _camera_backend(config), _depth_backend(config)  # Fail before the work.
    inpainter, told = _inpainter(config), None
    if config.device == "cuda":
        native.require_cuda("Config.device is 'cuda'")
    clip = _at_size(clip, config.size)
    for text in clip.warnings:
        yield log.warned("media", text)
    if clip.sound is not None and clip.sound.sources and _solves_cameras(config):
        clip = clip.replace(sound=clip.sound.replace(sources=()))
        yield log.warned("camera", _NOWHERE)

    if _solves_cameras(config):
        for end, first in cuts(clip):
            if first > end:  # What is merely cut the cameras notice themselves.
                yield log.warned("camera", _FADES.format(end, first - 1))
    moves = yield from log.stage("motion", motion.estimate(clip))
    cameras = yield from log.stage("camera", find_cameras(clip, moves))
    if cameras.bend:  # What follows knows pinhole cameras alone.
        if not _finds_depth(config):
            raise InputError(
                f"The cameras have a lens that bends by {cameras.bend:g}, and depth is given, which cannot be made"
                " straight. Give both for straight pictures, or neither."
            )
        yield log.warned("camera", _BENT)
        clip, cameras = camera.straighten(clip, cameras)
        moves = yield from log.stage("motion", motion.estimate(clip))
    moves = motion.refine(moves, cameras, clip=clip)
    maps = yield from log.stage("depth", find_depth(clip, cameras, moves))
    cameras, maps = _one_scale(config, cameras, maps, moves)
    moves = motion.refine(moves, cameras, maps, clip)
    yield Finished("motion", moves, 0.0)
    gravity = camera.find_up(clip, cameras, maps, moves)
    up = gravity.up if gravity.sure else None
    splats = yield from log.stage("fuse", fuse.fuse(clip, maps, cameras, moves, _FUSE[config.quality]))
    splats = splats.to(config.device)
    fitting = dataclasses.replace(_REFINE[config.quality], seed=config.seed)
    if fitting.steps > 0:
        splats, cameras = yield from log.stage("refine", refine(splats, clip, maps, cameras, fitting))
    if inpainter is not None:
        filled = _or_not(splats, fill(splats, clip, cameras, inpainter, config.range_deg, config.seed, up))
        splats, told = yield from log.stage("inpaint", filled)

    level = None if up is None else up.tolist()
    provenance = Provenance(
        clip=clip.name,
        config=_plain(config),
        versions=_versions(),
        seconds=log.seconds,
        warnings=log.warnings,
        metric=maps.metric,
        evidence=told,
        up=level,
        uncertainty=cameras.uncertainty,
    )
    scene = Scene(splats, cameras, clip.sound, provenance)
    yield Finished("lift", scene, sum(log.seconds.values()))
    return scene


def _or_not(before: Splats, work: Steps[Filled]) -> Steps[Filled]:
    """What comes of the work, or what there was before and a warning: holes are no reason to lose a scene."""
    try:
        return (yield from work)
    except Exception as error:  # Whatever it is: minutes of lifting shall not be lost to it.
        yield Warned("inpaint", f"Filling failed, so what nobody saw stays empty: {str(error) or type(error).__name__}")
        return Filled(before, None)


class _Log:
    """Wraps stages in Started and Finished, and keeps what provenance wants to know."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.warnings: list[str] = []

    def warned(self, stage: str, message: str) -> Warned:
        self.warnings.append(message)
        return Warned(stage, message)

    def stage(self, name: str, work: Steps[T]) -> Steps[T]:
        yield Started(name)
        start = time.perf_counter()
        while True:
            try:
                event = next(work)
            except StopIteration as end:
                spent = time.perf_counter() - start
                self.seconds[name] = round(self.seconds.get(name, 0.0) + spent, 3)
                yield Finished(name, end.value, round(spent, 3))
                return end.value
            if isinstance(event, Warned):
                self.warnings.append(event.message)
            yield event


def _at_size(clip: Clip, size: int | None) -> Clip:
    """The clip with its longer side at most ``size``, by area averaging."""
    h, w = clip.hw
    if size is None or max(h, w) <= size:
        return clip
    hw = tuple(max(2, 2 * round(x * size / max(h, w) / 2)) for x in (h, w))
    small = [F.interpolate(f.permute(2, 0, 1)[None].float(), hw, mode="area")[0].permute(1, 2, 0) for f in clip.frames]
    return clip.replace(frames=torch.stack([(s + 0.5).to(torch.uint8) for s in small]))


def _camera_backend(config: Config) -> camera.Backend:
    """The backend that the configuration names, or one that hands over the cameras that were given."""
    if config.camera == "file" and config.camera_file is None:
        raise InputError("Config.camera is 'file' but Config.camera_file is not set; name the file to read.")
    if config.camera == "file" and config.camera_file is not None and not config.camera_file.exists():
        raise InputError(f"Cannot read {config.camera_file}: there is no such file or folder.")
    if isinstance(config.camera, str) and config.camera != "file":
        # Given depth is that of the pictures as they are, so they cannot be made straight.
        as_it_is = config.camera == "flow" and not _finds_depth(config)
        return camera.load(config.camera, **({"may_bend": False} if as_it_is else {}))

    def given(clip: Clip, motion: Motion) -> Steps[Cameras]:
        cameras = config.camera
        if isinstance(cameras, str):
            assert config.camera_file is not None  # Checked above.
            cameras = yield from formats.reading_cameras(config.camera_file, hw=clip.hw, time_s=clip.time_s)
        _fits("cameras", len(cameras), clip)
        _alike(cameras.hw, clip)
        return cameras.resized(clip.hw).replace(time_s=clip.time_s)

    return given


def _depth_backend(config: Config) -> DepthBackend:
    """The same for depth."""
    if config.depth == "file" and config.depth_file is None:
        raise InputError("Config.depth is 'file' but Config.depth_file is not set; name the file to read.")
    if isinstance(config.depth, str) and config.depth != "file":
        from fourd.depth.parallax import Parallax

        backend = depth.load(config.depth)
        return (
            dataclasses.replace(backend, coarse=config.quality == "draft") if isinstance(backend, Parallax) else backend
        )
    if not isinstance(config.depth, str | DepthMaps):
        return config.depth

    handed = None if isinstance(config.depth, str) else config.depth

    def given(clip: Clip, cameras: Cameras, motion: Motion) -> Steps[DepthMaps]:
        maps = handed
        if maps is None:
            assert config.depth_file is not None  # Checked above.
            maps = formats.read_depth(config.depth_file, cameras.K, clip.hw)
        _fits("depth maps", len(maps), clip)
        yield from ()
        return maps

    return given


def _inpainter(config: Config) -> Inpainter | None:
    """The inpainter that the configuration names; None if holes are to stay."""
    if config.inpaint == "none":
        return None
    if not 0 < config.range_deg <= 90:
        raise InputError(f"Config.range_deg is {config.range_deg:g}; it must be above 0 and at most 90 degrees.")
    if isinstance(config.inpaint, str | None):
        return inpaint.backend(config.inpaint or ("stretch" if config.quality == "draft" else "embedded"))
    return config.inpaint


def _fits(what: str, count: int, clip: Clip) -> None:
    if count != len(clip):
        raise InputError(f"{count} {what} were given for clip '{clip.name}', which has {len(clip)} frames.")


def _alike(hw: tuple[int, int], clip: Clip) -> None:
    h, w = clip.hw
    if abs(math.log(hw[0] / hw[1] * w / h)) > 0.02 + 2 / min(h, w):  # Sizes were rounded to pixels.
        raise InputError(
            f"The cameras are for pictures of {hw[1]} x {hw[0]} and those of clip '{clip.name}' are {w} x {h}: the"
            " proportions differ. Sizes are (height, width)."
        )


def _solves_cameras(config: Config) -> bool:
    """Whether the cameras, and with them the world, are found from the pictures."""
    return isinstance(config.camera, str) and config.camera != "file"


def _finds_depth(config: Config) -> bool:
    """Whether depth is found from the pictures, and not given."""
    return not isinstance(config.depth, DepthMaps) and config.depth != "file"


def _one_scale(config: Config, cameras: Cameras, maps: DepthMaps, moves: Motion) -> tuple[Cameras, DepthMaps]:
    """Bring cameras and depth to one unit: the given one, or else the median depth of the first frame."""
    if not _solves_cameras(config):
        return cameras, maps
    if not _finds_depth(config):
        return camera.rescale(cameras, maps, moves), maps
    if maps.unit_m is not None:
        return cameras.scaled(maps.unit_m), maps.scaled(maps.unit_m).replace(metric=True, unit_m=None)
    first = maps.depth_m[0][(maps.confidence[0] > 0) & torch.isfinite(maps.depth_m[0])]
    middle = float(first.median()) if len(first) else 1.0
    if maps.metric:  # Without parallax the cameras have a unit of their own: the median depth of the first frame.
        return cameras.scaled(middle), maps
    return cameras.scaled(1 / middle), maps.scaled(1 / middle)


def _plain(config: Config) -> dict[str, Any]:
    """The configuration as JSON values; given cameras and depth are only named."""
    values = {f.name: getattr(config, f.name) for f in dataclasses.fields(config)}
    return {k: v if v is None or isinstance(v, (str, int, float)) else _said(v) for k, v in values.items()}


def _said(value: object) -> str:
    return str(value) if isinstance(value, Path) else "given"


def _versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in ("fourd", "torch", "numpy", "opencv-python-headless")}
