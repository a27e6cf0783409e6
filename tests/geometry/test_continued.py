"""Surfaces go on as planes: exactly where they are planes, and never by what they are not attached to."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fourd.geometry.continued import REACH, attached, continued

HW = (60, 80)
Y, X = (v.float() for v in torch.meshgrid(torch.arange(HW[0]), torch.arange(HW[1]), indexing="ij"))


def _plane(level: float, x: float, y: float) -> torch.Tensor:
    return level * (1 + x * X / 80 + y * Y / 60)


@given(level=st.floats(0.01, 100), x=st.floats(-0.4, 0.4), y=st.floats(-0.4, 0.4))
@settings(max_examples=10, deadline=None)
def test_a_plane_goes_on_exactly_beyond_the_border(level: float, x: float, y: float) -> None:
    truth = _plane(level, x, y)
    known = torch.zeros(HW, dtype=torch.bool)
    known[:, 20:] = True
    flat = torch.where(known, truth, truth[:, 20:21].expand(HW))  # Filled level, as the nearest pixel is.
    result = continued(flat, known, ~known)
    # Slopes are held back a little, which matters most in the far corner: measured at most 2.6 % over these slopes.
    torch.testing.assert_close(result, truth, rtol=0.03, atol=0)
    assert torch.equal(result[known], truth[known])


def test_behind_a_foreground_the_background_goes_on() -> None:
    truth = _plane(0.2, 0.3, 0.5)
    foreground = X >= 50
    picture = torch.where(foreground, 1.0, truth)
    hole = (X >= 30) & ~foreground
    known = ~hole
    filled = torch.where(hole, truth[:, 29:30].expand(HW), picture)
    joined = attached(filled, known, hole)
    assert bool(joined[:, 28:30].all()) and int(joined.sum()) == 2 * HW[0], "the foreground is no part of it"
    torch.testing.assert_close(continued(filled, known, hole)[hole], truth[hole], rtol=0.02, atol=0)


def test_rough_surfaces_are_not_carried_away() -> None:
    noise = torch.rand(HW, generator=torch.Generator().manual_seed(0))
    picture = 0.5 * (1 + 0.3 * (noise - 0.5))
    known = X >= 40
    filled = torch.where(known, picture, 0.5)
    result = continued(filled, known, ~known)[~known]
    assert float(result.min()) > 0.4 and float(result.max()) < 0.6


def test_nothing_comes_nearer_than_its_reach() -> None:
    truth = _plane(1.0, -0.97, 0.0)  # It falls so fast that beyond the border it would be at infinity.
    known = X < 60
    filled = torch.where(known, truth, truth[:, 59:60].expand(HW))
    result = continued(filled, known, ~known)
    assert bool((result >= filled / REACH - 1e-6).all()) and bool((result <= filled * REACH + 1e-6).all())


def test_a_filling_that_is_attached_to_nothing_stays_as_it_was() -> None:
    filled = torch.full(HW, 0.5)
    nothing = torch.zeros(HW, dtype=torch.bool)
    assert torch.equal(continued(filled, nothing, ~nothing), filled)
    known = X >= 40
    apart = torch.where(known, 5.0, filled)
    assert torch.equal(continued(apart, known, ~known), apart)
    assert torch.equal(continued(filled, ~nothing, nothing), filled), "no hole"
