"""Scenes in the formats of others: .4dgs and .splatv, and what is made of files without time and cameras."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from types import ModuleType

import fourdgs as package
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fourd.errors import FormatError, InputError
from fourd.formats import _wav, fourdgs, glb, ply, scenes, splat, splatv, spz
from fourd.native import rasterize
from fourd.types import Sound, SoundSource, Splats
from tests.formats import samples

CODECS = pytest.mark.parametrize("codec", [fourdgs, splatv], ids=["4dgs", "splatv"])


def modest(n: int = 60, coefficients: int = 1, seed: int = 0) -> Splats:
    """Splats of colours that can be shown, so that no format cuts them."""
    made = samples.splats(n, coefficients, seed)
    colour = made.colour.clone()
    colour[:, 0] = (torch.rand(n, 3, generator=torch.Generator().manual_seed(seed)) - 0.5) / 0.2821
    colour[:, 1:] = colour[:, 1:].clamp(-3.9, 3.9)
    return made.replace(colour=colour)


def paired(splats: Splats, got: Splats) -> tuple[Splats, Splats]:
    """Each splat beside the one that is nearest to it in the other."""
    assert len(got) == len(splats)
    near = torch.cdist(splats.mean_m, got.mean_m).argmin(1)
    assert len(near.unique()) == len(splats)
    return splats, got[near]


def turn_deg(a: Splats, b: Splats) -> float:
    cosine = (a.quat_wxyz * b.quat_wxyz).sum(1).abs().double().clamp(max=1)
    return float(torch.rad2deg(2 * torch.acos(cosine)).max())


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**16), coefficients=st.sampled_from([1, 4, 9, 16]))
def test_4dgs_is_as_exact_as_it_says(seed: int, coefficients: int, tmp_path_factory) -> None:
    splats = modest(40, coefficients, seed)
    path = tmp_path_factory.mktemp("q") / "x.4dgs"
    fourdgs.write(path, splats=splats, cameras=samples.cameras(), sound=samples.sound())
    read = fourdgs.read(path)
    assert read.warnings == ()
    splats, got = paired(splats, read.splats)
    assert float((got.mean_m - splats.mean_m).abs().max()) <= 0.0201 * float(np.median(splats.scale_m))
    assert float((got.scale_m / splats.scale_m).log().abs().max()) <= 0.00501
    assert turn_deg(got, splats) < 0.2  # Half a step of three components, and what follows for the fourth.
    assert float((got.opacity - splats.opacity).abs().max()) <= 0.501 / 255
    assert float((got.rgb - splats.rgb).abs().max()) <= 1.01 / 255  # Rounded in another space than sRGB's.
    if coefficients > 1:
        assert float((got.colour[:, 1:] - splats.colour[:, 1:]).abs().max()) <= 0.0158
    assert torch.equal(torch.isinf(got.duration_s), torch.isinf(splats.duration_s))
    moves = ~torch.isinf(splats.duration_s)
    assert float((got.duration_s / splats.duration_s)[moves].log().abs().max()) <= 0.00501
    assert float((got.time_s - splats.time_s).abs()[moves].max()) <= 0.0005 + 1e-6
    assert float((got.velocity_mps - splats.velocity_mps).norm(dim=1).max()) < 0.05


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_splatv_is_as_exact_as_it_says(seed: int, tmp_path_factory) -> None:
    splats, cameras = modest(40, 1, seed), samples.cameras()
    path = tmp_path_factory.mktemp("q") / "x.splatv"
    splatv.write(path, splats=splats, cameras=cameras)
    read = splatv.read(path)
    assert read.warnings == ()
    got, half = read.splats, 2**-11 * 1.001
    samples.same(got, splats, "mean_m")
    torch.testing.assert_close(got.scale_m, splats.scale_m, rtol=half, atol=6e-8)
    torch.testing.assert_close(got.velocity_mps, splats.velocity_mps, rtol=half, atol=1e-6)
    torch.testing.assert_close(got.duration_s, splats.duration_s, rtol=half, atol=1e-6)
    # The film's clock is a share of the film, in half floats.
    torch.testing.assert_close(got.time_s - 0.1, splats.time_s - 0.1, rtol=half, atol=1e-6)
    assert turn_deg(got, splats) < 0.1
    assert float((got.opacity - splats.opacity).abs().max()) <= 0.501 / 255
    assert float((got.rgb - splats.rgb).abs().max()) <= 0.501 / 255


@CODECS
def test_cameras_and_provenance_come_back_exactly(codec: ModuleType, tmp_path: Path) -> None:
    cameras, notes = samples.cameras(), samples.provenance()
    codec.write(tmp_path / "x", splats=modest(), cameras=cameras, sound=samples.sound(), provenance=notes)
    got = codec.read(tmp_path / "x")
    assert got.cameras is not None and got.cameras.hw == cameras.hw and got.provenance == notes
    samples.same(got.cameras, cameras, "K", "world_from_cam", "time_s")
    assert (got.sound is not None) == (codec is fourdgs)
    if got.sound is not None:
        assert got.sound.start_s == pytest.approx(samples.sound().start_s)
        torch.testing.assert_close(got.sound.samples, samples.sound().samples, rtol=0, atol=0.51 / 32767)


def test_4dgs_keeps_sounds_with_places(tmp_path: Path) -> None:
    cameras, sound = samples.cameras(), samples.sound()  # From 0.1 s to 1.3 s.
    moving = SoundSource(
        sound.samples[:, 0], torch.tensor([[1.0, 2, 3], [2, 3, 4]]), torch.tensor([0.2, 0.9]).double(), "ball"
    )
    standing = SoundSource(sound.samples[:, 1], torch.tensor([[5.0, 6, 7]]), torch.tensor([-9.0]).double(), "bell")
    sound = sound.replace(sources=(moving, standing))
    fourdgs.write(tmp_path / "x.4dgs", splats=modest(4), cameras=cameras, sound=sound)
    others = package.read(tmp_path / "x.4dgs").audio_sources
    assert [track.gain for track in others] == [0, 1, 1], "What the camera heard is not heard twice."
    assert others[1].state_at(0.45).position == pytest.approx((1.5, -2.5, -3.5))
    read = fourdgs.read(tmp_path / "x.4dgs")
    assert read.sound is not None and read.warnings == () and [s.name for s in read.sound.sources] == ["ball", "bell"]
    torch.testing.assert_close(read.sound.samples, sound.samples, rtol=0, atol=0.51 / 32767)
    for got, source in zip(read.sound.sources, sound.sources, strict=True):
        torch.testing.assert_close(got.samples, source.samples, rtol=0, atol=0.51 / 32767)
        torch.testing.assert_close(got.position_m, source.position_m)
    assert read.sound.sources[0].time_s.tolist() == pytest.approx([0.2, 0.9])


def test_4dgs_of_others_with_other_sounds(tmp_path: Path) -> None:
    """Two placed tracks and none that is heard everywhere: both are mixed; no WAV, or another rate, is left out."""
    wav = _wav.encode(Sound(torch.full((800, 1), 0.25), rate_hz=8000))
    other = _wav.encode(Sound(torch.full((800, 1), 0.25), rate_hz=4000))
    tracks = [
        package.AudioSource(i, codec, data, f"{i}", duration_sec=0.1)
        for i, (codec, data) in enumerate([("wav", wav), ("wav", wav), ("opus", b"?"), ("wav", other)])
    ]
    empty = fourdgs._gaussians(modest(2), 0.0)
    package.write(tmp_path / "x.4dgs", empty, 1.0, audio_sources=tracks)
    read = fourdgs.read(tmp_path / "x.4dgs")
    assert read.sound is not None and len(read.sound.sources) == 2
    torch.testing.assert_close(read.sound.samples, torch.full((800, 1), 0.5), rtol=0, atol=1e-4)
    assert read.warnings == ("2 sounds of the file were left out.",)


@pytest.mark.needs("native")
@CODECS
def test_a_picture_of_it_is_the_same_at_every_moment(codec: ModuleType, tmp_path: Path) -> None:
    g = torch.Generator().manual_seed(3)
    splats = modest(800, 4 if codec is fourdgs else 1)
    splats = splats.replace(
        mean_m=splats.mean_m * 0.3 + torch.tensor([0.0, 0, 4]),
        scale_m=0.02 + 0.1 * torch.rand(800, 3, generator=g),
        colour=splats.colour * torch.tensor([1.0] + [0.2] * (splats.colour.shape[1] - 1))[:, None],
        velocity_mps=splats.velocity_mps * 0.2,
    )
    codec.write(tmp_path / "x", splats=splats, cameras=samples.cameras())
    got = codec.read(tmp_path / "x").splats
    K = torch.tensor([[60.0, 0, 32], [0, 60, 24], [0, 0, 1]])
    for time_s in (0.1, 0.9, 2.0):
        one, other = (rasterize(s, K, torch.eye(4), (48, 64), time_s).rgb for s in (splats, got))
        assert float(one.max()) > 0.5
        assert -10 * math.log10(float((one - other).square().mean())) >= 40


@CODECS
def test_nothing_is_a_scene_too(codec: ModuleType, tmp_path: Path) -> None:
    codec.write(tmp_path / "x", splats=modest(3)[:0], cameras=samples.cameras(1))
    assert len(codec.read(tmp_path / "x").splats) == 0


@CODECS
def test_what_is_no_json_is_refused(codec: ModuleType, tmp_path: Path) -> None:
    notes = samples.provenance()
    notes.config["model"] = object()
    with pytest.raises(InputError, match="the provenance is not plain JSON"):
        codec.write(tmp_path / "x", splats=modest(3), cameras=samples.cameras(), provenance=notes)
    assert not list(tmp_path.iterdir())


def test_4dgs_is_what_the_format_s_own_reader_expects(tmp_path: Path) -> None:
    """The state that the package reconstructs at a moment is ours, y up and z back."""
    splats, cameras = modest(50), samples.cameras()
    fourdgs.write(tmp_path / "x.4dgs", splats=splats, cameras=cameras)
    scene = package.read(tmp_path / "x.4dgs")
    assert scene.header.attributes["coordinate_system"] == "y-up-right-handed"
    begin = float(cameras.time_s[0])
    state = scene.state_at(1.3 - begin)
    age = (1.3 - splats.time_s.double()) / splats.duration_s.double()
    fade = torch.exp(-(age**2) / 2)
    alive = fade >= 1 / 255
    assert len(state["indices"]) == int(alive.sum())
    place = splats.mean_m.double() + splats.velocity_mps.double() * (1.3 - splats.time_s.double())[:, None]
    ours = (place * torch.tensor([1.0, -1, -1]))[alive]
    gap = torch.cdist(ours, torch.from_numpy(state["centers"]))
    assert float(gap.min(1).values.max()) < 0.05
    near = gap.argmin(1)
    opacity = (splats.opacity * fade)[alive]
    assert float((torch.from_numpy(state["opacity"])[near] - opacity).abs().max()) < 0.02
    assert scene.camera is not None and len(scene.camera.times) == len(cameras)
    assert scene.camera.positions[0] == pytest.approx(
        (cameras.world_from_cam[0, :3, 3] * torch.tensor([1, -1, -1])).tolist()
    )


def test_4dgs_of_others_with_windows_fades_at_their_ends(tmp_path: Path) -> None:
    one = np.ones((1, 3), np.float32)
    gaussians = package.GaussianSet(
        positions=one, scales=one * 0.1, rotations=np.array([[0, 0, 0, 1]], np.float32),
        colors=np.ones((1, 4), np.float32), motions=one, mu_t=np.zeros(1, np.float32),
        sigma_t=np.full(1, np.inf, np.float32), win_lo=np.array([1.0]),
        win_hi=np.array([2.0]),
    )  # fmt: skip
    package.write(tmp_path / "x.4dgs", gaussians, 3.0)
    splats, cameras, _, notes = scenes.read(tmp_path / "x.4dgs")
    assert notes.warnings == [
        "x.4dgs: 1 splats begin and end at once in the file; here they fade in and out.",
        "x.4dgs has no cameras: one was put where it has everything in view.",
    ]
    assert float(splats.time_s) == 1.5
    assert math.exp(-((0.5 / float(splats.duration_s)) ** 2) / 2) == pytest.approx(0.5)
    # Half way through its window, wherever its own time was; y down.
    torch.testing.assert_close(splats.mean_m, torch.tensor([[2.5, -2.5, -2.5]]), rtol=0, atol=0.01)
    assert (float(cameras.time_s[0]), float(cameras.time_s[-1])) == (0.0, 3.0)


def test_splatv_bytes_are_those_worked_out_by_hand(tmp_path: Path) -> None:
    cameras = samples.upright(3)  # From 0.1 s to 0.7 s.
    one = modest(1).replace(
        mean_m=torch.tensor([[1.0, 2, -3]]),
        quat_wxyz=torch.tensor([[0.6, 0.0, 0.8, 0.0]]),
        scale_m=torch.tensor([[0.5, 0.25, 0.125]]),
        opacity=torch.tensor([0.2]),
        colour=torch.zeros(1, 1, 3),
        velocity_mps=torch.tensor([[10.0, -5, 0]]),
        time_s=torch.tensor([0.4]),
        duration_s=torch.tensor([0.3]),
    )
    splatv.write(tmp_path / "x.splatv", splats=one, cameras=cameras)
    data = (tmp_path / "x.splatv").read_bytes()
    magic, length = struct.unpack("<II", data[:8])
    (chunk,) = json.loads(data[8 : 8 + length])
    assert magic == 0x674B and (chunk["type"], chunk["texwidth"], chunk["texheight"]) == ("splat", 4096, 1)
    body = data[8 + length :]
    assert chunk["size"] == len(body) == 4096 * 16
    assert struct.unpack("<3f", body[:12]) == (1, 2, -3)
    assert np.frombuffer(body[12:28], "<f2").tolist() == pytest.approx([0.6, 0, 0.8, 0, 0.5, 0.25, 0.125, 0], abs=3e-4)
    assert list(body[28:32]) == [128, 128, 128, 51]
    motion = np.frombuffer(body[32:64], "<f2").astype(float).tolist()
    # Six metres a film, and the splat's time and its width in shares of it.
    assert motion == pytest.approx([6, -3, 0] + [0] * 11 + [0.5, 0.3 * math.sqrt(2) / 0.6], abs=1e-3)
    assert not any(body[64 + 28 : 64 + 32]), "What fills the row is not to be seen."
    assert np.frombuffer(body[64:128], "<f2")[30] == -1000
    listed = chunk["cameras"][1]
    assert listed["position"] == pytest.approx(cameras.world_from_cam[1, :3, 3].tolist())
    assert listed["rotation"][0] == pytest.approx(cameras.world_from_cam[1, 0, :3].tolist())
    assert listed["fx"] == pytest.approx(float(cameras.K[1, 0, 0]))


def test_splatv_of_others(tmp_path: Path) -> None:
    """No ``fourd``: the film takes a second, rows end in zeros, curves become lines."""
    rows = np.zeros((1024, 32), "<f2")
    rows[0, 6:13] = [2, 0, 0, 0, 0.1, 0.1, 0.1]
    rows[0, 16:31] = [1, 0, 0, 0.5, 0, 0, 0, 0, 0, 0, 0.2, 0, 0, 0, 0.5]
    rows[0, 31] = 0.1
    words = rows.view("<u4")
    words[0, 7] = 0xFF336699
    text = json.dumps([{"type": "other", "size": 3}, {"type": "splat", "size": words.nbytes, "cameras": []}]).encode()
    (tmp_path / "x").write_bytes(struct.pack("<II", 0x674B, len(text)) + text + b"xyz" + words.tobytes())
    splats, cameras, _, notes = scenes.read(tmp_path / "x")
    assert len(splats) == 1 and float(splats.time_s) == 0.5
    assert float(splats.duration_s) == pytest.approx(0.1 / math.sqrt(2), rel=1e-3)
    torch.testing.assert_close(splats.rgb, torch.tensor([[0x99, 0x66, 0x33]]) / 255)
    assert notes.warnings[:2] == [
        "x: 1 splats move along curves in the file; here they move along lines.",
        "x: 1 splats turn in the file; here they do not.",
    ]
    assert len(cameras) > 1 and float(cameras.time_s[-1]) == 1.0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (dict(velocity_mps=torch.full((1, 3), 1e6)), "The way of a splat during the film is .* holds up to 65504"),
        (dict(scale_m=torch.full((1, 3), 1e5)), "The size of a splat is 100000"),
        (dict(time_s=torch.full((1,), 1e6)), "The time of a splat is"),
    ],
)
def test_splatv_refuses_what_no_half_float_holds(change: dict, says: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=says):
        splatv.write(tmp_path / "x", splats=modest(1).replace(**change), cameras=samples.cameras())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["x.glb", "x.4dgs", "x.splatv", "x.ply", "x.spz", "x.splat"])
def test_a_scene_is_opened_from_every_format(name: str, tmp_path: Path) -> None:
    path, splats = tmp_path / name, modest()
    whole = {"splats": splats, "cameras": samples.cameras()}
    if name in ("x.glb", "x.4dgs", "x.splatv"):
        {".glb": glb, ".4dgs": fourdgs, ".splatv": splatv}[path.suffix].write(path, **whole)
    else:
        {".ply": ply, ".spz": spz, ".splat": splat}[path.suffix].write(path, splats, 1.5)
    got, cameras, sound, notes = scenes.read(path)
    assert 10 < len(got) <= 60 and sound is None
    own = len(cameras) == 5
    assert own == (name in ("x.glb", "x.4dgs", "x.splatv"))
    assert notes.warnings == ([] if own else [f"{name} has no cameras: one was put where it has everything in view."])
    if name != "x.splat":  # The others are known by their first bytes, whatever their name is.
        path.rename(tmp_path / "unknown")
        assert len(scenes.read(tmp_path / "unknown")[0]) == len(got)


def test_the_camera_of_files_without_one_sees_everything() -> None:
    splats = modest(500).replace(mean_m=torch.randn(500, 3) * torch.tensor([1.0, 2, 3]) + torch.tensor([50.0, -20, 7]))
    still = splats.replace(duration_s=torch.full((500,), math.inf), velocity_mps=torch.zeros(500, 3))
    cameras = scenes.around(still)
    assert len(cameras) == 1 and cameras.hw == (720, 1280)
    seen = splats.mean_m - cameras.world_from_cam[0, :3, 3]
    assert bool((seen[:, 2] > 0).all())
    pixel = seen @ cameras.K[0].T
    x, y = pixel[:, 0] / pixel[:, 2], pixel[:, 1] / pixel[:, 2]
    inside = (x > 0) & (x < 1280) & (y > 0) & (y < 720)
    assert float(inside.float().mean()) > 0.9
    assert float((y.max() - y.min()) / 720) > 0.4, "It is not too far away either."
    moving = scenes.around(splats)
    assert len(moving) > 50 and bool((moving.world_from_cam == moving.world_from_cam[0]).all())


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("x.txt", b"hello", r"is no scene that can be read. Known are .glb, .4dgs, .splatv, .ply, .spz and .splat"),
        ("x", b"", "is no scene that can be read"),
        ("x.glb", b"ply\n", "is not a GLB"),
        ("x.splat", b"", "holds neither splats nor cameras"),
        ("x.ply", b"ply\n", "its header does not end"),
        ("x.4dgs", b"PK", "is no scene that can be read"),
    ],
)
def test_what_is_no_scene_is_refused(name: str, data: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(FormatError, match=says):
        scenes.read(tmp_path / name)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for read in (scenes.read, fourdgs.read, splatv.read):
        with pytest.raises(FormatError, match=r"Cannot read .*nowhere: No such file"):
            read(tmp_path / "nowhere")
