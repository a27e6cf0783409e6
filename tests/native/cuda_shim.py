"""Run the CUDA kernels on a CPU: compiled by the C++ compiler behind ``cuda_shim.h``, launched as on a GPU."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from torch import Tensor

from fourd.native import cuda_compile, cuda_launch

HERE = Path(__file__).parent
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wno-unused-function", "-Wno-unused-variable", "-Wno-unknown-pragmas")


def compiler() -> str:
    found = shutil.which("g++")
    if found is None:
        pytest.skip("there is no g++ to run CUDA kernels on the CPU with")
    return found


def build(source: Path, folder: Path) -> ctypes.CDLL:
    """The kernels of a file as a library; ``run_NAME(blocks, block, arguments)`` launches one."""
    names = re.findall(r'extern "C" __global__ void (\w+)\(', source.read_text())
    assert names, f"{source.name} has no kernels"
    runs = "".join(
        f'extern "C" int run_{name}(unsigned blocks, unsigned block, void** arguments)'
        f" {{ return shim::launch({name}, blocks, block, arguments); }}\n"
        for name in names
    )
    program, library = folder / f"{source.stem}.cpp", folder / f"{source.stem}.so"
    program.write_text(f'#include "cuda_shim.h"\n#include "{source}"\n{runs}')
    root = cuda_compile.folder()
    includes = [f"-I{path}" for path in (HERE, root / "include", root / "cuda")]
    # Without contraction to fused multiply-add, as NVRTC is told (cuda_compile.OPTIONS).
    more = os.environ.get("FOURD_SHIM_FLAGS", "").split()  # Sanitizers, say; see CONTRIBUTING.md.
    options = ["-std=c++17", "-O1", "-ffp-contract=off", "-shared", "-fPIC", *WARNINGS, *includes, *more]
    subprocess.run([compiler(), *options, str(program), "-o", str(library)], check=True)
    return ctypes.CDLL(str(library))


class Shim:
    """Stands in for ``cuda_launch.launch``, and for the GPU behind it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.libraries: dict[str, ctypes.CDLL] = {}
        self.launched: list[str] = []

    def launch(
        self,
        source: str,
        kernel: str,
        threads: int,
        arguments: tuple[cuda_launch.Argument, ...],
        *,
        block: int = cuda_launch.BLOCK,
    ) -> None:
        for argument in arguments:
            assert not isinstance(argument, Tensor) or argument.is_contiguous(), kernel
        if threads <= 0:
            return
        if source not in self.libraries:
            self.libraries[source] = build(cuda_compile.folder() / "cuda" / f"{source}.cu", self.folder)
        run(self.libraries[source], kernel, threads, arguments, block)
        self.launched.append(kernel)


def run(
    library: ctypes.CDLL, kernel: str, threads: int, arguments: tuple[cuda_launch.Argument, ...], block: int
) -> None:
    """Launch a kernel of a library of ``build``."""
    values = cuda_launch.packed(arguments)
    pointers = (ctypes.c_void_p * len(values))(*(ctypes.addressof(value) for value in values))
    blocks = -(-threads // block)
    ended = getattr(library, f"run_{kernel}")(ctypes.c_uint(blocks), ctypes.c_uint(block), pointers)
    assert ended, f"{kernel} has a barrier that not all of its threads reach"
