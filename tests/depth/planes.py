"""Textured planes seen by known cameras: pictures, depth and flow in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch

from fourd.types import Cameras, Clip, Motion


@dataclass(frozen=True, eq=False)
class World:
    clip: Clip
    cameras: Cameras
    motion: Motion
    depth_m: np.ndarray


def texture(seed: int = 0, size: int = 1024) -> np.ndarray:
    """Noise at several scales, so that something can be matched at any distance."""
    rng = np.random.default_rng(seed)
    total = np.zeros((size, size, 3), np.float32)
    for octave in (4, 8, 16, 64):
        noise = rng.normal(size=(size // octave, size // octave, 3)).astype(np.float32)
        total += cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC)
    return np.clip(128 + 35 * total, 0, 255)


def picture(hw: tuple[int, int] = (48, 64)) -> np.ndarray:
    """A picture of noise, as bytes."""
    return texture(size=320)[: hw[0], : hw[1]].astype(np.uint8)


def planes(
    positions: np.ndarray,
    walls: list[tuple[np.ndarray, float, tuple[float, float, float, float]]],
    hw: tuple[int, int] = (72, 96),
    rotations: np.ndarray | None = None,
) -> World:
    """Film walls from given places.

    Args:
        positions: Camera centres [t, 3].
        walls: (normal, offset, extent) of each, near ones first: points with normal . x = offset, and of these
            those whose world x and y lie within (x0, y0, x1, y1).
        hw: Size of the pictures.
        rotations: Rotations [t, 3, 3], world from camera.
    """
    h, w = hw
    t = len(positions)
    focal = 0.9 * w
    K = np.array([[focal, 0, w / 2], [0, focal, h / 2], [0, 0, 1]])
    y, x = np.meshgrid(np.arange(h) + 0.5, np.arange(w) + 0.5, indexing="ij")
    rays = np.stack([(x - w / 2) / focal, (y - h / 2) / focal, np.ones_like(x)], -1)
    R = np.broadcast_to(np.eye(3), (t, 3, 3)) if rotations is None else rotations
    patterns = [texture(k) for k in range(len(walls))]
    pictures, depths = np.zeros((t, h, w, 3), np.float32), np.full((t, h, w), np.inf, np.float32)
    for i in range(t):
        direction = rays @ R[i].T
        for (normal, offset, (x0, y0, x1, y1)), pattern in zip(walls, patterns, strict=True):
            z = (offset - normal @ positions[i]) / (direction @ normal)
            point = positions[i] + z[..., None] * direction
            seen = (z > 0) & (z < depths[i]) & (point[..., 0] > x0) & (point[..., 0] < x1)
            seen &= (point[..., 1] > y0) & (point[..., 1] < y1)
            # Fifty texels a unit, mirrored where the pattern ends.
            u = (50 * (point[..., 0] + 0.3 * point[..., 2])).astype(np.float32)
            v = (50 * (point[..., 1] + 0.7 * point[..., 2])).astype(np.float32)
            colour = cv2.remap(pattern, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
            pictures[i][seen] = colour[seen]
            depths[i][seen] = z[seen]
    pose = np.tile(np.eye(4), (t, 1, 1))
    pose[:, :3, :3], pose[:, :3, 3] = R, positions
    time_s = torch.arange(t, dtype=torch.float64) / 24
    cameras = Cameras(
        K=torch.from_numpy(K).float().repeat(t, 1, 1),
        world_from_cam=torch.from_numpy(pose).float(),
        hw=hw,
        time_s=time_s,
    )
    clip = Clip(frames=torch.from_numpy(np.clip(pictures, 0, 255).round().astype(np.uint8)), time_s=time_s)
    return World(clip, cameras, flow(pose, K, depths), depths)


def flow(pose: np.ndarray, K: np.ndarray, depths: np.ndarray) -> Motion:
    """The flow of a still world."""
    t, h, w = depths.shape
    y, x = np.meshgrid(np.arange(h) + 0.5, np.arange(w) + 0.5, indexing="ij")
    rays = np.stack([x, y, np.ones_like(x)], -1) @ np.linalg.inv(K).T
    both = {1: np.zeros((t, h, w, 2), np.float32), -1: np.zeros((t, h, w, 2), np.float32)}
    for way, out in both.items():
        for i in range(t):
            if 0 <= i + way < t:
                there = np.linalg.inv(pose[i + way]) @ pose[i]
                z = np.where(np.isfinite(depths[i]), depths[i], 1e4)[..., None]
                p = (rays * z) @ there[:3, :3].T + there[:3, 3]
                q = p @ K.T
                out[i] = q[..., :2] / np.maximum(q[..., 2:], 1e-3) - np.stack([x, y], -1)
                np.clip(out[i], -1e4, 1e4, out=out[i])  # Behind the camera anything goes that is a number.
    seen = {way: np.ones((t, h, w), bool) for way in both}
    seen[1][-1] = seen[-1][0] = False
    return Motion(
        flow_forward=torch.from_numpy(both[1]).half(),
        flow_backward=torch.from_numpy(both[-1]).half(),
        visible_forward=torch.from_numpy(seen[1]),
        visible_backward=torch.from_numpy(seen[-1]),
        moving=torch.zeros((t, h, w), dtype=torch.float16),
    )


def sideways(count: int, step: float = 0.06) -> np.ndarray:
    """Camera centres along x."""
    return np.stack([np.arange(count) * step, np.zeros(count), np.zeros(count)], -1)


EVERYWHERE = (-100.0, -100.0, 100.0, 100.0)


def wall(depth: float = 3.0, count: int = 9) -> World:
    """A wall that faces a camera moving sideways."""
    return planes(sideways(count), [(np.array([0.0, 0, 1]), depth, EVERYWHERE)])


def floor(count: int = 9) -> World:
    """A floor that slopes up to a far wall."""
    return planes(
        sideways(count), [(np.array([0.0, 1, 0.25]), 1.5, EVERYWHERE), (np.array([0.0, 0, 1]), 6.0, EVERYWHERE)]
    )


def card(count: int = 11) -> World:
    """A card in front of a wall."""
    return planes(
        sideways(count),
        [(np.array([0.0, 0, 1]), 2.0, (-0.25, -0.35, 0.75, 0.35)), (np.array([0.0, 0, 1]), 4.0, EVERYWHERE)],
    )


def quiet(frames: np.ndarray | torch.Tensor) -> tuple[Clip, Motion]:
    """A clip of any pictures, and a motion that says nothing moves."""
    frames = torch.as_tensor(frames)
    t, h, w, _ = frames.shape
    clip = Clip(frames=frames, time_s=torch.arange(t, dtype=torch.float64) / 24)
    no = torch.zeros((t, h, w), dtype=torch.bool)
    still = torch.zeros((t, h, w, 2), dtype=torch.float16)
    return clip, Motion(still, still, no, no, torch.zeros((t, h, w), dtype=torch.float16))
