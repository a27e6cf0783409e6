"""How far cameras and depth maps are from the truth."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float64
from torch import Tensor
from torch.nn import functional

from benchmarks.align import Similarity, depth_scale, median_depth
from fourd.checked import checked
from fourd.errors import InputError
from fourd.types import Cameras, DepthMaps

DELTA = 1.25
"""delta1 is the share of pixels whose depth is right within this factor."""
TENTH = 0.1
"""Confidence is judged by the share of pixels whose depth is right within this, relative."""
BINS = 10
"""Bins of confidence, equally wide."""


@checked
def camera_errors(truth: Cameras, ours: Cameras, found: Similarity, depth: DepthMaps | None) -> dict[str, float]:
    """Errors of the source cameras, in the truth's world.

    Args:
        truth: The true cameras.
        ours: The scene's, in their own world and for pictures of any size.
        found: From the truth's world to the scene's.
        depth: The truth's, for the typical distance.

    Returns:
        ``rotation_deg``: mean angle between the rotations. ``position_m``: root mean square distance
        between the places (the absolute trajectory error). ``position_of_path``, ``position_of_depth``: the
        same as a share of the path's length and of the median depth. ``focal``: relative error of the focal
        length, the median over frames, positive where ours is too long. ``scale``: the scene's units a metre.
    """
    placed = found.cameras(truth)
    apart = (placed.centre_m.double() - ours.centre_m.double()).norm(dim=1) / found.scale
    position = float(apart.square().mean().sqrt())
    between = placed.world_from_cam[:, :3, :3].double().mT @ ours.world_from_cam[:, :3, :3].double()
    # The angle by the length of the chord: the arc cosine of the trace loses half the digits near 0.
    chord = (between - torch.eye(3, dtype=torch.float64)).flatten(1).norm(dim=1) / 8**0.5
    angle = 2 * torch.rad2deg(torch.asin(chord.clamp(max=1)))
    path = float(truth.centre_m.double().diff(dim=0).norm(dim=1).sum())
    focal = ours.resized(truth.hw).K[:, 0, 0].double() / truth.K[:, 0, 0].double() - 1
    return {
        "rotation_deg": float(angle.mean()),
        "position_m": position,
        "position_of_path": position / path if path > 0 else float("nan"),
        "position_of_depth": position / median_depth(depth),
        "focal": float(focal.median()),
        "scale": found.scale,
    }


@checked
def at_size(maps: DepthMaps, hw: tuple[int, int]) -> DepthMaps:
    """Depth maps at another size, each pixel the nearest one: depths of two surfaces are never mixed."""
    if maps.hw == hw:
        return maps
    depth_m, confidence = (
        functional.interpolate(x[:, None], hw, mode="nearest-exact")[:, 0] for x in (maps.depth_m, maps.confidence)
    )
    scale = torch.tensor([hw[1] / maps.hw[1], hw[0] / maps.hw[0], 1.0])
    return maps.replace(depth_m=depth_m, confidence=confidence, K=maps.K * scale[:, None])


@checked
def depth_errors(
    truth: DepthMaps, ours: DepthMaps, moving: Bool[Tensor, "t h w"] | None = None, sure: float = 0.5
) -> dict[str, dict[str, float]]:
    """AbsRel and delta1, after one scale for the whole clip.

    The scale is the median of ours by the truth's over all pixels that both know. Judged is every pixel
    whose true depth is known and finite. Where ours says sky, the relative error counts as 1 and delta1
    as missed; where ours is unknown the pixel is left out, and ``coverage`` says how many are left.

    Args:
        truth: The true maps.
        ours: Maps of any size.
        moving: Pixels of things that move, at the truth's size.
        sure: The confidence from which a pixel of ours is confident.

    Returns:
        For ``all``, ``confident`` and, with ``moving``, ``static`` and ``moving`` pixels: ``absrel``,
        ``delta1``, ``coverage``, and ``pixels``, how many there were to judge; in ``all`` also ``scale``.
    """
    if len(truth) != len(ours):
        raise InputError(f"There are {len(truth)} true depth maps and {len(ours)} of the scene; each frame needs both.")
    ours = at_size(ours, truth.hw)
    scale = depth_scale(truth, ours)
    known = (truth.confidence > 0) & truth.depth_m.isfinite()
    said = known & (ours.confidence > 0)
    ratio = ours.depth_m.double() / scale / truth.depth_m.double().where(known, torch.ones(()).double())
    error = (ratio - 1).abs().where(ratio.isfinite(), torch.ones(()).double())
    right = (ratio < DELTA) & (ratio > 1 / DELTA)
    parts = {"all": known, "confident": known & (ours.confidence >= sure)}
    if moving is not None:
        parts |= {"static": known & ~moving, "moving": known & moving}
    errors = {}
    for name, part in parts.items():
        judged, total = part & said, int(part.sum())
        whole = int(known.sum()) if name == "confident" else total
        errors[name] = {
            "absrel": float(error[judged].mean()),
            "delta1": float(right[judged].double().mean()),
            "coverage": int(judged.sum()) / whole if whole else float("nan"),
            "pixels": float(total),
        }
    errors["all"]["scale"] = scale
    return errors


@checked
def reliability(truth: DepthMaps, ours: DepthMaps) -> Float64[Tensor, "bins 3"]:
    """Whether confidence is the probability of being right: within ``TENTH`` of the truth, after one scale a clip.

    Judged is every pixel whose true depth is known and finite and whose depth ours knows; what ours takes for sky is
    wrong.

    Args:
        truth: The true maps.
        ours: Maps of any size.

    Returns:
        For each of ``BINS`` bins of confidence: the mean confidence in it, the share of its pixels that are right (both
        NaN where it is empty), and the share of all judged pixels that are in it.
    """
    ours = at_size(ours, truth.hw)
    judged = (truth.confidence > 0) & truth.depth_m.isfinite() & (ours.confidence > 0)
    off = ours.depth_m[judged].double() / depth_scale(truth, ours) / truth.depth_m[judged].double() - 1
    right, sure = (off.abs() < TENTH).double(), ours.confidence[judged].double()
    into = (sure * BINS).long().clamp(max=BINS - 1)
    count, told, held = (torch.bincount(into, x, BINS).double() for x in (torch.ones_like(sure), sure, right))
    return torch.stack([told / count, held / count, count / max(len(sure), 1)], 1)


@checked
def calibration_error(bins: Float64[Tensor, "bins 3"]) -> float:
    """Expected calibration error (Naeini, Cooper and Hauskrecht, 2015) of what ``reliability`` returns.

    The mean over all pixels of how far the confidence of their bin is from the share of it that is right.
    """
    return (
        float(((bins[:, 0] - bins[:, 1]).abs() * bins[:, 2]).nansum()) if float(bins[:, 2].sum()) > 0 else float("nan")
    )


@checked
def mask_iou(truth: Bool[Tensor, "t h w"], ours: Bool[Tensor, "t h2 w2"]) -> float:
    """Intersection over union, over all frames, of the pixels that move and those that are taken to move.

    Returns:
        NaN where nothing moves and nothing is taken to.
    """
    resized = functional.interpolate(ours[:, None].to(torch.uint8), truth.shape[1:], mode="nearest-exact")[:, 0] > 0
    union = int((truth | resized).sum())
    return int((truth & resized).sum()) / union if union else float("nan")
