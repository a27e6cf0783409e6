"""A world whose every answer can be counted on the fingers: a card before a wall, cameras in a row.

Pictures are 8 x 32 pixels, the focal length 16 px, the wall at 8 m and the card at 2 m: a camera one metre
to the right sees the wall 2 px and the card 8 px further to the left.
"""

from __future__ import annotations

import json
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import torch

from benchmarks.truth import Truth, View
from fourd.types import Cameras, Clip, DepthMaps

H, W, FOCAL, WALL_M, CARD_M = 8, 32, 16.0, 8.0, 2.0
CARD = slice(12, 20)
"""Columns of the card, seen from x = 0 where it has not moved."""


def cameras(x_m: list[float], time_s: list[float]) -> Cameras:
    K = torch.tensor([[FOCAL, 0, W / 2], [0, FOCAL, H / 2], [0, 0, 1]]).expand(len(x_m), 3, 3)
    pose = torch.eye(4).repeat(len(x_m), 1, 1)
    pose[:, 0, 3] = torch.tensor(x_m)
    return Cameras(K, pose, (H, W), torch.tensor(time_s, dtype=torch.float64))


def see(x_m: float, card_m: float, behind_m: float = WALL_M) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Picture, depth and card mask from ``x_m``, where the card has been moved right by ``card_m``."""
    shift = round((card_m - x_m) * FOCAL / CARD_M)
    columns = np.arange(W)
    card = np.tile((columns >= CARD.start + shift) & (columns < CARD.stop + shift), (H, 1))
    depth = np.where(card, CARD_M, behind_m).astype(np.float32)
    wall = 40 + 4 * np.tile(columns + round(x_m * FOCAL / WALL_M), (H, 1))
    rgb = np.where(card[..., None], np.array([200, 30, 30]), wall[..., None]).astype(np.uint8)
    return rgb, depth, card


def world(source_m: list[float], card_m: list[float], view_m: float = 1.0, behind_m: float = WALL_M) -> Truth:
    """A camera at ``source_m`` and a card at ``card_m``, a second apart; one view of the first moment at ``view_m``."""
    moments = [float(i) for i in range(len(source_m))]
    seen = [see(x, c, behind_m) for x, c in zip(source_m, card_m, strict=True)]
    rgb, depth, card = (torch.from_numpy(np.stack(part)) for part in zip(*seen, strict=True))
    moving = card if len(set(card_m)) > 1 else torch.zeros_like(card)
    source = cameras(source_m, moments)
    other = cameras([view_m], [0.0])
    rgb_v, depth_v, card_v = (torch.from_numpy(part)[None] for part in see(view_m, card_m[0], behind_m))
    view = View(
        name="R1",
        frames=rgb_v,
        cameras=other,
        source_index=torch.tensor([0]),
        depth=DepthMaps(depth_v, torch.ones_like(depth_v), other.K),
        moving=card_v if len(set(card_m)) > 1 else torch.zeros_like(card_v),
    )
    maps = DepthMaps(depth, torch.ones_like(depth), source.K)
    return Truth("world", Clip(rgb, source.time_s, name="world"), source, maps, moving, (view,))


def columns(mask: torch.Tensor) -> set[int]:
    """Columns in which a mask is set, which must be so from top to bottom."""
    assert bool((mask == mask[:1]).all()), json.dumps(mask.int().tolist())
    return set(mask[0].nonzero()[:, 0].tolist())


def folder(path: Path, **changes: np.ndarray | None) -> Path:
    """Write the smallest folder of truth: one picture and a view of it. None leaves an array out."""
    rgb, depth, card = see(0.0, 0.0)
    depth[0, 0], depth[0, 1] = np.inf, 0
    arrays: dict[str, np.ndarray | None] = {
        "K": cameras([0], [0]).K[0].double().numpy(),
        "c2w": cameras([0], [0]).world_from_cam.double().numpy(),
        "depth": depth[None].astype(np.float16),
        "dynamic": card[None],
        "view_R1_c2w": cameras([1], [0]).world_from_cam.double().numpy(),
        "view_R1_frames": np.array([0]),
        "view_R1_depth": see(1.0, 0.0)[1][None].astype(np.float16),
    }
    (path / "view_R1").mkdir(parents=True)
    iio.imwrite(path / "source.png", rgb)
    iio.imwrite(path / "view_R1" / "0000.png", see(1.0, 0.0)[0])
    np.savez(path / "truth.npz", **{k: v for k, v in (arrays | changes).items() if v is not None})
    return path
