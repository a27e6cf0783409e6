"""What ``fourd::rasterize`` means, in plain torch: every splat against every pixel, nothing clever.

It judges the kernel in the tests and is never a fallback. It computes in the dtype of its inputs, in the
field's usual formulas and not in the kernel's, and gradients flow through it.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fourd.checked import checked

ALPHA_MIN, ALPHA_MAX = 1 / 255, 0.999
CLOSED = 1e-4
"""Transmittance below which a pixel takes nothing more."""

_PIXELS_AT_ONCE = 1 << 22  # Times splats: some hundred megabytes of intermediate values.


@checked
def sh_basis(direction: Float[Tensor, "n 3"]) -> Float[Tensor, "n 16"]:
    """Real spherical harmonics up to degree 3 in unit directions, as in 3D Gaussian splatting."""
    x, y, z = direction.unbind(-1)
    xx, yy, zz = x * x, y * y, z * z
    basis = [
        torch.full_like(x, 0.28209479177387814),
        -0.48860251190291987 * y,
        0.48860251190291987 * z,
        -0.48860251190291987 * x,
        1.0925484305920792 * x * y,
        -1.0925484305920792 * y * z,
        0.31539156525252005 * (2 * zz - xx - yy),
        -1.0925484305920792 * x * z,
        0.5462742152960396 * (xx - yy),
        -0.5900435899266435 * y * (3 * xx - yy),
        2.890611442640554 * x * y * z,
        -0.4570457994644658 * y * (4 * zz - xx - yy),
        0.3731763325901154 * z * (2 * zz - 3 * xx - 3 * yy),
        -0.4570457994644658 * x * (4 * zz - xx - yy),
        1.445305721320277 * z * (xx - yy),
        -0.5900435899266435 * x * (xx - 3 * yy),
    ]
    return torch.stack(basis, -1)


@checked
def at_moment(
    mean_m: Float[Tensor, "n 3"],
    opacity: Float[Tensor, " n"],
    velocity_mps: Float[Tensor, "n 3"],
    time_s: Float[Tensor, " n"],
    duration_s: Float[Tensor, " n"],
    at_s: float,
) -> tuple[Float[Tensor, "n 3"], Float[Tensor, " n"]]:
    """Where the splats stand at a moment, and how opaque they are then; see docs/conventions.md."""
    dt = (at_s - time_s.double()).to(mean_m.dtype)
    return mean_m + velocity_mps * dt[:, None], opacity * torch.exp(-((dt / duration_s) ** 2) / 2)


@checked
def project(
    mean_m: Float[Tensor, "n 3"],
    quat_wxyz: Float[Tensor, "n 4"],
    scale_m: Float[Tensor, "n 3"],
    K: Float[Tensor, "3 3"],
    world_from_cam: Float[Tensor, "4 4"],
    hw: tuple[int, int],
    eps2d_px: float,
) -> tuple[Float[Tensor, "n 2"], Float[Tensor, "n 2 2"], Float[Tensor, " n"], Float[Tensor, " n"]]:
    """EWA projection (Zwicker et al., 2001) as 3D Gaussian splatting and gsplat do it.

    Splats that are not in front of the camera get numbers that mean nothing.

    Returns:
        Centres in pixels, covariances in square pixels after the low-pass filter, distances along the
        optical axis, and the factors on the opacities (Mip-Splatting, Yu et al., 2024, eq. 8).
    """
    W, eye = world_from_cam[:3, :3].mT, world_from_cam[:3, 3]
    x, y, z = ((mean_m - eye) @ W.mT).unbind(-1)
    z = torch.where(z > 0, z, 1.0)
    fx, skew, cx, fy, cy = K[0, 0], K[0, 1], K[0, 2], K[1, 1], K[1, 2]
    centre = torch.stack([fx * x / z + skew * y / z + cx, fy * y / z + cy], -1)
    # The Jacobian is taken at most 15 % of the picture beyond its edges.
    h, w = hw
    u = (x / z).clamp(-(cx + 0.15 * w) / fx, (1.15 * w - cx) / fx)
    v = (y / z).clamp(-(cy + 0.15 * h) / fy, (1.15 * h - cy) / fy)
    zero = torch.zeros_like(z)
    J = torch.stack([fx / z, skew / z, -(fx * u + skew * v) / z, zero, fy / z, -fy * v / z], -1).unflatten(-1, (2, 3))
    spread = J @ W @ _rotation(quat_wxyz) * scale_m[:, None]
    sharp = spread @ spread.mT
    covariance = sharp + eps2d_px * torch.eye(2, dtype=sharp.dtype)
    # The determinant is |a x b|^2 of the two rows of `spread`: a difference of products would cancel.
    sharp_det = torch.linalg.cross(spread[:, 0], spread[:, 1]).square().sum(-1)
    det = sharp_det + eps2d_px * (sharp[:, 0, 0] + sharp[:, 1, 1]) + eps2d_px**2
    return centre, covariance, z, (sharp_det / det).sqrt()


def _rotation(quat_wxyz: Tensor) -> Tensor:
    w, x, y, z = quat_wxyz.unbind(-1)
    rows = [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)]
    rows += [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)]
    rows += [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)]
    return torch.stack(rows, -1).unflatten(-1, (3, 3))


@checked
def blend(
    offset_px: Float[Tensor, "p n 2"],
    conic: Float[Tensor, "n 2 2"],
    opacity: Float[Tensor, " n"],
) -> tuple[Float[Tensor, "p n"], Bool[Tensor, "p n"]]:
    """Weights of splats, nearest first, in pixels; and where each makes a pixel more than half covered.

    Args:
        offset_px: From each splat's centre to each pixel's.
        conic: Inverse covariances.
        opacity: After filtering.
    """
    power = torch.einsum("pni,nij,pnj->pn", offset_px, conic, offset_px) / 2
    alpha = (opacity * torch.exp(-power)).clamp(max=ALPHA_MAX)
    alpha = torch.where(alpha >= ALPHA_MIN, alpha, 0.0)
    after = torch.cumprod(1 - alpha, 1)
    before = torch.cat([torch.ones_like(after[:, :1]), after[:, :-1]], 1)
    # Once closed it stays closed: what is left after the last splat that counted only falls from there.
    weight = torch.where(before >= CLOSED, before * alpha, 0.0)
    return weight, (before >= 0.5) & (after < 0.5)


@checked
def rasterize(
    mean_m: Float[Tensor, "n 3"],
    quat_wxyz: Float[Tensor, "n 4"],
    scale_m: Float[Tensor, "n 3"],
    opacity: Float[Tensor, " n"],
    colour: Float[Tensor, "n k 3"],
    velocity_mps: Float[Tensor, "n 3"],
    time_s: Float[Tensor, " n"],
    duration_s: Float[Tensor, " n"],
    K: Float[Tensor, "3 3"],
    world_from_cam: Float[Tensor, "4 4"],
    h: int,
    w: int,
    at_s: float,
    eps2d_px: float,
    near_m: float,
) -> tuple[
    Float[Tensor, "{h} {w} 3"],
    Float[Tensor, "{h} {w}"],
    Float[Tensor, "{h} {w}"],
    Float[Tensor, "{h} {w}"],
    Int[Tensor, "{h} {w}"],
]:
    """Same arguments and results as the operator ``fourd::rasterize``."""
    mean_m, opacity = at_moment(mean_m, opacity, velocity_mps, time_s, duration_s, at_s)
    depth = (mean_m - world_from_cam[:3, 3]) @ world_from_cam[:3, 2]
    centre, covariance, _, factor = project(mean_m, quat_wxyz, scale_m, K, world_from_cam, (h, w), eps2d_px)
    opacity = opacity * factor
    seen = ((depth > near_m) & (opacity >= ALPHA_MIN)).nonzero()[:, 0]
    order = seen[depth[seen].argsort(stable=True)]

    view = torch.nn.functional.normalize(mean_m - world_from_cam[:3, 3], dim=-1)
    rgb = 0.5 + torch.einsum("nk,nkc->nc", sh_basis(view)[:, : colour.shape[1]], colour)
    features = torch.cat([rgb.clamp(min=0), depth[:, None]], -1)[order]
    centre, conic, opacity = centre[order], torch.linalg.inv(covariance[order]), opacity[order]

    rows, columns = torch.arange(h) + 0.5, torch.arange(w) + 0.5
    pixels = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), -1).reshape(-1, 2).to(centre.dtype)
    parts = []
    for some in pixels.split(max(_PIXELS_AT_ONCE // max(len(order), 1), 1)):
        if len(order) == 0:
            empty = some.new_zeros(len(some), 6)
            parts.append((empty, torch.full((len(some),), -1)))
            continue
        weight, halfway = blend(some[:, None] - centre, conic, opacity)
        alpha, sums = weight.sum(1), weight @ features
        mean_depth = sums[:, 3] / torch.where(alpha > 0, alpha, 1.0)
        median = (halfway * features[:, 3]).sum(1)
        best, index = weight.max(1)
        parts.append(
            (
                torch.cat([sums[:, :3], alpha[:, None], mean_depth[:, None], median[:, None]], -1),
                torch.where(best > 0, order[index], -1),
            )
        )
    maps, index = (torch.cat(part) for part in zip(*parts, strict=True))
    maps = maps.reshape(h, w, 6)
    return maps[..., :3], maps[..., 3], maps[..., 4], maps[..., 5], index.reshape(h, w).int()
