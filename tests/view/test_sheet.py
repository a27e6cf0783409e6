"""Contact sheets: every picture whole, in order, under its label."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fourd.errors import InputError
from fourd.view.sheet import columns, contact_sheet


def plain(hw: tuple[int, int], *rgb: int) -> torch.Tensor:
    return torch.tensor(rgb, dtype=torch.uint8).expand(*hw, 3)


@settings(max_examples=25, deadline=None)
@given(
    count=st.integers(1, 9), across=st.integers(1, 4), h=st.integers(1, 40), w=st.integers(1, 40), text=st.booleans()
)
def test_every_picture_is_on_the_sheet_in_order(count: int, across: int, h: int, w: int, text: bool) -> None:
    rng = torch.Generator().manual_seed(count)
    shots = [torch.randint(100, 256, (h, w, 3), generator=rng, dtype=torch.uint8) for _ in range(count)]
    sheet = contact_sheet([("a label" if text else "", shot) for shot in shots], across=across)
    down = -(-count // across)
    pitch = (sheet.shape[0] - 4) // down, (sheet.shape[1] - 4) // across
    for i, shot in enumerate(shots):
        bottom, left = (i // across + 1) * pitch[0], 4 + i % across * pitch[1]
        assert torch.equal(sheet[bottom - h : bottom, left : left + w], shot)


def test_labels_are_drawn_above_the_pictures_and_nowhere_else() -> None:
    cells = [("0.50 s", plain((90, 160), 0, 0, 0)), ("", plain((90, 160), 0, 0, 0))]
    labelled, bare = contact_sheet(cells, across=2), contact_sheet([("", p) for _, p in cells], across=2)
    strip = labelled.shape[0] - bare.shape[0]
    assert strip > 0
    assert int(labelled[4 : 4 + strip, 4:164].max()) > 200  # There is writing over the first picture,
    assert int(labelled[4 : 4 + strip, 168:328].max()) == 24  # and none over the second.
    assert torch.equal(labelled[4 + strip :], bare[4:])


@pytest.mark.parametrize("width", [8, 20, 160, 640])
def test_a_long_label_stays_inside_its_own_strip(width: int) -> None:
    dark = plain((20, width), 0, 0, 0)
    one, two = contact_sheet([("W" * 60, dark), ("", dark)], across=2), contact_sheet([("", dark)] * 2, across=2)
    assert torch.equal(one[:, width + 5 :].unique(), two[:, width + 5 :].unique())


def test_different_labels_look_different() -> None:
    dark = plain((90, 160), 0, 0, 0)
    assert not torch.equal(contact_sheet([("0.50 s", dark)]), contact_sheet([("0.75 s", dark)]))


@pytest.mark.parametrize(
    ("count", "hw", "across"),
    [(1, (360, 640), 1), (12, (360, 640), 4), (12, (640, 360), 6), (9, (90, 160), 3), (2, (640, 360), 2)],
)
def test_sheets_come_near_the_shape_of_a_screen(count: int, hw: tuple[int, int], across: int) -> None:
    assert columns(count, hw) == across


def test_nothing_and_unequal_pictures_are_refused() -> None:
    with pytest.raises(InputError, match="at least one picture"):
        contact_sheet([])
    with pytest.raises(InputError, match=r"must be of one size; these are \[\(2, 2\), \(3, 2\)\]"):
        contact_sheet([("", plain((2, 2), 0, 0, 0)), ("", plain((3, 2), 0, 0, 0))])
