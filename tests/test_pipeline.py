"""The whole way: what the public API promises, on worlds known in closed form."""

from __future__ import annotations

import json
import math
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError

import fourd
from fourd import generate
from fourd.errors import FourdError, InputError, MissingError
from fourd.events import Finished, Progress, Started, Steps, Warned
from fourd.geometry import rigid
from fourd.types import Cameras, Clip, DepthMaps, Motion, Sound, SoundSource, Uncertainty
from tests.fuse import worlds

pytestmark = pytest.mark.needs("native")


@pytest.fixture(scope="module")
def filmed() -> tuple[Clip, Cameras, DepthMaps]:
    cameras = worlds.cameras(frames=6)
    clip, maps, _ = worlds.film(cameras, 0.5)
    tone = torch.sin(torch.arange(4000) * 0.2)[:, None] / 4
    return clip.replace(sound=Sound(tone, 8000), name="board"), cameras, maps


@pytest.fixture(scope="module")
def given(filmed: tuple[Clip, Cameras, DepthMaps]) -> fourd.Scene:
    clip, cameras, maps = filmed
    return fourd.lift(clip, fourd.Config(camera=cameras, depth=maps, inpaint="none"))


def test_given_geometry_gives_the_filmed_pictures_back(
    filmed: tuple[Clip, Cameras, DepthMaps], given: fourd.Scene
) -> None:
    clip, cameras, _ = filmed
    frames = given.render(given.cameras)
    assert frames.rgb.shape == (6, *worlds.HW, 3) and frames.alpha.shape == frames.depth_m.shape == (6, *worlds.HW)
    assert 0 <= float(frames.rgb.min()) and float(frames.rgb.max()) <= 1
    # Measured 28 dB: the board's own motion mask comes from flow, not from the truth.
    assert worlds.psnr(frames.rgb, clip.frames / 255) > 25
    torch.testing.assert_close(given.cameras.world_from_cam, cameras.world_from_cam)
    torch.testing.assert_close(given.cameras.time_s, clip.time_s)


def test_given_arrays_may_be_larger_than_the_working_picture(filmed: tuple[Clip, Cameras, DepthMaps]) -> None:
    clip, cameras, maps = filmed
    scene = fourd.lift(clip, fourd.Config(camera=cameras, depth=maps, size=32, inpaint="none"))
    assert scene.cameras.hw == (24, 32)
    torch.testing.assert_close(scene.cameras.K[:, :2], cameras.K[:, :2] / 2)


def test_a_scene_survives_its_file(given: fourd.Scene, tmp_path: Path) -> None:
    given.save(tmp_path / "s.glb")
    again = fourd.Scene.open(tmp_path / "s.glb")
    assert torch.equal(again.render(again.cameras).rgb, given.render(given.cameras).rgb)
    assert again.provenance == given.provenance
    assert again.sound is not None and again.sound.rate_hz == 8000
    json.dumps(given.provenance.config)


def test_a_scene_knows_which_way_is_up(tmp_path: Path) -> None:
    stage = generate.scene("room", 0, hw=(72, 128), frames=4)
    roll = rigid.matrix_from_rotvec(torch.tensor([0.0, 0.0, 0.25]))  # 14 degrees, all the way.
    pose = stage.cameras.world_from_cam.clone()
    pose[:, :3, :3] = pose[:, :3, :3] @ roll
    take = generate.shoot(stage.stage, stage.cameras.replace(world_from_cam=pose), samples=1, rays=1)
    fourd.lift(take.clip, fourd.Config(take.cameras, take.depth, quality="draft", inpaint="none")).save(
        tmp_path / "s.glb"
    )
    scene = fourd.Scene.open(tmp_path / "s.glb")
    assert scene.provenance.up is not None and scene.up[1] > math.cos(math.radians(1))  # The stage has y up.
    height = scene.path("orbit", at_s=0.0, duration_s=0.5).centre_m[:, 1]
    assert float(height.max() - height.min()) < 0.01 * scene.focus_m()


def test_a_lens_that_bends_is_made_straight_first(filmed: tuple[Clip, Cameras, DepthMaps]) -> None:
    clip, cameras, maps = filmed
    bent = cameras.replace(bend=-0.1, uncertainty=Uncertainty(0.01, 0.2, None))
    events = list(fourd.steps(clip, fourd.Config(camera=bent, quality="draft", inpaint="none")))
    assert [e.stage for e in events if isinstance(e, Started)] == ["motion", "camera", "motion", "depth", "fuse"]
    assert isinstance(events[-1], Finished) and isinstance(events[-1].result, fourd.Scene)
    scene = events[-1].result
    assert scene.cameras.bend == 0
    torch.testing.assert_close(scene.cameras.K, cameras.K)  # A barrel is cropped, not enlarged.
    assert scene.provenance.uncertainty == scene.cameras.uncertainty == bent.uncertainty
    assert scene.provenance.warnings[0].startswith("The lens bends straight lines. The pictures are made straight")
    with pytest.raises(
        InputError, match=r"a lens that bends by -0\.1, and depth is given, which cannot be made straight"
    ):
        fourd.lift(clip, fourd.Config(camera=bent, depth=maps, inpaint="none"))


def test_nothing_given_reports_on_the_way_and_makes_a_scene(filmed: tuple[Clip, Cameras, DepthMaps]) -> None:
    clip, _, _ = filmed
    events = list(fourd.steps(clip, fourd.Config(inpaint="stretch")))
    started = [e.stage for e in events if isinstance(e, Started)]
    finished = [e.stage for e in events if isinstance(e, Finished)]
    assert started == ["motion", "camera", "depth", "fuse", "refine", "inpaint"]
    assert finished == ["motion", "camera", "depth", "motion", "fuse", "refine", "inpaint", "lift"]
    assert all(0 <= e.done <= e.total for e in events if isinstance(e, Progress))
    assert isinstance(events[-1], Finished)
    scene = events[-1].result
    assert isinstance(scene, fourd.Scene)
    warned = [e.message for e in events if isinstance(e, Warned)]
    assert scene.provenance.warnings == warned
    assert set(scene.provenance.seconds) == {"motion", "camera", "depth", "fuse", "refine", "inpaint"}
    # Of unknown scale, so the unit is the median depth of the first frame.
    maps = next(e.result for e in events if isinstance(e, Finished) and e.stage == "depth")
    assert isinstance(maps, DepthMaps)
    first = scene.render(scene.cameras[:1])
    assert float(first.depth_m[first.alpha > 0.5].median()) == pytest.approx(1, rel=0.1)


def test_sounds_keep_their_places_where_the_cameras_are_known(filmed: tuple[Clip, Cameras, DepthMaps]) -> None:
    clip, cameras, maps = filmed
    assert clip.sound is not None
    bell = SoundSource(clip.sound.samples[:, 0], torch.tensor([[1.0, 2, 3]]), torch.tensor([0.1]).double(), "bell")
    ringing = clip.replace(sound=clip.sound.replace(sources=(bell,)))
    known = fourd.Config(camera=cameras, depth=maps, quality="draft", inpaint="none")
    scene = fourd.lift(ringing, known)
    assert scene.sound is not None and scene.sound.sources == (bell,) and scene.provenance.warnings == []
    first = next(fourd.steps(ringing, fourd.Config(quality="draft")))
    assert isinstance(first, Warned) and "Give the cameras to keep them" in first.message


def test_shots_that_fade_into_each_other_are_named(
    filmed: tuple[Clip, Cameras, DepthMaps], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fourd.pipeline.cuts", lambda clip: [(1, 1), (2, 4)])
    said = [e for e in islice(fourd.steps(filmed[0]), 2) if isinstance(e, Warned)]
    assert [e.message.split(".")[0] for e in said] == [
        "Frames 2 to 3 are mixed of two shots, one of which fades into the other"
    ]


def test_stopping_the_iteration_stops_the_work(filmed: tuple[Clip, Cameras, DepthMaps]) -> None:
    steps = fourd.steps(filmed[0])
    next(steps)
    steps.close()
    with pytest.raises(StopIteration):
        next(steps)


def test_the_same_seed_gives_the_same_bits(filmed: tuple[Clip, Cameras, DepthMaps]) -> None:
    one, two = (fourd.lift(filmed[0], fourd.Config(quality="draft", seed=3)) for _ in range(2))
    assert torch.equal(one.splats.mean_m, two.splats.mean_m)
    assert torch.equal(one.cameras.K, two.cameras.K)


def test_cameras_and_depth_from_files(filmed: tuple[Clip, Cameras, DepthMaps], tmp_path: Path) -> None:
    clip, cameras, maps = filmed
    np.savez(tmp_path / "cameras.npz", K=cameras.K.numpy(), world_from_cam=cameras.world_from_cam.numpy())
    np.savez(tmp_path / "depth.npz", depth_m=maps.depth_m.numpy())
    config = fourd.Config(
        camera="file",
        camera_file=tmp_path / "cameras.npz",
        depth="file",
        depth_file=tmp_path / "depth.npz",
        inpaint="none",
        quality="draft",
    )
    scene = fourd.lift(clip, config)
    torch.testing.assert_close(scene.cameras.K, cameras.K)
    assert float(scene.render(scene.cameras[:1]).depth_m.max()) == pytest.approx(worlds.WALL_M, rel=0.05)


def test_given_depth_scales_the_solved_cameras(filmed: tuple[Clip, Cameras, DepthMaps]) -> None:
    clip, _, maps = filmed
    scene = fourd.lift(clip, fourd.Config(camera="still", depth=maps, quality="draft", inpaint="none"))
    torch.testing.assert_close(
        scene.render(scene.cameras[:1]).depth_m[0, 2, 2], torch.tensor(worlds.WALL_M), rtol=0.05, atol=0
    )


@pytest.mark.parametrize(("unit_m", "metric", "times"), [(2.0, False, 2.0), (None, True, 1.0), (None, False, None)])
def test_depth_that_speaks_of_metres_makes_the_scene_metric(
    unit_m: float | None, metric: bool, times: float | None, filmed: tuple[Clip, Cameras, DepthMaps]
) -> None:
    clip, _, maps = filmed

    def found(clip: Clip, cameras: Cameras, motion: Motion) -> Steps[DepthMaps]:
        yield Progress("depth", 1, 1)
        return maps.replace(unit_m=unit_m, metric=metric)

    scene = fourd.lift(clip, fourd.Config(camera="still", depth=found, quality="draft", inpaint="none"))
    assert scene.provenance.metric == (times is not None)
    assert scene.provenance.config["depth"] == "given" and scene.provenance.config["range_deg"] == 30.0
    wall_m = torch.tensor(worlds.WALL_M * times if times else worlds.WALL_M / float(maps.depth_m[0].median()))
    torch.testing.assert_close(scene.render(scene.cameras[:1]).depth_m[0, 2, 2], wall_m, rtol=0.05, atol=0)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (dict(camera="nonsense"), "nonsense"),
        (dict(depth="nonsense"), "nonsense"),
        (dict(depth="./no/folder"), "is no depth model|needs the package 'transformers'"),
        (dict(camera="file"), "camera_file is not set"),
        (dict(depth="file"), "depth_file is not set"),
        (dict(camera=worlds.cameras(frames=4)), r"4 cameras were given for clip 'board', which has 6 frames"),
        (dict(size=4), "size is 4"),
        (dict(inpaint="nonsense"), "There is no inpainter 'nonsense'"),
        (dict(range_deg=0.0), r"range_deg is 0; it must be above 0 and at most 90 degrees"),
        (dict(range_deg=120.0), r"range_deg is 120; it must"),
        (dict(quality="best"), "Config.quality is 'best'; choose one of: draft, standard, high"),
        (dict(device="tpu"), "Config.device is 'tpu'; choose one of: cpu, cuda"),
        (dict(size="640"), "Config.size is '640'; it must be a whole number"),
        (dict(seed=0.5), "Config.seed is 0.5; it must be a whole number"),
        (dict(camera_file="no.json"), "Cannot read no.json: there is no such file"),
        (dict(camera="still", camera_file="no.json"), "Config.camera and Config.camera_file were both given"),
        (dict(depth_file="no.npz"), "no.npz"),
    ],
)
def test_a_wrong_configuration_is_one_clear_error(
    filmed: tuple[Clip, Cameras, DepthMaps], config: dict, words: str
) -> None:
    with pytest.raises((InputError, MissingError), match=words):
        fourd.lift(filmed[0], fourd.Config(**config))


def test_cameras_of_a_lying_picture_are_refused_for_a_standing_one(filmed: tuple[Clip, Cameras, DepthMaps]) -> None:
    clip, cameras, maps = filmed
    turned = cameras.replace(hw=cameras.hw[::-1])
    with pytest.raises(InputError, match=r"the proportions differ. Sizes are \(height, width\)"):
        fourd.lift(clip, fourd.Config(camera=turned, depth=maps, inpaint="none"))


def test_what_the_file_lacks_is_said_and_kept(filmed: tuple[Clip, Cameras, DepthMaps]) -> None:
    clip, cameras, maps = filmed
    config = fourd.Config(camera=cameras, depth=maps, quality="draft", inpaint="none")
    events = list(fourd.steps(clip.replace(warnings=("a.mp4: it was cut short.",)), config))
    assert events[0] == Warned("media", "a.mp4: it was cut short.")
    scene = events[-1].result
    assert isinstance(scene, fourd.Scene) and scene.provenance.warnings[0] == "a.mp4: it was cut short."


def test_only_a_clip_is_lifted() -> None:
    with pytest.raises(TypeCheckError, match=r"'clip'(?s:.*)Actual value: 'walk.mp4'(?s:.*)Expected type:.*Clip"):
        fourd.lift("walk.mp4")  # type: ignore[arg-type]


def test_cuda_is_refused_before_any_work(
    filmed: tuple[Clip, Cameras, DepthMaps], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    clip, cameras, maps = filmed
    with pytest.raises(
        MissingError, match=r"Config\.device is 'cuda', but CUDA cannot be used here: .*\n  What to do: "
    ):
        next(fourd.steps(clip, fourd.Config(camera=cameras, depth=maps, device="cuda")))


@pytest.mark.parametrize("kind", ["black", "white", "noise", "one frame", "two frames", "tall", "frozen"])
def test_any_clip_makes_a_scene(kind: str) -> None:
    generator = torch.Generator().manual_seed(0)
    t = {"one frame": 1, "two frames": 2}.get(kind, 5)
    h, w = (70, 33) if kind == "tall" else (40, 56)
    frames = torch.randint(0, 256, (t, h, w, 3), generator=generator, dtype=torch.uint8)
    if kind in ("black", "white"):
        frames = torch.full_like(frames, 255 * (kind == "white"))
    if kind in ("frozen", "tall", "two frames"):
        frames = frames[:1].expand(t, -1, -1, -1)
    scene = fourd.lift(Clip(frames, torch.arange(t, dtype=torch.float64) / 10), fourd.Config(quality="draft"))
    shown = scene.render(scene.cameras)
    assert torch.isfinite(shown.rgb).all() and torch.isfinite(shown.depth_m).all()
    assert float(shown.alpha.mean()) > 0.9, "whatever was filmed is there"


def test_export_and_video(given: fourd.Scene, tmp_path: Path) -> None:
    given.export(tmp_path / "s.ply")
    given.export(tmp_path / "s.json")
    assert (tmp_path / "s.ply").read_bytes().startswith(b"ply")
    assert json.loads((tmp_path / "s.json").read_text())["frames"]
    with pytest.raises(InputError, match=r"Cannot export splats to 's\.xyz'"):
        given.export(tmp_path / "s.xyz")
    with pytest.raises(InputError, match=r"saved as \.glb"):
        given.save(tmp_path / "s.mp4")
    given.write_video(tmp_path / "source.mp4", given.path("source"))
    heard = Clip.open(tmp_path / "source.mp4")
    assert heard.sound is not None, "time runs as it was filmed, so the sound goes along"
    given.write_video(tmp_path / "slow.mp4", given.path("source", speed=0.5))
    assert Clip.open(tmp_path / "slow.mp4").sound is None
    with pytest.raises(FourdError):
        given.write_video(tmp_path / "no" / "x.mp4", given.path("source"))
