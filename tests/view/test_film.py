"""Films of a scene whose contents are known: the right pictures, sound only where time runs, whole or nothing."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from fourd import media
from fourd.errors import InputError, OutputError
from fourd.events import Event, Progress
from fourd.types import Cameras
from fourd.view import film
from tests.scenes import BALL_M, FPS, FRAMES, HW, WALL_M, small_scene

pytestmark = pytest.mark.needs("native")

SCENE = small_scene()


def at_times(*time_s: float) -> Cameras:
    """The first camera at other moments."""
    first = SCENE.cameras[torch.zeros(len(time_s), dtype=torch.long)]
    return first.replace(time_s=torch.tensor(time_s, dtype=torch.float64))


def test_a_video_holds_what_the_scene_renders(tmp_path: Path) -> None:
    film.write(SCENE, SCENE.cameras, tmp_path / "a.mp4", fps=FPS)
    clip = media.read(tmp_path / "a.mp4")
    rendered = SCENE.render(SCENE.cameras).rgb * 255
    assert clip.frames.shape == rendered.shape and clip.frame_s == pytest.approx(1 / FPS)
    assert float((clip.frames.float() - rendered).abs().mean()) < 3  # 8 bits, 4:2:0, H.264 at crf 16.


def test_every_picture_is_reported(tmp_path: Path) -> None:
    seen: list[Event] = []
    film.write(SCENE, SCENE.cameras, tmp_path / "a.mp4", fps=FPS, watch=seen.append)
    assert seen == [Progress("render", i + 1, FRAMES) for i in range(FRAMES)]


def test_depth_is_on_one_scale_for_the_whole_film() -> None:
    pictures = torch.stack(list(film.pictures(SCENE, SCENE.cameras, "depth"))).int()
    corner = pictures[:, 2, 2]  # The wall, which is always as far away.
    assert int((corner - corner[0]).abs().max()) <= 2
    ball = pictures[[0, -1], HW[0] // 2].sum(-1).amax(1)  # Somewhere in the middle row the ball is nearest.
    assert bool((ball > corner[0].sum() + 200).all()) and int((ball[0] - ball[1]).abs()) < 40
    assert BALL_M < WALL_M


def test_alpha_is_shown_in_grey() -> None:
    picture = next(film.pictures(SCENE, SCENE.cameras, "alpha"))
    alpha = SCENE.render(SCENE.cameras[:1]).alpha[0]
    assert int((picture - (alpha[..., None] * 255).to(torch.uint8)).abs().max()) <= 1


@pytest.mark.parametrize(
    ("cameras", "fps", "start_s"),
    [
        (SCENE.cameras, 10.0, 0.0),
        (SCENE.cameras[2:], 10.0, -0.2),  # The film begins later than the sound.
        (at_times(0.0, 0.1, 0.2, 0.2, 0.2), 10.0, 0.0),  # The last moment is held.
        (SCENE.cameras, 20.0, None),  # Twice as fast.
        (at_times(0.3, 0.2, 0.1), 10.0, None),  # Backwards.
        (at_times(0.3, 0.3, 0.3), 10.0, None),  # Bullet time.
        (at_times(0.3), 10.0, None),
    ],
    ids=["as filmed", "later", "held", "fast", "backwards", "frozen", "one"],
)
def test_sound_goes_along_where_time_runs_as_it_ran(cameras: Cameras, fps: float, start_s: float | None) -> None:
    sound = film.heard(SCENE, cameras, fps)
    assert (sound and sound.start_s) == (start_s if start_s is None else pytest.approx(start_s))
    assert film.heard(dataclasses.replace(SCENE, sound=None), cameras, fps) is None


def test_the_videos_sound_is_that_of_the_clip(tmp_path: Path) -> None:
    film.write(SCENE, SCENE.cameras, tmp_path / "a.mp4", fps=FPS)
    film.write(SCENE, at_times(0.3, 0.3, 0.3), tmp_path / "b.mp4", fps=FPS)
    heard = media.read(tmp_path / "a.mp4").sound
    assert heard is not None and heard.rate_hz == 8000 and float(heard.samples.std()) > 0.1
    assert media.read(tmp_path / "b.mp4").sound is None


@pytest.mark.parametrize("digits", [2, 3, 9])
def test_rounded_time_stamps_do_not_change_the_frame_rate(digits: int) -> None:
    times = torch.arange(100, dtype=torch.float64) / 23.976
    rounded = (times * 10**digits).round() / 10**digits
    cameras = SCENE.cameras[torch.zeros(100, dtype=torch.long)].replace(time_s=rounded)
    assert film.even_fps(cameras) == pytest.approx(23.976, rel=2e-3)


def test_a_pause_does_not_change_the_frame_rate_either() -> None:
    assert film.even_fps(at_times(0.0, 0.1, 0.2, 5.2, 5.3)) == pytest.approx(10)
    assert film.even_fps(at_times(0.0)) == 24.0


def test_a_contact_sheet_holds_twelve_pictures_at_most(tmp_path: Path) -> None:
    film.write(SCENE, SCENE.cameras, tmp_path / "few.png", fps=FPS)
    film.write(SCENE, at_times(*[i / 100 for i in range(70)]), tmp_path / "many.png", fps=FPS)
    cell = HW[0] + 14 + 4, HW[1] + 4  # With a strip for the label, and a gap.
    assert media.read_picture(tmp_path / "few.png").shape == (2 * cell[0] + 4, 4 * cell[1] + 4, 3)
    assert media.read_picture(tmp_path / "many.png").shape == (3 * cell[0] + 4, 4 * cell[1] + 4, 3)


def test_a_sheet_of_one_view_is_one_picture_of_full_size(tmp_path: Path) -> None:
    film.write(SCENE, at_times(0.3, 0.3, 0.3), tmp_path / "a.png", fps=FPS)
    rendered = SCENE.render(at_times(0.3)).rgb[0]
    picture = media.read_picture(tmp_path / "a.png")
    assert int((picture - (rendered * 255 + 0.5).to(torch.uint8)).abs().max()) == 0


def test_a_name_without_suffix_is_a_folder_of_pictures(tmp_path: Path) -> None:
    film.write(SCENE, SCENE.cameras, tmp_path / "shots", fps=FPS)
    assert sorted(p.name for p in tmp_path.glob("shots/*")) == [f"{i:05}.png" for i in range(FRAMES)]
    assert [p.name for p in tmp_path.iterdir()] == ["shots"]  # No scaffolding is left.
    last = media.read_picture(tmp_path / "shots" / "00007.png")
    assert int((last - list(film.pictures(SCENE, SCENE.cameras, "rgb"))[-1]).abs().max()) == 0


def test_an_empty_folder_is_filled_and_a_full_one_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    film.write(SCENE, SCENE.cameras[:2], tmp_path / "empty", fps=FPS)
    assert len(list((tmp_path / "empty").iterdir())) == 2
    with pytest.raises(OutputError, match=r"exists and is not an empty folder\. Give a new name"):
        film.write(SCENE, SCENE.cameras[:2], tmp_path / "empty", fps=FPS)
    assert len(list((tmp_path / "empty").iterdir())) == 2


@pytest.mark.parametrize("name", ["a.mp4", "a.png", "a"])
def test_stopping_on_the_way_leaves_nothing(tmp_path: Path, name: str) -> None:
    def stop(event: Event) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        film.write(SCENE, SCENE.cameras, tmp_path / name, fps=FPS, watch=stop)
    assert list(tmp_path.iterdir()) == []


def test_other_suffixes_are_refused(tmp_path: Path) -> None:
    kinds = r"NAME.mp4 \(a video\), NAME.png \(a contact sheet\), NAME \(a folder of pictures\)"
    with pytest.raises(InputError, match=rf"Cannot write '.*a.gif': its name must be one of {kinds}\."):
        film.write(SCENE, SCENE.cameras, tmp_path / "a.gif", fps=FPS)
