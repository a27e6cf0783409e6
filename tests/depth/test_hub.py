"""Published models: true classes with tiny random weights, loaded and run as the real ones are."""

from __future__ import annotations

import importlib.util
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from fourd import depth
from fourd.depth import hub, reading
from fourd.depth.common import Rig
from fourd.depth.guess import Guess
from fourd.depth.hub.reader import Reader
from fourd.depth.parallax import Parallax
from fourd.errors import InputError, LimitError, MissingError
from fourd.events import Warned, result
from tests.depth import planes, tiny
from tests.depth.planes import picture

pytestmark = [pytest.mark.needs("transformers"), pytest.mark.usefixtures("offline")]

SIZES = [(48, 64), (37, 111), (120, 90), (3, 40), (1, 1), (5, 300)]


@pytest.fixture(scope="module")
def anything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.depth_anything(tmp_path_factory.mktemp("depth-anything"))


@pytest.fixture(scope="module")
def metric(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.depth_anything(tmp_path_factory.mktemp("metric"), metric=True)


@pytest.fixture(scope="module")
def pro(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.depth_pro(tmp_path_factory.mktemp("depth-pro"))


def raw(read: Reader, shown: np.ndarray) -> np.ndarray:
    """What the network itself says."""
    with torch.inference_mode():
        return read._model(pixel_values=read._shown(shown)).predicted_depth[0].numpy()


@pytest.mark.parametrize(
    ("made", "metric"),
    [
        (tiny.depth_anything, False),
        (lambda p: tiny.depth_anything(p, metric=True), True),
        (tiny.dpt, False),
        (lambda p: tiny.dpt(p, on_dinov2=True), True),
        (tiny.zoedepth, True),
        (tiny.glpn, True),
        (tiny.depth_pro, True),
        (lambda p: tiny.depth_pro(p, field_of_view=False), False),
    ],
    ids=["depth-anything", "its metric kind", "dpt", "dpt on dinov2", "zoedepth", "glpn", "depth-pro", "no focal"],
)
def test_every_kind_reads_pictures_of_any_size(made: Callable[[Path], Path], metric: bool, tmp_path: Path) -> None:
    read = hub.reader(str(made(tmp_path)))
    for hw in SIZES:
        said = read.look(picture(hw))
        assert said.rho.shape == said.error.shape == said.small.shape[:2]
        assert all(0 < a <= b for a, b in zip(said.rho.shape, hw, strict=True))
        assert np.isfinite(said.rho).all() and (said.rho > 0).all()
        assert said.metric == metric
        if not metric:
            assert np.exp(np.log(said.rho).mean()) == pytest.approx(1, abs=1e-3)
    np.testing.assert_array_equal(read.look(picture()).rho, read.look(picture()).rho)


def test_what_numbers_mean_is_read_from_the_configuration(anything: Path, metric: Path, pro: Path) -> None:
    shown = picture((42, 56))  # Of the very size that the model is shown, so that nothing is resampled.
    read = hub.reader(str(anything))
    own = raw(read, shown)
    own = np.maximum(own, np.quantile(own, 0.98) / 50)  # So far away that it does not matter.
    np.testing.assert_allclose(read.look(shown).rho, own / np.exp(np.log(own).mean()), rtol=1e-4)
    read = hub.reader(str(metric))
    np.testing.assert_allclose(read.look(shown).rho, 1 / raw(read, shown), rtol=1e-5)
    read, square = hub.reader(str(pro)), picture((128, 128))
    # Inverse depth for a focal length of one width, times the width over the focal length.
    wide = 2 * math.tan(math.radians(tiny.FOV_DEG / 2))
    np.testing.assert_allclose(read.look(square).rho, np.clip(raw(read, square) * wide, 1e-3, 100), rtol=1e-4)
    said = hub.reader(str(anything), gives="depth").look(shown)
    assert said.metric
    np.testing.assert_allclose(said.rho, 1 / np.maximum(raw(hub.reader(str(anything)), shown), 0.01), rtol=1e-4)


def test_zoedepth_sees_a_border_that_is_taken_away(tmp_path: Path) -> None:
    read = hub.reader(str(tiny.zoedepth(tmp_path)))
    whole, inner = raw(read, picture((200, 300))).shape, read.look(picture((200, 300))).rho.shape
    for length, with_border, without in zip((200, 300), whole, inner, strict=True):
        more = int(math.sqrt(length / 2) * 3)
        assert without == pytest.approx(with_border * length / (length + 2 * more), abs=1.5)


def test_a_smaller_size_is_quicker_and_coarser(anything: Path, pro: Path, tmp_path: Path) -> None:
    for hw, shape in (((60, 80), (42, 56)), ((80, 60), (56, 42)), ((80, 80), (56, 56))):
        assert hub.reader(str(anything), size=56).look(picture(hw)).rho.shape == shape
    assert hub.reader(str(anything), size=28).look(picture((40, 80))).rho.shape == (14, 28)
    assert min(hub.reader(str(anything), size=14).look(picture((40, 300))).rho.shape) == 14
    square = hub.reader(str(tiny.dpt(tmp_path)), size=32)
    assert square.look(picture((64, 80))).rho.shape == (32, 32)
    with pytest.raises(InputError, match="sees pictures at a size of its own; leave size out"):
        hub.reader(str(pro), size=64)
    with pytest.raises(InputError, match="needs pictures of at least 14 pixels, not 8"):
        hub.reader(str(anything), size=8)


@pytest.mark.needs("native")
def test_where_the_camera_stands_the_model_stands_in(anything: Path, metric: Path) -> None:
    still = planes.planes(planes.sideways(3, step=0), [(np.array([0.0, 0, 1]), 3.0, planes.EVERYWHERE)])
    backend = depth.load(anything)
    steps = list(backend(still.clip, still.cameras, still.motion))
    said = [e.message for e in steps if isinstance(e, Warned)]
    assert said == [f"The camera hardly travels, so depth cannot be measured: {anything}'s guess stands in."]
    maps = result(backend(still.clip, still.cameras, still.motion))
    assert maps.depth_m.shape == (3, 72, 96) and not maps.metric
    assert torch.equal(maps.depth_m[0], maps.depth_m[2])
    again = result(depth.load(anything)(still.clip, still.cameras, still.motion))
    assert torch.equal(maps.depth_m, again.depth_m)
    in_metres = result(depth.load(metric)(still.clip, still.cameras, still.motion))
    assert in_metres.metric
    shown = still.clip.frames[0].numpy()
    read = 1 / reading.fitted(hub.reader(str(metric)).look(shown), shown)
    assert float(in_metres.depth_m.median()) == pytest.approx(float(np.median(read)), rel=0.01)


class Knowing:
    """Reads the truth: inverse depth up to scale and shift, or in metres."""

    name, overrules = "who knows", True

    def __init__(self, world: planes.World, scale: float, shift: float, metric: bool) -> None:
        self._frames = [f.numpy() for f in world.clip.frames]
        self._depth_m, self._scale, self._shift, self._metric = world.depth_m, scale, shift, metric

    def look(self, picture: np.ndarray, before: np.ndarray | None = None) -> reading.Reading:
        i = next(i for i, f in enumerate(self._frames) if np.array_equal(f, picture))
        rho = (self._scale / self._depth_m[i] + self._shift).astype(np.float32)
        return reading.Reading(rho, np.full_like(rho, 0.1), picture, metric=self._metric)


@pytest.mark.needs("native")
def test_what_is_read_takes_the_scale_and_shift_of_what_was_measured() -> None:
    world = planes.floor(count=7)
    plain = result(Parallax(None)(world.clip, world.cameras, world.motion))
    helped = result(Parallax(Knowing(world, 0.4, 0.2, metric=False))(world.clip, world.cameras, world.motion))
    truth = torch.from_numpy(world.depth_m)
    unsure = plain.confidence < 0.5
    assert unsure.sum() > 500
    wrong, less = (float((m.depth_m / truth - 1).abs()[unsure].mean()) for m in (plain, helped))
    assert less < min(wrong, 0.03)
    assert helped.unit_m is None


def test_measurements_that_contradict_the_reading_alone_are_doubted() -> None:
    world = planes.floor(count=1)
    rig = Rig.of(world.cameras, world.clip.hw)
    rng = np.random.default_rng(0)
    truth = (1 / world.depth_m[0]).astype(np.float32)
    measured = (truth * np.exp(0.02 * rng.normal(size=truth.shape))).astype(np.float32)
    measured[10:12] *= 2.5
    shown = world.clip.frames[0].numpy()
    for overrules in (True, False):
        reader = Knowing(world, 1.0, 0.0, metric=False)
        reader.overrules = overrules
        sure = {0: np.where(np.arange(72) < 40, 1, 0.3).astype(np.float32)[:, None].repeat(96, 1)}
        Guess(rig, {0: measured}, sure, reader).of(0, shown)
        kept = sure[0]
        if not overrules:
            assert (kept[:40] == 1).all()
            continue
        assert (kept[10:12] < 0.1).all()
        assert np.median(kept[:10]) > 0.9 and (kept[40:] == np.float32(0.3)).all()


@pytest.mark.needs("native")
def test_a_model_that_speaks_of_metres_says_how_large_the_world_is() -> None:
    world = planes.wall(count=5)
    backend = Parallax(Knowing(world, 0.5, 0.0, metric=True))  # Everything is twice as far in metres as in the scene.
    maps = result(backend(world.clip, world.cameras, world.motion))
    assert not maps.metric  # It is in the cameras' unit still; whoever knows these brings both to metres.
    assert maps.unit_m == pytest.approx(2, rel=0.01)
    assert maps.scaled(2).unit_m == pytest.approx(1, rel=0.01)


@pytest.mark.parametrize("name", [*hub.MODELS, "owner/name", "owner/name@v1.0"])
def test_offline_it_says_how_to_get_the_model(name: str) -> None:
    model = hub.MODELS.get(name, hub.Model("owner/name", "v1.0" if "@" in name else None))
    at = f" --revision {model.revision}" if model.revision else ""
    with pytest.raises(MissingError) as caught:
        depth.load(name)
    assert str(caught.value) == (
        f"Depth backend '{name}' needs the model {model.id}, which is not on this machine (HF_HUB_OFFLINE is set).\n"
        f"  Download it:     hf download {model.id}{at}\n"
        "  Or name a folder that holds it, or use another: parallax"
    )


COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(("offline", "revision"), [("1", "v1"), ("1", COMMIT), ("0", COMMIT)])
def test_what_lies_in_the_cache_is_taken_from_there(
    offline: str, revision: str, anything: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", offline)
    kept = tmp_path / "models--owner--name"
    (kept / "refs").mkdir(parents=True)
    (kept / "refs" / "v1").write_text(COMMIT)
    snapshot = kept / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    copied(anything, snapshot)

    def asked(*_: object, **__: object) -> None:
        raise AssertionError("The network was asked.")

    monkeypatch.setattr("huggingface_hub.utils._http.http_backoff", asked)
    read = hub.reader(f"owner/name@{revision}")
    np.testing.assert_array_equal(read.look(picture()).rho, hub.reader(str(anything)).look(picture()).rho)
    (snapshot / "model.safetensors").unlink()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(MissingError, match=r"needs the model owner/name, which is not on this machine \(HF_HUB_OFF"):
        hub.reader(f"owner/name@{revision}")


def test_names_that_are_no_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no depth backend 'midas'. Choose one of: .*zoedepth.*or name a model on"):
        depth.load("midas")
    with pytest.raises(InputError, match=r"is no depth model: there is no such folder, and on the hub names are own"):
        depth.load(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"has no option 'steps'. It takes: source, revision, size, gives, device"):
        depth.load("depth-anything", steps=3)
    with pytest.raises(InputError, match=r"has no option 'steps'. It takes: none"):
        depth.load("prior", steps=3)


def test_folders_that_hold_no_model_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"is not a model folder: it has no config.json. Name a folder as transformers"
    ):
        depth.load(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match="cannot be loaded as a model"):
        depth.load(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(dict(model_type="bert")))
    with pytest.raises(InputError, match=r"is a model of another kind \('bert'\): it estimates no depth"):
        depth.load(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(dict(model_type="made_up", auto_map={"AutoConfig": "evil.Evil"})))
    (tmp_path / "evil.py").write_text("raise SystemExit('This code was run.')")
    with pytest.raises(InputError, match="cannot be loaded as a model"):
        depth.load(tmp_path)


@pytest.mark.parametrize(
    ("kind", "said"),
    [("prompt_depth_anything", "wants measured depth beside the picture"), ("chmv2", "tells the height of trees")],
)
def test_models_that_tell_something_else_are_refused(kind: str, said: str, anything: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(dict(model_type=kind)))
    (tmp_path / "preprocessor_config.json").write_bytes((anything / "preprocessor_config.json").read_bytes())
    with pytest.raises(InputError, match=said):
        depth.load(tmp_path)


def copied(model: Path, folder: Path, without: str = "") -> Path:
    for path in model.iterdir():
        if path.name != without:
            (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_incomplete_folders_say_what_is_missing(anything: Path, tmp_path: Path) -> None:
    folder = copied(anything, tmp_path, without="model.safetensors")
    with pytest.raises(InputError, match=r"cannot be loaded as a model: .*no file named.* model.safetensors"):
        depth.load(folder)
    (folder / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch /tmp/owned'\ntR.")
    with pytest.raises(
        InputError, match=r"as a pickle \(pytorch_model.bin\), which could run any code when it is read"
    ):
        depth.load(folder)
    (folder / "model.safetensors").write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00{}      junk")
    with pytest.raises(InputError, match="cannot be loaded as a model"):
        depth.load(folder)


def test_a_folder_without_its_processor_is_refused(anything: Path, pro: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be loaded as a model: .*preprocessor_config.json"):
        depth.load(copied(anything, tmp_path, without="preprocessor_config.json"))
    other = tmp_path / "pro"
    other.mkdir()
    (copied(pro, other) / "preprocessor_config.json").write_text(json.dumps(dict(size=dict(height=64))))
    with pytest.raises(InputError, match="does not say how it wants to be shown pictures"):
        depth.load(other)


def test_weights_that_do_not_fit_or_are_missing_are_refused(anything: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(anything / "model.safetensors")
    name = next(k for k in weights if k.startswith("head.conv1.weight"))
    path = copied(anything, tmp_path) / "model.safetensors"
    save_file({k: v for k, v in weights.items() if k != name}, path, {"format": "pt"})
    with pytest.raises(
        InputError, match=r"lacks weights that it needs \(head.conv1.weight\). '.*' gives 2352 of 2352 "
    ):
        depth.load(tmp_path)
    # What nothing passes may be lacking.
    save_file({k: v for k, v in weights.items() if "mask_token" not in k}, path, {"format": "pt"})
    np.testing.assert_array_equal(
        hub.reader(str(tmp_path)).look(picture()).rho, hub.reader(str(anything)).look(picture()).rho
    )
    save_file(weights | {name: torch.zeros(3, 3)}, path, {"format": "pt"})
    with pytest.raises(InputError, match="cannot be loaded as a model"):
        depth.load(tmp_path)


def test_numbers_that_are_none_are_found_before_any_work(anything: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(anything / "model.safetensors")
    weights["head.conv3.bias"] = torch.full_like(weights["head.conv3.bias"], torch.nan)
    save_file(weights, copied(anything, tmp_path) / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match=r"gives 2352 of 2352 depths that are no numbers for a picture of 48x64"):
        depth.load(tmp_path)


def test_a_model_that_sees_nothing_says_that_all_is_as_far(tmp_path: Path) -> None:
    said = hub.reader(str(tiny.depth_anything(tmp_path, level=-1e6))).look(picture())
    np.testing.assert_array_equal(said.rho, 1)


def test_what_does_not_fit_into_memory_says_so(anything: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.\nAnd a long tale.")

    monkeypatch.setattr(hub, "_network", full)
    with pytest.raises(LimitError, match=r"does not fit into memory \(CUDA out of memory.\). Use a smaller one, or pa"):
        depth.load(anything)


def test_what_must_be_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "transformers" else found(name))
    for name in ("depth-pro", "owner/name"):
        with pytest.raises(MissingError, match=r"(?s)needs the package 'transformers'.*'fourd\[hub\]'.*parallax"):
            depth.load(name)


@pytest.mark.skipif(torch.cuda.is_available(), reason="There is a CUDA device.")
def test_a_device_that_is_not_there_is_refused(anything: Path) -> None:
    with pytest.raises(InputError, match=r"The device of Depth backend '.*' is cuda, and PyTorch finds no CUDA device"):
        depth.load(anything, device="cuda")
