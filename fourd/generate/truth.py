"""The exact answers: depth, flow and what moves, from the triangles themselves and not from the picture."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from fourd.generate import picture
from fourd.generate.tracing import Geometry, Hits, turned, weigh
from fourd.types import Cameras

_FAR_PX = 60_000.0  # Flow is kept in half floats, which end at 65504.


def of(geometry: Geometry, cameras: Cameras, i: int, hits: Hits) -> dict[str, np.ndarray]:
    """Truth of frame ``i``: depth, flow both ways, visibility both ways, what moves, and which prop it is.

    Args:
        geometry: The stage.
        cameras: All cameras.
        i: Which frame.
        hits: What the middles of its pixels hit.
    """
    h, w = cameras.hw
    maps: dict[str, np.ndarray] = {}
    for name, j in (("forward", i + 1), ("backward", i - 1)):
        if 0 <= j < len(cameras):
            flow, visible = _flow(geometry, cameras, i, j, hits)
        else:
            flow, visible = np.zeros((h * w, 2), np.float32), np.zeros(h * w, bool)
        maps[f"flow_{name}"] = flow.reshape(h, w, 2).astype(np.float16)
        maps[f"visible_{name}"] = visible.reshape(h, w)
    there = hits.face >= 0
    prop = np.where(there, geometry.prop[hits.face], np.int16(-1))
    moving = np.append(_moving(geometry, cameras, i), False)  # The last one is the sky's, prop -1.
    maps["moving"] = moving[prop].astype(np.float16).reshape(h, w)
    maps["prop"] = prop.astype(np.int16).reshape(h, w)
    maps["depth_m"] = hits.t.reshape(h, w)
    return maps


def _moving(geometry: Geometry, cameras: Cameras, i: int) -> np.ndarray:
    """For every prop, whether any of its corners stands elsewhere in a neighbouring frame."""
    now = geometry.at(float(cameras.time_s[i])).corners
    moved = np.zeros(len(now), bool)
    still = len(geometry.still_corners)
    for j in (i - 1, i + 1):
        if 0 <= j < len(cameras):
            other = geometry.at(float(cameras.time_s[j])).corners
            # Tighter than any picture shows, looser than the rounding of coordinates.
            moved[still:] |= (np.abs(other[still:] - now[still:]) > 2e-6 * (1 + np.abs(now[still:]))).any(1)
    return np.bincount(geometry.prop, weights=moved, minlength=len(geometry.stage.props)) > 0


def _flow(
    geometry: Geometry, cameras: Cameras, i: int, j: int, hits: Hits
) -> tuple[Float32[np.ndarray, "n 2"], np.ndarray]:
    """Where the surface points of frame ``i`` appear in frame ``j``, and whether they are seen there."""
    h, w = cameras.hw
    there = np.flatnonzero(hits.face >= 0)
    other = geometry.at(float(cameras.time_s[j]))
    K = cameras.K[j].numpy()
    # The way from the other camera to each point; the sky is so far away that only its direction counts.
    pose = cameras.world_from_cam[j].numpy()
    sky = len(there) < h * w
    way = picture.eye_and_rays(cameras, i)[1] if sky else np.empty((h * w, 3), np.float32)
    way[there] = weigh(other.corners, hits[there]) - pose[:3, 3]
    point = turned(way, pose[:3, :3].T)
    z = point[:, 2]
    ahead = z > 1e-6
    x, y = point[:, 0] / np.where(ahead, z, 1), point[:, 1] / np.where(ahead, z, 1)
    px = np.stack([K[0, 0] * x + K[0, 1] * y + K[0, 2], K[1, 1] * y + K[1, 2]], 1)
    rows, columns = np.divmod(np.arange(h * w), w)
    flow = px - np.stack([columns, rows], 1).astype(np.float32) - np.float32(0.5)
    usable = ahead & (np.abs(flow).max(1) < _FAR_PX)
    flow[~usable] = 0
    visible = usable & (px >= 0).all(1) & (px[:, 0] <= w) & (px[:, 1] <= h)
    # Look there with the other camera: nothing may be in the way to this very point.
    index = np.flatnonzero(visible)
    towards = way[index] / z[index, None]
    eye = np.ascontiguousarray(np.broadcast_to(pose[:3, 3], towards.shape))
    reach = np.where(hits.face[index] >= 0, np.float32(0.999) * z[index], np.float32(1e30))
    visible[index] = ~other.blocked(eye, towards, reach)
    return flow, visible
