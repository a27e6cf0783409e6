"""Ask all frames about all points of a surface: the operator ``fourd::evidence``."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from fourd.checked import checked
from fourd.native import loader
from fourd.native.fusion import Planes
from fourd.native.operators import define


class Evidence(NamedTuple):
    """What the frames say of each point. Sums are weighted by the confidence of each frame's depth."""

    support: Float32[Tensor, " n"]
    """Frames that see a surface just there."""
    contradiction: Float32[Tensor, " n"]
    """Frames that see through it, to something behind."""
    rgb: Float32[Tensor, "n 3"]
    finest_m: Float32[Tensor, " n"]
    """Smallest ``pitch_m`` of the pixels that support it; infinite if there are none."""


@checked
def evidence(
    mean_m: Float32[Tensor, "n 3"],
    radius_m: Float32[Tensor, " n"],
    own_rgb: Float32[Tensor, "n 3"],
    planes: Planes,
    rgb: UInt8[Tensor, "m h w 3"],
    tolerance: float,
    sigma_px: float,
    same_colour: float,
) -> Evidence:
    """Ask every frame about every point.

    Who supports and who contradicts is decided as in ``fourd.native.fusion.consistency``. The colour is a mean
    over the supporting frames, in which frames that see the point finely count most, and colours far from the
    weighted median hardly.

    Args:
        mean_m: Points of the world. It is fastest if neighbours in the list are neighbours in space.
        radius_m: How large a patch each stands for: the standard deviation of its disc.
        own_rgb: Colours, 0 to 1, of points that no frame supports.
        planes: The frames.
        rgb: Their pictures.
        tolerance: Relative difference in depth below which two sure frames see one surface.
        sigma_px: Standard deviation of a disc in pixels of the frame that made it.
        same_colour: Distance in colour at which a sample's weight has fallen to 0.6.
    """
    return Evidence(
        *torch.ops.fourd.evidence(
            mean_m, radius_m, own_rgb, planes.K, planes.cam_from_world, rgb, planes.inverse, planes.sure,
            planes.pitch_m, tolerance, sigma_px, same_colour,
        )
    )  # fmt: skip


def _evidence(*arguments: object) -> tuple[Tensor, ...]:
    tensors = [x.contiguous().numpy() for x in arguments if isinstance(x, Tensor)]
    out = _empty(*arguments)
    loader.cpu().evidence(*tensors, *arguments[len(tensors) :], *(x.numpy() for x in out), torch.get_num_threads())
    return out


def _empty(*arguments: object) -> tuple[Tensor, ...]:
    mean_m = arguments[0]
    assert isinstance(mean_m, Tensor)  # The schema says so.
    n = mean_m.shape[0]
    return mean_m.new_empty(n), mean_m.new_empty(n), mean_m.new_empty(n, 3), mean_m.new_empty(n)


define(
    "evidence",
    "(Tensor mean_m, Tensor radius_m, Tensor own_rgb, Tensor K, Tensor cam_from_world, Tensor rgb, Tensor inverse,"
    " Tensor sure, Tensor pitch_m, float tolerance, float sigma_px, float same_colour)"
    " -> (Tensor, Tensor, Tensor, Tensor)",
    _evidence,
    _empty,
    "fusion_cuda",
)
