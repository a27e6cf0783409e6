"""The whole dataflow, on one screen: which stage follows which, and what each hands to the next.

    clip ─> motion ─> camera ─> motion again ─> depth ─> motion again ─> fuse ─> refine ─> fill ─> Scene
                                                                                  │  ^
                                        for each view: draw ─> inpaint ─> lift    └──┘

Stages do not know each other; here they are wired.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import torch
import torch.nn.functional as F

from fourd import camera, depth, events, formats, fuse, inpaint, motion, native
from fourd.errors import InputError
from fourd.events import Finished, Progress, Started, Steps, Warned
from fourd.fuse import invent
from fourd.fuse.refine import RefineConfig, refine
from fourd.geometry import continued as surfaces
from fourd.geometry import survey
from fourd.geometry.unseen import Unseen
from fourd.inpaint import Holes, Inpainter, Pictures
from fourd.render import holes
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


@dataclass(frozen=True, eq=False)
class Config:
    """How to lift a clip. The defaults suit a first look at any video on two CPU cores."""

    camera: str | Cameras = "flow"
    """How to find the cameras: a backend's name, "file", or the cameras themselves."""
    depth: str | DepthMaps = "parallax"
    """How to find depth: a backend's name, "file", or the depth maps themselves."""
    camera_file: Path | None = None
    """With ``camera="file"``: transforms.json, a COLMAP text model's folder, or an .npz."""
    depth_file: Path | None = None
    """With ``depth="file"``: an .npz, or a folder of 16-bit PNGs."""
    inpaint: str | Inpainter | None = None
    """How to fill what nobody saw: an inpainter's name, or the inpainter itself; "none" leaves the holes. By default
    "embedded", which learns the clip for half a minute, and "stretch" for a draft."""
    range_deg: float = 30.0
    """How far a camera may turn about the subject, to either side, before it comes upon what is not filled."""
    quality: Quality = "standard"
    """How finely to fuse, and how long to fit what was fused to the clip; a draft is not fitted."""
    size: int | None = 640
    """Longer side of the working picture in pixels; pictures are never enlarged. None keeps the clip's size."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where the splats are to be fitted, to live and to be rendered."""
    seed: int = 0
    """The same clip, configuration and seed give the same scene."""


def lift(clip: Clip, config: Config = Config()) -> Scene:
    """Turn a clip into a 4D scene. See ``steps`` for one that reports on the way.

    Example:
        ``scene = fourd.lift(fourd.Clip.open("walk.mp4"))``
    """
    return events.result(steps(clip, config))


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
    if clip.sound is not None and clip.sound.sources and _solves_cameras(config):
        clip = clip.replace(sound=clip.sound.replace(sources=()))
        log.warnings.append(_NOWHERE)
        yield Warned("camera", _NOWHERE)

    moves = yield from log.stage("motion", motion.estimate(clip))
    cameras = yield from log.stage("camera", find_cameras(clip, moves))
    moves = motion.refine(moves, cameras, clip=clip)
    maps = yield from log.stage("depth", find_depth(clip, cameras, moves))
    cameras, maps = _one_scale(config, cameras, maps, moves)
    moves = motion.refine(moves, cameras, maps, clip)
    yield Finished("motion", moves, 0.0)
    splats = yield from log.stage("fuse", fuse.fuse(clip, maps, cameras, moves, _FUSE[config.quality]))
    splats = splats.to(config.device)
    fitting = dataclasses.replace(_REFINE[config.quality], seed=config.seed)
    if fitting.steps > 0:
        splats, cameras = yield from log.stage("refine", refine(splats, clip, maps, cameras, fitting))
    if inpainter is not None:
        filled = _or_not(splats, fill(splats, clip, cameras, inpainter, config))
        splats, told = yield from log.stage("inpaint", filled)

    provenance = Provenance(clip.name, _plain(config), _versions(), log.seconds, log.warnings, maps.metric, told)
    scene = Scene(splats, cameras, clip.sound, provenance)
    yield Finished("lift", scene, sum(log.seconds.values()))
    return scene


class Filled(NamedTuple):
    """A scene without holes, as far as was asked."""

    splats: Splats
    """All that were there before, and after them what was made up, marked ``INVENTED``."""
    evidence: float | None
    """Of what single frames leave open in the views that were filled, the share that other moments show."""


def fill(
    splats: Splats, clip: Clip, cameras: Cameras, inpainter: Inpainter, config: Config = Config()
) -> Steps[Filled]:
    """Make up what no source camera saw, and only that, as far as a camera may turn about the subject.

    View after view, the smallest turns first: the still splats are drawn, with all that was made up before;
    holes are filled, colour and depth together; the filling becomes splats, none of them where a source camera
    looked. So what stands still is made up once for all moments, and behind whatever moves.

    Args:
        splats: What was filmed.
        clip: The pictures, to learn from.
        cameras: Those that filmed.
        inpainter: What fills the holes.
        config: Its ``range_deg`` and ``seed``.
    """
    device, splats = splats.mean_m.device, splats.to("cpu")
    still = splats[torch.isinf(splats.duration_s)]
    rings = survey.rings(cameras, Scene(splats, cameras).focus_m(), config.range_deg)
    picked = torch.tensor(survey.spread(len(cameras), _WITNESSES))
    filmed = holes.look(splats, cameras[picked])
    unseen = Unseen(filmed.inverse_depth, filmed.known & ~filmed.crack, cameras[picked])
    lessons = Pictures(clip.frames[picked].float() / 255, filmed.inverse_depth, filmed.known)
    shapes = torch.cat([holes.look(still, ring).hole for ring in rings])
    told = _evidence(splats, cameras, rings, shapes)
    yield from _part(inpainter.learn(lessons, _cut(shapes, cameras.hw), config.seed), 0.0, _LEARNING)

    made: list[Splats] = []
    for k, ring in enumerate(rings):
        seen = holes.look(Splats.concat([still, *made]), ring)
        if bool((seen.hole | seen.crack).any()) and bool(seen.known.any()):
            filling = inpainter.fill(_asked(seen, ring, unseen), config.seed + k)
            start, end = (_LEARNING + (_FILLING - _LEARNING) * x / len(rings) for x in (k, k + 1))
            filled = yield from _part(filling, start, end)
            made += [_lifted(seen, filled, ring, unseen, i) for i in range(len(ring))]
    if not made:
        return Filled(splats.to(device), told)
    check = invent.unobtrusive(splats, Splats.concat(made), cameras[picked], clip.frames[picked])
    kept = yield from _part(check, _FILLING, 1.0)
    return Filled(Splats.concat([splats, kept]).to(device), told)


_WITNESSES = 16
"""So many source cameras, evenly spread, say where nothing can be because they looked there."""
_LEARNING, _FILLING = 0.5, 0.95
"""How far the progress is when the clip is learnt, and when all is filled."""
_NEAREST = 0.2
"""Nothing is made up nearer than this, in distances of the nearest thing that a view sees."""


def _asked(seen: holes.Seen, ring: Cameras, unseen: Unseen) -> Holes:
    """The holes of a ring of views, as the inpainter takes them."""
    pictures = Pictures(seen.rgb, seen.inverse_depth, seen.known)
    behind = []
    for i in range(len(ring)):
        near = seen.inverse_depth[i].max().clamp(min=1e-6) / _NEAREST
        bound = unseen.nearest(ring[i : i + 1], seen.hole[i], near.expand(ring.hw).clone())
        bound = torch.where(seen.hole[i], bound, torch.inf)
        behind.append(torch.minimum(bound, holes.behind(seen.inverse_depth[i], seen.known[i])))
    return Holes.plain(pictures, seen.hole).replace(behind=torch.stack(behind))


def _lifted(seen: holes.Seen, filled: Pictures, ring: Cameras, unseen: Unseen, i: int) -> Splats:
    """What was filled into one view, and its closed cracks, as splats where no source camera looked."""
    hole, known, camera = seen.hole[i], seen.known[i], ring[i : i + 1]
    far = float(seen.inverse_depth[seen.known].min()) / 2  # Further off than all that was filmed: the sky's depth.
    inverse = surfaces.continued(filled.inverse_depth[i], known, hole).clamp(min=far)
    # The filling reaches a little under what it is attached to, so that no seam opens from elsewhere.
    wanted = hole | seen.crack[i] | surfaces.attached(inverse, known, hole)
    return invent.invented(filled.rgb[i], unseen.nearest(camera, wanted, inverse), wanted, camera)


def _part(work: Steps[T], start: float, end: float) -> Steps[T]:
    """Work that is a part of filling: its progress is brought to the share that it has of the whole."""
    while True:
        try:
            event = next(work)
        except StopIteration as stop:
            return stop.value
        if isinstance(event, Progress):
            share = start + (end - start) * event.done / max(1, event.total)
            event = Progress("inpaint", round(1000 * share), 1000)
        yield event


def _evidence(splats: Splats, cameras: Cameras, rings: list[Cameras], left: torch.Tensor) -> float | None:
    """Which share of the holes that the frame of the same moment alone leaves in some views is not ``left``."""
    opened = []
    for ring in rings:
        now = cameras[(cameras.time_s - ring.time_s[0]).abs().argmin().reshape(1)]
        frame = holes.look(splats, now)
        alone = invent.invented(frame.rgb[0], frame.inverse_depth[0].clamp(min=1e-6), frame.known[0], now)
        opened.append(holes.look(alone, ring).hole)
    hole = torch.cat(opened)
    return round(1 - float((hole & left).sum()) / int(hole.sum()), 3) if bool(hole.any()) else None


def _or_not(before: Splats, work: Steps[Filled]) -> Steps[Filled]:
    """What comes of the work, or what there was before and a warning: holes are no reason to lose a scene."""
    try:
        return (yield from work)
    except Exception as error:  # Whatever it is: minutes of lifting shall not be lost to it.
        yield Warned("inpaint", f"Filling failed, so what nobody saw stays empty: {str(error) or type(error).__name__}")
        return Filled(before, None)


def _cut(masks: torch.Tensor, hw: tuple[int, int]) -> torch.Tensor:
    """The middle of masks that are larger than ``hw``."""
    top, left = (masks.shape[1] - hw[0]) // 2, (masks.shape[2] - hw[1]) // 2
    return masks[:, top : top + hw[0], left : left + hw[1]].contiguous()


class _Log:
    """Wraps stages in Started and Finished, and keeps what provenance wants to know."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.warnings: list[str] = []

    def stage(self, name: str, work: Steps[T]) -> Steps[T]:
        yield Started(name)
        start = time.perf_counter()
        while True:
            try:
                event = next(work)
            except StopIteration as end:
                self.seconds[name] = round(time.perf_counter() - start, 3)
                yield Finished(name, end.value, self.seconds[name])
                return end.value
            if isinstance(event, Warned):
                self.warnings.append(event.message)
            yield event


def _at_size(clip: Clip, size: int | None) -> Clip:
    """The clip with its longer side at most ``size``, by area averaging."""
    h, w = clip.hw
    if size is None or max(h, w) <= size:
        return clip
    if size < 16:
        raise InputError(f"Config.size is {size}; a working picture needs at least 16 pixels.")
    hw = tuple(max(2, 2 * round(x * size / max(h, w) / 2)) for x in (h, w))
    small = [F.interpolate(f.permute(2, 0, 1)[None].float(), hw, mode="area")[0].permute(1, 2, 0) for f in clip.frames]
    return clip.replace(frames=torch.stack([(s + 0.5).to(torch.uint8) for s in small]))


def _camera_backend(config: Config) -> camera.Backend:
    """The backend that the configuration names, or one that hands over the cameras that were given."""
    if config.camera == "file" and config.camera_file is None:
        raise InputError("Config.camera is 'file' but Config.camera_file is not set; name the file to read.")
    if isinstance(config.camera, str) and config.camera != "file":
        return camera.load(config.camera)

    def given(clip: Clip, motion: Motion) -> Steps[Cameras]:
        cameras = config.camera
        if isinstance(cameras, str):
            assert config.camera_file is not None  # Checked above.
            cameras = formats.read_cameras(config.camera_file, hw=clip.hw, time_s=clip.time_s)
        _fits("cameras", len(cameras), clip)
        yield from ()
        return cameras.resized(clip.hw).replace(time_s=clip.time_s)

    return given


def _depth_backend(config: Config) -> depth.Backend:
    """The same for depth."""
    if config.depth == "file" and config.depth_file is None:
        raise InputError("Config.depth is 'file' but Config.depth_file is not set; name the file to read.")
    if isinstance(config.depth, str) and config.depth != "file":
        return depth.load(config.depth)

    def given(clip: Clip, cameras: Cameras, motion: Motion) -> Steps[DepthMaps]:
        maps = config.depth
        if isinstance(maps, str):
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


def _solves_cameras(config: Config) -> bool:
    """Whether the cameras, and with them the world, are found from the pictures."""
    return isinstance(config.camera, str) and config.camera != "file"


def _one_scale(config: Config, cameras: Cameras, maps: DepthMaps, moves: Motion) -> tuple[Cameras, DepthMaps]:
    """Bring cameras and depth to one unit: the given one, or else the median depth of the first frame."""
    own_cameras = _solves_cameras(config)
    own_depth = isinstance(config.depth, str) and config.depth != "file"
    if own_cameras and not own_depth:
        return camera.rescale(cameras, maps, moves), maps
    if own_cameras and not maps.metric:
        first = maps.depth_m[0][(maps.confidence[0] > 0) & torch.isfinite(maps.depth_m[0])]
        unit = 1 / float(first.median()) if len(first) else 1.0
        return cameras.scaled(unit), maps.scaled(unit)
    return cameras, maps


def _plain(config: Config) -> dict[str, Any]:
    """The configuration as JSON values; given cameras and depth are only named."""
    values = {f.name: getattr(config, f.name) for f in dataclasses.fields(config)}
    return {k: v if v is None or isinstance(v, (str, int)) else _said(v) for k, v in values.items()}


def _said(value: object) -> str:
    return str(value) if isinstance(value, Path) else "given"


def _versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in ("fourd", "torch", "numpy", "opencv-python-headless")}
