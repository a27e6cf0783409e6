"""MoGe, which has a package of its own: a stand-in for it is called as the real one is."""

from __future__ import annotations

import importlib.util
import sys
import types

import numpy as np
import pytest
import torch

from fourd import depth
from fourd.depth import moge
from fourd.depth.parallax import Parallax
from fourd.errors import InputError, MissingError
from tests.depth.planes import picture

pytestmark = pytest.mark.usefixtures("offline")


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """A package that does what MoGe's does, as far as it is used here; it notes how it was called."""
    calls: list[dict[str, object]] = []

    class MoGeModel(torch.nn.Module):
        @classmethod
        def from_pretrained(cls, source: str, **how: object) -> MoGeModel:
            calls.append(dict(source=source, **how))
            return cls()

        def infer(self, image: torch.Tensor, use_fp16: bool) -> dict[str, torch.Tensor]:
            assert image.dtype == torch.float32 and 0 <= float(image.min()) <= float(image.max()) <= 1
            depth_m = 1 + image[0]
            depth_m[:2] = torch.inf  # The sky.
            return dict(depth=depth_m)

    names = ("moge", "moge.model", "moge.model.v2")
    for name in names:
        module = types.ModuleType(name)
        module.__spec__ = importlib.util.spec_from_loader(name, None)
        monkeypatch.setitem(sys.modules, name, module)
    sys.modules["moge.model.v2"].MoGeModel = MoGeModel  # type: ignore[attr-defined]
    return calls


def test_moge_is_read_where_its_package_is(installed: list[dict[str, object]]) -> None:
    backend = depth.load("moge", size="large", revision="abc")
    assert installed == [dict(source="Ruicheng/moge-2-vitl-normal", revision="abc", local_files_only=True)]
    assert isinstance(backend, Parallax) and backend.reader is not None
    shown = picture()
    said = backend.reader.look(shown)
    assert said.metric
    np.testing.assert_allclose(said.rho[:2], 1 / 1000)
    np.testing.assert_allclose(said.rho[2:], 1 / (1 + shown[2:, :, 0] / 255), rtol=1e-5)
    with pytest.raises(InputError, match="comes in the sizes small, base, large, not 'huge'"):
        depth.load("moge", size="huge")
    assert set(moge.MODELS) == {"small", "base", "large"}


def test_without_its_package_moge_says_what_to_install() -> None:
    if importlib.util.find_spec("moge") is not None:
        pytest.skip("MoGe is installed.")
    with pytest.raises(MissingError) as caught:
        depth.load("moge")
    assert str(caught.value) == (
        "Depth backend 'moge' needs the package 'moge', which is not installed.\n"
        "  Install it:      pip install 'git+https://github.com/microsoft/MoGe.git'\n"
        "  Or use another:  parallax"
    )
