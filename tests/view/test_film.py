"""Films of a scene whose contents are known: the right pictures, sound only where time runs, whole or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fourd import media
from fourd.errors import InputError, OutputError
from fourd.events import Event, Progress
from fourd.view import film
from tests.scenes import BALL_M, FPS, FRAMES, HW, WALL_M, at_times, small_scene

pytestmark = pytest.mark.needs("native")

SCENE = small_scene()


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


def test_the_videos_sound_is_that_of_the_clip(tmp_path: Path) -> None:
    film.write(SCENE, SCENE.cameras, tmp_path / "a.mp4", fps=FPS)
    film.write(SCENE, at_times(SCENE, 0.3, 0.3, 0.3), tmp_path / "b.mp4", fps=FPS)
    heard = media.read(tmp_path / "a.mp4").sound
    assert heard is not None and heard.rate_hz == 8000 and float(heard.samples.std()) > 0.1
    assert media.read(tmp_path / "b.mp4").sound is None


def test_a_contact_sheet_holds_twelve_pictures_at_most(tmp_path: Path) -> None:
    film.write(SCENE, SCENE.cameras, tmp_path / "few.png", fps=FPS)
    film.write(SCENE, at_times(SCENE, *[i / 100 for i in range(70)]), tmp_path / "many.png", fps=FPS)
    cell = HW[0] + 14 + 4, HW[1] + 4  # With a strip for the label, and a gap.
    assert media.read_picture(tmp_path / "few.png").shape == (2 * cell[0] + 4, 4 * cell[1] + 4, 3)
    assert media.read_picture(tmp_path / "many.png").shape == (3 * cell[0] + 4, 4 * cell[1] + 4, 3)


def test_a_sheet_of_one_view_is_one_picture_of_full_size(tmp_path: Path) -> None:
    film.write(SCENE, at_times(SCENE, 0.3, 0.3, 0.3), tmp_path / "a.png", fps=FPS)
    rendered = SCENE.render(at_times(SCENE, 0.3)).rgb[0]
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
