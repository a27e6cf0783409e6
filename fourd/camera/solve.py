"""One shot, from the simplest camera to the freest: standing, turning, travelling.

A freer model always fits as well as a simpler one, and makes up what the tracks do not say. So each
is taken only if the simpler ones leave something unexplained.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float64, Int64

from fourd.camera.between import hold_lost, pose_all
from fourd.camera.bundle import Task, adjust, focal_uncertainty
from fourd.camera.growth import BELIEVED_PX as TRAVELLING_PX
from fourd.camera.growth import Growth, starting_pair
from fourd.camera.model import UNIT, Model, Seen
from fourd.camera.shots import keyframes, lasting_enough, still_share
from fourd.camera.still import FOV_DEG
from fourd.camera.tracks import Tracks, spread
from fourd.camera.turning import BELIEVED_PX as TURNING_PX
from fourd.camera.turning import SURE_FOCAL, explained, largest_turn_px, solve_turning
from fourd.camera.uncertainty import jackknife
from fourd.types import Uncertainty

_KEYFRAMES = (45, 150)
_TRACKS, _CORE_TRACKS = 1000, 350
"""Tracks a frame, about, if they filled the picture: all, and those that the model grows with."""
_CELL_PX = 48.0
_LONG_TRACK, _SHORT_TRACK = 7, 4
"""Frames of a track that is used, and where most are lost sooner."""
_WANTED = 80
"""Tracks a frame that are enough."""
_FEWEST_TRACKS = 40
_STILL_SHARE = 0.6
"""Share of the picture that stands still if the camera does."""
_STILL_PX = 0.6
"""Turning less than this is standing still."""
_TURNS = 0.9
"""A turning camera explains at least this share of the observations, or of what a travelling one explains."""
_EXPLAINED_PX = 1.0
_DOUBTFUL = 0.35
"""Share of the observations explained under which the cameras are doubtful."""
_START_FOVS_DEG = (62.0, 45.0, 80.0)
"""Fields of view from which the focal length is sought, the commonest first. From a wrong one a model may grow
that is turned inside out, its camera going backwards, and no later adjustment leaves that valley."""
_SETTLED = 0.6
"""Share of the observations explained from which no other start is tried."""
_ORDINARY_FOV_DEG = (25.0, 120.0)
"""Fields of view across the longer side between which ordinary lenses lie."""


@dataclass(frozen=True, eq=False)
class Solved:
    """The cameras of one shot, in pixels of a picture ``UNIT`` long."""

    kind: Literal["still", "turning", "travelling"]
    R: Float64[np.ndarray, "t 3 3"]
    """Turns the world's axes into the camera's."""
    t: Float64[np.ndarray, "t 3"]
    focal: float
    warnings: tuple[str, ...] = ()
    bend: float = 0.0
    """Of the lens; the cameras are those of straight pictures (see ``lens``)."""
    uncertainty: Uncertainty | None = None
    """None of a camera that stands."""


def solve(
    tracks: Tracks, links: Callable[[], Tracks] | None = None, may_bend: bool = True
) -> Generator[float, None, Solved]:
    """Solve one shot, yielding the share that is done.

    Args:
        tracks: What was followed.
        links: Looks for what came back into view (see ``loops``). Asked only if the camera may travel.
        may_bend: False: the lens is taken to be straight.
    """
    t = tracks.length
    unit = max(tracks.hw) / UNIT
    if t < 2 or still_share(tracks, unit) >= _STILL_SHARE:
        return standing(t)
    tracks = lasting_enough(tracks, _LONG_TRACK, _SHORT_TRACK, _WANTED)
    tracks = tracks.pick(spread(tracks, _TRACKS, _CELL_PX * unit)[tracks.point])
    if tracks.points < _FEWEST_TRACKS:
        return standing(t, f"only {tracks.points} points could be followed through several frames")
    seen = _seen(tracks, unit)
    keys = keyframes(tracks, *_KEYFRAMES)
    core = spread(tracks, _CORE_TRACKS, _CELL_PX * unit)
    core_seen = _at(seen.pick(core[seen.point]), keys)

    turning, sure = solve_turning(core_seen, focal_px(FOV_DEG))
    if sure and not _ordinary(turning.focal):
        turning, sure = solve_turning(core_seen, focal_px(FOV_DEG), free_focal=False)
    share = explained(core_seen, turning, _EXPLAINED_PX)
    if share > 0.5 and largest_turn_px(turning, core_seen) < _STILL_PX:
        return standing(t)
    yield 0.1
    if share < _TURNS:
        again = tracks.pick(np.zeros(len(tracks.point), bool)) if links is None else links()
        landmarks = np.union1d(keys, again.frame)
        key_seen = _at(seen, landmarks)
        growth = yield from _grow(key_seen, core, _at(_seen(again, unit), landmarks), may_bend)
        if growth is not None:
            travels = explained(key_seen.pick(core[key_seen.point]), growth.model, _EXPLAINED_PX)
            if travels * _TURNS > share:
                return _travelling(seen, key_seen, growth, landmarks, travels)
    # The jackknife looks at what the model was adjusted to.
    doubt = jackknife(core_seen, turning, TURNING_PX, travels=False, focal=sure)
    return replace(_turning(seen, core, turning, keys, sure, share), uncertainty=doubt)


def focal_px(fov_deg: float) -> float:
    """The focal length with ``fov_deg`` across a picture ``UNIT`` long."""
    return UNIT / 2 / float(np.tan(np.radians(fov_deg) / 2))


def _ordinary(focal: float) -> bool:
    narrow, wide = _ORDINARY_FOV_DEG
    return focal_px(wide) <= focal <= focal_px(narrow)


def standing(t: int, why: str = "") -> Solved:
    """A camera that stands still for ``t`` frames, and why it is taken to, if that is not plain to see."""
    warnings = (f"The camera is taken to stand still: {why}, too few to tell how it moves.",) if why else ()
    return Solved("still", np.tile(np.eye(3), (t, 1, 1)), np.zeros((t, 3)), focal_px(FOV_DEG), warnings)


def _turning(
    seen: Seen,
    core: Bool[np.ndarray, " n"],
    model: Model,
    keys: Int64[np.ndarray, " k"],
    sure: bool,
    share: float,
) -> Solved:
    model = pose_all(seen, core, model, keys, translation=False)
    warnings = _doubts(share)
    if not sure:
        warnings += (f"The camera turns too little to tell its focal length; {FOV_DEG:g} degrees are taken.",)
    return Solved("turning", model.R, np.zeros((seen.frames, 3)), model.focal, warnings)


def _grow(
    seen: Seen, core: Bool[np.ndarray, " n"], links: Seen, may_bend: bool
) -> Generator[float, None, Growth | None]:
    """The first model that explains enough, or else the one that explains most."""
    core_seen = seen.pick(core[seen.point])
    n = seen.points + links.points
    point = np.concatenate([seen.point, links.point + seen.points])
    frame, xy = np.concatenate([seen.frame, links.frame]), np.concatenate([seen.xy, links.xy])
    whole = Seen(point, frame, xy, n, seen.frames)
    is_link = np.arange(n) >= seen.points
    core = np.concatenate([core, np.zeros(links.points, bool)])
    best: tuple[float, Growth] | None = None
    for tried, focal in enumerate(map(focal_px, _START_FOVS_DEG)):
        pair = starting_pair(core_seen, focal)
        if pair is None:
            continue
        growth = Growth(whole, focal, core, is_link, may_bend)
        for part, parts in growth.solve(pair):
            yield 0.1 + 0.6 * (tried + part / parts) / len(_START_FOVS_DEG)
        share = explained(core_seen, growth.model, _EXPLAINED_PX)
        if best is None or share > best[0]:
            best = share, growth
        if share >= _SETTLED:
            break
    if best is None:
        return None
    for part, parts in best[1].finish():
        yield 0.7 + 0.3 * part / parts
    return best[1]


def _travelling(seen: Seen, key_seen: Seen, growth: Growth, keys: Int64[np.ndarray, " k"], share: float) -> Solved:
    known = key_seen.pick(growth.known[key_seen.point])
    model, warnings, told = growth.model, _doubts(share), True
    if not _ordinary(model.focal):
        narrow, wide = map(focal_px, _ORDINARY_FOV_DEG)
        focal = min(max(model.focal, wide), narrow)
        warnings += (
            f"The focal length came out at a field of view of {_fov_deg(model.focal):.0f} degrees, which no ordinary"
            f" lens has; {_fov_deg(focal):.0f} degrees are taken. If you know it, give the cameras.",
        )
        model = adjust(known, replace(model, focal=focal), Task(0.8, 15, focal=False))
        told = False
    elif focal_uncertainty(known, model, TRAVELLING_PX) > SURE_FOCAL:
        warnings += (
            f"The camera's path tells little about its focal length; a field of view of {_fov_deg(model.focal):.0f}"
            " degrees is the best guess. If you know it, give the cameras.",
        )
    # From here on as if the pictures had been straight.
    seen, bend, model = seen.straight(model.bend), model.bend, replace(model, bend=0.0)
    doubt = jackknife(known.straight(bend), model, TRAVELLING_PX, travels=True, focal=told)
    model = pose_all(seen, growth.known, model, keys)
    model, away = hold_lost(seen, growth.known, model)
    if away:
        named = ", ".join(map(str, away[:8])) + (", ..." if len(away) > 8 else "")
        warnings += (f"The camera could not be found in {len(away)} of {seen.frames} frames ({named}); it is guessed.",)
    model = model.scaled(1 / _first_depth(seen, growth.known, model))
    return Solved("travelling", model.R, model.t, model.focal, warnings, bend, doubt)


def _first_depth(seen: Seen, known: Bool[np.ndarray, " n"], model: Model) -> float:
    """Median depth of the known points in the first frame: the unit of length in which the world is left."""
    return model.unit(seen.pick(known[seen.point] & (seen.frame == 0)))


def _doubts(share: float) -> tuple[str, ...]:
    if share >= _DOUBTFUL:
        return ()
    return (f"The cameras explain only {share:.0%} of what could be followed; they are doubtful.",)


def _fov_deg(focal: float) -> float:
    return float(np.degrees(2 * np.arctan(UNIT / 2 / focal)))


def _seen(tracks: Tracks, unit: float) -> Seen:
    h, w = tracks.hw
    return Seen(tracks.point, tracks.frame, (tracks.xy_px - (w / 2, h / 2)) / unit, tracks.points, tracks.length)


def _at(seen: Seen, keys: Int64[np.ndarray, " k"]) -> Seen:
    """The observations at some frames, which are numbered anew; points keep their numbers."""
    number = np.full(seen.frames, -1)
    number[keys] = np.arange(len(keys))
    part = seen.pick(number[seen.frame] >= 0)
    return replace(part, frame=number[part.frame], frames=len(keys))
