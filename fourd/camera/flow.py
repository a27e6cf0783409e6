"""Cameras from tracks: what kind of camera it is, and then its path and its focal length."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import torch

from fourd.camera.between import pose_all
from fourd.camera.growth import START_FOV_DEG, Growth, starting_pair
from fourd.camera.model import Seen, orthonormal
from fourd.camera.shots import cut, inside, keyframes, still_share
from fourd.camera.still import FOV_DEG
from fourd.camera.tracks import Tracks, follow, spread
from fourd.camera.turning import at_infinity, explained, solve_turning
from fourd.events import Event, Progress, Steps, Warned
from fourd.types import Cameras, Clip, Motion

_UNIT = 384.0
"""Errors are counted in pixels of a picture of this length, whatever the size of the clip."""
_KEYFRAMES = 60
_TRACKS = 1000
_CELL_PX = 48.0
_LONG_TRACK = 7
_FEWEST_TRACKS = 40
_STILL_SHARE = 0.6
_TURNS = 0.9
"""A turning camera explains at least this share of what a travelling one explains."""
_BAD_PX = 2.0
_FOV_DEG = (25.0, 120.0)


@dataclass(frozen=True, eq=False)
class Solved:
    """The cameras of one shot, in pixels of a picture ``_UNIT`` long."""

    R: np.ndarray
    t: np.ndarray
    focal: float
    kind: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Flow:
    """Robust bundle adjustment over point tracks; no learned weights."""

    def __call__(self, clip: Clip, motion: Motion) -> Steps[Cameras]:
        """Solve the cameras of a clip.

        The camera may stand, turn or travel, with a focal length that is unknown and does not
        change. The principal point is the centre of the picture. Where the tracks say too little
        the cameras stand still, and a ``Warned`` says so.

        Yields:
            Progress and Warned of stage "camera".
        """
        t = len(clip)
        tracks = yield from follow(clip)
        shots = cut(tracks)
        if len(shots) > 1:
            yield Warned("camera", _cut_message(shots))
        solved: list[Solved] = []
        for first, end in shots:
            part = yield from _solve(inside(tracks, first, end), t + first, 2 * t)
            solved.append(part)
            for text in part.warnings:
                where = f"frames {first} to {end - 1}: " if len(shots) > 1 else ""
                yield Warned("camera", where + text)
        yield Progress("camera", 2 * t, 2 * t)
        return _cameras(clip, solved)


def load() -> Flow:
    """The backend."""
    return Flow()


def _cut_message(shots: list[tuple[int, int]]) -> str:
    starts = ", ".join(str(first) for first, _ in shots[1:9]) + (", ..." if len(shots) > 9 else "")
    return (
        f"The picture changes so suddenly at frame {starts} that nothing can be followed across."
        " Each part is solved for itself; cut the clip there for a scene that is sound."
    )


def _solve(tracks: Tracks, done: int, total: int) -> Generator[Event, None, Solved]:
    """One shot."""
    t = tracks.length
    unit = max(tracks.hw) / _UNIT
    focal = _focal(FOV_DEG)
    standing_still = Solved(np.tile(np.eye(3), (t, 1, 1)), np.zeros((t, 3)), focal, "still")
    if t < 2:
        return standing_still
    if still_share(tracks, unit) >= _STILL_SHARE:
        return standing_still
    chosen = spread(tracks.lasting(min(_LONG_TRACK, t)), _TRACKS, _CELL_PX * unit)
    if chosen.points < _FEWEST_TRACKS or len(np.unique(chosen.frame)) < t:
        few = f"Only {chosen.points} points could be followed, too few to tell how the camera moves: taken to stand."
        return Solved(standing_still.R, standing_still.t, focal, "still", (few,))
    seen = _seen(chosen, unit)
    keys = keyframes(chosen, _KEYFRAMES)
    key_seen = _at(seen, keys)

    turning, _ = solve_turning(key_seen, focal)
    share = explained(key_seen, turning, 1.0)
    if share < _TURNS:
        growth = yield from _grow(key_seen, done, total, t)
        if growth is not None:
            model, known, text = growth
            if explained(key_seen, model, 1.0) * _TURNS > share:
                everywhere = pose_all(seen, known, model, keys)
                return Solved(everywhere.R, everywhere.t, model.focal, "travelling", text)
    everywhere = pose_all(seen, np.ones(seen.points, bool), at_infinity(turning), keys, translation=False)
    return Solved(everywhere.R, np.zeros((t, 3)), turning.focal, "turning", ())


def _grow(seen: Seen, done: int, total: int, t: int):
    focal = _focal(START_FOV_DEG)
    pair = starting_pair(seen, focal)
    if pair is None:
        return None
    growth = Growth(seen, focal)
    for part, parts in growth.solve(pair):
        yield Progress("camera", done + t * part // parts, total)
    return growth.model, growth.known, ()


def _focal(fov_deg: float) -> float:
    return _UNIT / 2 / np.tan(np.radians(fov_deg) / 2)


def _seen(tracks: Tracks, unit: float) -> Seen:
    h, w = tracks.hw
    return Seen(tracks.point, tracks.frame, (tracks.xy_px - (w / 2, h / 2)) / unit, tracks.points, tracks.length)


def _at(seen: Seen, keys: np.ndarray) -> Seen:
    """The observations at some frames, which are numbered anew; points keep their numbers."""
    number = np.full(seen.frames, -1)
    number[keys] = np.arange(len(keys))
    mask = number[seen.frame] >= 0
    return Seen(seen.point[mask], number[seen.frame[mask]], seen.xy[mask], seen.points, len(keys))


def _cameras(clip: Clip, solved: list[Solved]) -> Cameras:
    h, w = clip.hw
    K, poses = [], []
    for part in solved:
        focal = part.focal * max(h, w) / _UNIT
        one = np.array([[focal, 0, w / 2], [0, focal, h / 2], [0, 0, 1]])
        R = orthonormal(part.R @ part.R[0].T)
        t = part.t - (R @ part.t[0][:, None])[..., 0]
        pose = np.tile(np.eye(4), (len(R), 1, 1))
        pose[:, :3, :3] = R.transpose(0, 2, 1)
        pose[:, :3, 3] = -(R.transpose(0, 2, 1) @ t[..., None])[..., 0]
        K.append(np.tile(one, (len(R), 1, 1)))
        poses.append(pose)
    return Cameras(torch.from_numpy(np.concatenate(K)), torch.from_numpy(np.concatenate(poses)), clip.hw, clip.time_s)
