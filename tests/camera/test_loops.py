"""Paths that return: what came back into view is found, and closes them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from fourd.camera import loops
from fourd.camera.model import rotation
from fourd.camera.solve import Solved, solve
from fourd.camera.tracks import Tracks
from fourd.events import result
from tests.camera.conftest import World, path_error

pytestmark = pytest.mark.needs("native")

HW = (144, 256)
FRAMES = 48


def solved(tracks: Tracks, links: Tracks | None) -> Solved:
    return result(solve(tracks, None if links is None else lambda: links))


def there_and_back_again(noise_px: float, wrong: float = 0.0) -> tuple[World, Tracks]:
    """A camera that walks past things and back to where it began; its tracks, and links.

    Points that leave the picture and come back are other points to the tracks. The links are what the first twelve and
    the last twelve frames both see, every fourth of them, and some of them join places that have nothing in common.
    """
    rng = np.random.default_rng(3)
    s = np.linspace(0, 1, FRAMES)
    aside = 12 * np.minimum(2 * s, 2 - 2 * s)
    R = rotation(np.stack([0.05 * np.sin(9 * s), 0.3 * np.sin(2 * np.pi * s), 0.04 * np.sin(7 * s)], 1))
    centre = np.stack([aside, 0.4 * np.sin(4 * s), 1.5 * s * (1 - s)], 1)
    X = rng.uniform([-6, -3, 3], [18, 3, 8], (450, 3))
    Y = np.einsum("tij,ntj->nti", R, X[:, None] - centre)
    focal, (h, w) = 230.0, HW
    xy = focal * Y[..., :2] / np.maximum(Y[..., 2:], 1e-6) + (w / 2, h / 2)
    seen = (Y[..., 2] > 0.5) & (xy > 2).all(-1) & (xy < (w - 2, h - 2)).all(-1)
    xy += noise_px * rng.normal(size=xy.shape)
    point, frame = np.nonzero(seen)
    again = np.cumsum((np.diff(point, prepend=-1) != 0) | (np.diff(frame, prepend=-1) != 1)) - 1
    tracks = Tracks(again, frame, xy[seen], HW, FRAMES)
    ends = [*range(0, 12, 4), *range(FRAMES - 12, FRAMES, 4)]
    linked = seen[:, ends] & (seen[:, ends[:3]].any(1) & seen[:, ends[3:]].any(1))[:, None]
    point, at = np.nonzero(linked)
    places = xy[:, ends][linked]
    bad = np.isin(point, np.unique(point)[rng.random(len(np.unique(point))) < wrong]) & (at >= 3)
    places[bad] = rng.uniform((2, 2), (w - 2, h - 2), (int(bad.sum()), 2))
    links = Tracks(point, np.array(ends)[at], places, HW, FRAMES)
    everything = np.ones(len(point), bool)
    lasting = np.bincount(tracks.point)[tracks.point] >= 3
    return World(tracks.pick(lasting), R, centre, focal), links.pick(everything)


def test_a_path_that_returns_is_closed_even_if_some_links_are_wrong() -> None:
    truth, links = there_and_back_again(0.3, wrong=0.2)
    none = links.pick(np.zeros(len(links.point), bool))
    (open_, _), (closed, turned) = (
        path_error(found.R, found.t, truth) for found in (solved(truth.tracks, some) for some in (none, links))
    )
    assert closed < 0.7 * open_
    assert closed < 0.001 and turned < 0.5


def test_links_between_places_that_only_look_alike_bend_nothing() -> None:
    truth, links = there_and_back_again(0.3)
    # All that the last frames see is said to be what the first ones saw, but upside down: rigid, and false.
    late = links.frame > FRAMES // 2
    places = np.where(late[:, None], np.array(HW)[::-1] - links.xy_px, links.xy_px)
    false = Tracks(links.point, links.frame, places, HW, FRAMES)
    one, two = solved(truth.tracks, None), solved(truth.tracks, false)
    np.testing.assert_allclose(path_error(two.R, two.t, truth), path_error(one.R, one.t, truth), rtol=0.2, atol=1e-3)


def seen_through(wall: np.ndarray, corner: tuple[int, int]) -> np.ndarray:
    h, w = HW
    return np.ascontiguousarray(wall[corner[1] : corner[1] + h, corner[0] : corner[0] + w])


def wall(seed: int = 0) -> np.ndarray:
    """Something large to look at, with corners everywhere."""
    rng = np.random.default_rng(seed)
    picture = np.full((400, 1600, 3), 128, np.uint8)
    for _ in range(2500):
        x, y = rng.integers(0, (1600, 400))
        size = rng.integers(5, 22, 2)
        cv2.rectangle(
            picture, (int(x), int(y)), (int(x + size[0]), int(y + size[1])), rng.integers(0, 255, 3).tolist(), -1
        )
    return picture


def filmed(across: np.ndarray, rng: np.random.Generator) -> Tracks:
    """Points of a wall that the camera passes, as tracks that end where they leave the picture."""
    X = rng.uniform((0, 0), (1600, 400), (600, 2))
    xy = X[:, None] - np.stack([across, 0 * across + 60], 1)
    seen = (xy > 0).all(-1) & (xy < HW[::-1]).all(-1)
    point, frame = np.nonzero(seen)
    again = np.cumsum((np.diff(point, prepend=-1) != 0) | (np.diff(frame, prepend=-1) != 1)) - 1
    return Tracks(again, frame, xy[seen], HW, len(across))


@pytest.fixture(scope="module")
def there_and_back() -> tuple[np.ndarray, Tracks]:
    across = np.concatenate([np.linspace(0, 1100, 24), np.linspace(1100, 0, 24)]).round()
    return across, filmed(across, np.random.default_rng(0))


def test_places_that_come_back_are_found_where_they_are(there_and_back: tuple[np.ndarray, Tracks]) -> None:
    across, tracks = there_and_back
    picture = wall()
    links = loops.find(lambda i: seen_through(picture, (int(across[i]), 60)), tracks)
    assert links.points > 100
    place = np.stack([links.xy_px[:, 0] + across[links.frame], links.xy_px[:, 1]], 1)
    apart = []
    for k in range(links.points):
        mine = links.point == k
        assert mine.sum() >= 2 and len(np.unique(links.frame[mine])) == mine.sum()
        apart.append(np.ptp(place[mine], axis=0).max())
    # One corner of the wall, early and late. Before a plane, chance matches along a line are not found out.
    assert np.mean(np.array(apart) < 2) > 0.95
    assert np.array_equal(np.lexsort((links.frame, links.point)), np.arange(len(links.point)))


def test_a_camera_that_does_not_return_has_no_links(there_and_back: tuple[np.ndarray, Tracks]) -> None:
    across = np.linspace(0, 1300, 40).round()
    picture = wall()
    links = loops.find(lambda i: seen_through(picture, (int(across[i]), 60)), filmed(across, np.random.default_rng(0)))
    assert links.points == 0 and len(links.point) == 0


@pytest.mark.parametrize("fill", ["grey", "noise"])
def test_pictures_without_corners_or_of_noise_have_no_links(
    fill: str, there_and_back: tuple[np.ndarray, Tracks]
) -> None:
    rng = np.random.default_rng(0)
    grey = np.full((*HW, 3), 90, np.uint8)
    links = loops.find(
        lambda _: grey if fill == "grey" else rng.integers(0, 255, (*HW, 3), dtype=np.uint8), there_and_back[1]
    )
    assert links.points == 0
