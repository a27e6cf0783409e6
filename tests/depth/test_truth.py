"""Depth against truth that others measured, with true cameras."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from fourd import depth, motion
from fourd.events import result
from fourd.types import Cameras, Clip


@pytest.mark.needs("native", "shared")
def test_a_living_room_is_as_deep_as_it_is(shared: Path) -> None:
    folder = shared / "real" / "rgbd_livingroom"
    truth = np.load(folder / "truth.npz")
    clip = Clip.open(folder / "source.mp4")
    t = 14
    clip = clip.replace(frames=clip.frames[:t], time_s=clip.time_s[:t])
    K = torch.from_numpy(truth["K"]).float()
    K[:2, 2] += 0.5  # There the centre of the first pixel is at 0.
    cameras = Cameras(
        K=K.repeat(t, 1, 1),
        world_from_cam=torch.from_numpy(truth["c2w"][:t]).float(),
        hw=clip.hw,
        time_s=clip.time_s,
    )
    maps = result(depth.load("parallax")(clip, cameras, result(motion.estimate(clip))))
    right = torch.from_numpy(truth["depth"][:t].astype(np.float32))
    known = right > 0
    error = (maps.depth_m / right - 1).abs()
    sure = known & (maps.confidence > 0.5)
    assert float(sure.float().mean()) > 0.6
    # Measured: 0.0096, 0.041 and 0.062. There is no scale to be found: the cameras are in metres, so the depth is.
    assert float(error[sure].median()) < 0.015
    assert float(error[sure].mean()) < 0.06
    assert float(error[known].mean()) < 0.09
