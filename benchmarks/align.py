"""Bring a scene and the truth into one world, by the similarity that fits their source cameras best."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor

from fourd.checked import checked
from fourd.errors import InputError
from fourd.types import Cameras, DepthMaps

STILL = 0.005
"""A camera is still if its places spread (root mean square) by less than this share of the median depth."""


@dataclass(frozen=True, eq=False)
class Similarity:
    """``x_scene = scale * R @ x_truth + t``."""

    scale: float
    R: Float64[Tensor, "3 3"]
    t: Float64[Tensor, " 3"]

    def cameras(self, truth: Cameras) -> Cameras:
        """The truth's cameras as they stand in the scene: rigid, turned and carried, their distances scaled."""
        pose = truth.world_from_cam.double().clone()
        pose[:, :3, :3] = self.R @ pose[:, :3, :3]
        pose[:, :3, 3] = self.scale * pose[:, :3, 3] @ self.R.mT + self.t
        return truth.replace(world_from_cam=pose.float())


@checked
def depth_scale(truth: DepthMaps, ours: DepthMaps) -> float:
    """How many times as deep our maps are as the truth's: the median over pixels that both know.

    Returns:
        NaN where no pixel is known to both, and finite.
    """
    both = (truth.confidence > 0) & (ours.confidence > 0) & truth.depth_m.isfinite() & ours.depth_m.isfinite()
    return float((ours.depth_m[both] / truth.depth_m[both]).median()) if bool(both.any()) else float("nan")


@checked
def median_depth(maps: DepthMaps | None) -> float:
    """Median of the known and finite depths; NaN if there are none."""
    if maps is None:
        return float("nan")
    known = maps.depth_m[(maps.confidence > 0) & maps.depth_m.isfinite()]
    return float(known.median()) if len(known) else float("nan")


@checked
def is_still(truth: Cameras, depth: DepthMaps | None) -> bool:
    """Whether the camera hardly leaves its place, so that its path says nothing about the scale.

    Without depth: whether it does not leave it at all.
    """
    centres = truth.centre_m.double()
    spread = float((centres - centres.mean(0)).square().sum(1).mean().sqrt())
    typical = median_depth(depth)
    return spread < STILL * typical if typical == typical else spread < 1e-6


@checked
def similarity(truth: Cameras, ours: Cameras, scale: float | None = None) -> Similarity:
    """Least-squares similarity from the truth's world to ours.

    Umeyama's solution (1991) for the centres, to which the cameras' rotations add as much weight: each
    set of centres is brought to unit spread, and the rotation best fits both. So a path along a line,
    which leaves the roll about it open, is no special case.

    Args:
        truth: One camera a frame.
        ours: The same frames.
        scale: The scale where the path cannot tell it, as for a still camera; it then counts only the
            rotations and the mean place.

    Raises:
        InputError: If there are not equally many cameras, or the path has no extent and no scale is given.
    """
    if len(truth) != len(ours):
        raise InputError(f"There are {len(truth)} true cameras and {len(ours)} of the scene; each frame needs both.")
    x, y = truth.centre_m.double(), ours.centre_m.double()
    x0, y0 = x - x.mean(0), y - y.mean(0)
    turn = torch.einsum(
        "tij,tkj->ik", ours.world_from_cam[:, :3, :3].double(), truth.world_from_cam[:, :3, :3].double()
    )
    if scale is None:
        spread = float(x0.norm() * y0.norm())
        if spread == 0:
            raise InputError("A camera path without extent tells no scale; give the scale that depth tells.")
        turn = turn + len(x) * (y0.mT @ x0) / spread
    u, _, vt = torch.linalg.svd(turn)
    flip = torch.diag(torch.tensor([1.0, 1.0, float(torch.det(u @ vt).sign())], dtype=torch.float64))
    R = u @ flip @ vt
    if scale is None:
        scale = float((y0 * (x0 @ R.mT)).sum() / x0.square().sum())
        if scale <= 0:
            raise InputError("The scene's camera path runs against the true one: no similarity fits both.")
    return Similarity(scale, R, y.mean(0) - scale * (R @ x.mean(0)))
