"""What the tests of the kernels share."""

from __future__ import annotations

import pytest

from fourd.native import cuda_launch
from tests.native.cuda_shim import Shim


@pytest.fixture(scope="session")
def _shim(tmp_path_factory: pytest.TempPathFactory) -> Shim:
    return Shim(tmp_path_factory.mktemp("shim"))


@pytest.fixture
def shim(_shim: Shim, monkeypatch: pytest.MonkeyPatch) -> Shim:
    """Runs the CUDA kernels on this machine's CPU; its ``launched`` names those that ran."""
    monkeypatch.setattr(cuda_launch, "launch", _shim.launch)
    _shim.launched.clear()
    return _shim
