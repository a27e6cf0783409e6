"""Large surfaces go on in their own colours, at their own depth, and nothing else is taken for them."""

from __future__ import annotations

import pytest
import torch

from fourd import events, inpaint
from fourd.errors import InputError
from fourd.inpaint import Holes, Pictures, surfaces
from fourd.inpaint.embedded import detail

HW = (32, 48)
FLOOR, WALL = torch.tensor([0.8, 0.5, 0.2]), torch.tensor([0.2, 0.4, 0.9])


def _room() -> Holes:
    """A wall above, a floor below, a red thing before both, and the right third open."""
    surface = torch.ones(1, *HW, dtype=torch.int64)
    surface[:, 16:] = 0
    lies = torch.full((1, *HW), 0.2)
    lies[0, 16:] = torch.linspace(0.2, 0.6, 16)[:, None]
    rgb = torch.where((surface == 0)[..., None], FLOOR, WALL)
    inverse = lies.clone()
    rgb[:, 10:24, 10:18], inverse[:, 10:24, 10:18] = torch.tensor([1.0, 0.0, 0.0]), 0.8
    known = torch.ones(1, *HW, dtype=torch.bool)
    known[:, :, 32:] = False
    return Holes.plain(Pictures(rgb, inverse, known), ~known).replace(surface=surface, lies=lies)


def test_each_surface_goes_on_in_its_own_colours() -> None:
    holes = _room()
    painted = surfaces.painted(holes)
    assert bool((painted.done == holes.hole).all())
    there = painted.pictures
    torch.testing.assert_close(there.rgb[0, :16, 32:], WALL.expand(16, 16, 3), rtol=0, atol=1e-5)
    torch.testing.assert_close(there.rgb[0, 16:, 32:], FLOOR.expand(16, 16, 3), rtol=0, atol=1e-5)
    assert torch.equal(there.inverse_depth[holes.hole], holes.lies[holes.hole])  # type: ignore[index]
    assert torch.equal(there.rgb[~holes.hole], holes.pictures.rgb[~holes.hole])


def test_what_stands_before_a_surface_is_not_bare() -> None:
    bare = surfaces.bare(_room(), 0)
    assert not bool(bare[10:24, 10:18].any()) and not bool(bare[:, 32:].any())
    assert bool(bare[:, :10].all())


def test_a_surface_of_which_too_little_is_seen_is_left_to_others() -> None:
    holes = _room()
    surface = holes.surface.clone()  # type: ignore[union-attr]
    surface[:, :, 40:] = 7
    painted = surfaces.painted(holes.replace(surface=surface))
    assert not bool(painted.done[:, :, 40:].any()) and bool(painted.done[:, :, 32:40].all())


def test_texture_is_taken_where_a_surface_was_filmed_and_not_where_it_was_made_up() -> None:
    holes = _room()
    assert torch.equal(surfaces.filmed(holes, 0), surfaces.bare(holes, 0)[None] & (holes.surface == 0)), "all is known"
    filmed = holes.pictures.known.clone()
    filmed[:, :, :10] = False
    told = holes.replace(evidence=Pictures(holes.pictures.rgb, holes.pictures.inverse_depth, filmed))
    assert torch.equal(told.filmed, told.pictures.known), "what is not trusted is no evidence"
    told = told.replace(trust=filmed.float())
    assert torch.equal(told.filmed, filmed)
    taken = surfaces.filmed(told, 0)
    assert not bool(taken[:, :, :10].any()) and bool(taken[0, 24:, 10:32].all()) and not bool(taken[:, :16].any())
    filmed[:, 16:] = False
    hardly = told.replace(trust=filmed.float())
    assert torch.equal(surfaces.filmed(hardly, 0), surfaces.filmed(holes, 0)), "better made up than nothing"


def test_without_surfaces_nothing_is_painted() -> None:
    holes = _room()
    painted = surfaces.painted(holes.replace(surface=None, lies=None))
    assert not bool(painted.done.any()) and painted.pictures is holes.pictures


@pytest.mark.parametrize("name", ["embedded", "stretch", "telea"])
def test_fillings_lie_on_the_surfaces(name: str) -> None:
    holes = _room()
    options = dict(lessons=0, size=32) if name == "embedded" else {}
    filled = events.result(inpaint.backend(name, **options).fill(holes, 0))
    assert bool(filled.known.all())
    assert torch.equal(filled.inverse_depth[holes.hole], holes.lies[holes.hole])  # type: ignore[index]
    if name == "embedded":
        off = (filled.rgb[0, :, 34:] - torch.where(holes.surface[0, :, 34:, None] == 0, FLOOR, WALL)).abs()  # type: ignore[index]
        assert float(off.mean()) < 0.01, "what is plain stays plain, but for the borders between two"


def test_only_what_is_finer_than_a_few_pixels_is_fine() -> None:
    part = torch.zeros(20, 20, dtype=torch.bool)
    part[2:18, 2:18] = True
    board = (torch.arange(20)[:, None] + torch.arange(20)) % 2 * 2.0 - 1
    both = torch.stack([torch.full((20, 20), 3.0), board])
    fine = detail.fine(both, part)
    assert float(fine[0].abs().max()) < 1e-5, "what is the same everywhere is coarse"
    torch.testing.assert_close(fine[1, 6:14, 6:14], board[6:14, 6:14], rtol=0, atol=0.01)
    assert bool((fine[:, ~part] == 0).all())


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (dict(lies=None), "one of surface and lies"),
        (dict(surface=torch.zeros(1, 3, 3, dtype=torch.int64)), "Holes.surface is for"),
        (dict(lies=torch.full((1, *HW), torch.nan)), "Holes.lies is NaN"),
    ],
)
def test_surfaces_that_do_not_fit_are_refused(changes: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        _room().replace(**changes)
