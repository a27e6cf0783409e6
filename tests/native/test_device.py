"""Whether CUDA can be used: each thing that may be missing is found, named, and comes with what to do."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from fourd.errors import MissingError
from fourd.native import cuda_compile, device, require_cuda


@pytest.fixture
def h200(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretends that there is a GPU."""
    card = SimpleNamespace(name="NVIDIA H200", total_memory=150e9, major=9, minor=0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda i: card)


@pytest.fixture
def gsplat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pretends that gsplat 1.5.3 is installed, and CUDA's toolkit is not; the package's folder."""
    find = importlib.util.find_spec
    spec = importlib.machinery.ModuleSpec("gsplat", None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: spec if name == "gsplat" else find(name, *a))
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "1.5.3")
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None)
    return tmp_path


def test_a_gpu_is_named(h200: None) -> None:
    assert device.gpu() == (True, "NVIDIA H200 (150 GB, capability 9.0)", "")


@pytest.mark.parametrize("built_for", [None, "13.0"])
def test_no_gpu_is_explained(built_for: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", built_for)
    there, says, todo = device.gpu()
    assert not there
    if built_for is None:
        assert says.startswith("this PyTorch is built for the CPU only") and "https://pytorch.org" in todo
    else:
        assert says == "PyTorch has CUDA 13.0, but no device is visible" and "nvidia-smi" in todo


@pytest.mark.needs("nvrtc")
def test_kernels_are_named_with_their_compiler_and_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    there, says, _ = device.kernels()
    assert there and re.fullmatch(
        rf"NVRTC \d+\.\d+ compiles .*slice.* at their first use; kept in {tmp_path}/fourd", says
    )
    assert not (tmp_path / "fourd").exists(), "looking leaves nothing behind"


def test_a_missing_compiler_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Any:
        raise MissingError("fourd on CUDA needs NVRTC.\n  Install it: ...")

    monkeypatch.setattr(cuda_compile, "version", missing)
    assert device.kernels() == (
        False,
        "fourd on CUDA needs NVRTC",
        "With an NVIDIA GPU: pip install 'fourd[gpu]'.",
    )


def test_gsplat_needs_kernels_of_its_own(gsplat: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there, says, todo = device.gsplat()
    assert not there and says == "1.5.3 came without built kernels, and there is no nvcc to build them"
    assert "toolkit" in todo and "built wheel" in todo
    monkeypatch.setattr(shutil, "which", lambda name, path=None: "/opt/cuda/bin/nvcc")
    there, says, todo = device.gsplat()
    assert there and "by /opt/cuda/bin/nvcc, which takes minutes" in says and not todo
    (gsplat / "csrc.cpython-311.so").touch()
    assert device.gsplat() == (True, "1.5.3, with its kernels built", "")


def test_cuda_is_required_part_by_part(h200: None, gsplat: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (gsplat / "csrc.so").touch()
    monkeypatch.setattr(cuda_compile, "version", lambda: (13, 0))
    require_cuda("Config.device is 'cuda'")  # All is there.
    (gsplat / "csrc.so").unlink()
    with pytest.raises(MissingError, match=r"Config\.device is 'cuda', but gsplat cannot be used here: 1\.5\.3 came"):
        require_cuda("Config.device is 'cuda'")
    monkeypatch.setattr(device, "kernels", lambda: device.Part(False, "no compiler", "Get one."))
    with pytest.raises(MissingError, match="but fourd's CUDA kernels cannot be used here: no compiler"):
        require_cuda("Config.device is 'cuda'")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(MissingError) as caught:
        require_cuda("Config.device is 'cuda'")
    assert str(caught.value) == (
        "Config.device is 'cuda', but CUDA cannot be used here:"
        " this PyTorch is built for the CPU only; all work is done there.\n"
        "  What to do:      With an NVIDIA GPU: install a CUDA build of PyTorch (https://pytorch.org)."
        " Without one: nothing.\n"
        "  Or use another:  cpu"
    )
