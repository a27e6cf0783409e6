"""True disocclusions are told from cracks, and a filling lies behind the nearer of the hole's two sides."""

from __future__ import annotations

import math

import pytest
import torch

from fourd.geometry import pinhole
from fourd.render import holes
from fourd.types import INVENTED, SEEN, SH_C0, Cameras, Splats

HW = (60, 80)


def _mask(*boxes: tuple[slice, slice]) -> torch.Tensor:
    mask = torch.zeros(HW, dtype=torch.bool)
    for box in boxes:
        mask[box] = True
    return mask


def test_regions_keep_what_is_wide_and_drop_what_is_thin() -> None:
    wide, crack, dot = _box(10, 30, 10, 30), _box(0, 60, 50, 53), _box(40, 41, 10, 11)
    found = holes.regions(_mask(wide, crack, dot))
    assert torch.equal(found, _mask(wide))
    assert not bool(holes.regions(_mask()).any()), "nothing open"
    assert bool(holes.regions(torch.ones(HW, dtype=torch.bool)).all()), "everything open"
    # At the border the mask goes on: a strip that the picture cuts off is no crack.
    strip = _mask(_box(0, 2, 0, 80))
    assert torch.equal(holes.regions(strip), strip)


def _box(top: int, bottom: int, left: int, right: int) -> tuple[slice, slice]:
    return slice(top, bottom), slice(left, right)


def test_one_pixel_masks_do_no_harm() -> None:
    one = torch.ones(1, 1, dtype=torch.bool)
    assert bool(holes.regions(one).all()) and not bool(holes.regions(~one).any())


def test_a_filling_lies_behind_the_further_of_two_sides() -> None:
    inverse = torch.zeros(3, 8)
    known = torch.zeros(3, 8, dtype=torch.bool)
    known[:, 0], known[0, 7], known[2] = True, True, True
    inverse[:, 0], inverse[0, 7], inverse[2] = 1.0, 0.25, 0.5
    bound = holes.behind(inverse, known)
    torch.testing.assert_close(bound[0, 1:7], torch.full((6,), 0.25 * holes.SLACK))
    assert bool(bound[1, 1:].isinf().all()), "of two sides only one is known"
    torch.testing.assert_close(bound[2], torch.full((8,), 0.5 * holes.SLACK))


def _wall(gap: float) -> tuple[Splats, Cameras]:
    """A wall of broad splats at 2 m, of one colour, with an empty stripe of width ``gap`` metres in its middle."""
    y, x = torch.meshgrid(torch.linspace(-1.6, 1.6, 65), torch.linspace(-2, 2, 81), indexing="ij")
    mean = torch.stack([x, y, torch.full_like(x, 2.0)], -1).reshape(-1, 3)
    mean = mean[mean[:, 0].abs() >= gap / 2]
    n = len(mean)
    splats = Splats(
        mean_m=mean,
        quat_wxyz=torch.tensor([1.0, 0, 0, 0]).expand(n, 4),
        scale_m=torch.tensor([0.03, 0.03, 0.001]).expand(n, 3),
        opacity=torch.full((n,), 0.99),
        colour=torch.tensor([(0.8 - 0.5) / SH_C0, 0.0, 0.0]).expand(n, 1, 3),
        velocity_mps=torch.zeros(n, 3),
        time_s=torch.zeros(n),
        duration_s=torch.full((n,), math.inf),
        source=torch.zeros(n, dtype=torch.uint8),
    )
    K = pinhole.intrinsics(HW, 60.0)[None]
    return splats, Cameras(K, torch.eye(4)[None], HW, torch.zeros(1, dtype=torch.float64))


@pytest.mark.needs("native")
def test_a_crack_is_closed_and_a_hole_is_found() -> None:
    whole = holes.look(*_wall(0.0))
    assert bool(whole.known.all()) and not bool((whole.hole | whole.crack).any())
    torch.testing.assert_close(whole.inverse_depth, torch.full((1, *HW), 0.5))

    cracked = holes.look(*_wall(0.12))
    assert bool(cracked.known.all()) and not bool(cracked.hole.any()) and bool(cracked.crack.any())
    torch.testing.assert_close(cracked.inverse_depth, torch.full((1, *HW), 0.5))
    torch.testing.assert_close(cracked.rgb, torch.tensor([0.8, 0.5, 0.5]).expand(1, *HW, 3), atol=0.01, rtol=0)

    torn = holes.look(*_wall(0.6))
    assert bool(torn.hole.any()) and not bool(torn.crack.any())
    assert torch.equal(torn.known, ~torn.hole), "every pixel is one or the other"
    assert bool((torn.rgb[torn.hole] == 0).all()) and bool((torn.inverse_depth[torn.hole] == 0).all())
    columns = torch.nonzero(torn.hole[0, 30])[:, 0]
    # The gap is 0.6 m at 2 m, less what the splats beside it stick out; the fringe adds at most two pixels a side.
    assert 16 <= len(columns) <= 24 and int(columns[0] + columns[-1]) in (79, 80, 78)


@pytest.mark.needs("native")
def test_nothing_at_all_is_one_hole() -> None:
    splats, cameras = _wall(0.0)
    seen = holes.look(splats[:0], cameras)
    assert bool(seen.hole.all()) and not bool(seen.known.any())


@pytest.mark.needs("native")
def test_what_was_made_up_is_not_filmed() -> None:
    splats, cameras = _wall(0.0)
    left = splats.mean_m[:, 0] < 0
    made = splats.replace(source=torch.where(left, INVENTED, SEEN).to(torch.uint8))
    filmed, seen = holes.look(splats, cameras), holes.look(made, cameras)
    assert torch.equal(filmed.filmed, filmed.known) and torch.equal(seen.known, filmed.known)
    middle = HW[1] // 2
    assert not bool(seen.filmed[..., : middle - 1].any())
    assert torch.equal(seen.filmed[..., middle + 1 :], seen.known[..., middle + 1 :])


@pytest.mark.needs("native")
def test_behind_a_crack_and_beside_it_the_wall_goes_on() -> None:
    cracked = holes.look(*_wall(0.12))
    lining = holes.lining(cracked, 0)
    assert bool((cracked.thin & cracked.crack).any()) is False and bool(lining.wanted[cracked.crack[0]].all())
    assert int(lining.wanted.sum()) > int(cracked.crack.sum()), "and what is beside it"
    there = lining.wanted
    torch.testing.assert_close(lining.inverse_depth[there], torch.full_like(lining.inverse_depth[there], 0.4975))
    torch.testing.assert_close(
        lining.rgb[there], torch.tensor([0.8, 0.5, 0.5]).expand(int(there.sum()), 3), atol=0.01, rtol=0
    )
    assert torch.equal(lining.rgb[~there], cracked.rgb[0][~there])


def test_behind_a_torn_outline_lies_the_farther_of_its_sides() -> None:
    inverse = torch.full((1, *HW), 0.25)
    inverse[..., 40:] = 1.0
    rgb = torch.zeros(1, *HW, 3)
    rgb[..., 40:, :] = 1.0
    thin = torch.zeros(1, *HW, dtype=torch.bool)
    thin[:, 30, 39:42] = True
    none = torch.zeros_like(thin)
    lining = holes.lining(holes.Seen(rgb, inverse, ~none, none, none, thin, ~none), 0)
    assert torch.equal(lining.wanted, _mask(_box(29, 32, 38, 43)))
    assert bool((lining.rgb[29:32, 38:42] == 0).all()) and bool((lining.rgb[29:32, 42] == 1).all())
    # From the last column the background is out of reach.
    torch.testing.assert_close(lining.inverse_depth[30, 38:42], torch.full((4,), 0.25 * holes.FARTHER))


def test_where_nothing_is_whole_or_nothing_is_torn_nothing_is_laid() -> None:
    all_ = torch.ones(1, *HW, dtype=torch.bool)
    seen = holes.Seen(torch.zeros(1, *HW, 3), torch.ones(1, *HW), all_, ~all_, ~all_, all_, all_)
    assert not bool(holes.lining(seen, 0).wanted.any())
    whole = holes.Seen(torch.zeros(1, *HW, 3), torch.ones(1, *HW), all_, ~all_, ~all_, ~all_, all_)
    assert not bool(holes.lining(whole, 0).wanted.any())
