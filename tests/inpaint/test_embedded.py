"""The parts of the embedded inpainter: what they must do exactly, and that lessons teach."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from fourd import inpaint
from fourd.errors import InputError
from fourd.events import Progress, result
from fourd.inpaint import Holes, Pictures, embedded
from fourd.inpaint.embedded import code, detail, enlarge, lessons, parallax, sampling, weights
from fourd.inpaint.embedded.code import Small
from fourd.inpaint.embedded.lessons import Plan, Pool


def random_at(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_inverse_depths_come_back_from_their_code() -> None:
    rho = torch.tensor([0.0, 0.01, 0.2, 1.0, 7.0])
    said = code.encode(rho, 0.2)
    assert said[0] == -1 and said[2] == 0 and bool((said.diff() > 0).all()) and said[-1] < 1
    torch.testing.assert_close(code.decode(said, 0.2), rho, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("hw", "expected"), [((216, 384), (56, 96)), ((1568, 882), (96, 56)), ((5, 900), (8, 96))])
def test_skeletons_keep_the_shape_in_steps_of_eight(hw: tuple[int, int], expected: tuple[int, int]) -> None:
    assert code.skeleton_hw(hw, 96) == expected


def test_a_plain_filling_keeps_what_is_known_and_is_exact_for_one_colour() -> None:
    known = (torch.rand(1, 1, 9, 14, generator=random_at(0)) < 0.2).float()
    values = torch.rand(1, 4, 9, 14, generator=random_at(1)) * known
    filled = code.plain(values, known)
    torch.testing.assert_close(filled * known, values)
    torch.testing.assert_close(code.plain(0.3 * known, known), torch.full((1, 1, 9, 14), 0.3))


def row(depths: list[float], known: list[int], hole: list[int]) -> tuple[Small, Tensor, Tensor]:
    """A picture of eight equal rows whose colours are its depths."""
    mass = torch.tensor(known, dtype=torch.float32).expand(1, 1, 8, -1).contiguous()
    values = torch.tensor(depths).expand(1, 4, 8, -1) * mass
    opened = torch.tensor(hole, dtype=torch.float32).expand(1, 1, 8, -1).contiguous()
    return Small(values, mass), opened, torch.ones_like(opened)


def test_the_background_goes_on_behind_what_stands_before_it() -> None:
    # A wall at -0.5 on both sides of a post at 0.5, and a hole beside the post, wider than a narrow gap.
    depths = [-0.5] * 12 + [0.5] * 4 + [0.0] * 8 + [-0.5] * 12
    known = [1] * 16 + [0] * 8 + [1] * 12
    own, hole, bound = row(depths, known, [1 - k for k in known])
    for filling in code.fillings(own, hole, bound):
        torch.testing.assert_close(filling[..., 16:24], torch.full((1, 4, 8, 8), -0.5), rtol=0, atol=1e-6)


def test_a_narrow_gap_in_a_thing_is_filled_with_the_thing() -> None:
    depths = [-0.5] * 12 + [0.5] * 4 + [0.0] * 3 + [0.5] * 4 + [-0.5] * 13
    known = [1] * 16 + [0] * 3 + [1] * 17
    own, hole, bound = row(depths, known, [1 - k for k in known])
    for filling in code.fillings(own, hole, bound):
        torch.testing.assert_close(filling[..., 16:19], torch.full((1, 4, 8, 3), 0.5))
    # Unless the filling has to lie farther back.
    for filling in code.fillings(own, hole, torch.full_like(bound, -0.4)):
        torch.testing.assert_close(filling[..., 16:19], torch.full((1, 4, 8, 3), -0.5), rtol=0, atol=1e-6)


def test_a_camera_aside_does_not_see_what_a_post_hides() -> None:
    depth = torch.full((1, 4, 40), -0.5)
    depth[..., 10:15] = 0.5
    # The wall stands, the post wanders eight pixels to the right: it hides columns 18 to 22.
    hidden = parallax.hidden(depth, torch.tensor([8.0]), torch.tensor([-0.5]))
    assert hidden[0, 0].nonzero()[:, 0].tolist() == [18, 19, 20, 21, 22]
    # The post stands, the wall wanders to the left: eight columns leave the picture, five land behind the post.
    hidden = parallax.hidden(depth, torch.tensor([8.0]), torch.tensor([0.5]))
    assert hidden[0, 0].nonzero()[:, 0].tolist() == [*range(8), 18, 19, 20, 21, 22]
    upright = parallax.hidden(depth.mT.contiguous(), torch.tensor([8.0]), torch.tensor([0.5]), upright=True)
    assert torch.equal(upright, hidden.mT)


def pool(hw: tuple[int, int] = (16, 24)) -> Pool:
    """Pictures of stripes before a slanting floor."""
    h, w = lessons.loose_hw(hw)
    stripes = torch.sin(torch.arange(w) / 2).expand(6, 3, h, w) * torch.linspace(0.2, 0.8, 6)[:, None, None, None]
    depth = torch.linspace(-0.8, 0.4, h)[:, None].expand(6, 1, h, w)
    small = Small(torch.cat([stripes, depth], 1), torch.ones(6, 1, h, w))
    return Pool(small, torch.tensor([0, 0, 0, 1, 1, 1]), torch.zeros(0, *hw, dtype=torch.bool), hw)


def test_lessons_hide_what_they_ask_for() -> None:
    drawn = lessons.lesson(pool(), Plan(1, batch=9), random_at(0))
    assert bool(drawn.hole.flatten(1).any(1).all())
    assert not bool((drawn.told[:, 4:5] * drawn.hole).any())  # Nothing of the hole is known.
    asked, evidence = drawn.hole.expand(-1, 4, -1, -1) > 0, drawn.told[:, 10:11] > 0
    blind = asked & ~evidence
    assert not bool((drawn.told[:, 6:10] * blind).any())  # Nor is there evidence where it is not trusted.
    assert float((drawn.told[:, :4] == drawn.clean)[blind].float().mean()) < 0.1
    assert float(evidence[drawn.hole > 0].float().mean()) < 0.5  # It is there sometimes, in parts.
    assert drawn.neighbours.shape == (9, 2) and int(drawn.neighbours.max()) < 9
    assert all(i not in row for i, row in enumerate(drawn.neighbours.tolist()))


def test_lessons_teach() -> None:
    taught = weights.first(3)
    plan = Plan(30, batch=6)

    def error() -> float:
        with torch.no_grad():
            return sum(
                float(lessons.judged_loss(taught, lessons.lesson(pool(), plan, r), r)) for r in map(random_at, range(9))
            )

    before = error()
    told = list(lessons.learn(taught, pool(), plan, 0))
    assert told[-1] == Progress("inpaint", 30, 30)
    assert error() < 0.8 * before  # Measured: 0.59.


def test_sampling_keeps_what_is_known_and_follows_its_noise() -> None:
    drawn = lessons.lesson(pool(), Plan(1, batch=2), random_at(1))
    network = weights.first(0)
    with torch.no_grad():
        for value in network.parameters():
            value.add_(0.02 * torch.randn(value.shape, generator=random_at(2)))
    noise = torch.randn(drawn.clean.shape, generator=random_at(3))
    for steps in (1, 4):
        filled = sampling.sample(network, drawn.told, drawn.hole, noise, drawn.neighbours, steps)
        outside = drawn.hole.expand_as(filled) == 0
        assert torch.equal(filled[outside], drawn.told[:, :4][outside])
        again = sampling.sample(network, drawn.told, drawn.hole, noise, drawn.neighbours, steps)
        other = sampling.sample(network, drawn.told, drawn.hole, -noise, drawn.neighbours, steps)
        assert torch.equal(filled, again) and not torch.equal(filled, other)


def test_pictures_share_noise_where_they_show_the_same_spot() -> None:
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(48.0), indexing="ij")
    grid = torch.stack([torch.stack([x, y], -1), torch.stack([x + 16, y], -1)])
    known = torch.ones(2, 32, 48, dtype=torch.bool)
    holes = Holes.plain(Pictures(torch.rand(2, 32, 48, 3), torch.rand(2, 32, 48), known), ~known).replace(grid=grid)
    noise = embedded.shared_noise(holes, (16, 24), 0)
    torch.testing.assert_close(noise[0, :, :, 8:], noise[1, :, :, :16], rtol=0, atol=0)  # 16 pixels are 8 of these.
    assert not torch.equal(noise[0], noise[1])
    assert abs(float(noise.mean())) < 0.1 and abs(float(noise.std()) - 1) < 0.1


def test_enlarging_keeps_the_foreground_out_of_the_hole() -> None:
    values = torch.full((1, 4, 8, 12), -0.5)
    values[..., :6] = 0.5  # A foreground on the left, and the hole beside it.
    hole = torch.zeros(1, 1, 8, 12)
    hole[..., 6:10] = 1
    back = enlarge.background(values, hole)
    assert not bool(back[..., 5].any()) and bool(back[..., 6:].all())
    large = enlarge.upsampled(values, back, (32, 48))
    torch.testing.assert_close(large[..., 24:], torch.full((1, 4, 32, 24), -0.5))


def test_detail_comes_back_where_the_same_texture_is_known() -> None:
    """Stripes that the skeleton cannot hold are found again, in step with those around the hole."""
    h, w = 64, 128
    stripes = (0.4 * torch.sin(torch.arange(w) * 2 * torch.pi / 8)).expand(1, 3, h, w)
    values = torch.cat([stripes, torch.zeros(1, 1, h, w)], 1)
    known = torch.ones(1, h, w, dtype=torch.bool)
    known[:, 20:44, 50:82] = False
    hole = ~known
    low_known = (torch.nn.functional.interpolate(known[:, None].float(), (16, 32), mode="area") >= 0.5).float()
    low = torch.zeros(1, 4, 16, 32)
    places = detail.places(values * known[:, None], known, low, low_known)
    filled = detail.lay(low[0], 1 - low_known[0], values[0], known[0], hole[0], places, random_at(0), 1.0)
    off = (filled - values[0])[:3, hole[0]]
    assert float(off.square().mean().sqrt()) < 0.1  # Measured: 0.06; without detail it is 0.28.
    torch.testing.assert_close(filled[:, known[0]], values[0][:, known[0]], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (dict(lessons=-1), "lessons is -1; it must lie between 0 and 1000000"),
        (dict(samples=0), "samples is 0; it must lie between 1 and 64"),
        (dict(size=7), "size is 7; it must lie between 32 and 512"),
        (dict(detail=3.0), "detail is 3.0; it must lie between 0 and 2"),
    ],
)
def test_options_must_make_sense(options: dict[str, float], said: str) -> None:
    with pytest.raises(InputError, match=said):
        inpaint.backend("embedded", **options)


@pytest.mark.parametrize("hw", [(8, 12), (4, 20), (6, 8)], ids=str)
def test_framing_keeps_the_middle(hw: tuple[int, int]) -> None:
    pictures = Pictures(torch.rand(2, 6, 10, 3), torch.rand(2, 6, 10), torch.ones(2, 6, 10, dtype=torch.bool))
    there = embedded.framed(pictures, hw)
    assert there.hw == hw
    back = embedded.framed(there, (6, 10))
    assert int(there.known.sum()) == 2 * min(6, hw[0]) * min(10, hw[1])
    assert torch.equal(back.rgb[back.known], pictures.rgb[back.known])


def test_masks_must_be_of_the_pictures() -> None:
    pictures = Pictures(torch.rand(1, 8, 8, 3), torch.rand(1, 8, 8), torch.ones(1, 8, 8, dtype=torch.bool))
    with pytest.raises(InputError, match=r"Masks of \(4, 8\) pixels were given for pictures of \(8, 8\)"):
        result(inpaint.backend("embedded").learn(pictures, torch.zeros(1, 4, 8, dtype=torch.bool), 0))


@pytest.mark.parametrize(("share", "steps"), [(0.0, 3), (0.045, 5), (0.5, 10)])
def test_small_holes_take_fewer_lessons(share: float, steps: int) -> None:
    pictures = Pictures(torch.rand(2, 40, 64, 3), torch.rand(2, 40, 64), torch.ones(2, 40, 64, dtype=torch.bool))
    masks = torch.zeros(2, 40, 64, dtype=torch.bool)
    masks.view(2, -1)[:, : round(share * 40 * 64)] = True
    said = list(inpaint.backend("embedded", lessons=10, size=32).learn(pictures, masks, 0))
    assert isinstance(said[-1], Progress) and said[-1].done == said[-1].total == steps
