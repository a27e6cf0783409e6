"""COLMAP's cameras beside the truth; frames that it leaves out; and where it finds nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from fourd import camera, generate
from fourd.camera import colmap
from fourd.errors import InputError, MissingError
from fourd.events import Event, Progress, Steps, Warned, result
from fourd.generate import Take
from fourd.types import Cameras, Clip, Motion

FRAMES = 8


@pytest.fixture(scope="module")
def take() -> Take:
    """A few frames of loose blocks, which have corners at all depths."""
    scene = generate.scene("jumble", 0, hw=(144, 256), frames=FRAMES)
    return generate.shoot(scene.stage, scene.cameras, samples=1, rays=1)


def followed(steps: Steps[Cameras]) -> tuple[Cameras, list[Event]]:
    events: list[Event] = []
    return result(steps, events.append), events


@pytest.mark.needs("pycolmap")
def test_it_finds_the_cameras_of_a_stage(take: Take, capfd: pytest.CaptureFixture[str]) -> None:
    found, events = followed(camera.load("colmap")(take.clip, take.motion))
    assert found.hw == take.clip.hw and torch.equal(found.time_s, take.clip.time_s)
    assert [e for e in events if isinstance(e, Progress)] == [Progress("camera", i, 4) for i in range(1, 5)]
    torch.testing.assert_close(found.world_from_cam[0], torch.eye(4), rtol=0, atol=1e-6)
    # In the world of the first camera, and in the unit of that world's size.
    true = torch.linalg.inv(take.cameras.world_from_cam[0].double()) @ take.cameras.world_from_cam.double()
    R = found.world_from_cam[:, :3, :3].double()
    apart = (true[:, :3, :3] - R).flatten(1).norm(dim=1) / 8**0.5
    # In the best of worlds a mean of 0.3 degrees was measured.
    assert float(torch.rad2deg(2 * torch.asin(apart)).max()) < 2.0
    ours, theirs = found.centre_m.double(), true[:, :3, 3]
    scale = float((ours * theirs).sum() / theirs.square().sum())
    path = float(theirs.diff(dim=0).norm(dim=1).sum())
    assert float((ours / scale - theirs).norm(dim=1).max()) < 0.05 * path
    assert float((found.K[:, 0, 0] / take.cameras.K[:, 0, 0] - 1).abs().max()) < 0.06
    seen = take.depth.depth_m[0][torch.isfinite(take.depth.depth_m[0])]
    assert 0.5 < scale * float(seen.median()) < 2  # The median depth of the first frame is 1; of its features, nearly.
    again = result(camera.load("colmap")(take.clip, take.motion))
    assert torch.equal(again.world_from_cam, found.world_from_cam) and torch.equal(again.K, found.K)
    said = capfd.readouterr()
    assert said.out == said.err == ""


@pytest.mark.needs("pycolmap")
@pytest.mark.parametrize("kind", ["black", "noise", "still", "two"])
def test_where_it_finds_nothing_there_is_one_error(
    take: Take, kind: str, capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    noise = torch.from_numpy(np.random.default_rng(0).integers(0, 256, take.clip.frames[:6].shape, dtype=np.uint8))
    frames = {
        "black": torch.zeros_like(noise),
        "noise": noise,
        "still": take.clip.frames[:1].expand(6, -1, -1, -1),
        "two": take.clip.frames[:1].expand(2, -1, -1, -1),
    }[kind]
    clip = Clip(frames, take.clip.time_s[: len(frames)], name="x.mp4")
    moves = Motion(*(getattr(take.motion, name)[: len(frames)] for name in vars(take.motion)))
    with pytest.raises(InputError, match=r"COLMAP could place \d of the \d frames of clip 'x.mp4'. It needs a camera"):
        result(camera.load("colmap")(clip, moves))
    assert not list(tmp_path.iterdir()), "What it wrote is gone."
    said = capfd.readouterr()
    assert said.out == said.err == ""


def test_what_moves_is_masked(tmp_path: Path, take: Take) -> None:
    moving = torch.zeros(len(take.clip), 72, 128)  # Maps may be smaller than pictures.
    moving[1, 30:40, 50:60] = 1.0
    zero, none = torch.zeros(*moving.shape, 2), torch.zeros(moving.shape, dtype=torch.bool)
    names = colmap._write_pictures(take.clip, Motion(zero, zero, none, none, moving), tmp_path)
    assert list(names.items())[:2] == [("00000.png", 0), ("00001.png", 1)]
    first, second = (cv2.imread(str(tmp_path / "masks" / f"0000{i}.png.png"), cv2.IMREAD_GRAYSCALE) for i in (0, 1))
    assert first.min() == 255 and second[60:80, 100:120].max() == 0 and second[50, 90] == 255
    picture = cv2.imread(str(tmp_path / "pictures" / "00001.png"))[..., ::-1]
    assert np.array_equal(picture, take.clip.frames[1].numpy())


def stand_in(monkeypatch: pytest.MonkeyPatch, frames: list[int]) -> None:
    """A COLMAP that places these frames, each at x = its number, in a world where the first sees things at depth 2."""

    def place(self: object, *_: object) -> Steps[colmap._Placed]:
        poses = np.tile(np.eye(4)[:3], (len(frames), 1, 1))
        poses[:, 0, 3] = -np.array(frames, float)
        yield Progress("camera", 3, 4)
        return colmap._Placed(np.array(frames), poses, 300.0, (160.0, 90.0), 2.0)

    monkeypatch.setattr(colmap.Colmap, "_place", place)


@pytest.mark.needs("pycolmap")
def test_frames_that_are_not_placed_are_interpolated(take: Take, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, [1, 2, 3, 6])
    found, events = followed(camera.load("colmap")(take.clip, take.motion))
    expected = torch.tensor([0, 0, 1, 2, 3, 4, 5, 5]) / 2  # Before the first it holds, and after the last.
    torch.testing.assert_close(found.centre_m[:, 0], expected)
    assert found.K[0].tolist() == [[300, 0, 160], [0, 300, 90], [0, 0, 1]]
    assert [e.message for e in events if isinstance(e, Warned)] == [
        "COLMAP could not place 4 of 8 frames; they are interpolated."
    ]


@pytest.mark.needs("pycolmap")
def test_too_few_frames_are_refused(take: Take, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, [0, 1, 2])
    with pytest.raises(InputError, match="could place 3 of the 8 frames"):
        result(camera.load("colmap")(take.clip, take.motion))


def test_without_pycolmap_there_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycolmap", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingError, match=r"Camera backend 'colmap' needs .*\n.*'fourd\[colmap\]'\n.*flow"):
        camera.load("colmap")
