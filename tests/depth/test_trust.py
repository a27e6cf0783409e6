"""Confidence grows with agreement and with how a depth came about."""

from __future__ import annotations

import numpy as np

from fourd.depth import prior, steady, trust
from fourd.depth.common import Rig
from tests.depth import planes

AGREED = np.linspace(0, 1, 50, dtype=np.float32).reshape(5, 10)
ALL, NONE = np.ones((5, 10), bool), np.zeros((5, 10), bool)


def test_the_more_agree_the_surer_and_what_was_measured_most() -> None:
    measured = trust.confidence(AGREED, ALL, NONE)
    plane = trust.confidence(AGREED, NONE, ALL)
    some = NONE.copy()
    some[0] = True  # A fifth is measured: the guess beside it is tied to that.
    guessed = trust.confidence(AGREED, some, NONE)[1:]
    for kind in (measured, plane, guessed):
        assert (np.diff(kind.ravel()) >= 0).all()
        assert 0 < kind.min() <= kind.max() < 1
    # Measured shares are not smooth; they cross by a hundredth or two.
    assert (measured[1:] >= plane[1:] - 0.03).all() and (plane[1:] >= guessed).all()


def test_where_nothing_was_measured_agreement_of_guesses_means_nothing() -> None:
    np.testing.assert_allclose(trust.confidence(AGREED, NONE, NONE), prior.CONFIDENCE, rtol=1e-6)


def test_agreement_counts_those_who_see_the_same() -> None:
    world = planes.wall()
    rig = Rig.of(world.cameras, world.clip.hw)
    rho = [(1 / d).astype(np.float32) for d in world.depth_m]
    right = steady.agreement(rig, 4, rho, rho)
    # Frame 4 of nine asks six others: two are eight away, beyond the clip.
    np.testing.assert_allclose(right[:, 40:56], 6.5 / 7, rtol=1e-6)
    one_wrong = [r * 1.3 if i == 3 else r for i, r in enumerate(rho)]
    np.testing.assert_allclose(steady.agreement(rig, 4, rho, one_wrong)[:, 40:56], 5.5 / 7, rtol=1e-6)
    alone = [0.5 * r if i != 4 else r for i, r in enumerate(rho)]
    np.testing.assert_allclose(steady.agreement(rig, 4, rho, alone)[:, 40:56], 0.5 / 7, rtol=1e-6)
