"""The recipe of the depth network, on pictures small enough to make and learn here."""

from __future__ import annotations

import itertools
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch

from fourd.depth.embedded import weights
from fourd.depth.embedded.network import Guess, Network
from fourd.depth.train import batches, fitting, losses, recordings, rendering, shards, wear
from fourd.depth.train.batches import Batch, Source
from fourd.errors import FormatError, InputError, MissingError
from fourd.events import Progress, Warned, result

CPU = torch.device("cpu")


def plane(count: int = 6, hw: tuple[int, int] = (48, 64)) -> shards.Shard:
    """Pictures of one slanted plane, 0.2 x + 0.4 y + z = 3, in front of a focal length of 60."""
    y, x = np.meshgrid(np.arange(hw[0]) + 0.5 - hw[0] / 2, np.arange(hw[1]) + 0.5 - hw[1] / 2, indexing="ij")
    depth = 3 / (0.2 * x / 60 + 0.4 * y / 60 + 1)
    image = np.random.default_rng(0).integers(0, 256, (count, *hw, 3), dtype=np.uint8)
    repeated = np.repeat(depth[None], count, 0).astype(np.float16)
    return shards.Shard(image, repeated, np.zeros((count, *hw), np.uint8), np.full(count, 60, np.float32))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for k in range(2):
        shards.write(rendering.path(tmp_path, k), plane())
    return tmp_path


@pytest.fixture(scope="module")
def rendered() -> shards.Shard:
    return rendering.shard(5, 0, (24, 32), 4, textures=5)


def test_a_shard_follows_from_its_seed_and_number(rendered: shards.Shard) -> None:
    again = rendering.shard(5, 0, (24, 32), 4, textures=5)
    for name in ("image", "depth", "alive", "focal"):
        np.testing.assert_array_equal(getattr(again, name), getattr(rendered, name))


def test_rendered_depth_is_usable(rendered: shards.Shard) -> None:
    assert rendered.image.shape == (4, 24, 32, 3)
    assert (rendered.depth > 0).all()
    assert not np.isnan(rendered.depth).any()
    assert set(np.unique(rendered.alive)) <= {0, 1}
    # 35 to 100 degrees across the longer side.
    assert (rendered.focal >= 16 / np.tan(np.radians(50)) - 1e-3).all()
    assert (rendered.focal <= 16 / np.tan(np.radians(17.5)) + 1e-3).all()


def test_shards_come_back_and_broken_ones_are_named(tmp_path: Path) -> None:
    path = tmp_path / "wild-00000.npz"
    shards.write(path, plane())
    np.testing.assert_array_equal(shards.read(path).depth, plane().depth)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(FormatError, match=r"wild-00000.npz is no shard .* Delete it"):
        shards.read(path)


def test_rendering_goes_on_where_it_was(tmp_path: Path) -> None:
    shards.write(rendering.path(tmp_path, 0), plane())
    work = rendering.render(tmp_path, 1, 0, (24, 32), 4, workers=1)
    assert result(work) == 1  # Nothing was missing.
    assert len(shards.read(rendering.path(tmp_path, 0))) == 6


def test_cut_and_mirrored_planes_are_still_that_plane(folder: Path) -> None:
    source = Source(folder, 0, 0.0, CPU)
    for _ in range(4):
        batch = source.batch(4, 32 * 40)
        h, w = batch.log_rho.shape[1:]
        y, x = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
        rays = torch.stack([x - batch.centre[:, :1, None], y - batch.centre[:, 1:, None]], -1)
        rays = rays / batch.focal[:, None, None, None]
        rho = batch.log_rho.exp()
        # rho = (a x + b y + c) / d: the slope across changes its sign in the mirror.
        for k in range(len(rho)):
            design = torch.stack([rays[k, ..., 0], rays[k, ..., 1], torch.ones(h, w)], -1).reshape(-1, 3)
            a, b, c = torch.linalg.lstsq(design, rho[k].reshape(-1, 1)).solution[:, 0].tolist()
            # Depth is picked to the pixel and kept in half floats.
            assert abs(a / c) == pytest.approx(0.2, abs=0.02)
            assert b / c == pytest.approx(0.4, abs=0.02)
            assert 1 / c == pytest.approx(3, rel=0.02)


def test_normals_of_a_plane_are_its_own() -> None:
    shard = plane(1)
    batch = batches.whole(shard, [0], (48, 64), CPU)
    normal = losses._normals(batch.log_rho, batch.focal, batch.centre, 3)
    expected = torch.tensor([0.2, 0.4, 1.0]) / np.sqrt(0.04 + 0.16 + 1)
    assert float((normal @ expected).min()) > 0.999


def guess(batch: Batch, log_rho: torch.Tensor) -> Guess:
    return Guess(log_rho, torch.full_like(log_rho, -3), torch.where(batch.alive > 0, 20.0, -20.0))


def test_a_perfect_guess_of_any_scale_costs_nothing(rendered: shards.Shard) -> None:
    batch = batches.whole(rendered, list(range(4)), (24, 32), CPU)
    terms = losses.loss(guess(batch, batch.log_rho + 0.7), batch, 1.0)
    for name in ("depth", "sharp", "alive"):
        assert float(terms[name]) == pytest.approx(0, abs=1e-5)
    assert float(terms["normal"]) == pytest.approx(0, abs=1e-3)
    worse = losses.loss(guess(batch, batch.log_rho.flip(1)), batch, 1.0)
    assert all(float(worse[k]) > 0.01 for k in ("depth", "sharp", "normal"))
    assert losses.abs_rel(batch.log_rho - 2, batch.log_rho, batch.weight) == pytest.approx([0] * 4, abs=1e-3)


def test_wear_is_mild_seeded_and_can_be_none() -> None:
    picture = torch.rand(4, 3, 24, 32, generator=torch.Generator().manual_seed(1))
    one, same, other = (wear.worn(picture, wear.Chances(seed, CPU)) for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert 0 <= float(one.min()) < float(one.max()) <= 1
    # Rounded to nothing, the waves of the blocks give the picture back.
    torch.testing.assert_close(wear._compressed(picture, torch.full((4,), 1e-6)), picture, atol=1e-4, rtol=0)
    coarse = wear._compressed(picture, torch.full((4,), 0.2))
    assert float((coarse - picture).abs().mean()) > 0.02


RECIPE = fitting.Recipe(minutes=0.03, area=32 * 40, batch=2, widths=(8, 8, 8, 8, 8), blocks=(0, 0, 0, 0, 1))


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock on which a step takes half a second, however busy the machine is."""
    monkeypatch.setattr(fitting.time, "perf_counter", itertools.count(0.0, 0.5).__next__)


def test_training_learns_and_goes_on(folder: Path, ticking: None) -> None:
    state = folder / "state.safetensors"
    events = list(fitting.fit(folder, state, RECIPE, CPU))
    assert any(isinstance(e, Progress) for e in events)
    assert "kept aside" in next(e.message for e in events if isinstance(e, Warned))
    first = fitting.Fit(RECIPE, CPU)
    first.resume(state)
    assert first.share == 1
    assert first.steps == 4  # As many as fit into the time.
    longer = fitting.Recipe(**{**RECIPE.__dict__, "minutes": 2 * RECIPE.minutes})
    work = result(fitting.fit(folder, state, longer, CPU))
    assert work.steps == 8
    assert work.seconds > first.seconds


def test_steps_are_seeded(folder: Path) -> None:
    ends = []
    for _ in range(2):
        work, source = fitting.Fit(RECIPE, CPU), Source(folder, 0, 0.0, CPU)
        for _ in range(3):
            terms = work.step(source.batch(2, work.area))
        ends.append((terms, [p.clone() for p in work.mean.parameters()]))
    assert ends[0][0] == ends[1][0]
    assert all(torch.equal(a, b) for a, b in zip(ends[0][1], ends[1][1], strict=True))


def test_states_of_other_networks_are_refused(folder: Path) -> None:
    state = folder / "state.safetensors"
    fitting.Fit(RECIPE, CPU).save(state)
    other = fitting.Fit(fitting.Recipe(widths=(16, 8, 8, 8, 8)), CPU)
    with pytest.raises(FormatError, match=r"state.safetensors is no state of this training (?s:.*) Delete it"):
        other.resume(state)


def test_nothing_to_train_on_is_said(tmp_path: Path) -> None:
    shards.write(rendering.path(tmp_path, 0), plane())
    with pytest.raises(InputError, match=r"no shards to train on beyond the 1 kept aside"):
        Source(tmp_path, 0, 0.0, CPU)


@pytest.mark.needs("shared")
def test_recordings_keep_their_geometry(shared: Path) -> None:
    shard = recordings.measured(shared / "scenes" / "indoor_orbit", (48, 64))
    with np.load(shared / "scenes" / "indoor_orbit" / "truth.npz") as truth:
        depth, focal = truth["depth"], truth["K"][0, 0]
    assert shard.image.shape == (36, 48, 64, 3)
    # 216 x 384 becomes 48 x 85, of which the middle 64 columns are kept.
    assert shard.focal[0] == pytest.approx(focal * 48 / 216)
    assert float(shard.depth[0, 24, 32]) == pytest.approx(float(depth[0, 110, 194]), rel=0.02)


@pytest.fixture
def timm(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A package that makes encoders as timm does, as far as it is asked here."""

    class Encoder(torch.nn.Module):
        def __init__(self, inputs: int, reductions: tuple[int, ...]) -> None:
            super().__init__()
            widths = (inputs, 4, 6, 8, 10, 12)[: len(reductions) + 1]
            self.steps = torch.nn.ModuleList(torch.nn.Conv2d(a, b, 3, 2, 1) for a, b in itertools.pairwise(widths))
            self.feature_info = types.SimpleNamespace(reduction=lambda: list(reductions), channels=lambda: widths[1:])

        def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
            return [x := step(x) for step in self.steps]

    def create_model(name: str, pretrained: bool, features_only: bool, in_chans: int) -> Encoder:
        assert features_only
        if name == "nothing":
            raise RuntimeError("Unknown model (nothing)")
        if pretrained:
            raise OSError("the hub cannot be reached")
        return Encoder(in_chans, (2, 4, 8, 16, 32) if name == "five" else (4, 8, 16, 32))

    module = types.ModuleType("timm")
    module.create_model = create_model  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "timm", module)
    return module


def test_an_encoder_of_timm_can_stand_in_the_plain_ones_place(
    folder: Path, timm: types.ModuleType, ticking: None
) -> None:
    recipe = fitting.Recipe(minutes=0.02, area=32 * 32, batch=2, backbone="five")
    fitted = result(fitting.fit(folder, folder / "state.safetensors", recipe, CPU))
    assert fitted.steps > 0 and not hasattr(fitted.mean, "down")
    told = dict(area=32 * 32, widths=recipe.widths, blocks=recipe.blocks, backbone="five")
    weights.save(fitted.mean, folder / "w.safetensors", told)
    again, _ = weights.load(folder / "w.safetensors")
    x = torch.rand(1, 3, 40, 56), torch.zeros(1, 40, 56)
    assert again(*x).log_rho.shape == (1, 40, 56)
    torch.testing.assert_close(again(*x).log_rho, fitted.mean(*x).log_rho, atol=0.02, rtol=0)


def test_encoders_that_do_not_fit_are_refused(timm: types.ModuleType) -> None:
    with pytest.raises(FormatError, match=r"sees at 1/4, 1/8, 1/16, 1/32 of the picture's size; it must be 1/2, 1/4"):
        Network(backbone="four")
    with pytest.raises(FormatError, match=r"timm makes no encoder of 'nothing' \(Unknown model"):
        Network(backbone="nothing")
    with pytest.raises(MissingError, match=r"'five' cannot be downloaded \(the hub cannot be reached\)"):
        Network(backbone="five", learnt=True)


def test_without_timm_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingError, match=r"(?s)needs the package 'timm'.*'fourd\[models\]'"):
        Network(backbone="five")
