"""What refinement may change about splats, in units in which one step size suits all, and Adam for part of them."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from fourd.geometry import rigid
from fourd.types import Splats

RATES = {"place": 0.02, "size": 0.02, "turn": 0.005, "opacity": 0.05, "velocity": 0.01, "colour": 0.02}
"""Length of a first step of each parameter: place and velocity (over the life) in the splat's own widths, sizes as
logarithms, opacity as a logit, the turn as a change of the unit quaternion, colour as coefficients."""

_WIDTHS = {"place": 3, "size": 3, "turn": 4, "opacity": 1, "velocity": 3}
"""Columns of each parameter; the colour has the rest."""
_OPACITY, _COLOUR = 10, sum(_WIDTHS.values())
"""Where these two begin."""
_BY_SPLAT = ("_width_m", "_width_mps", "_value", "_first", "_second", "_count", "_asked", "_pull")
_BETA1, _BETA2 = 0.9, 0.99
_APART = 0.6
"""Distance of each half from the middle of the whole, in its standard deviations."""
_ALIVE = 3.3
"""A splat this many durations from its time has less than 1/255 of its opacity."""


class Parameters:
    """Splats as numbers to learn, one row each: a picture shows few of them, and only their rows are touched."""

    def __init__(self, splats: Splats) -> None:
        n, k, self.start = len(splats), splats.colour.shape[1], splats
        self._width_m = splats.scale_m.sort(dim=1).values[:, 1:].prod(1).sqrt()[:, None]
        lives = torch.isfinite(splats.duration_s)
        self._width_mps = self._width_m * torch.where(lives, 1 / splats.duration_s, 0.0)[:, None]
        self._widths = [*_WIDTHS.values(), 3 * k]
        value = splats.mean_m.new_zeros((n, sum(self._widths)))
        value[:, _OPACITY] = torch.logit(splats.opacity.clamp(1e-3, 0.999))
        value[:, _COLOUR:] = splats.colour.reshape(n, 3 * k)
        self._value, self._first, self._second = value, torch.zeros_like(value), torch.zeros_like(value)
        rates = [RATES[name] for name in (*_WIDTHS, "colour")]
        self._rates = torch.repeat_interleave(value.new_tensor(rates), torch.tensor(self._widths, device=value.device))
        self._count = torch.zeros(n, dtype=torch.int32, device=value.device)
        """How many pictures each splat was learnt from."""
        self._asked = torch.zeros_like(self._count)
        """How many pictures were taken while it lived."""
        self._pull = value.new_zeros(n)
        """How hard pictures pulled at its place, in all."""

    def alive(self, time_s: float) -> Int64[Tensor, " m"]:
        """Which splats live at a moment."""
        age = (time_s - self.start.time_s.double()).float() / self.start.duration_s
        return torch.nonzero(age.abs() < _ALIVE)[:, 0]

    def rows(self, index: Int64[Tensor, " m"]) -> Float[Tensor, "m c"]:
        """A copy of some rows, to take gradients by."""
        return self._value.index_select(0, index).requires_grad_()

    def splats(self, index: Tensor | None = None, rows: Tensor | None = None) -> Splats:
        """Some of the splats, or all, as they are now or as ``rows`` says."""
        s = self.start

        def some(values: Tensor) -> Tensor:
            return values if index is None else values.index_select(0, index)

        place, size, turn, opacity, velocity, colour = (some(self._value) if rows is None else rows).split(
            self._widths, 1
        )
        return Splats(
            mean_m=torch.addcmul(some(s.mean_m), place, some(self._width_m)),
            quat_wxyz=F.normalize(some(s.quat_wxyz) + turn, dim=1),
            scale_m=some(s.scale_m) * torch.exp(size),
            opacity=torch.sigmoid(opacity[:, 0]),
            colour=colour.reshape(len(colour), -1, 3),
            velocity_mps=torch.addcmul(some(s.velocity_mps), velocity, some(self._width_mps)),
            time_s=some(s.time_s),
            duration_s=some(s.duration_s),
            source=some(s.source),
        )

    def strayed(self, rows: Float[Tensor, "m c"]) -> Float[Tensor, ""]:
        """Mean over splats of the squared change of place and size."""
        return (rows[:, :6] ** 2).sum() / max(1, len(rows))

    @torch.no_grad()
    def learn(self, index: Int64[Tensor, " m"], rows: Float[Tensor, "m c"], pace: float) -> None:
        """One step of Adam (Kingma and Ba, 2015) for the splats that the picture showed.

        Args:
            index: Which splats ``rows`` are.
            rows: As they were used, with their gradient.
            pace: Share of ``RATES`` to go.
        """
        assert rows.grad is not None  # Colour always has a part in a picture.
        self._asked.index_add_(0, index, torch.ones_like(index, dtype=torch.int32))
        shown = torch.nonzero((rows.grad[:, _COLOUR:] != 0).any(1))[:, 0]
        index, slope = index[shown], rows.grad.index_select(0, shown)
        count = self._count.index_select(0, index) + 1
        self._count.index_copy_(0, index, count)
        self._pull.index_add_(0, index, slope[:, :3].norm(dim=1))
        first = self._first.index_select(0, index).lerp_(slope, 1 - _BETA1)
        second = self._second.index_select(0, index).lerp_(slope.square_(), 1 - _BETA2)
        self._first.index_copy_(0, index, first)
        self._second.index_copy_(0, index, second)
        # The corrections of both moments, from a table: pictures are few, splats many.
        k = torch.arange(1, int(count.max()) + 1, dtype=torch.float64) if len(count) else torch.ones(1).double()
        table = ((1 - _BETA2**k).sqrt() / (1 - _BETA1**k)).float().to(first.device)
        step = first.mul_(table[count.long() - 1, None]).div_(second.sqrt_().add_(1e-12)).mul_(self._rates)
        self._value.index_copy_(0, index, rows.detach().index_select(0, shown).sub_(step, alpha=pace))

    @torch.no_grad()
    def divide(self, most: int) -> None:
        """Put two splats in the place of each of those that pictures pulled at hardest.

        Both halves together spread as the whole did, along its longest axis. They learn on from there.

        Args:
            most: How many splats this may add.
        """
        index = self._pull.topk(min(most, int((self._pull > 0).sum()))).indices.sort().values
        if len(index) == 0:
            return
        whole = self.splats(index)
        longest = F.one_hot(whole.scale_m.argmax(1), 3).to(whole.scale_m.dtype)
        way_m = (rigid.matrix_from_quat(whole.quat_wxyz) @ (longest * whole.scale_m)[..., None])[..., 0] * _APART
        half = whole.replace(scale_m=whole.scale_m * (1 - longest * (1 - (1 - _APART**2) ** 0.5)))
        kept = torch.ones(len(self._pull), dtype=torch.bool, device=index.device)
        kept[index] = False
        halves = Parameters(
            Splats.concat([half.replace(mean_m=whole.mean_m + way_m), half.replace(mean_m=whole.mean_m - way_m)])
        )
        for name in _BY_SPLAT:
            setattr(self, name, torch.cat([getattr(self, name)[kept], getattr(halves, name)]))
        self.start = Splats.concat([self.start[kept], halves.start])

    def snapshot(self) -> Parameters:
        """What has been learnt so far, to be gone back to."""
        twin = copy.copy(self)
        twin._value = self._value.clone()
        return twin

    def never_shown(self) -> Bool[Tensor, " n"]:
        """Splats that no picture showed, though some were taken while they lived."""
        return (self._asked > 0) & (self._count == 0)
