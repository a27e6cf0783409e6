"""Camera paths: signs of every word, what stays still, how loops close, and which moments are shown."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fourd.errors import InputError, LimitError
from fourd.geometry import paths, pinhole, rigid, trajectory
from fourd.geometry.keyframes import Keyframes
from fourd.types import Cameras

HW = (72, 128)
FOCUS_M = 4.0
RELATIVE = [name for name in paths.PATHS if name not in ("keyframes", "stabilised", "source")]


def still(frames: int = 25, fps: float = 24.0) -> Cameras:
    """A camera at the origin that looks along z and does nothing."""
    K = torch.tensor([[100.0, 0, 64], [0, 100, 36], [0, 0, 1]]).repeat(frames, 1, 1)
    return Cameras(K, torch.eye(4).repeat(frames, 1, 1), HW, torch.arange(frames, dtype=torch.float64) / fps)


def walking(frames: int = 25, fps: float = 24.0, seed: int = 3) -> Cameras:
    """A camera that walks a curve and looks about."""
    g = torch.Generator().manual_seed(seed)
    time_s = torch.arange(frames, dtype=torch.float64) / fps
    pose = torch.eye(4).repeat(frames, 1, 1)
    u = torch.linspace(0, 1, frames)[:, None]
    a, b = torch.randn(2, 3, generator=g)
    pose[:, :3, 3] = u * a + torch.sin(3 * u) * b
    pose[:, :3, :3] = rigid.matrix_from_rotvec(0.3 * torch.sin(2 * u) * torch.randn(3, generator=g))
    return still(frames, fps).replace(world_from_cam=pose, time_s=time_s)


def none(name: str) -> dict[str, float]:
    """The amount that changes nothing."""
    return {"amount": 1.0 if paths.PATHS[name].unit == "factor" else 0.0}


def halfway(name: str, amount: float, **more: float) -> Cameras:
    """The still camera, fully moved: the last frame of a path that goes there."""
    film = paths.make(name, still(), focus_m=FOCUS_M, amount=amount, **more)
    return film[-1:]


@pytest.mark.parametrize("name", [n for n in RELATIVE if n != "freeze"])
def test_amount_zero_is_the_source(name: str) -> None:
    source = walking()
    film = paths.make(name, source, focus_m=FOCUS_M, **none(name))
    torch.testing.assert_close(film.world_from_cam, source.world_from_cam, rtol=0, atol=1e-5)
    torch.testing.assert_close(film.K, source.K, rtol=0, atol=1e-5)
    assert torch.equal(film.time_s, source.time_s)


@pytest.mark.parametrize("name", [n for n in RELATIVE if n != "freeze"])
def test_every_path_begins_at_the_source_view(name: str) -> None:
    source = walking()
    film = paths.make(name, source, focus_m=FOCUS_M)
    torch.testing.assert_close(film.world_from_cam[0], source.world_from_cam[0], rtol=0, atol=1e-5)
    assert float((film.world_from_cam - source.world_from_cam).abs().max() + (film.K - source.K).abs().max()) > 1e-2


def test_the_source_comes_back_bit_for_bit() -> None:
    source = walking()
    film = paths.make("source", source)
    assert torch.equal(film.world_from_cam, source.world_from_cam)
    assert torch.equal(film.K, source.K)


# Word, amount, and which way the camera (or its view) goes, in the camera's own axes: x right, y down, z forward.
@pytest.mark.parametrize(
    ("name", "amount", "moved"),
    [
        ("dolly", 0.5, (0, 0, 2)),
        ("truck", 0.5, (2, 0, 0)),
        ("pedestal", 0.5, (0, -2, 0)),
        ("crane", 0.5, (0, -2, 0)),
        ("dolly-zoom", 1.5, (0, 0, -2)),
        ("dolly-zoom", 0.5, (0, 0, 2)),
    ],
)
def test_moves_go_where_their_word_says(name: str, amount: float, moved: tuple[int, int, int]) -> None:
    film = halfway(name, amount)
    torch.testing.assert_close(film.centre_m[0], torch.tensor(moved).float(), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "axis", "points_to"),
    [
        ("pan", 2, (math.sin(0.1), 0, math.cos(0.1))),  # Its view turns right,
        ("tilt", 2, (0, -math.sin(0.1), math.cos(0.1))),  # up,
        ("roll", 0, (math.cos(0.1), math.sin(0.1), 0)),  # and its right hand sinks.
    ],
)
def test_turns_go_where_their_word_says(name: str, axis: int, points_to: tuple[float, float, float]) -> None:
    film = paths.make(name, still(), degrees=math.degrees(0.1))[-1:]
    assert float(film.centre_m.abs().max()) == 0
    torch.testing.assert_close(film.world_from_cam[0, :3, axis], torch.tensor(points_to), rtol=0, atol=1e-6)


def test_arc_goes_right_by_the_degrees_given() -> None:
    film = halfway("arc", 30.0)
    expected = torch.tensor([FOCUS_M * math.sin(math.pi / 6), 0, FOCUS_M * (1 - math.cos(math.pi / 6))])
    torch.testing.assert_close(film.centre_m[0], expected, rtol=0, atol=1e-5)


def test_metres_and_shares_say_the_same() -> None:
    a = paths.make("truck", still(), focus_m=FOCUS_M, metres=1.0)
    b = paths.make("truck", still(), focus_m=FOCUS_M, amount=1 / FOCUS_M)
    torch.testing.assert_close(a.world_from_cam, b.world_from_cam)


@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from(["orbit", "arc", "freeze", "spiral"]),
    degrees=st.floats(-170, 170),
    focus_m=st.floats(0.1, 100),
)
def test_orbits_keep_their_distance_and_look_at_the_subject(name: str, degrees: float, focus_m: float) -> None:
    film = paths.make(name, still(9), focus_m=focus_m, degrees=degrees)
    subject = torch.tensor([0, 0, focus_m])
    torch.testing.assert_close(
        (film.centre_m - subject).norm(dim=1), torch.full((len(film),), focus_m), rtol=1e-5, atol=0
    )
    view = film.world_from_cam[:, :3, 2]
    expected = torch.nn.functional.normalize(subject - film.centre_m, dim=1)
    torch.testing.assert_close(view, expected, rtol=0, atol=1e-5)
    if name != "spiral":  # About the camera's up the horizon stays level.
        assert float(film.world_from_cam[:, 1, 0].abs().max()) < 1e-5


def test_orbit_swings_to_both_sides_and_comes_home() -> None:
    film = paths.make("orbit", still(49), focus_m=FOCUS_M, degrees=30.0)
    x = film.centre_m[:, 0]
    reach = FOCUS_M * math.sin(math.pi / 6)
    assert float(x.max()) == pytest.approx(reach, rel=0.01)
    assert float(x.min()) == pytest.approx(-reach, rel=0.01)
    assert int(x.argmax()) < 24 < int(x.argmin())
    torch.testing.assert_close(film.world_from_cam[-1], film.world_from_cam[0], rtol=0, atol=1e-5)
    step = x.diff().abs()
    assert float(step[0]) < 0.1 * float(step.max()), "It starts gently."


@pytest.mark.parametrize("name", ["freeze", "orbit", "spiral"])
def test_bullet_time_loops_without_a_seam(name: str) -> None:
    film = paths.make(name, walking(), focus_m=FOCUS_M, at_s=0.3, duration_s=2.0)
    assert len(film) == 48
    assert torch.equal(film.time_s, torch.full((48,), 0.3, dtype=torch.float64))
    around = torch.cat([film.centre_m, film.centre_m[:2]])
    speed = around.diff(dim=0).norm(dim=1)
    assert float(speed.diff().abs().max()) < 0.25 * float(speed.max()), "No jerk, not even where the film begins again."
    assert float((film.centre_m[-1] - film.centre_m[0]).norm()) > 0, "Home is shown once, not twice."


def test_freeze_stands_in_the_middle_and_anywhere_else() -> None:
    assert float(paths.make("freeze", still(25))[:1].time_s) == pytest.approx(0.5)
    assert float(paths.make("dolly", still(25), at_s=0.25)[:1].time_s) == 0.25
    assert len(paths.make("freeze", still(25))) == 96, "Four seconds."


def test_crane_keeps_the_subject_where_it_was_in_the_picture() -> None:
    film = halfway("crane", 0.5)
    pixel, _ = pinhole.project(pinhole.transform(film.cam_from_world[0], torch.tensor([0, 0, FOCUS_M])), film.K[0])
    torch.testing.assert_close(pixel, torch.tensor([64.0, 36.0]), rtol=0, atol=1e-3)
    assert float(film.world_from_cam[0, 1, 2]) > 0.3, "It looks down."


def test_zoom_multiplies_the_focal_length_alone() -> None:
    film = halfway("zoom", 2.0)
    torch.testing.assert_close(film.K[0], torch.tensor([[200.0, 0, 64], [0, 200, 36], [0, 0, 1]]))


@pytest.mark.parametrize("factor", [0.4, 2.5])
def test_dolly_zoom_keeps_what_stands_at_the_focus(factor: float) -> None:
    film = paths.make("dolly-zoom", still(), focus_m=FOCUS_M, amount=factor)
    points = torch.tensor([[0.5, -0.7, FOCUS_M], [-1.0, 0.2, FOCUS_M], [0.5, -0.7, 2 * FOCUS_M]])
    pixels = [
        pinhole.project(pinhole.transform(c, points), K)[0] for c, K in zip(film.cam_from_world, film.K, strict=True)
    ]
    torch.testing.assert_close(pixels[-1][:2], pixels[0][:2], rtol=0, atol=1e-3)
    assert float((pixels[-1][2] - pixels[0][2]).abs().max()) > 2, "What stands behind it does not keep its size."


def test_stabilised_stills_a_shaking_hand_and_keeps_the_way() -> None:
    g = torch.Generator().manual_seed(1)
    calm = still(72)
    pose = calm.world_from_cam.clone()
    way = torch.linspace(0, 3, 72)
    pose[:, 0, 3] = way + 0.05 * torch.randn(72, generator=g)
    pose[:, :3, :3] = rigid.matrix_from_rotvec(0.03 * torch.randn(72, 3, generator=g))
    shaky = calm.replace(world_from_cam=pose)
    smooth = paths.make("stabilised", shaky)

    def jerk(x: Tensor) -> float:
        return float(x.diff(n=2, dim=0).norm(dim=1).mean())

    assert jerk(smooth.centre_m) < 0.02 * jerk(shaky.centre_m)
    assert jerk(smooth.world_from_cam[:, :3, 2]) < 0.02 * jerk(shaky.world_from_cam[:, :3, 2])
    assert float((smooth.centre_m[:, 0] - way).abs().max()) < 0.04, "The ends are not drawn in."


def test_slow_motion_falls_between_the_source_frames() -> None:
    film = paths.make("source", walking(25), speed=0.25)
    assert len(film) == 24 * 4 + 1
    torch.testing.assert_close(film.time_s, torch.arange(97, dtype=torch.float64) / 96)
    assert torch.equal(film.world_from_cam[::4], walking(25).world_from_cam)


@given(fps=st.floats(1, 200), speed=st.floats(0.05, 20))
@settings(max_examples=30, deadline=None)
def test_moments_are_even_and_within_the_source(fps: float, speed: float) -> None:
    film = paths.make("source", still(10), fps=fps, speed=speed)
    assert float(film.time_s[0]) == 0
    assert float(film.time_s[-1]) <= 0.375
    assert len(film) == 1 + math.floor(0.375 * fps / speed + 1e-6)
    torch.testing.assert_close(film.time_s.diff(), torch.full((len(film) - 1,), speed / fps, dtype=torch.float64))


def test_a_longer_film_holds_the_last_moment() -> None:
    film = paths.make("dolly", still(25), duration_s=2.0)
    assert len(film) == 48
    assert float(film.time_s.max()) == 1.0
    assert float(film.centre_m[-1, 2]) == pytest.approx(0.3), "The move takes the whole film."


def test_uneven_frame_rates_stay_as_they_are() -> None:
    source = still(4).replace(time_s=torch.tensor([0.0, 0.1, 0.15, 0.5], dtype=torch.float64))
    assert torch.equal(paths.make("arc", source).time_s, source.time_s)


def test_one_picture_gets_four_seconds() -> None:
    film = paths.make("orbit", still(1))
    assert len(film) == 96
    assert torch.equal(film.time_s, torch.zeros(96, dtype=torch.float64))


def test_another_size_is_the_largest_cut_about_the_middle() -> None:
    corner = torch.tensor([[0.0, 0.0], [128.0, 72.0]])
    double = paths.resized(still(), (144, 256)).K[0]
    torch.testing.assert_close(double, torch.tensor([[200.0, 0, 128], [0, 200, 72], [0, 0, 1]]))
    square = paths.make("source", still(), hw=(72, 72))
    assert square.hw == (72, 72)
    torch.testing.assert_close(square.K[0], torch.tensor([[100.0, 0, 36], [0, 100, 36], [0, 0, 1]]))
    for hw in ((50, 200), (300, 40), (72, 72)):  # No corner of the new picture shows what the old one did not.
        K = paths.resized(still(), hw).K[0]
        rays = (torch.tensor([[0.0, 0.0], [hw[1], hw[0]]]) - K[:2, 2]) / torch.tensor([K[0, 0], K[1, 1]])
        old = rays * 100 + torch.tensor([64.0, 36.0])
        assert bool((old[0] >= corner[0] - 1e-4).all())
        assert bool((old[1] <= corner[1] + 1e-4).all())
        assert float((old[1] - old[0] - corner[1]).abs().min()) < 1e-3, "It is the largest such cut."


def test_keyframes_are_passed_in_order() -> None:
    keys = still(3).replace(
        time_s=torch.tensor([0.0, 0.5, 0.25], dtype=torch.float64)
    )  # The scene's time runs on and back.
    pose = torch.eye(4).repeat(3, 1, 1)
    pose[:, 0, 3] = torch.tensor([0.0, 1, 5])
    keys = Keyframes(keys.replace(world_from_cam=pose), play_s=torch.tensor([0, 1, 2], dtype=torch.float64))
    film = paths.make("keyframes", still(), keyframes=keys, fps=10.0)
    assert len(film) == 21
    torch.testing.assert_close(film.centre_m[[0, 10, 20], 0], torch.tensor([0.0, 1, 5]))
    torch.testing.assert_close(
        film.time_s[[0, 5, 10, 15, 20]], torch.tensor([0, 0.25, 0.5, 0.375, 0.25], dtype=torch.float64)
    )
    slow = paths.make("keyframes", still(), keyframes=keys, fps=10.0, speed=0.5)
    assert len(slow) == 41


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("swing", {}, "Camera path 'swing' is not known. Use one of: orbit, arc"),
        ("dolly", {"degrees": 3.0}, r"'dolly' takes amount or metres \(in focus distances\), not degrees"),
        ("arc", {"degrees": 3.0, "amount": 3.0}, "takes degrees or amount .* not degrees and amount"),
        ("source", {"amount": 3.0}, "'source' takes no amount, not amount"),
        ("zoom", {"amount": 0.0}, "the factor is 0; it must be above 0"),
        ("arc", {"degrees": math.nan}, "the amount is nan; it must be finite"),
        ("arc", {"speed": 0.0}, "speed is 0; it must be above 0"),
        ("arc", {"fps": -5.0}, "fps is -5; it must be above 0"),
        ("arc", {"focus_m": math.inf}, "focus_m is inf"),
        ("arc", {"duration_s": 0.0}, "duration_s is 0"),
        ("arc", {"at_s": math.nan}, "at_s is nan"),
        ("arc", {"up": torch.zeros(3)}, "up is .* it must be a direction"),
        ("keyframes", {}, "needs keyframes"),
    ],
)
def test_what_does_not_fit_is_said(name: str, options: dict[str, float], says: str) -> None:
    with pytest.raises(InputError, match=says):
        paths.make(name, still(), **options)


def test_endless_films_are_refused_before_they_are_made() -> None:
    with pytest.raises(LimitError, match="Lower fps or duration_s"):
        paths.make("arc", still(), fps=1e9)


def test_every_path_has_a_line_of_its_own() -> None:
    assert len({path.says for path in paths.PATHS.values()}) == len(paths.PATHS)


@pytest.mark.needs("shared")
def test_right_is_right_as_the_measuring_data_says(shared) -> None:
    import numpy as np

    truth = np.load(shared / "scenes" / "indoor_orbit" / "truth.npz")
    c2w, frames = truth["c2w"], truth["view_R20_frames"]
    K = torch.from_numpy(truth["K"]).float().repeat(len(c2w), 1, 1)
    source = Cameras(K, torch.from_numpy(c2w).float(), (216, 384), torch.arange(len(c2w), dtype=torch.float64) / 24)
    moment_s = float(source.time_s[int(frames[0])])
    goal = torch.from_numpy(truth["view_R20_c2w"][0, :3, 3].copy()).float()
    right, left = (
        paths.make("arc", source, focus_m=4.0, degrees=d, at_s=moment_s, up=torch.tensor([0.0, 0, 1]))[-1:]
        for d in (20.0, -20.0)
    )
    here = trajectory.at(source, torch.tensor([moment_s], dtype=torch.float64)).centre_m[0]
    assert float((right.centre_m[0] - goal).norm()) < 0.35 * float((here - goal).norm())
    assert float((left.centre_m[0] - goal).norm()) > float((here - goal).norm())
