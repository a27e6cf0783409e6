"""Where to stand to see what the source camera did not: views turned about the subject, ever further out."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from fourd.checked import checked
from fourd.errors import InputError
from fourd.geometry import rigid
from fourd.geometry.paths import mean_up
from fourd.types import Cameras

STEP_DEG = 15.0
"""Views stand about so far apart. Further, and a view has little to go on; nearer, and what is made up is pieced
together of narrow strips."""

MARGIN = 0.14
"""Views show so much more on each side than the source camera did, as a share of the picture's longer side. Between
two views, and a little beyond the last, there is then something to see too."""

MOMENTS = 4
"""At most so many moments, however far the camera travels."""

TRAVEL = 0.35
"""The camera goes so far from moment to moment, in distances to the subject, or turns by as many radians."""


@checked
def rings(source: Cameras, focus_m: float, range_deg: float, up: Float[Tensor, " 3"] | None = None) -> list[Cameras]:
    """Views to the left and the right of what was filmed, the smallest turns first.

    Args:
        source: The cameras that filmed.
        focus_m: Distance of the subject, about which the views turn.
        range_deg: How far they turn to either side.
        up: What they turn about; by default each camera's own.

    Returns:
        Pairs of cameras of the same moment, turned to the right and to the left. Their pictures are larger than the
        source's by ``MARGIN`` on each side.

    Raises:
        InputError: If the range is not above 0 and at most 90 degrees.
    """
    if not 0 < range_deg <= 90:
        raise InputError(f"The range is {range_deg:g} degrees; it must be above 0 and at most 90 to either side.")
    steps = math.ceil(range_deg / STEP_DEG)
    wide = wider(source, math.ceil(MARGIN * max(source.hw)))
    picked = [wide[k : k + 1] for k in moments(source, focus_m)]
    return [
        _pair(camera, focus_m, math.radians(range_deg * (step + 1) / steps), up)
        for step in range(steps)
        for camera in picked
    ]


@checked
def moments(source: Cameras, focus_m: float) -> list[int]:
    """Frames from which the scene looks different enough to be looked at again: the middle one first.

    A camera that stands still needs one: what stands behind is the same at all moments.
    """
    centre = source.centre_m.double()
    forward = source.world_from_cam[:, :3, 2].double()
    gone = (centre.diff(dim=0).norm(dim=1) / focus_m + forward.diff(dim=0).norm(dim=1)).sum()
    # A path that shakes is long and leads nowhere: the spread bounds it.
    spread = (centre - centre.mean(0)).norm(dim=1).max() / focus_m + (forward - forward.mean(0)).norm(dim=1).max()
    count = 1 + math.ceil(min(float(gone), 4 * float(spread)) / TRAVEL - 0.25)
    count = max(1, min(count, MOMENTS, len(source)))
    if count == 1:
        return [len(source) // 2]
    spread_out = [round((k + 0.5) * (len(source) - 1) / count) for k in range(count)]
    return sorted(dict.fromkeys(spread_out), key=lambda k: abs(k - (len(source) - 1) / 2))


@checked
def wider(cameras: Cameras, more_px: int) -> Cameras:
    """The same cameras, whose pictures show so many pixels more on each side, or fewer, at the same scale."""
    K = cameras.K.clone()
    K[:, :2, 2] += more_px
    return cameras.replace(K=K, hw=(cameras.hw[0] + 2 * more_px, cameras.hw[1] + 2 * more_px))


def _pair(camera: Cameras, focus_m: float, angle: float, up: Tensor | None) -> Cameras:
    both = torch.tensor([0, 0])
    return turned(camera[both], focus_m, torch.tensor([angle, -angle], dtype=torch.float64), up)


@checked
def turned(cameras: Cameras, focus_m: float, angle: Tensor, up: Float[Tensor, " 3"] | None = None) -> Cameras:
    """Swing cameras about the point ``focus_m`` in front of each, to the right by angles in radians.

    The axis is ``up``, by default the mean up of the cameras.
    """
    pose = cameras.world_from_cam.double().clone()
    axis = mean_up(cameras) if up is None else torch.nn.functional.normalize(up.double(), dim=0)
    turn = rigid.matrix_from_rotvec(angle[:, None] * axis)
    focus = pose[:, :3, 3] + focus_m * pose[:, :3, 2]
    pose[:, :3, 3] = focus + (turn @ (pose[:, :3, 3] - focus)[..., None])[..., 0]
    pose[:, :3, :3] = turn @ pose[:, :3, :3]
    return cameras.replace(world_from_cam=pose.float())
