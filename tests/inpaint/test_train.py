"""The recipe of the weights, on pictures small enough to learn here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from fourd.depth.train import rendering, shards
from fourd.errors import FormatError, InputError
from fourd.events import Progress, result
from fourd.inpaint.embedded import weights
from fourd.inpaint.embedded.network import Network
from fourd.inpaint.train import fitting

QUICK = fitting.Recipe(steps=4, batch=3, hw=(16, 24), shards=1, turn=2, save_s=0.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for k in range(2):
        image = random.integers(0, 256, (7, 24, 36, 3), dtype=np.uint8)
        depth = np.repeat(np.linspace(2, 6, 36, dtype=np.float16)[None, None], 7, 0).repeat(24, 1)
        shard = shards.Shard(image, depth, np.zeros((7, 24, 36), np.uint8), np.full(7, 30, np.float32))
        shards.write(rendering.path(tmp_path, k), shard)
    return tmp_path


def test_going_on_is_the_same_as_never_having_stopped(folder: Path) -> None:
    through = result(fitting.fit(folder, 2, folder / "through.safetensors", QUICK))
    begun = fitting.fit(folder, 2, folder / "twice.safetensors", QUICK)
    assert [next(begun) for _ in range(3)] == [Progress("train", k + 1, 4) for k in range(3)]
    begun.close()
    again = result(fitting.fit(folder, 2, folder / "twice.safetensors", QUICK))
    assert again.steps == through.steps == 4 and again.loss == through.loss
    for name, value in through.network.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[name]), name


def test_what_cannot_be_gone_on_with_is_refused(folder: Path) -> None:
    state = folder / "state.safetensors"
    result(fitting.fit(folder, 2, state, QUICK))
    with pytest.raises(FormatError, match="was begun with another recipe"):
        result(fitting.fit(folder, 2, state, fitting.Recipe(steps=5)))
    state.write_bytes(b"no state")
    with pytest.raises(FormatError, match="is not a state of this training"):
        result(fitting.fit(folder, 2, state, QUICK))


def test_no_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There are no training pictures in"):
        result(fitting.fit(tmp_path, 2, tmp_path / "state.safetensors", QUICK))


def test_weights_come_back_and_others_are_refused(tmp_path: Path) -> None:
    torch.manual_seed(1)
    network, path = Network(), tmp_path / "weights.safetensors"
    weights.save(network, path, {"steps": 1})
    for name, value in weights.first(0, path).state_dict().items():
        torch.testing.assert_close(value, network.state_dict()[name], rtol=1e-3, atol=1e-3, msg=name)  # Half floats.
    path.write_bytes(b"no weights")
    with pytest.raises(FormatError, match="does not hold this network's weights"):
        weights.first(0, path)
    with pytest.raises(FormatError, match="does not hold this network's weights"):
        weights.first(0, tmp_path / "missing.safetensors")


def test_a_network_that_knows_nothing_follows_from_its_seed() -> None:
    if weights.SHIPPED.is_file():
        pytest.skip("there are shipped weights, and they come first")
    one, same, other = (weights.first(seed).state_dict()["first.weight"] for seed in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)
