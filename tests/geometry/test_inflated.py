"""Outlines become bodies: a disc a ball, a strip a bar, and what is cut off goes on."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from fourd.geometry.inflated import inflated

ROW, COLUMN = torch.meshgrid(torch.arange(96.0), torch.arange(128.0), indexing="ij")
NOTHING = torch.zeros(96, 128, dtype=torch.bool)
FLAT = torch.ones(96, 128)


def _disc(radius: float, row: float = 47.5, column: float = 63.5) -> tuple[Tensor, Tensor]:
    away = torch.hypot(ROW - row, COLUMN - column)
    return away < radius, away


def test_a_disc_becomes_a_ball() -> None:
    body, away = _disc(30.0)
    half = inflated(FLAT, body, NOTHING)
    # Poisson's equation with 3 on the right, in a disc: the root of 3/4 of what a ball is thick.
    ball = (0.75 * (30.0**2 - away**2).clamp(min=0)).sqrt()
    inner = away < 28
    assert float((half - ball)[inner].abs().max()) < 1.5  # Pixels; measured 0.9. An outline of pixels is ragged.
    assert bool((half[~body] == 0).all())


def test_twice_the_size_is_twice_as_thick() -> None:
    small, large = (float(inflated(FLAT, _disc(r)[0], NOTHING).max()) for r in (20.0, 40.0))
    assert large == pytest.approx(2 * small, rel=0.03)


def test_turned_pictures_give_turned_bodies() -> None:
    body = ((ROW - 40).abs() < 20) & ((COLUMN - 70).abs() < 11)
    half = inflated(FLAT, body, NOTHING)
    turned = inflated(FLAT.T.contiguous(), body.T.contiguous(), NOTHING.T.contiguous())
    torch.testing.assert_close(turned.T, half, rtol=0.02, atol=0.05)


def test_a_strip_goes_on_past_both_borders() -> None:
    half = inflated(FLAT, (ROW - 47.5).abs() < 15, NOTHING)
    assert float(half[47, 64]) == pytest.approx(15 * 1.5**0.5, rel=0.15)
    assert float(half[47, 0]) > 0.9 * float(half[47, 64])


def test_where_something_nearer_hides_it_a_body_goes_on() -> None:
    whole, _ = _disc(30.0)
    left = whole & (COLUMN < 64)
    cut, hidden = inflated(FLAT, left, NOTHING), inflated(FLAT, left, COLUMN >= 64)
    full = inflated(FLAT, whole, NOTHING)
    assert float(cut[47, 63]) < 0.35 * float(full[47, 63])
    torch.testing.assert_close(hidden[30:66, 40:64], full[30:66, 40:64], rtol=0.08, atol=0)


def test_a_border_that_cuts_off_a_cap_leaves_little_beyond_it() -> None:
    # Two pixels of the ball are missing; a picture that ends at its middle cuts off half of it.
    cap, middle = (inflated(FLAT, _disc(30.0, column=c)[0], NOTHING) for c in (127.5 - 28, 127.5))
    assert float(cap[47, -1]) < 0.65 * float(cap.max())  # Measured 0.57; the ball itself has 0.36 there.
    assert float(middle[47, -1]) > 0.9 * float(middle.max())


def test_a_jump_in_depth_parts_two_bodies() -> None:
    body, _ = _disc(30.0)
    depth = torch.where(COLUMN < 64, 1.0, 2.0)
    half = inflated(depth, body, NOTHING)
    assert float(half[47, 63]) < 0.35 * float(half[47, 40]), "the nearer one ends there"
    assert float(half[47, 64]) > 0.9 * float(half[47, 80]), "the farther one goes on behind it"


def test_nothing_is_as_thick_as_nothing() -> None:
    assert bool((inflated(FLAT, NOTHING, NOTHING) == 0).all())
    everything = inflated(FLAT, ~NOTHING, NOTHING)
    assert bool(everything.isfinite().all())
