"""Sounds with placed sources, inside scene files: they come back, and broken ones are one error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from fourd.errors import FormatError, InputError
from fourd.formats import _heard, glb
from fourd.types import Sound, SoundSource
from tests.formats import samples


def placed_sound() -> Sound:
    rng = torch.Generator().manual_seed(4)
    waves = torch.rand(3, 500, generator=rng) - 0.5
    ball = SoundSource(waves[0], torch.tensor([[0.0, 1, 2], [3, 4, 5]]), torch.tensor([0.0, 0.5]).double(), "ball")
    bell = SoundSource(waves[1, :200], torch.tensor([[1.0, -1, 1]]), torch.tensor([0.2]).double())
    return Sound(waves[:2].T.contiguous(), 4000, 0.25, (ball, bell))


@pytest.mark.parametrize("quantised", [False, True])
def test_sources_come_back(tmp_path: Path, quantised: bool) -> None:
    sound = placed_sound()
    glb.write(tmp_path / "x.glb", splats=samples.splats(), cameras=samples.cameras(), sound=sound, quantised=quantised)
    again = glb.read(tmp_path / "x.glb")[2]
    assert again is not None and [s.name for s in again.sources] == ["ball", ""]
    for got, put in zip(again.sources, sound.sources, strict=True):
        assert float((got.samples - put.samples).abs().max()) <= 0.5 / 32767 + 1e-7
        torch.testing.assert_close(got.position_m, put.position_m, rtol=0, atol=0)
        torch.testing.assert_close(got.time_s, put.time_s, rtol=0, atol=0)


def spoiled(change: Callable[[dict[str, Any]], object]) -> None:
    """Read what was written, after a change to what is said of it."""
    kept: list[bytes] = []

    def keep(wav: bytes) -> dict[str, int]:
        kept.append(wav)
        return {"at": len(kept) - 1}

    said = _heard.write(placed_sound(), keep)
    change(said)
    _heard.read(said, lambda told: kept[told["at"]], "s.glb")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda said: said.update(sources=7), "s.glb: sound.sources must be a JSON array"),
        (lambda said: said["sources"].append(None), r"sound.sources\[2\] must be a JSON object"),
        (lambda said: said["sources"][0].update(at=2, time_s="x"), r"sources\[0\].time_s must be a JSON array"),
        (lambda said: said["sources"][0].update(time_s=[0, 0]), "must hold at least one moment and increase strictly"),
        (lambda said: said["sources"][0].update(time_s=[]), "SoundSource has fields of different lengths"),
        (lambda said: said["sources"][0].update(time_s=[], position_m=[]), "must hold at least one moment"),
        (lambda said: said["sources"][1].update(position_m=[[1, 2]]), r"sources\[1\].position_m"),
        (lambda said: said["sources"][1].update(position_m=[[1, 2, 1e999]]), r"sources\[1\].position_m"),
        (lambda said: said["sources"][1].update(name=3), r"sources\[1\].name"),
        (lambda said: said["sources"][1].update(at=0), "has 2 channels at 4000 Hz; one at 4000 is expected"),
        (lambda said: said.update(sources=said["sources"] * 40), "has 80 sources of sound; at most 64 are read"),
    ],
)
def test_broken_sources_are_one_error(change: Callable[[dict[str, Any]], object], says: str) -> None:
    spoiled(lambda said: None)  # Without a change it is read.
    with pytest.raises(FormatError, match=says):
        spoiled(change)


def test_sources_that_are_nowhere_cannot_be() -> None:
    nothing = torch.zeros(0, 3), torch.zeros(0).double()
    with pytest.raises(InputError, match=r"SoundSource.time_s must hold at least one moment"):
        SoundSource(torch.zeros(4), *nothing)
    with pytest.raises(InputError, match=r"SoundSource\.position_m holds NaN"):
        SoundSource(torch.zeros(4), torch.full((1, 3), float("nan")), torch.zeros(1).double())
