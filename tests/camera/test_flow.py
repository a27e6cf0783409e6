"""The whole way from pictures to cameras: a turning camera with its exact answer, and hostile clips."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from fourd import camera
from fourd.camera.model import rotation
from fourd.events import Event, Progress, Warned, result
from fourd.types import Cameras, Clip, Motion

pytestmark = pytest.mark.needs("native")

HW = (120, 160)
FOCAL = 150.0


def run(frames: np.ndarray) -> tuple[Cameras, list[str]]:
    """Solve a clip of grey pictures; the cameras and what was warned of."""
    t, h, w = frames.shape
    clip = Clip(torch.from_numpy(frames[..., None].repeat(3, -1)), torch.arange(t) / 24.0)
    none, unseen = torch.zeros(t, h, w, 2), torch.zeros(t, h, w, dtype=torch.bool)
    said: list[Event] = []
    cameras = result(camera.load("flow")(clip, Motion(none, none, unseen, unseen, torch.zeros(t, h, w))), said.append)
    done = [event.done for event in said if isinstance(event, Progress)]
    assert done == sorted(done) and done[-1] == 2 * t
    assert all(event.total == 2 * t for event in said if isinstance(event, Progress))
    return cameras, [event.message for event in said if isinstance(event, Warned)]


def texture(h: int, w: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 1, (h, w)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.0)
    return np.clip(128 + 60 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def turning(frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of a far wall seen by a camera that turns, and its rotations (camera from world)."""
    h, w = HW
    s = np.linspace(0, 1, frames)
    R = rotation(np.stack([0.12 * np.sin(3 * s), 0.45 * s - 0.2, 0.05 * s], 1))
    wall = texture(400, 500)
    # Pixel centres lie at halves; OpenCV warps with centres at whole numbers.
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    K = np.array([[FOCAL, 0, w / 2], [0, FOCAL, h / 2], [0, 0, 1]])
    K_wall = np.array([[FOCAL, 0, 250], [0, FOCAL, 200], [0, 0, 1]])
    pictures = []
    for turn in R:
        H = np.linalg.inv(half) @ K @ turn @ np.linalg.inv(K_wall) @ half
        pictures.append(cv2.warpPerspective(wall, H, (w, h), flags=cv2.INTER_CUBIC))
    return np.stack(pictures), R


def test_a_turning_camera_is_solved_from_its_pictures():
    pictures, R = turning(12)
    cameras, warned = run(pictures)
    assert not warned
    assert not cameras.centre_m.any()
    K = cameras.K[0].numpy()
    assert K[0, 0] == K[1, 1] == pytest.approx(FOCAL, rel=0.02)
    assert K[0, 2] == HW[1] / 2 and K[1, 2] == HW[0] / 2
    truth = np.linalg.inv(R @ R[0].T)
    # 3e-3 radians are half a pixel here; it comes out at a tenth of one.
    np.testing.assert_allclose(cameras.world_from_cam[:, :3, :3].numpy(), truth, atol=3e-3)
    assert torch.equal(cameras.world_from_cam[0], torch.eye(4))
    sure = cameras.uncertainty
    assert sure is not None and sure.position == 0 and 0 < sure.rotation_deg < 0.2
    assert sure.focal is not None and sure.focal < 0.02


def test_the_same_clip_gives_the_same_bits():
    pictures, _ = turning(6)
    (one, _), (two, _) = run(pictures), run(pictures)
    assert torch.equal(one.world_from_cam, two.world_from_cam) and torch.equal(one.K, two.K)


NOTHING = (
    "From most frames to the next almost nothing can be followed: the picture is plain, noisy or flickers."
    " The camera is taken to stand still."
)


@pytest.mark.parametrize("hw", [(1, 1), (3, 90), (48, 64)], ids=str)
@pytest.mark.parametrize("kind", ["black", "noise", "strobe"])
def test_what_cannot_be_followed_is_a_still_camera_and_a_warning(kind, hw):
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (7, *hw)).astype(np.uint8)
    if kind == "black":
        pictures[:] = 0
    if kind == "strobe":
        pictures[:] = pictures[:1]
        pictures[::2] = 255 - pictures[::2]
    cameras, warned = run(pictures)
    assert warned == [NOTHING]
    assert torch.equal(cameras.world_from_cam, torch.eye(4).expand(7, 4, 4))


@pytest.mark.parametrize("frames", [1, 6])
def test_a_picture_that_does_not_change_is_a_still_camera(frames):
    cameras, warned = run(np.repeat(texture(*HW)[None], frames, 0))
    assert not warned and len(cameras) == frames and cameras.uncertainty is None
    assert torch.equal(cameras.world_from_cam, torch.eye(4).expand(frames, 4, 4))


@pytest.mark.parametrize("frames", [2, 3])
def test_a_few_frames_give_finite_cameras(frames):
    cameras, _ = run(turning(12)[0][:frames])
    assert len(cameras) == frames


def test_a_cut_is_named_and_both_parts_are_solved():
    first, R = turning(12)
    second = np.repeat(texture(*HW, seed=5)[None], 8, 0)
    cameras, warned = run(np.concatenate([first, second]))
    assert warned[0].startswith("At frame 12 the picture changes so much that almost nothing can be followed across.")
    truth = np.linalg.inv(R @ R[0].T)
    np.testing.assert_allclose(cameras.world_from_cam[:12, :3, :3].numpy(), truth, atol=3e-3)
    assert torch.equal(cameras.world_from_cam[12:], torch.eye(4).expand(8, 4, 4))
    assert cameras.uncertainty is not None  # Of the part that says something.
