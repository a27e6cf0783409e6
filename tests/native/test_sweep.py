"""The sweep's kernels against their plain twins, and what each must do by itself."""

from __future__ import annotations

import math

import pytest
import torch

from fourd.errors import InputError
from fourd.native import sweep, sweep_reference

pytestmark = pytest.mark.needs("native")

OPS = torch.ops.fourd


def sweep_case(h: int, w: int, n: int, d: int, seed: int = 0) -> tuple:
    """Random pictures, valid but for some pixels, and cameras that turn and travel a little."""
    g = torch.Generator().manual_seed(seed)
    pictures = torch.rand((n + 1, h, w, 4), generator=g)
    pictures[..., 3] = (torch.rand((n + 1, h, w), generator=g) > 0.1).float()
    turn = torch.eye(3) + 0.02 * torch.randn((n, 3, 3), generator=g) * torch.tensor(
        [[1.0, 1, 30], [1, 1, 30], [0, 0, 1]]
    )
    turn[:, 2, :2] *= 0.01
    shift = torch.randn((n, 3), generator=g) * torch.tensor([6.0, 6, 0.5])
    return pictures[0], pictures[1:], turn, shift, torch.linspace(0, 1.5, d), 0.75


def match_case(h: int, w: int, d: int, seed: int = 0) -> tuple:
    g = torch.Generator().manual_seed(seed)
    cost = torch.randint(0, 256, (h, w, d), generator=g, dtype=torch.uint8)
    across = torch.randint(0, 60, (h, max(w - 1, 0)), generator=g, dtype=torch.int16)
    down = torch.randint(0, 60, (max(h - 1, 0), w), generator=g, dtype=torch.int16)
    return cost, across, down, 7


def smooth_case(n: int, h: int, w: int, seed: int = 0) -> tuple:
    g = torch.Generator().manual_seed(seed)
    return (
        torch.rand((n, h, w), generator=g),
        torch.rand((h, max(w - 1, 0)), generator=g),
        torch.rand((max(h - 1, 0), w), generator=g),
        50.0,
        3,
    )


SWEEPS = [(9, 13, 4, 17), (12, 7, 3, 64), (5, 6, 1, 1), (1, 8, 2, 5), (7, 1, 2, 5), (4, 4, 0, 3), (1, 1, 1, 2)]
MATCHES = [(9, 13, 17), (12, 7, 64), (5, 6, 1), (5, 6, 2), (1, 8, 6), (7, 1, 5), (1, 1, 9)]
SMOOTHS = [(2, 9, 13), (1, 1, 7), (3, 6, 1), (1, 1, 1)]


@pytest.mark.parametrize("size", SWEEPS, ids=str)
def test_the_plane_sweep_agrees_with_its_twin(size: tuple) -> None:
    case = sweep_case(*size)
    actual, expected = OPS.plane_sweep(*case), sweep_reference.plane_sweep(*case)
    # The places are the same to a few ulp, so a cost can fall on the other side of a rounding, by one of 255; a
    # sample at the very border may count as inside in one and not in the other, which is rare.
    off = (actual.int() - expected.int()).abs()
    assert (off <= 1).float().mean() > 0.995
    assert actual.shape == expected.shape


@pytest.mark.parametrize("size", MATCHES, ids=str)
def test_semi_global_matching_agrees_with_its_twin(size: tuple) -> None:
    case = match_case(*size)
    for actual, expected in zip(OPS.semi_global(*case), sweep_reference.semi_global(*case), strict=True):
        # Whole numbers up to the last division: a few ulp.
        torch.testing.assert_close(actual, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("size", SMOOTHS, ids=str)
def test_smoothing_agrees_with_its_twin(size: tuple) -> None:
    case = smooth_case(*size)
    actual = OPS.smooth_along_edges(*case)
    # Elimination of well-conditioned lines in single precision.
    torch.testing.assert_close(actual.double(), sweep_reference.smooth_along_edges(*case), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("op", ["plane_sweep", "semi_global", "smooth_along_edges"])
def test_operators_are_well_formed(op: str) -> None:
    case = {
        "plane_sweep": sweep_case(6, 7, 2, 5),
        "semi_global": match_case(6, 7, 9),
        "smooth_along_edges": smooth_case(2, 6, 7),
    }[op]
    torch.library.opcheck(getattr(OPS, op), case)


def test_the_number_of_threads_does_not_matter() -> None:
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            cost = OPS.plane_sweep(*sweep_case(19, 23, 3, 16))
            rest = OPS.semi_global(*match_case(19, 23, 16)), OPS.smooth_along_edges(*smooth_case(2, 19, 23))
            results.append([cost, *rest[0], rest[1]])
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_empty_pictures_give_empty_results() -> None:
    assert sweep.plane_sweep(*sweep_case(0, 5, 2, 4)).shape == (0, 5, 4)
    assert sweep.plane_sweep(*sweep_case(5, 6, 2, 0)).shape == (5, 6, 0)


def test_a_shifted_picture_matches_on_its_plane() -> None:
    g = torch.Generator().manual_seed(3)
    wide = torch.rand((12, 40, 4), generator=g)
    wide[..., 3] = 1
    reference, other = wide[:, 8:32], wide[:, 5:29]  # What is at x in one is at x + 3 in the other.
    rho = torch.arange(0.0, 6)
    cost = sweep.plane_sweep(
        reference.contiguous(), other[None].contiguous(), torch.eye(3)[None], torch.tensor([[1.0, 0, 0]]), rho, 0.75
    )
    inside = cost[2:-2, 2:-8]
    assert int(inside[..., 3].max()) == 0
    assert (inside.argmin(-1) == 3).all()


def test_what_is_behind_a_view_or_not_a_number_is_unknown() -> None:
    reference, others, _, _, rho, truncation = sweep_case(6, 6, 1, 4)
    reference[..., 3] = 1
    behind = torch.diag(torch.tensor([1.0, 1, -1]))[None]
    for bad in (behind, torch.full((1, 3, 3), math.nan), torch.full((1, 3, 3), math.inf)):
        cost = sweep.plane_sweep(reference, others, bad, torch.zeros(1, 3), rho, truncation)
        assert (cost == 128).all()


def test_features_that_are_not_numbers_do_no_harm() -> None:
    reference, others, turn, shift, rho, truncation = sweep_case(8, 8, 1, 6)
    for bad in (math.nan, math.inf):
        others[..., :3] = bad
        cost = sweep.plane_sweep(reference, others, turn, shift, rho, truncation)
        assert (cost >= 128).all()  # A mismatch, or unknown; never a match.
        cost = sweep.plane_sweep(reference, torch.full_like(others, math.nan), turn, shift, rho, truncation)
        assert (cost == 128).all()


def test_matching_without_penalties_takes_the_cheapest_plane() -> None:
    cost, across, down, _ = match_case(8, 9, 12)
    plane, _, residual = sweep.semi_global(cost, across * 0, down * 0, 0)
    cheapest = cost.min(-1).values
    assert torch.equal((residual * 255).round().to(torch.uint8), cheapest)
    assert ((plane - plane.round()).abs() <= 0.5).all()


def test_a_jump_is_made_where_the_picture_has_an_edge() -> None:
    cost = torch.full((6, 12, 20), 60, dtype=torch.uint8)
    cost[:, :3, 4] = 0  # Sure on the left and on the right, and nothing known between.
    cost[:, 9:, 15] = 0
    across = torch.full((6, 11), 200, dtype=torch.int16)
    across[:, 6] = 5  # The edge: between columns 6 and 7.
    down = torch.full((5, 12), 200, dtype=torch.int16)
    plane, lead, _ = sweep.semi_global(cost, across, down, 40)
    assert (plane[:, :7].round() == 4).all()
    assert (plane[:, 7:].round() == 15).all()
    assert (lead > 0).all()


def test_costs_that_say_nothing_have_no_lead() -> None:
    cost = torch.full((5, 5, 16), 255, dtype=torch.uint8)
    penalty = torch.full((5, 5), sweep.MAX_PENALTY, dtype=torch.int16)
    _, lead, residual = sweep.semi_global(cost, penalty[:, 1:], penalty[1:], sweep.MAX_PENALTY)
    assert (lead == 0).all()
    assert (residual == 1).all()


def test_smoothing_keeps_constants_and_stops_at_edges() -> None:
    maps, across, down, _, _ = smooth_case(1, 8, 10)
    same = sweep.smooth_along_edges(torch.ones_like(maps), across, down, 1000.0)
    torch.testing.assert_close(same, torch.ones_like(maps), rtol=1e-4, atol=0)
    across, down = torch.ones(8, 9), torch.ones(7, 10)
    across[:, 4] = 0
    maps = torch.zeros(1, 8, 10)
    maps[:, :, :5] = 1
    torch.testing.assert_close(sweep.smooth_along_edges(maps, across, down, 1000.0), maps, rtol=1e-4, atol=1e-6)


def test_smoothing_keeps_the_sum() -> None:
    maps, across, down, strength, _ = smooth_case(2, 8, 10)
    after = sweep.smooth_along_edges(maps, across, down, strength)
    torch.testing.assert_close(after.sum((1, 2)), maps.sum((1, 2)), rtol=1e-5, atol=0)


def test_bad_settings_are_refused() -> None:
    cost, across, down, _ = match_case(3, 4, 5)
    with pytest.raises(InputError, match=r"plane_sweep: truncation is 0; it must be positive"):
        sweep.plane_sweep(*sweep_case(3, 3, 1, 2)[:5], 0.0)
    with pytest.raises(InputError, match=r"semi_global: p1 must lie between 0 and 8000"):
        sweep.semi_global(cost, across, down, -1)
    with pytest.raises(InputError, match=r"semi_global: across must lie between 0 and 8000"):
        sweep.semi_global(cost, across - 1000, down, 7)
    with pytest.raises(InputError, match=r"semi_global: cost has no planes"):
        sweep.semi_global(cost[..., :0], across, down, 7)
    with pytest.raises(InputError, match=r"strength is nan and rounds 3"):
        sweep.smooth_along_edges(*smooth_case(1, 3, 4)[:3], math.nan)
