"""What the kernels of ``bundle.py`` compute, plainly: derivatives by torch, and equations with everything in them."""

from __future__ import annotations

import torch
from jaxtyping import Float64
from torch import Tensor

from fourd.native.bundle import LENS, Guess, Observations

_NEAREST, _BEHIND_PX, _LEAST_ROOT = 1e-6, 50.0, 0.05


def residual(seen: Observations, guess: Guess) -> Float64[Tensor, "m 2"]:
    """Where every point is projected less where it was observed; 50 where it is behind the camera."""
    return _residual(seen, guess, guess.pose, guess.X, torch.zeros(LENS, dtype=torch.float64))


def _residual(seen: Observations, guess: Guess, pose: Tensor, X: Tensor, lens: Tensor) -> Tensor:
    Y = (pose[seen.frame] @ X[seen.point, :, None])[..., 0]
    front = Y[:, 2:] > _NEAREST
    place = guess.focal * lens[0].exp() * Y[:, :2] / torch.where(front, Y[:, 2:], 1.0)
    s = (place**2).sum(1, keepdim=True) / guess.half_px**2
    factor = 2 / (1 + (1 - 4 * (guess.bend + lens[1]) * s).clamp(min=_LEAST_ROOT**2).sqrt())
    return torch.where(front, factor * place - seen.xy, _BEHIND_PX)


def jacobian(
    seen: Observations, guess: Guess, basis: Float64[Tensor, "n 4 3"], per_camera: int
) -> tuple[Float64[Tensor, "m2 u"], Float64[Tensor, "m2 n3"]]:
    """Derivatives of all residuals by cameras and lens, and by points; zero where a point is behind its camera."""
    n, t = len(guess.X), len(guess.pose)

    def moved(cameras: Tensor, lens: Tensor, points: Tensor) -> Tensor:
        turn, shift = cameras[:, :3], cameras[:, 3:]
        R = guess.pose[:, :, :3]
        R = R + torch.linalg.cross(turn[:, :, None].expand_as(R), R, dim=1)  # To the first order.
        at = guess.pose[:, :, 3] + (shift if per_camera == 6 else 0)
        X = guess.X + (basis @ points[..., None])[..., 0]
        return _residual(seen, guess, torch.cat([R, at[:, :, None]], 2), X, lens).flatten()

    zeros = [torch.zeros(size, dtype=torch.float64) for size in ((t, per_camera), (LENS,), (n, 3))]
    cameras, lens, points = torch.autograd.functional.jacobian(moved, tuple(zeros))
    return torch.cat([cameras.flatten(1), lens], 1), points.flatten(1)


def damped(matrix: Float64[Tensor, "u u"], damping: float) -> Float64[Tensor, "u u"]:
    """A matrix with a share of its diagonal (of 1e-6 at least) added to it, and 1e-9."""
    return matrix + torch.diag(damping * matrix.diagonal().clamp(min=1e-6) + 1e-9)


def reduced(
    U: Float64[Tensor, "u u"], V: Float64[Tensor, "n3 n3"], W: Float64[Tensor, "n3 u"], damping: float
) -> Float64[Tensor, "u u"]:
    """The Schur complement of the points."""
    return damped(U, damping) - W.T @ torch.linalg.solve(damped(V, damping), W)


def step(J: Float64[Tensor, "m2 k"], r: Float64[Tensor, " m2"], damping: float, free: Tensor) -> Float64[Tensor, " k"]:
    """The damped step of all unknowns that are free; the others stay."""
    out = J.new_zeros(J.shape[1])
    A = damped(J.T @ J, damping)[free][:, free]
    out[free] = -torch.linalg.solve(A, (J.T @ r)[free])
    return out
