"""Where a camera may stand in a random place, and which pictures are worth taking."""

from __future__ import annotations

import math

import numpy as np
import torch

from fourd.generate.picture import eye_and_rays
from fourd.generate.tracing import Geometry
from fourd.generate.wild.places import Ground
from fourd.generate.wild.site import Site
from fourd.geometry.pinhole import intrinsics
from fourd.geometry.rigid import look_at, matrix_from_rotvec
from fourd.types import Cameras

_TRIES = 14
_THINGS = 4
"""Different materials that a picture must show."""
_FOV_DEG = (35.0, 100.0)
_PITCH = (math.radians(-40), math.radians(20))


def views(site: Site, ground: Ground, geometry: Geometry, hw: tuple[int, int], count: int) -> Cameras | None:
    """Up to ``count`` cameras, each with a view of something and nothing right before the lens; None if none is."""
    found = []
    for _ in range(count):
        for _ in range(_TRIES):
            cameras = _one(site, ground, hw)
            if _worth(geometry, ground, cameras):
                found.append(cameras)
                break
    if not found:
        return None
    return Cameras(
        K=torch.cat([c.K for c in found]),
        world_from_cam=torch.cat([c.world_from_cam for c in found]),
        hw=hw,
        time_s=torch.arange(len(found), dtype=torch.float64),
    )


def _one(site: Site, ground: Ground, hw: tuple[int, int]) -> Cameras:
    rng = site.rng
    low, high = np.asarray(ground.low_m), np.asarray(ground.high_m)
    eye = rng.uniform(low, high)
    if site.people and site.chance(0.5):
        target = site.people[int(rng.integers(len(site.people)))] + rng.normal(0, 0.35, 3)
    elif site.sights and site.chance(0.75):
        target = site.sights[int(rng.integers(len(site.sights)))] + rng.normal(0, 0.3, 3)
    else:
        target = eye + rng.normal(size=3) * [1, 0.15, 1]
    way = eye - target
    far = float(np.linalg.norm(way))
    near, most = ground.reach_m
    wanted = float(np.clip(far, near, near + (most - near) * rng.random() ** 0.7))
    eye = np.clip(target + way / max(far, 1e-6) * wanted, low, high)
    ahead = target - eye
    level = max(math.hypot(ahead[0], ahead[2]), 1e-3)
    pitch = float(np.clip(math.atan2(ahead[1], level), *_PITCH))
    ahead = np.array([ahead[0] / level, math.tan(pitch), ahead[2] / level])
    # One point sits in the middle of few pictures: turn a little away from it.
    ahead = ahead + rng.normal(0, 0.12, 3)
    pose = look_at(torch.from_numpy(eye), torch.from_numpy(eye + ahead), torch.tensor([0.0, 1.0, 0.0]).double())
    roll = float(rng.normal(0, 0.04 if site.chance(0.85) else 0.2))
    pose[:3, :3] = pose[:3, :3] @ matrix_from_rotvec(torch.tensor([0.0, 0.0, roll]).double())
    fov_deg = float(np.clip(rng.normal(62, 15), *_FOV_DEG))
    return Cameras(
        K=intrinsics(hw, fov_deg)[None], world_from_cam=pose[None].float(), hw=hw, time_s=torch.zeros(1).double()
    )


def _worth(geometry: Geometry, ground: Ground, cameras: Cameras) -> bool:
    """Whether a picture has some depth to it and nothing fills it from a hand's breadth away."""
    small = cameras.resized((12, 16))
    eye, rays = eye_and_rays(small, 0)
    hits = geometry.at(0.0).hits(np.repeat(eye[None], len(rays), 0), rays)
    depth = np.minimum(hits.t, 100.0)
    seen = np.bincount(geometry.prop[hits.face[hits.face >= 0]])
    rho = 1 / np.maximum(depth, 0.05)
    near = 0.35 * ground.reach_m[0]
    return bool((depth < near).mean() < 0.03 and rho.std() / rho.mean() > 0.2 and (seen >= 2).sum() >= _THINGS)
