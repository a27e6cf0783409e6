"""The corridor that fusion is measured on is what it claims to be, and fuses to its walls."""

from __future__ import annotations

import pytest
import torch

from benchmarks import fusion
from fourd.fuse.views import Views
from fourd.geometry import pinhole

HW = (48, 64)


def test_depth_meets_the_walls() -> None:
    _, maps, cameras, _ = fusion.film(HW, 4)
    for i in range(4):
        world = pinhole.transform(cameras.world_from_cam[i], pinhole.unproject(maps.depth_m[i], cameras.K[i]))
        off = (world.abs() - fusion.ROOM_M).abs().amin(-1)
        assert off.max() < 1e-4 and (world.abs() < fusion.ROOM_M + 1e-4).all()


@pytest.mark.needs("native")
def test_frames_of_a_corridor_fuse_to_one_surface() -> None:
    views = Views(*fusion.film(HW, 6))
    cloud, seconds, cpu_s = fusion.fuse([views[i] for i in range(len(views))])
    assert seconds > 0 and cpu_s > 0
    assert fusion.off_surface_m(cloud) < 1e-3
    assert len(cloud) < 3 * HW[0] * HW[1], "six frames of one place are not six sheets"
    assert torch.isfinite(cloud.mean_m).all()
