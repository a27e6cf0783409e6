"""The embedded network's plumbing, with weights drawn at random: what must hold whatever it has learnt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from fourd import depth
from fourd.depth import align, embedded, prior, still
from fourd.depth.common import Rig
from fourd.depth.embedded import weights
from fourd.depth.embedded.network import Network
from fourd.depth.embedded.reader import Reader
from fourd.depth.guess import Guess
from fourd.depth.reading import MOST, fitted
from fourd.errors import FormatError, MissingError
from fourd.events import Warned, result
from fourd.geometry.rigid import matrix_from_rotvec
from fourd.types import DepthMaps
from tests.depth import planes

TOLD = {"area": 48 * 64, "widths": [8, 8, 8, 8, 8], "blocks": [0, 1, 0, 0, 1]}


def untaught() -> Network:
    torch.manual_seed(3)
    network = Network(TOLD["widths"], TOLD["blocks"])
    torch.nn.init.normal_(network.last.weight, std=0.1)
    return network.eval()


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "weights.safetensors"
    weights.save(untaught(), path, TOLD)
    monkeypatch.setattr(weights, "SHIPPED", path)
    return path


@pytest.fixture
def unshipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "SHIPPED", tmp_path / "nowhere.safetensors")


def still_camera(count: int = 3, hw: tuple[int, int] = (72, 96)) -> planes.World:
    return planes.planes(planes.sideways(count, step=0), [(np.array([0.0, 0, 1]), 3.0, planes.EVERYWHERE)], hw=hw)


@pytest.mark.parametrize("hw", [(32, 32), (40, 72), (64, 33)], ids=str)
def test_maps_are_as_large_as_the_picture(hw: tuple[int, int]) -> None:
    said = untaught()(torch.randn(2, 3, *hw), torch.zeros(2, *hw))
    assert said.log_rho.shape == said.log_error.shape == said.alive.shape == (2, *hw)


def test_the_shipped_size_is_within_what_was_promised() -> None:
    assert sum(p.numel() for p in Network().parameters()) < 6e6


def test_weights_come_back_as_they_were_kept(tmp_path: Path) -> None:
    network, path = untaught(), tmp_path / "w.safetensors"
    weights.save(network, path, TOLD)
    again, area = weights.load(path)
    assert area == 48 * 64
    x = torch.randn(1, 3, 48, 64)
    a, b = (n(x, torch.zeros(1, 48, 64)).log_rho for n in (network, again))
    # Half floats keep 11 bits; a dozen layers add their roundings up.
    torch.testing.assert_close(a, b, atol=0.02, rtol=0)


def test_missing_weights_say_what_to_do(unshipped: None) -> None:
    with pytest.raises(MissingError, match=r"(?s)needs its weights at .*no such file.*fourd.depth.train.*prior"):
        depth.load("embedded")
    assert not embedded.available()


def test_files_that_hold_something_else_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00{}      junk")
    with pytest.raises(FormatError, match=r"w.safetensors"):
        Reader(path)
    other = tmp_path / "other.safetensors"
    save_file({"x": torch.zeros(3)}, other, {"format": "another"})
    with pytest.raises(FormatError, match=r"says it is 'another'; expected 'fourd.depth.embedded/1'"):
        Reader(other)
    half = tmp_path / "half.safetensors"
    weights.save(untaught(), half, TOLD | {"widths": [8, 8, 8, 8, 16]})
    with pytest.raises(FormatError, match=r"does not hold this network's weights"):
        Reader(half)


def test_a_mirrored_picture_has_mirrored_depth(shipped: Path) -> None:
    picture = planes.texture(size=96)[:72].astype(np.uint8)
    straight, mirrored = (Reader().look(p).rho for p in (picture, picture[:, ::-1].copy()))
    np.testing.assert_allclose(mirrored[:, ::-1], straight, rtol=1e-4)
    assert straight.std() > 0


@pytest.mark.parametrize("hw", [(1, 1), (5, 900), (700, 20), (480, 640)], ids=str)
def test_any_shape_of_picture_can_be_read(shipped: Path, hw: tuple[int, int]) -> None:
    reading = Reader().look(np.full((*hw, 3), 200, np.uint8))
    assert np.isfinite(reading.rho).all()
    assert (reading.rho > 0).all()
    assert (reading.error > 0).all()
    assert np.exp(np.log(reading.rho).mean()) == pytest.approx(1, abs=1e-4)


def test_what_was_said_before_is_listened_to(shipped: Path) -> None:
    picture = planes.texture(size=64)[:48].astype(np.uint8)
    alone = Reader().look(picture)
    before = np.ones_like(alone.rho)
    np.testing.assert_array_equal(Reader().look(picture, before).rho, alone.rho)  # Flat: nothing is told.
    before[:, 32:] = 4
    assert np.abs(Reader().look(picture, before).rho - alone.rho).max() > 1e-3


def test_scale_and_shift_are_found_among_outliers() -> None:
    rng = np.random.default_rng(0)
    guess = rng.uniform(0.3, 2, 900).astype(np.float32)
    measured = (1.7 * guess + 0.2).astype(np.float32)
    measured[:200] = rng.uniform(0.1, 6, 200)
    scale, shift = align.scale_and_shift(guess, measured, np.ones(900, np.float32))
    # The pull to a shift of nothing is worth a few hundredths.
    assert scale == pytest.approx(1.7, abs=0.08)
    assert shift == pytest.approx(0.2, abs=0.08)


def test_alignment_never_turns_a_guess_around() -> None:
    guess = np.linspace(0.5, 2, 100, dtype=np.float32)
    scale, shift = align.scale_and_shift(guess, guess[::-1].copy(), np.ones(100, np.float32))
    assert scale > 0
    flat = align.scale_and_shift(np.ones(50, np.float32), np.full(50, 3, np.float32), np.ones(50, np.float32))
    assert flat[0] + flat[1] == pytest.approx(3)
    assert align.scale_and_shift(*np.zeros((3, 0), np.float32)) == (1.0, 0.0)
    assert shift == shift


def turning(degrees: float, count: int = 5, hw: tuple[int, int] = (36, 48)) -> Rig:
    world = planes.planes(planes.sideways(count, step=0), [(np.array([0.0, 0, 1]), 3.0, planes.EVERYWHERE)], hw=hw)
    turn = torch.zeros(count, 3, dtype=torch.float64)
    turn[:, 1] = torch.deg2rad(torch.linspace(0, degrees, count, dtype=torch.float64))
    pose = world.cameras.world_from_cam.clone()
    pose[:, :3, :3] = matrix_from_rotvec(turn).float()
    return Rig.of(world.cameras.replace(world_from_cam=pose), hw)


def smooth(rig: Rig, i: int) -> np.ndarray:
    """Inverse depth of a lumpy shell about the viewer, in frame i."""
    rays = rig.rays(i) @ rig.world_from_cam[i, :3, :3].T
    far = np.linalg.norm(rays, axis=-1)
    unit = rays / far[..., None]
    radius = 3 + np.sin(5 * unit[..., 0]) + 0.7 * np.cos(4 * unit[..., 1])
    return (far / radius).astype(np.float32)


@pytest.mark.parametrize("degrees", [0.0, 24.0])
def test_one_world_comes_out_of_guesses_of_any_scale(degrees: float) -> None:
    rig = turning(degrees)
    world = still.StillWorld(rig)
    for i in range(len(rig)):
        world.add(i, smooth(rig, i) * np.float32(1.3**i), np.ones(rig.hw, bool))
    for i in range(len(rig)):
        np.testing.assert_allclose(world.seen_from(i), smooth(rig, i), rtol=0.02)
    if degrees == 0:
        np.testing.assert_array_equal(world.seen_from(0), world.seen_from(4))


def test_what_moved_away_leaves_the_world_behind_it() -> None:
    rig = turning(0.0)
    world = still.StillWorld(rig)
    for i in range(len(rig)):
        rho, moving = smooth(rig, i), np.zeros(rig.hw, bool)
        moving[8:30, 8 * i : 8 * i + 10] = True
        rho[moving] = 4.0
        world.add(i, rho, ~moving)
    np.testing.assert_allclose(world.seen_from(2), smooth(rig, 2), rtol=0.01)


@pytest.mark.parametrize("degrees", [40.0, 120.0])
def test_where_no_guess_looked_the_nearest_goes_on(degrees: float) -> None:
    rig = turning(degrees, count=2)
    world = still.StillWorld(rig)
    world.add(0, smooth(rig, 0), np.ones(rig.hw, bool))
    seen = world.seen_from(1)
    assert (seen > 0).all()
    assert seen.max() < 1.5 * smooth(rig, 0).max()


@pytest.mark.needs("native")
def test_a_still_camera_sees_one_still_world(shipped: Path) -> None:
    world = still_camera()
    events = list(depth.load("parallax")(world.clip, world.cameras, world.motion))
    said = [e.message for e in events if isinstance(e, Warned)]
    assert said == ["The camera hardly travels, so depth cannot be measured: a small network's guess stands in."]
    maps = result(depth.load("embedded")(world.clip, world.cameras, world.motion))
    assert torch.equal(maps.depth_m[0], maps.depth_m[2])
    assert 0 < float(maps.confidence.min()) <= float(maps.confidence.max()) <= MOST
    again = result(depth.load("parallax")(world.clip, world.cameras, world.motion))
    assert torch.equal(maps.depth_m, again.depth_m)


@pytest.mark.needs("native")
@pytest.mark.parametrize("level", [0, 255])
def test_pictures_of_nothing_and_of_movement_alone_have_finite_depth(shipped: Path, level: int) -> None:
    world = still_camera()
    clip = world.clip.replace(frames=torch.full_like(world.clip.frames, level))
    motion = world.motion.replace(moving=torch.ones_like(world.motion.moving))
    maps: DepthMaps = result(depth.load("embedded")(clip, world.cameras, motion))
    assert bool((maps.depth_m > 0).all() and torch.isfinite(maps.depth_m).all())


@pytest.mark.needs("native")
def test_guesses_are_brought_to_what_was_measured(shipped: Path) -> None:
    world = still_camera(1)
    rig = Rig.of(world.cameras, (72, 96))
    picture = world.clip.frames[0].numpy()
    seen = fitted(Reader().look(picture), picture)
    sure = np.zeros((72, 96), np.float32)
    sure[::2] = 1
    guess = Guess(rig, {0: 2.5 * seen}, {0: sure}, Reader())
    np.testing.assert_allclose(guess.of(0, picture), 2.5 * seen, rtol=0.02)
    unmeasured = Guess(rig, {0: seen}, {0: 0 * sure}, Reader())
    np.testing.assert_array_equal(unmeasured.of(0, picture), prior.surface(rig, 0))


def test_without_weights_the_prior_is_believed(unshipped: None) -> None:
    world = still_camera(1)
    rig = Rig.of(world.cameras, (72, 96))
    ramp, sure = prior.surface(rig, 0), np.ones((72, 96), np.float32)
    guess = Guess(rig, {0: 3 * ramp}, {0: sure}, None)
    np.testing.assert_allclose(guess.of(0, world.clip.frames[0].numpy()), 3 * ramp, rtol=1e-5)
    assert guess.seen is None
