"""The nouns of the stage: what they refuse, and what they keep."""

from __future__ import annotations

import pytest
import torch

from fourd import inpaint
from fourd.errors import InputError
from fourd.inpaint import Holes, Pictures


def whole(n: int = 2, h: int = 5, w: int = 7) -> Pictures:
    return Pictures(torch.rand(n, h, w, 3), torch.rand(n, h, w), torch.ones(n, h, w, dtype=torch.bool))


def test_unknown_pixels_are_held_as_zero_whatever_they_were() -> None:
    rgb, rho = torch.full((1, 2, 2, 3), torch.nan), torch.full((1, 2, 2), torch.inf)
    pictures = Pictures(rgb, rho, torch.zeros(1, 2, 2, dtype=torch.bool))
    assert not pictures.rgb.any() and not pictures.inverse_depth.any()


@pytest.mark.parametrize("value", [torch.nan, -0.1, 1.1, torch.inf])
def test_known_colours_must_be_colours(value: float) -> None:
    pictures = whole()
    rgb = pictures.rgb.clone()
    rgb[1, 2, 3, 1] = value
    with pytest.raises(InputError, match=r"Pictures.rgb is NaN or outside 0 to 1 in 1 known pixels. Clamp it, or say"):
        pictures.replace(rgb=rgb)


@pytest.mark.parametrize("value", [torch.nan, -0.1, torch.inf])
def test_known_depth_must_be_a_depth(value: float) -> None:
    pictures = whole()
    rho = pictures.inverse_depth.clone()
    rho[0, 0, 0] = value
    with pytest.raises(InputError, match=r"Pictures.inverse_depth is NaN, negative or infinite in 1 known pixels"):
        pictures.replace(inverse_depth=rho)


def test_pictures_must_fit_together() -> None:
    with pytest.raises(InputError, match=r"Pictures.rgb is for \(2, 5, 7\) pixels and known for \(2, 5, 6\)"):
        Pictures(torch.rand(2, 5, 7, 3), torch.rand(2, 5, 7), torch.ones(2, 5, 6, dtype=torch.bool))
    with pytest.raises(InputError, match=r"Pictures holds no pixel"):
        Pictures(torch.rand(0, 5, 7, 3), torch.rand(0, 5, 7), torch.ones(0, 5, 7, dtype=torch.bool))


def test_a_hole_is_nothing_known() -> None:
    pictures = whole()
    with pytest.raises(InputError, match=r"Holes.hole and the known pixels share 70 pixels; what is known is never"):
        Holes.plain(pictures, pictures.known)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("behind", torch.full((2, 5, 7), -1.0), "Holes.behind is NaN or negative"),
        ("behind", torch.full((2, 5, 7), torch.nan), "Holes.behind is NaN or negative"),
        ("behind", torch.ones(2, 5, 6), r"Holes.behind is for \(2, 5, 6\) pixels and the pictures have \(2, 5, 7\)"),
        ("trust", torch.full((2, 5, 7), 2.0), "Holes.trust must lie between 0 and 1"),
        ("grid", torch.full((2, 5, 7, 2), torch.nan), "Holes.grid holds NaN"),
        ("neighbours", torch.tensor([[1], [2]]), "Holes.neighbours runs from 1 to 2; there are pictures 0 to 1"),
        ("neighbours", torch.tensor([[1]]), "Holes.neighbours has 1 rows for 2 pictures"),
    ],
)
def test_what_is_known_of_holes_must_make_sense(field: str, value: torch.Tensor, said: str) -> None:
    holes = Holes.plain(whole(), torch.zeros(2, 5, 7, dtype=torch.bool))
    with pytest.raises(InputError, match=said):
        holes.replace(**{field: value})


def test_filled_keeps_what_was_known_and_what_is_left_alone() -> None:
    known, hole = torch.zeros(1, 4, 6, dtype=torch.bool), torch.zeros(1, 4, 6, dtype=torch.bool)
    known[..., :2], hole[..., 2:4] = True, True
    had = Pictures(torch.rand(1, 4, 6, 3), torch.rand(1, 4, 6), known)
    holes = Holes.plain(had, hole).replace(behind=torch.full((1, 4, 6), 0.25))
    now = holes.filled(torch.full((1, 4, 6, 3), 2.0), torch.full((1, 4, 6), 0.5))
    assert torch.equal(now.known, known | hole)
    assert torch.equal(now.rgb[~hole], had.rgb[~hole]) and torch.equal(
        now.inverse_depth[~hole], had.inverse_depth[~hole]
    )
    assert bool((now.rgb[hole] == 1).all()) and bool((now.inverse_depth[hole] == 0.25).all())


def test_the_table_says_what_there_is() -> None:
    with pytest.raises(
        InputError, match=r"There is no inpainter 'magic'. Choose one of: .*stretch.*, or name a folder"
    ):
        inpaint.backend("magic")
    with pytest.raises(InputError, match=r"Inpainter 'telea' has no option 'steps'. It takes: radius_px"):
        inpaint.backend("telea", steps=3)
    with pytest.raises(InputError, match=r"Inpainter 'stretch' has no option 'steps'. It takes: none"):
        inpaint.backend("stretch", steps=3)
