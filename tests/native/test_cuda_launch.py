"""Launching, as far as it goes without a GPU: through the real bindings, to a driver that stands in for NVIDIA's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fourd.errors import FourdError, InputError, MissingError
from fourd.native import cuda_compile, cuda_launch
from tests.native import cuda_shim

HERE = Path(__file__).parent

KERNEL = """
#include "grid.h"
extern "C" __global__ void scale(const float* x, int64_t n, float by, double plus, const int32_t* mask, float* out) {
    const int64_t i = fourd::global_thread();
    if (i < n) out[i] = mask[i] != 0 ? x[i] * by + (float)plus : -1.0f;
}
"""

CHILD = """
import contextlib, ctypes, os, sys
from pathlib import Path
from types import SimpleNamespace
import torch
from fourd.native import cuda_compile, cuda_launch

class There(torch.Tensor):
    "Pretends to be on a GPU."
    is_cuda, device = True, torch.device("cuda", 0)

folder = Path(sys.argv[1])
cuda_compile.folder = lambda: folder
torch.cuda.init = lambda: None
torch.cuda.device = lambda device: contextlib.nullcontext()
torch.cuda.current_stream = lambda device: SimpleNamespace(cuda_stream=0x42)
torch.cuda.get_device_capability = lambda device: (9, 0)

x, mask, out = torch.arange(5.0), torch.tensor([1, 1, 0, 1, 1], dtype=torch.int32), torch.zeros(5)
x, mask, there = (tensor.as_subclass(There) for tensor in (x, mask, out))

def launch(threads):
    try:
        arguments = (x, 5, 2.0, ctypes.c_double(0.5), mask, there)
        cuda_launch.launch("small", "scale", threads, arguments, block=4)
    except Exception as error:
        print(type(error).__name__, error, flush=True)

launch(5)
launch(5)  # What was loaded is used again.
launch(0)
print(out.tolist(), flush=True)
os.environ["REFUSE"] = "cuLaunchKernel"
launch(5)
os.environ |= dict(REFUSE="", VERSION="12080")
cuda_launch._loaded.cache_clear(); cuda_launch._module.cache_clear()
launch(5)
os.environ["REFUSE"] = "cuInit"
cuda_launch._driver.cache_clear()
launch(5)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kernel, compiled for the CPU, and the driver that runs it."""
    folder = tmp_path_factory.mktemp("driver")
    for name in ("cuda", "include"):
        (folder / name).mkdir()
        for header in (HERE.parents[1] / "cuda_ext" / name).glob("*.h"):
            (folder / name / header.name).write_bytes(header.read_bytes())
    (folder / "cuda" / "small.cu").write_text(KERNEL)
    cuda_shim.build(folder / "cuda" / "small.cu", folder)
    options = ["-std=c++17", "-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-o", folder / "libcuda.so.1"]
    subprocess.run([cuda_shim.compiler(), *options, HERE / "cuda_driver.cpp", "-ldl"], check=True)
    return folder


@pytest.mark.skipif(sys.platform != "linux", reason="the driver's stand-in is a Linux library")
@pytest.mark.needs("nvrtc")
def test_a_launch_reaches_the_driver_and_its_answer_comes_back(folder: Path) -> None:
    mine = dict(LD_LIBRARY_PATH=str(folder), SHIM=str(folder / "small.so"), XDG_CACHE_HOME=str(folder), VERSION="13000")
    done = subprocess.run(
        [sys.executable, "-c", CHILD, folder], env=os.environ | mine, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    version = ".".join(map(str, cuda_compile.version()))
    assert done.stdout.splitlines() == [
        "load ELF",
        *["launch 2 x 4 on 0x42"] * 2,
        "[0.5, 2.5, -1.0, 6.5, 8.5]",
        "launch 2 x 4 on 0x42",
        "FourdError CUDA's driver refuses cuLaunchKernel: CUDA_ERROR_ILLEGAL_ADDRESS.",
        f"MissingError The driver of this GPU knows CUDA 12.8, and NVRTC is {version}: it is too new.",
        "  Install one that fits:  pip install 'cuda-bindings==12.*' 'nvidia-cuda-nvrtc-cu12'",
        "  Or use another:         the CPU",
        "FourdError CUDA's driver refuses cuInit: CUDA_ERROR_NO_DEVICE.",
    ]


def test_tensors_elsewhere_are_refused() -> None:
    with pytest.raises(InputError) as caught:
        cuda_launch.launch("slice", "slice_mark", 1, (torch.zeros(2),))
    assert str(caught.value) == (
        "slice_mark: tensor 1 of 1 is on cpu; all must be contiguous and on one CUDA device, here any."
    )


def test_no_driver_is_said_so() -> None:
    class Bindings:
        def cuInit(self, flags: int) -> object:
            raise RuntimeError("Failed to dlopen libcuda.so.1")

    with pytest.raises(MissingError, match=r"driver cannot be loaded \(Failed to dlopen libcuda\.so\.1\)\. Install"):
        cuda_launch._call(Bindings(), "cuInit", 0)
    assert issubclass(MissingError, FourdError)
