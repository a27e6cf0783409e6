"""What tracks say before anything is solved: cuts, stillness, and which frames to solve first."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int64

from fourd.camera.tracks import Tracks, displacement_px, first_observation

_FEWEST, _FEWEST_SHARE = 12, 0.08
"""Tracks from frame to frame, and share of the usual number, with which two frames are of one shot: some
points seem to find themselves again in any picture."""
_STILL_PX = 0.5
"""Displacement, at a picture 384 pixels long, that noise explains."""
_CELLS = 8


def linked(tracks: Tracks) -> Int64[np.ndarray, " t"]:
    """How many tracks reach each frame from the one before; 0 for the first."""
    follows = (np.diff(tracks.point) == 0) & (np.diff(tracks.frame) == 1)
    return np.bincount(tracks.frame[1:][follows], minlength=tracks.length)


def cut(tracks: Tracks) -> list[tuple[int, int]]:
    """The shots as (first frame, frame after the last): runs of frames that tracks hold together."""
    links = linked(tracks)
    least = max(_FEWEST, _FEWEST_SHARE * float(np.median(links[1:]))) if tracks.length > 1 else 0
    breaks = [k for k in range(1, tracks.length) if links[k] < least]
    return list(zip([0, *breaks], [*breaks, tracks.length], strict=True))


def still_share(tracks: Tracks, unit_px: float) -> float:
    """Share of the picture that stands still, in the frames where it is least.

    Every frame is divided into cells; a cell stands still if most of its tracks are where they
    began. The tenth part of the frames in which most cells move is disregarded, because something
    large may pass by.

    Args:
        tracks: Observations of one shot.
        unit_px: Pixels of the clip in a pixel of a picture 384 pixels long.
    """
    later = np.arange(len(tracks.point)) != first_observation(tracks)
    if not later.any():
        return 0.0
    stands = displacement_px(tracks)[later] < _STILL_PX * unit_px
    h, w = tracks.hw
    column, row = (np.clip(tracks.xy_px[later] / (w, h) * _CELLS, 0, _CELLS - 1)).astype(np.int64).T
    key = (tracks.frame[later] * _CELLS + row) * _CELLS + column
    size = tracks.length * _CELLS * _CELLS
    count = np.bincount(key, minlength=size).reshape(tracks.length, -1)
    still = np.bincount(key, stands, minlength=size).reshape(tracks.length, -1)
    filled = count > 0
    cells = np.maximum(filled.sum(1), 1)
    share = ((still > count / 2) & filled).sum(1) / cells
    return float(np.quantile(share[filled.any(1)], 0.1))


def keyframes(tracks: Tracks, usual: int, most: int) -> Int64[np.ndarray, " k"]:
    """Frames to solve first: evenly spaced, the first and the last among them.

    There are ``usual`` of them, or up to ``most`` where tracks are so short that they would
    otherwise be seen in fewer than four.
    """
    frames = tracks.length
    lengths = np.bincount(tracks.point)
    typical = float(np.median(lengths[tracks.point])) if len(tracks.point) else 1.0
    wanted = min(max(usual, round(4 * frames / typical)), most)
    return np.unique(np.round(np.linspace(0, frames - 1, min(frames, wanted))).astype(np.int64))


def lasting_enough(tracks: Tracks, length: int, least: int, wanted: int) -> Tracks:
    """The tracks of at least ``length`` frames, or of fewer, down to ``least``, where these are too few.

    They are enough if nine tenths of the frames hold ``wanted`` of them.
    """
    part = tracks
    for n in range(length, least - 1, -1):
        part = tracks.lasting(min(n, tracks.length))
        if np.quantile(np.bincount(part.frame, minlength=tracks.length), 0.1) >= wanted:
            break
    return part


def inside(tracks: Tracks, first: int, end: int) -> Tracks:
    """The observations of one shot, its frames numbered from 0."""
    mask: Bool[np.ndarray, " m"] = (tracks.frame >= first) & (tracks.frame < end)
    part = tracks.pick(mask)
    return Tracks(part.point, part.frame - first, part.xy_px, part.hw, end - first)
