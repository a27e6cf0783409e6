"""Poses as 4 x 4 matrices: the one thing about them that nouns and kernels need, too. The rest is in geometry."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from fourd.checked import checked


@checked
def inverse(pose: Float[Tensor, "*batch 4 4"]) -> Float[Tensor, "*batch 4 4"]:
    """Inverse of rigid motions, exactly rigid again; the last row is kept as it is."""
    result = pose.clone()
    Rt = pose[..., :3, :3].mT
    result[..., :3, :3] = Rt
    result[..., :3, 3] = -(Rt @ pose[..., :3, 3:])[..., 0]
    return result
