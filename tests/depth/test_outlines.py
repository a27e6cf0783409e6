"""Things are found whole: limbs that rest, things that part and leave, and nothing where nothing was noticed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fourd.depth import hues, objects
from fourd.depth.backdrop import Told
from fourd.depth.outlines import Outlines, flow_odds
from fourd.depth.reading import Reading
from fourd.depth.single import SinglePictures
from fourd.events import result
from fourd.types import Cameras, Clip, Motion

HW = (64, 96)
FRAMES = 24
STEP = 2
SEEN, RESTS = 3.0, -2.5
BODY, LEG, GROUND = (200, 60, 40), (30, 50, 160), (120, 130, 110)
STOPS = 12
"""Frame from which on nobody notices the leg."""


def body(i: int) -> tuple[slice, slice]:
    return slice(14, 34), slice(6 + STEP * i, 26 + STEP * i)


def leg(i: int) -> tuple[slice, slice]:
    return slice(34, 50), slice(12 + STEP * i, 20 + STEP * i)


def mask(*parts: tuple[slice, slice]) -> np.ndarray:
    out = np.zeros(HW, bool)
    for part in parts:
        out[part] = True
    return out


class Film:
    """A body with a leg that goes to the right before a ground that stands still."""

    def __init__(self, leg_colour: tuple[int, int, int] = LEG) -> None:
        rng = np.random.default_rng(0)
        ground = np.clip(np.array(GROUND) + rng.normal(0, 4, (*HW, 3)), 0, 255)
        self.frames = np.repeat(ground[None], FRAMES, 0).astype(np.uint8)
        flow = np.zeros((2, FRAMES, *HW, 2), np.float32)
        for i in range(FRAMES):
            for part, colour in ((body(i), BODY), (leg(i), leg_colour)):
                self.frames[i][part] = colour
                if colour == GROUND:  # In the colours of the ground, but with an outline.
                    self.frames[i][part][:, [0, -1]] = self.frames[i][part][[0, -1]] = 40
                flow[0, i][part], flow[1, i][part] = (STEP, 0), (-STEP, 0)
        seen = np.ones((2, FRAMES, *HW), bool)
        seen[0, -1] = seen[1, 0] = False
        still = np.zeros((FRAMES, *HW), np.float32)
        self.motion = Motion(*(torch.from_numpy(a) for a in (flow[0], flow[1], seen[0], seen[1], still)))

    def found(
        self, noticed: list[np.ndarray], alive: np.ndarray | None = None, told: list[Told] | None = None
    ) -> list[np.ndarray]:
        outlines = Outlines(lambda i: self.frames[i], self.motion, HW, 1 / 24)
        for i, seed in enumerate(noticed):
            outlines.add(np.where(seed, SEEN, RESTS).astype(np.float32), told[i] if told else None, alive)
        assert [outlines.noticed(i) for i in range(FRAMES)] == [bool(seed.any()) for seed in noticed]
        return list(outlines.masks())


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_a_leg_that_nobody_notices_any_more_stays_a_part_of_its_thing() -> None:
    noticed = [mask(body(i), leg(i)) if i < STOPS else mask(body(i)) for i in range(FRAMES)]
    found = Film().found(noticed)
    for i in range(FRAMES):
        assert overlap(found[i], mask(body(i), leg(i))) > 0.85, i
    assert overlap(noticed[20], mask(body(20), leg(20))) < 0.8


def test_what_nobody_ever_noticed_is_no_part_of_a_thing() -> None:
    found = Film().found([mask(body(i)) for i in range(FRAMES)])
    for i in range(FRAMES):
        assert overlap(found[i], mask(body(i))) > 0.85, i
    assert all(not frame[leg(i)][4:].any() for i, frame in enumerate(found))


def test_a_leg_in_the_colour_of_the_ground_stays_while_it_is_noticed_and_makes_no_ground_a_thing() -> None:
    noticed = [mask(body(i), leg(i)) if i < STOPS else mask(body(i)) for i in range(FRAMES)]
    found = Film(GROUND).found(noticed)
    assert np.mean([found[i][leg(i)].mean() for i in range(STOPS)]) > 0.8
    for i in range(FRAMES):
        near = mask((slice(10, 54), slice(2 + STEP * i, 30 + STEP * i)))
        assert not (found[i] & ~near).any(), i
        assert found[i][body(i)].mean() > 0.85


def test_a_thing_that_is_missed_for_some_frames_is_there_and_one_that_stops_is_let_go() -> None:
    film = Film()
    missed = range(9, 13)
    noticed = [mask() if i in missed else mask(body(i), leg(i)) for i in range(FRAMES)]
    found = film.found(noticed)
    for i in missed:
        assert overlap(found[i], mask(body(i), leg(i))) > 0.75, i
    # It is half forgotten after .7 seconds; the clip lasts one.
    alone = film.found([mask(body(i), leg(i)) if i < 2 else mask() for i in range(FRAMES)])
    assert alone[4].any() and not alone[-1].any()


def test_a_thing_that_leaves_leaves_nothing_behind() -> None:
    film = Film()
    gone = 10
    film.frames[gone:] = film.frames[0]
    film.frames[gone:, 14:50, 6:26] = film.frames[0][14:50, 70:90]
    for maps in (film.motion.flow_forward, film.motion.flow_backward):
        maps[gone:] = 0
    film.motion.visible_forward[gone - 1] = ~torch.from_numpy(mask(body(gone - 1), leg(gone - 1)))
    found = film.found([mask(body(i), leg(i)) if i < gone else mask() for i in range(FRAMES)])
    assert overlap(found[gone - 1], mask(body(gone - 1), leg(gone - 1))) > 0.85
    assert np.mean(found[gone + 2 :]) < 0.005


def test_what_looks_like_a_thing_beside_it_but_stands_in_all_frames_is_no_part_of_it() -> None:
    film = Film()
    post, told = (slice(4, 60), slice(44, 52)), []
    for i, frame in enumerate(film.frames):
        open_ = mask(post) & ~mask(body(i), leg(i))
        frame[open_] = BODY
        rest = np.where(open_, 4, 0).astype(np.float32)
        told.append(Told(np.zeros(HW, np.float32), rest, rest))
    noticed = [mask(body(i), leg(i)) for i in range(FRAMES)]
    leaks = film.found(noticed)
    kept = film.found(noticed, told=told)

    def spilt(found: list[np.ndarray]) -> float:
        return float(np.mean([(frame & ~mask(body(i), leg(i)))[post].mean() for i, frame in enumerate(found)]))

    assert spilt(leaks) > 0.03 and spilt(kept) < 0.5 * spilt(leaks)
    assert min(frame[body(i)].mean() for i, frame in enumerate(kept)) > 0.9, "of the thing itself nothing is taken"


def test_a_shadow_that_moves_with_its_thing_is_no_part_of_it() -> None:
    film = Film()
    shadow, told = [(slice(50, 56), slice(8 + STEP * i, 28 + STEP * i)) for i in range(FRAMES)], []
    for i, frame in enumerate(film.frames):
        frame[shadow[i]] = (frame[shadow[i]] * 0.6).astype(np.uint8)
        shaded = np.where(mask(shadow[i]), 4, 0).astype(np.float32)
        told.append(Told(-0.6 * shaded, np.zeros(HW, np.float32), shaded))
    flow = np.stack([mask(body(i), leg(i), shadow[i]) for i in range(FRAMES)])

    def found(told: list[Told]) -> float:
        outlines = Outlines(lambda i: film.frames[i], film.motion, HW, 1 / 24)
        for moves, what in zip(flow, told, strict=True):
            outlines.add(np.where(moves, SEEN, RESTS).astype(np.float32), what)
        return float(np.mean([frame[part].mean() for frame, part in zip(outlines.masks(), shadow, strict=True)]))

    assert found([what._replace(shaded=what.stands) for what in told]) > 0.8
    assert found(told) < 0.2


def test_what_a_thing_uncovers_is_not_taken_for_the_thing() -> None:
    film = Film()
    noticed = [mask(body(i), leg(i)) if i < STOPS else mask() for i in range(FRAMES)]
    # From then on flow is lost everywhere, and says that nothing moved.
    film.frames[STOPS:] = film.frames[0]
    film.frames[STOPS:, 14:50, 6:26] = film.frames[0][14:50, 70:90]
    for maps in (film.motion.flow_forward, film.motion.flow_backward):
        maps[STOPS:] = 0
    film.motion.visible_backward[STOPS:] = False
    found = film.found(noticed)
    assert overlap(found[STOPS - 1], mask(body(STOPS - 1), leg(STOPS - 1))) > 0.85
    assert not any(frame.any() for frame in found[STOPS:])


def test_who_reads_single_pictures_adds_to_a_thing_and_makes_none() -> None:
    film, noticed = Film(), [mask(body(i)) for i in range(FRAMES)]
    alive = np.full(HW, 0.05, np.float32)
    alive[34:50] = 0.7
    more, less = film.found(noticed, alive), film.found(noticed)
    assert np.mean([frame[leg(i)].mean() for i, frame in enumerate(more)]) > 0.6
    assert np.mean([frame[leg(i)].mean() for i, frame in enumerate(less)]) < 0.3
    nobody = film.found([mask()] * FRAMES, np.full(HW, 0.9, np.float32))
    assert not np.any(nobody)


def test_the_same_clip_gives_the_same_masks() -> None:
    noticed = [mask(body(i)) for i in range(FRAMES)]
    assert np.array_equal(Film().found(noticed), Film().found(noticed))


def test_flow_that_was_not_heard_says_little() -> None:
    motion = Film().motion
    motion.moving[0, :, :4] = torch.tensor([0.3, 0.5, 0.0, 1.0]).half()
    odds = flow_odds(motion, 0, HW)
    assert odds[0, 0] == pytest.approx(-0.4)
    assert odds[0, 1] == pytest.approx(0, abs=1e-6)
    assert odds[0, 2] == pytest.approx(-odds[0, 3])


def test_colours_are_told_from_those_beside_and_unknown_ones_say_nothing() -> None:
    lab = np.full((40, 40, 3), 128, np.float32)
    lab[10:20, 10:20] = (220, 150, 100)
    lab[0, 0] = (20, 70, 180)
    thing, nothing = np.zeros((40, 40), bool), np.zeros((40, 40), bool)
    thing[10:20, 10:20] = True
    told = hues.likelier([hues.index(lab)] * 3, [thing, nothing, thing], [nothing] * 3, 0, 0.5)
    assert told(0)[15, 15] == pytest.approx(3) and told(0)[30, 15] == pytest.approx(-3)
    assert told(0)[0, 0] == pytest.approx(0, abs=1e-6), "a colour that was seen on neither"
    assert not told(1).any(), "a frame of which nothing is known"
    assert hues.index(lab).min() >= 0
    unsure = hues.likelier([hues.index(lab)], [thing], [~thing], 0, 0.5)
    assert not unsure(0).any(), "nothing beside is sure to be none"


def test_what_parts_from_a_thing_that_was_heard_is_as_good_as_heard() -> None:
    film = Film()
    label = [np.where(mask(leg(i)), 2, np.where(mask(body(i)), 1, 0)).astype(np.int32) for i in range(FRAMES)]
    for i in range(8):
        label[i][leg(i)] = 1
    moving = torch.from_numpy(np.stack([mask(body(i)) for i in range(FRAMES)])).half()
    heard = objects.heard(label, film.motion.replace(moving=moving))
    assert all(np.array_equal(a, b) for a, b in zip(heard, label, strict=True))
    apart = [np.where(mask((slice(54, 62), slice(60, 90))), 2, frame == 1).astype(np.int32) for frame in label]
    heard = objects.heard(apart, film.motion.replace(moving=moving))
    assert max(int(frame.max()) for frame in heard) == 1, "what never touched it is not"


class Flat:
    """Reads that all is equally far."""

    name, overrules = "nobody", False

    def look(self, picture: np.ndarray, before: np.ndarray | None = None) -> Reading:
        one = np.ones(picture.shape[:2], np.float32)
        return Reading(one, one, picture)


def test_where_the_camera_stands_colours_before_the_still_world_make_things_whole() -> None:
    film = Film()
    moving = np.zeros((FRAMES, *HW), np.float32)
    for i in range(FRAMES):
        moving[i][body(i)] = 0.95  # Flow takes the leg to stand.
    K = torch.tensor([[80.0, 0, HW[1] / 2], [0, 80, HW[0] / 2], [0, 0, 1]]).expand(FRAMES, 3, 3)
    time_s = torch.arange(FRAMES, dtype=torch.float64) / 24
    clip = Clip(torch.from_numpy(film.frames), time_s)
    motion = film.motion.replace(moving=torch.from_numpy(moving).half())

    def found(pose: torch.Tensor) -> np.ndarray:
        maps = result(SinglePictures(Flat())(clip, Cameras(K, pose, HW, time_s), motion))
        assert maps.moving is not None
        return maps.moving.numpy()

    stands, travels = torch.eye(4).repeat(FRAMES, 1, 1), torch.eye(4).repeat(FRAMES, 1, 1)
    travels[:, 0, 3] = 0.2 * torch.arange(FRAMES)
    truth = np.stack([mask(body(i), leg(i)) for i in range(FRAMES)])
    assert overlap(found(stands), truth) > 0.85
    assert overlap(found(travels), truth) < 0.85, "seen from elsewhere the still world is no backdrop"
