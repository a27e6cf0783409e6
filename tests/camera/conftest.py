"""A world of points with exact cameras, and what tracks of it look like."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from fourd.camera.model import rotation
from fourd.camera.tracks import Tracks

HW = (216, 384)


@dataclass(frozen=True)
class World:
    """Tracks and the cameras that made them."""

    tracks: Tracks
    R: np.ndarray
    centre: np.ndarray
    focal: float


def make_world(
    path: str = "orbit",
    frames: int = 16,
    points: int = 400,
    focal: float = 350.0,
    noise_px: float = 0.0,
    moving: float = 0.0,
    outliers: float = 0.0,
    hw: tuple[int, int] = HW,
) -> World:
    """Points in a box before a camera that stands, turns or travels.

    Args:
        path: "still", "shake", "turn", "orbit" or "forward".
        frames: Length of the clip.
        points: How many points.
        focal: In pixels.
        noise_px: Standard deviation of the places in the pictures.
        moving: Share of the points that move on their own.
        outliers: Share of the observations that are nonsense.
        hw: Size of the pictures.
    """
    rng = np.random.default_rng(7)
    s = np.linspace(0, 1, frames)
    zero = np.zeros_like(s)
    if path == "orbit":
        centre = np.stack([1.2 * s, 0.2 * np.sin(3 * s), 0.3 * s**2], 1)
        turn = np.stack([0.05 * s, -0.25 * s, 0.03 * s], 1)
    elif path == "forward":
        centre, turn = np.stack([0.3 * s, zero, 2 * s], 1), np.stack([zero, 0.05 * s, zero], 1)
    elif path == "turn":
        centre, turn = np.zeros((frames, 3)), np.stack([0.2 * np.sin(4 * s), 0.7 * s, 0.1 * s], 1)
    elif path == "shake":
        centre, turn = np.zeros((frames, 3)), rng.normal(0, 0.003, (frames, 3))
    else:
        centre, turn = np.zeros((frames, 3)), np.zeros((frames, 3))
    R = rotation(turn)
    X = rng.uniform([-6, -3, 3], [6, 3, 10], (points, 3))
    drift = np.where(np.arange(points)[:, None] < moving * points, rng.normal(0, 1.0, (points, 3)), 0)
    wave = np.stack([s, np.sin(5 * s), s**2], 1)
    here = X[:, None] + drift[:, None] * wave
    Y = np.einsum("tij,ntj->nti", R, here - centre)
    h, w = hw
    xy = focal * Y[..., :2] / np.maximum(Y[..., 2:], 1e-6) + (w / 2, h / 2)
    seen = (Y[..., 2] > 0.5) & (xy > 2).all(-1) & (xy < (w - 2, h - 2)).all(-1)
    xy = xy + rng.normal(0, 1, xy.shape) * noise_px
    wild = rng.random(xy.shape[:2]) < outliers
    xy[wild] += rng.uniform(-30, 30, (int(wild.sum()), 2))
    point, frame = np.nonzero(seen)
    tracks = Tracks(point, frame, np.clip(xy[seen], 0.01, (w - 0.01, h - 0.01)), hw, frames)
    # What is seen once or twice has no place in space.
    return World(tracks.pick(np.bincount(point)[point] >= 3), R, centre, focal)


@pytest.fixture
def world() -> Callable[..., World]:
    return make_world


def path_error(R: np.ndarray, t: np.ndarray, world: World) -> tuple[float, float]:
    """Error of the camera centres as a share of the path, and of the rotations in degrees, best aligned."""
    solved = -(R.transpose(0, 2, 1) @ t[..., None])[..., 0]
    U, _, Vt = np.linalg.svd(sum(world.R[i].T @ R[i] for i in range(len(R))))
    turn = U @ np.diag([1, 1, np.linalg.det(U @ Vt)]) @ Vt
    a = solved @ turn.T
    a, b = a - a.mean(0), world.centre - world.centre.mean(0)
    scale = (a * b).sum() / max((a * a).sum(), 1e-12)
    length = np.linalg.norm(np.diff(world.centre, axis=0), axis=1).sum()
    off = np.sqrt(((scale * a - b) ** 2).sum(1).mean()) / max(length, 1e-12)
    angles = [np.linalg.norm(turn @ R[i].T - world.R[i].T) / np.sqrt(2) for i in range(len(R))]
    return float(off), float(np.degrees(np.mean(angles)))


@pytest.fixture
def error() -> Callable[..., tuple[float, float]]:
    return path_error
