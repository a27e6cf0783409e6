"""How well cameras and true depth agree with what can be followed in a clip: also for cameras that pass for true."""

from __future__ import annotations

import numpy as np

from benchmarks.errors import at_size
from fourd.camera.tracks import Tracks, first_observation
from fourd.types import Cameras, DepthMaps

APART = 10
"""Frames between two places of a point from which they are compared."""
UNIT = 384
"""Pixels are counted in a picture this long."""


def reprojection_px(tracks: Tracks, depth: DepthMaps, cameras: Cameras) -> float:
    """Median distance between where points are seen and where cameras see them.

    Points are put where the true depth puts them in the first frame that shows them, and looked for in the frames that
    are ``APART`` and more later. What moves by itself is in it, too; a median disregards smaller parts.

    Args:
        tracks: What was followed.
        depth: For every frame, known where its confidence is above 0.
        cameras: For every frame, in a world of the depth's scale.

    Returns:
        In pixels of a picture ``UNIT`` long; NaN if no point can be compared.
    """
    h, w = tracks.hw
    cameras, depth = cameras.resized((h, w)), at_size(depth, (h, w))
    first = first_observation(tracks)
    column, row = tracks.xy_px[first].astype(int).T
    a, b = tracks.frame[first], tracks.frame
    depth_m = depth.depth_m.double().numpy()[a, row, column]
    known = (depth.confidence > 0).numpy()[a, row, column] & np.isfinite(depth_m)
    judged = known & (b - a >= APART)
    if not judged.any():
        return float("nan")
    a, b = a[judged], b[judged]
    K, pose = cameras.K.double().numpy(), cameras.world_from_cam.double().numpy()
    ray = np.linalg.inv(K)[a] @ np.c_[tracks.xy_px[first][judged], np.ones(len(a))][..., None]
    world = pose[a, :3, :3] @ (ray * depth_m[judged, None, None]) + pose[a, :3, 3:]
    seen = (K[b] @ pose[b, :3, :3].transpose(0, 2, 1) @ (world - pose[b, :3, 3:]))[..., 0]
    xy_px = seen[:, :2] / np.maximum(seen[:, 2:], 1e-9)
    return float(np.median(np.linalg.norm(xy_px - tracks.xy_px[judged], axis=1))) * UNIT / max(h, w)
