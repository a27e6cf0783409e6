"""The operators of ``fusion.py`` and ``evidence.py`` on CUDA; see cuda_ext/cuda/fusion.cu."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fourd.native import cuda_launch
from fourd.native.fusion import lists

_SAMPLES_BYTES = 256 << 20
"""Memory for the colours that frames see of points; as many points are asked about at a time as fit."""


def _floats(operator: str, **tensors: Tensor) -> list[Tensor]:
    return cuda_launch.arrays(operator, torch.float32, **tensors)


def _bytes(operator: str, **tensors: Tensor) -> list[Tensor]:
    return cuda_launch.arrays(operator, torch.uint8, **tensors)


def planes(
    depth_m: Tensor,
    confidence: Tensor,
    still: Tensor,
    K: Tensor,
    inverse: Tensor,
    sure: Tensor,
    pitch_m: Tensor,
    edge: Tensor,
) -> None:
    """The arguments of the operator; the last four are written to."""
    h, w = depth_m.shape
    depth_m, confidence, K = _floats("fourd::planes", depth_m=depth_m, confidence=confidence, K=K)
    (still,) = _bytes("fourd::planes", still=still)
    jump = torch.empty_like(still)
    arguments = (depth_m, confidence, still, K, h, w, inverse, sure, pitch_m, jump)
    cuda_launch.launch("fusion", "fusion_planes", h * w, arguments)
    cuda_launch.launch("fusion", "fusion_widen", h * w, (jump, h, w, pitch_m, edge))


def _passages(K: Tensor, pose: Tensor, frame: int, others: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The ways from one frame to others, and who they are."""
    who = torch.tensor(list(others), dtype=torch.int64).to(K.device)
    passages = K.new_empty(len(others), 12)
    cuda_launch.launch("fusion", "fusion_passages", len(others), (K, pose, frame, who, len(others), passages))
    return passages, who


def consistency(
    inverse: Tensor, sure: Tensor, K: Tensor, pose: Tensor, frame: int, others: Sequence[int], tolerance: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The arguments and the results of the operator."""
    _, h, w = inverse.shape
    inverse, K, pose = _floats("fourd::consistency", inverse=inverse, K=K, world_from_cam=pose)
    (sure,) = _bytes("fourd::consistency", sure=sure)
    passages, who = _passages(K, pose, frame, others)
    fused, support, contradiction = (inverse.new_empty(h, w) for _ in range(3))
    out = (fused, support, contradiction)
    arguments = (inverse, sure, passages, who, len(others), frame, h, w, tolerance, *out)
    cuda_launch.launch("fusion", "fusion_consistency", h * w, arguments)
    return out


def agree(
    inverse: Tensor,
    sure: Tensor,
    K: Tensor,
    pose: Tensor,
    others: Sequence[int],
    counts: Sequence[int],
    tolerance: float,
    share: float,
) -> tuple[Tensor, Tensor]:
    """The arguments and the results of the operator."""
    _, h, w = inverse.shape
    fused, left = torch.empty_like(inverse), torch.empty_like(sure)
    for k, who in enumerate(lists(others, counts)):
        fused[k], support, contradiction = consistency(inverse, sure, K, pose, k, who, tolerance)
        arguments = (sure[k], support, contradiction, share, h, w, left[k])
        cuda_launch.launch("fusion", "fusion_left", h * w, arguments)
    return fused, left


def redundant(
    inverse: Tensor,
    sure: Tensor,
    rgb: Tensor,
    K: Tensor,
    pose: Tensor,
    frame: int,
    earlier: Sequence[int],
    tolerance: float,
    coarse: float,
    alike: float,
    pitch_m: Tensor,
) -> Tensor:
    """The arguments and the result of the operator; ``pitch_m`` is written to."""
    _, h, w = inverse.shape
    inverse, K, pose = _floats("fourd::redundant", inverse=inverse, K=K, world_from_cam=pose)
    sure, rgb = _bytes("fourd::redundant", sure=sure, rgb=rgb)
    passages, who = _passages(K, pose, frame, earlier)
    explained = sure.new_empty(h, w)
    arguments = (inverse, sure, rgb, passages, who, len(earlier), frame, h, w, tolerance, coarse, alike)
    cuda_launch.launch("fusion", "fusion_redundant", h * w, (*arguments, pitch_m, explained))
    return explained


def discs(
    depth_m: Tensor,
    place_m: Tensor,
    wanted: Tensor,
    edge: Tensor,
    rgb: Tensor,
    K: Tensor,
    pose: Tensor,
    sigma_px: float,
    bare: float,
    behind: float,
    n: int,
) -> tuple[Tensor, ...]:
    """The arguments and the results of the operator."""
    h, w = depth_m.shape
    depth_m, place_m, K, pose = _floats("fourd::discs", depth_m=depth_m, place_m=place_m, K=K, world_from_cam=pose)
    wanted, edge, rgb = _bytes("fourd::discs", wanted=wanted.contiguous().view(torch.uint8), edge=edge, rgb=rgb)
    place = (wanted != 0).flatten().cumsum(0, dtype=torch.int32)
    out = [depth_m.new_empty(n, k) for k in (3, 4, 3, 3, 3, 3)]
    backs = wanted.new_empty(n)
    arguments = (depth_m, place_m, wanted, edge, rgb, K, pose, place, h, w, sigma_px, bare, behind, *out, backs)
    cuda_launch.launch("fusion", "fusion_discs", h * w, arguments)
    return *out, backs


def evidence(
    mean_m: Tensor,
    radius_m: Tensor,
    own_rgb: Tensor,
    K: Tensor,
    cam_from_world: Tensor,
    rgb: Tensor,
    inverse: Tensor,
    sure: Tensor,
    pitch_m: Tensor,
    tolerance: float,
    sigma_px: float,
    same_colour: float,
) -> tuple[Tensor, ...]:
    """The arguments and the results of the operator."""
    floats = dict(mean_m=mean_m, radius_m=radius_m, own_rgb=own_rgb, K=K, cam_from_world=cam_from_world)
    mean_m, radius_m, own_rgb, K, cam_from_world = _floats("fourd::evidence", **floats)
    inverse, pitch_m = _floats("fourd::evidence", inverse=inverse, pitch_m=pitch_m)
    rgb, sure = _bytes("fourd::evidence", rgb=rgb, sure=sure)
    n, (views, h, w) = len(mean_m), inverse.shape
    at_once = max(1, min(n, _SAMPLES_BYTES // (16 * max(views, 1))))
    samples = mean_m.new_empty(views * at_once, 4)
    support, contradiction, finest_m = (torch.empty_like(radius_m) for _ in range(3))
    out_rgb = torch.empty_like(own_rgb)
    for first in range(0, n, at_once):
        count = min(at_once, n - first)
        cuda_launch.launch("fusion", "fusion_evidence", count, (
            mean_m, radius_m, own_rgb, K, cam_from_world, rgb, inverse, sure, pitch_m, first, count, views, h, w,
            tolerance, sigma_px, same_colour, samples, support, contradiction, out_rgb, finest_m,
        ))  # fmt: skip
    return support, contradiction, out_rgb, finest_m
