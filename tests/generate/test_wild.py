"""Random everyday places."""

from __future__ import annotations

import numpy as np
import pytest

from fourd.errors import InputError
from fourd.generate import shoot
from fourd.generate.wild import Bank, Place, places, wild
from fourd.generate.wild.site import Site

HW = (24, 32)


@pytest.fixture(scope="module")
def bank() -> Bank:
    return Bank(np.random.default_rng(0), 20)


def test_a_place_follows_from_its_seed(bank: Bank) -> None:
    one, same, other = (wild(np.random.default_rng(s), bank, HW, 2) for s in (1, 1, 2))
    assert one.kind == same.kind
    assert np.array_equal(one.cameras.world_from_cam, same.cameras.world_from_cam)
    for a, b in zip(one.stage.props, same.stage.props, strict=True):
        np.testing.assert_array_equal(a.mesh.vertices_m, b.mesh.vertices_m)
    assert not np.array_equal(one.cameras.world_from_cam[0], other.cameras.world_from_cam[0])


def test_places_can_be_filmed_and_show_something(bank: Bank) -> None:
    for seed in range(3):
        place: Place = wild(np.random.default_rng(seed), bank, HW, 2)
        take = shoot(place.stage, place.cameras, samples=1, rays=1)
        rho = 1 / take.depth.depth_m.numpy()
        # What makes a picture worth taking: depth in it, and several things.
        assert (rho.std((1, 2)) / rho.mean((1, 2)) > 0.1).all()
        assert all(len(np.unique(p)) >= 4 for p in take.prop.numpy())
        assert float(take.clip.frames.float().std()) > 5
        assert not bool(take.motion.moving.any())


@pytest.mark.parametrize("kind", [places.room, places.tabletop, places.street, places.park], ids=lambda k: k.__name__)
def test_every_kind_of_place_stands_on_the_ground(bank: Bank, kind: object) -> None:
    site = Site(np.random.default_rng(4), bank)
    ground = kind(site)  # type: ignore[operator]
    assert (np.asarray(ground.low_m) < ground.high_m).all()
    for prop in site.props():
        assert np.isfinite(prop.mesh.vertices_m).all()
        low = float(prop.mesh.vertices_m[:, 1].min())
        assert low > -4 or kind is places.park  # Land may swell beyond the park.


def test_people_are_as_tall_as_people(bank: Bank) -> None:
    from fourd.generate.wild import figures

    for seed in range(6):
        site = Site(np.random.default_rng(seed), bank)
        figures.person(site)
        corners = np.concatenate([p.mesh.vertices_m for p in site.props()])
        assert all(p.name.startswith("alive") for p in site.props())
        # Arms may be raised over the head.
        assert 1.0 < corners[:, 1].max() < 2.7
        assert -0.15 < corners[:, 1].min() < 0.2


def test_frames_can_be_nested(bank: Bank) -> None:
    site = Site(np.random.default_rng(0), bank)
    with site.at(1, 0, 2, np.pi / 2), site.at(0, 0, 3):
        # A quarter turn to the left about the vertical takes z to x.
        np.testing.assert_allclose(site.world((0, 1, 0)), [4, 1, 2], atol=1e-9)
    np.testing.assert_allclose(site.world((0, 1, 0)), [0, 1, 0])


def test_no_views_are_refused(bank: Bank) -> None:
    with pytest.raises(InputError, match="views is 0; a place needs at least 1"):
        wild(np.random.default_rng(0), bank, HW, 0)
