"""The committed sample clip, its truth and the stage that made them belong together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from fourd.generate import Scene, scene, shoot
from fourd.types import Clip

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture(scope="module")
def made() -> Scene:
    return scene("terrace", seed=0, hw=(360, 640), frames=72)


def test_the_truth_is_that_of_the_stage(made: Scene) -> None:
    with np.load(DATA / "sample_truth.npz", allow_pickle=False) as truth:
        np.testing.assert_allclose(truth["world_from_cam"], made.cameras.world_from_cam, atol=1e-5)
        np.testing.assert_allclose(truth["K"], made.cameras.K[0])
        np.testing.assert_allclose(truth["time_s"], np.arange(72) / 24)
        assert tuple(truth["hw"]) == (360, 640)
        frame = 36
        kept = truth["depth_frames"].tolist().index(frame)
        small = made.cameras.resized((180, 320))[frame - 1 : frame + 2]
        take = shoot(made.stage, small, samples=1, rays=1)
        np.testing.assert_allclose(truth["depth_K"], small.K[0])
        expected = take.depth.depth_m[1].numpy()
        actual = truth["depth_m"][kept].astype(np.float32)
        off = ~np.isclose(actual, expected, rtol=2e-3)  # Equal infinities are close.
        assert off.mean() < 1e-3  # Rounding of other processors may decide a few edges otherwise.
        moving = np.unpackbits(truth["moving_bits"], axis=-1)[frame].astype(bool)
        assert (moving != (take.motion.moving[1].numpy() > 0.5)).mean() < 1e-3
        assert 0.03 < moving.mean() < 0.3


def test_the_clip_shows_the_stage_and_can_be_heard(made: Scene) -> None:
    clip = Clip.open(DATA / "sample.mp4")
    assert clip.hw == (360, 640) and len(clip) == 72
    torch.testing.assert_close(clip.time_s, made.cameras.time_s, atol=1e-3, rtol=0)
    assert clip.sound is not None and clip.sound.duration_s == pytest.approx(3, abs=0.1)
    take = shoot(made.stage, made.cameras[30:31], samples=4)
    error = clip.frames[30].float() - take.clip.frames[0].float()
    psnr_db = float(20 * torch.log10(255 / error.square().mean().sqrt()))
    assert psnr_db > 30  # Fewer samples, and the loss of the encoder.


def test_the_files_stay_small() -> None:
    assert (DATA / "sample.mp4").stat().st_size < 1_500_000
    assert (DATA / "sample_truth.npz").stat().st_size < 2_000_000
