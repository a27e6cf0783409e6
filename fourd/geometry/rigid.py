"""Rotations and rigid motions. Quaternions are wxyz and unit; matrices act on columns."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from fourd.checked import checked


@checked
def matrix_from_quat(quat_wxyz: Float[Tensor, "*batch 4"]) -> Float[Tensor, "*batch 3 3"]:
    """Rotation matrices of unit quaternions.

    Example:
        >>> matrix_from_quat(torch.tensor([1.0, 0, 0, 0])).diagonal()
        tensor([1., 1., 1.])
    """
    w, x, y, z = quat_wxyz.unbind(-1)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


@checked
def quat_from_matrix(R: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 4"]:
    """Unit quaternions (w >= 0) of rotation matrices.

    Of the four ways to write it (Shepperd, 1978) each rotation takes the one with the largest
    divisor, so that nothing cancels.
    """
    m = R.flatten(-2)
    r00, r01, r02, r10, r11, r12, r20, r21, r22 = m.unbind(-1)
    # Four times the squares of w, x, y, z, and four times their products.
    squares = torch.stack([1 + r00 + r11 + r22, 1 + r00 - r11 - r22, 1 - r00 + r11 - r22, 1 - r00 - r11 + r22], -1)
    wx, wy, wz = r21 - r12, r02 - r20, r10 - r01
    xy, xz, yz = r10 + r01, r20 + r02, r21 + r12
    w2, x2, y2, z2 = squares.unbind(-1)
    ways = torch.stack(
        [
            torch.stack([w2, wx, wy, wz], -1),
            torch.stack([wx, x2, xy, xz], -1),
            torch.stack([wy, xy, y2, yz], -1),
            torch.stack([wz, xz, yz, z2], -1),
        ],
        -2,
    )
    best = squares.argmax(-1)[..., None, None].expand(*squares.shape[:-1], 1, 4)
    quat = torch.gather(ways, -2, best)[..., 0, :]
    quat = quat / quat.norm(dim=-1, keepdim=True)
    return torch.where(quat[..., :1] < 0, -quat, quat)


@checked
def matrix_from_rotvec(rotvec: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Rotation matrices of axis times angle in radians (Rodrigues), smooth through zero."""
    x, y, z = rotvec.unbind(-1)
    zero = torch.zeros_like(x)
    hat = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))
    return torch.linalg.matrix_exp(hat)


@checked
def slerp(
    start: Float[Tensor, "*batch 4"], end: Float[Tensor, "*batch 4"], share: Float[Tensor, "*batch"]
) -> Float[Tensor, "*batch 4"]:
    """Rotate from ``start`` to ``end`` along the shorter arc, at even angular speed.

    Args:
        start: Unit quaternion, wxyz, at ``share`` 0.
        end: Unit quaternion, wxyz, at ``share`` 1.
        share: How far, usually 0 to 1.
    """
    cosine = (start * end).sum(-1, keepdim=True)
    end = torch.where(cosine < 0, -end, end)
    angle = torch.acos(cosine.abs().clamp(max=1))
    share = share[..., None]
    sine = torch.sin(angle)
    # Close together the arc is a line, and the division would be 0 / 0.
    near = sine < 1e-6
    safe = torch.where(near, 1.0, sine)
    a = torch.where(near, 1 - share, torch.sin((1 - share) * angle) / safe)
    b = torch.where(near, share, torch.sin(share * angle) / safe)
    quat = a * start + b * end
    return quat / quat.norm(dim=-1, keepdim=True)


@checked
def look_at(
    eye: Float[Tensor, "*batch 3"], target: Float[Tensor, "*batch 3"], up: Float[Tensor, "*batch 3"]
) -> Float[Tensor, "*batch 4 4"]:
    """``world_from_cam`` of a camera at ``eye`` that looks at ``target``, upright.

    Args:
        eye: Where the camera is.
        target: What is at the centre of its picture; must not be ``eye``.
        up: A direction that points up in its picture; must not be parallel to the view.
    """
    forward = torch.nn.functional.normalize(target - eye, dim=-1)
    right = torch.nn.functional.normalize(torch.linalg.cross(forward, up), dim=-1)
    down = torch.linalg.cross(forward, right)
    pose = torch.eye(4, dtype=eye.dtype, device=eye.device).expand(*eye.shape[:-1], 4, 4).clone()
    pose[..., :3, :] = torch.stack([right, down, forward, eye], -1)
    return pose
