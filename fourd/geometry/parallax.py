"""What cameras that are known make of where pixels go: the depth at which a still world would fit.

A pixel of a still world has one depth, and with that depth all frames into which it can be followed
agree. The inverse depth q that fits best has a closed form, because the point at depth 1 / q along a
ray lies at ``R ray + q t`` in another camera, up to a factor. A camera that stands or turns is the
same case: there nothing depends on q.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fourd.geometry.correspondence import Chains
from fourd.geometry.pinhole import pixel_grid, rays
from fourd.types import Cameras

OFFSETS = (1, 2, 4, 8)
"""Frames ahead and behind that are asked."""
NOISE_PX = 0.35
"""Error of flow from frame to frame; over several it grows with the root of their number."""
NOISE_SHARE = 0.02
"""Error of flow as a share of its length."""
_NEAREST = 3.0
"""Nothing is nearer than the nearest twentieth of the pixels by more than this factor."""


@dataclass(frozen=True, eq=False)
class Still:
    """What n other frames say of the pixels of one, were the world still."""

    e: Float[Tensor, "n h w 2"]
    """Each says ``e + q d = 0``, in pixels."""
    d: Float[Tensor, "n h w 2"]
    noise_px: Float[Tensor, "n h w"]
    """Standard deviation of ``e``."""
    followed: Bool[Tensor, "n h w"]
    ahead: Bool[Tensor, " n"]
    """Whether the frame lies ahead and not behind."""

    @property
    def heard(self) -> Bool[Tensor, "h w"]:
        """Where at least one frame says something."""
        return self.followed.any(0)

    def inverse_depth(self) -> tuple[Float[Tensor, "h w"], Float[Tensor, "h w"]]:
        """The q that fits best and its standard deviation, infinite where nothing depends on q.

        It is not negative, and not so large that the point would be much nearer than all that is
        near: what moves on its own often asks for such a depth.
        """
        weight = (self.followed / self.noise_px**2)[..., None]
        pull = (weight * self.e * self.d).sum((0, -1))
        stiffness = (weight * self.d**2).sum((0, -1))
        known = stiffness > 1e-12
        safe = torch.where(known, stiffness, 1.0)
        q = torch.where(known, -pull / safe, 0.0).clamp(min=0)
        sigma = torch.where(known, safe.rsqrt(), torch.inf)
        told = q[q > 3 * sigma]
        most = _NEAREST * float(told.quantile(0.95)) if 100 < len(told) < 16_000_000 else 0.0
        return q.clamp(max=most), sigma

    def excess(self, q: Float[Tensor, "h w"], q_error: float = 0.0) -> Float[Tensor, "h w"]:
        """Root mean square of the residuals with inverse depth q, in units of their noise; 0 where unheard.

        It is taken over the frames ahead and over those behind, and the smaller one counts: what is
        covered or uncovered is followed wrongly in one direction of time, what moves in both.

        Args:
            q: Inverse depth.
            q_error: Its relative error, which adds to the noise.
        """
        residual = _length(self.e + q[..., None] * self.d)
        noise = (self.noise_px**2 + (q_error * q * _length(self.d)) ** 2).sqrt() if q_error else self.noise_px
        # Nothing is more than thirty times out: one frame must not drown what the others say.
        squares = (residual / noise).clamp(max=30) ** 2 * self.followed
        sides = []
        for side in (self.ahead, ~self.ahead):
            count = self.followed[side].sum(0)
            sides.append(torch.where(count > 0, squares[side].sum(0) / count.clamp(min=1), torch.inf))
        smaller = torch.minimum(*sides)
        return torch.where(torch.isfinite(smaller), smaller, 0.0).sqrt()


def still_world(chains: tuple[Chains, ...], cameras: Cameras, i: int, offsets: tuple[int, ...] = OFFSETS) -> Still:
    """Ask the frames around frame ``i`` what they say of its pixels.

    Args:
        chains: Flow forward and backward.
        cameras: Of the size of the chains' maps.
        i: The frame.
        offsets: How many frames ahead and behind to ask, powers of two.
    """
    hw = cameras.hw
    ray, grid = rays(cameras.K[i], hw), pixel_grid(hw)
    focal = float(cameras.K[i, :2, :2].diagonal().mean())
    here = cameras.world_from_cam[i]
    asked = [(chain, steps, j) for chain in chains for steps in offsets if (j := chain.reach(i, steps)) is not None]
    e, d = (torch.empty(len(asked), *hw, 2) for _ in range(2))
    noise_px, followed = torch.empty(len(asked), *hw), torch.empty(len(asked), *hw, dtype=torch.bool)
    for k, (chain, steps, j) in enumerate(asked):
        flow, followed[k] = chain(i, steps)
        K, there = cameras.K[j], cameras.world_from_cam[j]
        seen = (grid + flow - K[:2, 2]) / K.diagonal()[:2]
        a = focal * (ray @ (there[:3, :3].mT @ here[:3, :3]).mT)
        b = focal * (there[:3, :3].mT @ (here[:3, 3] - there[:3, 3]))
        torch.addcmul(a[..., :2], seen, a[..., 2:], value=-1, out=e[k])
        torch.addcmul(b[:2], seen, b[2], value=-1, out=d[k])
        noise_px[k] = (NOISE_PX**2 * steps + NOISE_SHARE**2 * (flow[..., 0] ** 2 + flow[..., 1] ** 2)).sqrt()
    return Still(e, d, noise_px, followed, torch.tensor([j > i for _, _, j in asked], dtype=torch.bool))


def _length(pairs: Float[Tensor, "*batch 2"]) -> Float[Tensor, "*batch"]:
    """Lengths of pairs; torch's own norm takes ten times as long over so few numbers."""
    return (pairs[..., 0] ** 2 + pairs[..., 1] ** 2).sqrt()
