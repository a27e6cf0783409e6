"""Between axes: ours (OpenCV: x right, y down, z forward) and OpenGL's (x right, y up, z back), half a turn about x."""

from __future__ import annotations

import torch

from fourd.types import Splats

GL_FROM_CV = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0], dtype=torch.float64))
"""Its own inverse. ``world_from_cam @ GL_FROM_CV`` is the pose of the same camera in the other's axes."""

POINT_SIGNS = torch.tensor([1.0, -1.0, -1.0])
"""What half a turn about x does to places and velocities;"""
QUAT_SIGNS = torch.tensor([1.0, 1.0, -1.0, -1.0])
"""to the w, x, y, z of rotations between such axes;"""
SH_SIGNS = torch.tensor([1.0, -1, -1, 1, -1, 1, 1, -1, 1, -1, 1, -1, -1, 1, -1, 1])
"""and to harmonics: their basis functions are odd or even in y and z."""


def half_turned(splats: Splats) -> Splats:
    """The same splats in the other's axes; twice is once back."""
    signs = SH_SIGNS[: splats.colour.shape[1], None].to(splats.colour.device)
    return splats.replace(
        mean_m=splats.mean_m * POINT_SIGNS.to(splats.mean_m.device),
        # Turned on both sides: a splat that is mirrored along its own axes is the same splat.
        quat_wxyz=splats.quat_wxyz * QUAT_SIGNS.to(splats.quat_wxyz.device),
        colour=splats.colour * signs,
        velocity_mps=splats.velocity_mps * POINT_SIGNS.to(splats.velocity_mps.device),
    )
