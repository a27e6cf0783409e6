"""The stage against geometry that can be solved by hand."""

from __future__ import annotations

import numpy as np
import torch

from fourd.generate import scene, shoot


def test_the_same_scene_twice_is_the_same_bit_for_bit() -> None:
    made = [scene("room", seed=3, hw=(36, 64), frames=2) for _ in range(2)]
    takes = [shoot(s.stage, s.cameras) for s in made]
    assert torch.equal(takes[0].clip.frames, takes[1].clip.frames)
    assert torch.equal(takes[0].depth.depth_m, takes[1].depth.depth_m)
    assert np.isfinite(takes[0].motion.flow_forward.numpy()).all()
