"""What refinement may change about splats, in units in which one step size suits all, and Adam for part of them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Int64
from torch import Tensor

from fourd.types import Splats

RATES = {"place": 0.02, "size": 0.02, "turn": 0.005, "opacity": 0.05, "colour": 0.02, "velocity": 0.01}
"""Length of a first step of each parameter: place and velocity (over the life) in the splat's own widths, sizes as
logarithms, opacity as a logit, the turn as a change of the unit quaternion, colour as coefficients."""

_BETA1, _BETA2 = 0.9, 0.99
_ALIVE = 3.3
"""A splat this many durations from its time has less than 1/255 of its opacity."""


class Parameters:
    """Splats as numbers to learn. A picture shows few of all splats, so moments are kept and advanced row by row."""

    def __init__(self, splats: Splats) -> None:
        n, self.start = len(splats), splats
        self.width_m = splats.scale_m.sort(dim=1).values[:, 1:].prod(1).sqrt()[:, None]
        lives = torch.isfinite(splats.duration_s)
        self.per_s = torch.where(lives, 1 / splats.duration_s, 0.0)[:, None]
        zeros = torch.zeros_like(splats.mean_m)
        self.value = {
            "place": zeros,
            "size": zeros.clone(),
            "turn": torch.zeros_like(splats.quat_wxyz),
            "opacity": torch.logit(splats.opacity.clamp(1e-3, 0.999)),
            "colour": splats.colour.clone(),
            "velocity": zeros.clone(),
        }
        self._first = {name: torch.zeros_like(value) for name, value in self.value.items()}
        self._second = {name: torch.zeros_like(value) for name, value in self.value.items()}
        self.count = torch.zeros(n, dtype=torch.int32, device=zeros.device)
        """How many pictures each splat was learnt from."""
        self.asked = torch.zeros_like(self.count)
        """How many of the pictures were taken while it lived."""

    def alive(self, time_s: float) -> Int64[Tensor, " m"]:
        """Which splats live at a moment."""
        age = (time_s - self.start.time_s.double()).float() / self.start.duration_s
        return torch.nonzero(age.abs() < _ALIVE)[:, 0]

    def leaves(self, rows: Int64[Tensor, " m"]) -> dict[str, Tensor]:
        """Copies of some rows, to take gradients by."""
        return {name: value[rows].requires_grad_() for name, value in self.value.items()}

    def splats(self, rows: Tensor | slice = slice(None), value: dict[str, Tensor] | None = None) -> Splats:
        """Some of the splats as they are now, or as ``value`` says."""
        s = self.start
        v = {name: every[rows] for name, every in self.value.items()} if value is None else value
        width_m = self.width_m[rows]
        return Splats(
            mean_m=s.mean_m[rows] + v["place"] * width_m,
            quat_wxyz=F.normalize(s.quat_wxyz[rows] + v["turn"], dim=1),
            scale_m=s.scale_m[rows] * torch.exp(v["size"]),
            opacity=torch.sigmoid(v["opacity"]),
            colour=v["colour"],
            velocity_mps=s.velocity_mps[rows] + v["velocity"] * width_m * self.per_s[rows],
            time_s=s.time_s[rows],
            duration_s=s.duration_s[rows],
            source=s.source[rows],
        )

    @torch.no_grad()
    def learn(self, rows: Int64[Tensor, " m"], leaves: dict[str, Tensor], pace: float) -> None:
        """One step of Adam (Kingma and Ba, 2015) for the splats that the picture showed.

        Args:
            rows: Which splats ``leaves`` are.
            leaves: With their gradients.
            pace: Share of ``RATES`` to go.
        """
        self.asked[rows] += 1
        shown = _changed(leaves["colour"])
        rows = rows[shown]
        self.count[rows] += 1
        steps = self.count[rows].double()
        unbias1, unbias2 = (1 / (1 - _BETA1**steps)).float(), (1 / (1 - _BETA2**steps)).float().sqrt()
        for name, leaf in leaves.items():
            if leaf.grad is None:
                continue
            slope = leaf.grad[shown]
            shape = (-1,) + (1,) * (slope.ndim - 1)
            first = self._first[name][rows].lerp_(slope, 1 - _BETA1)
            second = self._second[name][rows].lerp_(slope * slope, 1 - _BETA2)
            self._first[name][rows], self._second[name][rows] = first, second
            step = first * unbias1.view(shape) / (second.sqrt() * unbias2.view(shape) + 1e-12)
            self.value[name][rows] -= pace * RATES[name] * step

    def snapshot(self) -> dict[str, Tensor]:
        """What has been learnt so far."""
        return {name: value.clone() for name, value in self.value.items()}

    def restore(self, snapshot: dict[str, Tensor]) -> None:
        """Go back to what had been learnt."""
        self.value = snapshot

    def never_shown(self) -> Bool[Tensor, " n"]:
        """Splats that no picture showed, though some were taken while they lived."""
        return (self.asked > 0) & (self.count == 0)


def _changed(leaf: Tensor) -> Bool[Tensor, " m"]:
    grad = leaf.grad
    assert grad is not None  # Colour always has a part in a picture.
    return grad.abs().amax((1, 2)) > 0
