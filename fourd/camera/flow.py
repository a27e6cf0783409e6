"""Cameras from the clip itself: points are followed, and each shot is solved."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import UInt8

from fourd.camera import loops
from fourd.camera.model import orthonormal
from fourd.camera.shots import cut, inside
from fourd.camera.solve import UNIT, Solved, solve, standing
from fourd.camera.tracks import follow
from fourd.events import Progress, Steps, Warned
from fourd.types import Cameras, Clip, Motion, Uncertainty

_MOST_WARNED = 8
"""Shots of which each may complain."""
_MOST_CUTS = 0.34
"""Cuts a frame over which a clip is no sequence of shots: it is plain, or noise, or flickers."""
_NOTHING = (
    "From most frames to the next almost nothing can be followed: the picture is plain, noisy or flickers."
    " The camera is taken to stand still."
)


@dataclass(frozen=True)
class Flow:
    """Robust bundle adjustment over point tracks; no learned weights."""

    may_bend: bool = True
    """False: the lens is taken to be straight."""

    def __call__(self, clip: Clip, motion: Motion) -> Steps[Cameras]:
        """Solve the cameras of a clip.

        The camera may stand, turn or travel, with a focal length that is unknown and does not
        change. The principal point is the centre of the picture. If what is seen clearly asks for a
        lens that bends, ``bend`` of the cameras says how much, and they are those of the pictures made
        straight (see ``lens.straighten``); not of a clip with cuts. Where the tracks say too little the
        cameras stand still, and a ``Warned`` says so.

        Yields:
            Progress and Warned of stage "camera".
        """
        t = len(clip)
        tracks = yield from follow(clip)
        shots = cut(tracks)
        if len(shots) - 1 > _MOST_CUTS * t:
            yield Warned("camera", _NOTHING)
            yield Progress("camera", 2 * t, 2 * t)
            return _cameras(clip, [standing(t)])
        if len(shots) > 1:
            yield Warned("camera", _cut_message([first for first, _ in shots[1:]]))
        solved: list[Solved] = []
        for first, end in shots:
            part = inside(tracks, first, end)
            picture = partial(_picture, clip, first)
            steps = solve(part, partial(loops.find, picture, part), self.may_bend and len(shots) == 1)
            while True:
                try:
                    share = next(steps)
                except StopIteration as stop:
                    solved.append(stop.value)
                    break
                yield Progress("camera", t + first + int(share * (end - first)), 2 * t)
            for text in solved[-1].warnings if len(shots) <= _MOST_WARNED else ():
                where = f"Frames {first} to {end - 1}: " if len(shots) > 1 else ""
                yield Warned("camera", where + text)
        yield Progress("camera", 2 * t, 2 * t)
        return _cameras(clip, solved)


def load(name: str = "flow", may_bend: bool = True) -> Flow:
    """The backend ``"flow"``."""
    return Flow(may_bend)


def _cut_message(starts: list[int]) -> str:
    where = ", ".join(map(str, starts[:8])) + (", ..." if len(starts) > 8 else "")
    return (
        f"At frame {where} the picture changes so much that almost nothing can be followed across."
        " Each part is solved for itself; for scenes that are sound, lift each of fourd.shots(clip)."
    )


def _picture(clip: Clip, first: int, i: int) -> UInt8[np.ndarray, "h w 3"]:
    return clip.frames[first + i].cpu().numpy()


def _cameras(clip: Clip, solved: list[Solved]) -> Cameras:
    """Every shot in the frame of its own first camera, in pixels of the clip."""
    h, w = clip.hw
    K, poses = [], []
    for part in solved:
        focal = part.focal * max(h, w) / UNIT
        R = orthonormal(part.R @ part.R[0].T)
        t = part.t - (R @ part.t[0][:, None])[..., 0]
        pose = np.tile(np.eye(4), (len(R), 1, 1))
        pose[:, :3, :3] = R.transpose(0, 2, 1)
        pose[:, :3, 3] = -(R.transpose(0, 2, 1) @ t[..., None])[..., 0]
        K.append(np.tile([[focal, 0, w / 2], [0, focal, h / 2], [0, 0, 1]], (len(R), 1, 1)))
        poses.append(pose)
    intrinsics, world_from_cam = (torch.from_numpy(np.concatenate(parts)).float() for parts in (K, poses))
    return Cameras(intrinsics, world_from_cam, clip.hw, clip.time_s, solved[0].bend, _least_sure(solved))


def _least_sure(solved: list[Solved]) -> Uncertainty | None:
    """The largest uncertainties of any shot; of a focal length only if all shots tell one."""
    each = [part.uncertainty for part in solved if part.uncertainty is not None]
    if not each:
        return None
    focal = [part.focal for part in each if part.focal is not None]
    return Uncertainty(
        max(part.position for part in each),
        max(part.rotation_deg for part in each),
        max(focal) if len(focal) == len(each) else None,
    )
