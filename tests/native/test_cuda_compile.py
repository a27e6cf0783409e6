"""NVRTC compiles every kernel for every generation that we promise, without a GPU; and the cache is sound."""

from __future__ import annotations

import re
import sys
import threading
from pathlib import Path

import pytest
import torch

from fourd.errors import FourdError, MissingError
from fourd.native import cuda_compile, evidence, fusion, slice, sweep

pytestmark = pytest.mark.needs("nvrtc")

PROMISED = (80, 90, 100, 120)

JUDGED = {
    "fusion": {  # tests/native/test_fusion_cuda.py
        "fusion_planes",
        "fusion_widen",
        "fusion_passages",
        "fusion_consistency",
        "fusion_left",
        "fusion_redundant",
        "fusion_discs",
        "fusion_evidence",
    },
    "slice": {"slice_mark", "slice_take"},  # tests/native/test_slice.py
    "sweep": {"sweep_match", "sweep_mean", "sweep_paths", "sweep_choose", "sweep_smooth"},  # test_sweep_cuda.py
}
"""Where each kernel is run on the CPU and compared with its twin; a new one is not forgotten."""

DEFINED = evidence, fusion, slice, sweep  # Importing them defines the operators.
OPERATORS = "slice plane_sweep semi_global smooth_along_edges planes consistency redundant discs evidence".split()

SMALL = 'extern "C" __global__ void f(float* x) { x[threadIdx.x] = {}; }\n'


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "fourd"


@pytest.fixture
def kernels(tmp_path: Path, empty: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of kernels with one file, ``small.cu``, and an empty cache."""
    for name in ("cuda", "include"):
        (tmp_path / name).mkdir()
    (tmp_path / "cuda" / "small.cu").write_text(SMALL.replace("{}", "1.0f", 1).replace("{}", ""))
    monkeypatch.setattr(cuda_compile, "folder", lambda: tmp_path)
    return tmp_path


@pytest.mark.parametrize("arch", [f"sm_{number}" for number in PROMISED])
@pytest.mark.parametrize("name", cuda_compile.sources())
def test_every_kernel_compiles_for_every_generation(name: str, arch: str, empty: Path) -> None:
    code = cuda_compile.compiled(name, arch)
    assert code.startswith(b"\x7fELF")
    for kernel in JUDGED[name]:
        assert kernel.encode() in code


def test_every_kernel_is_judged_somewhere() -> None:
    found = {
        name: set(re.findall(r"__global__ void (\w+)\(", (cuda_compile.folder() / "cuda" / f"{name}.cu").read_text()))
        for name in cuda_compile.sources()
    }
    assert found == JUDGED
    names = [kernel for kernels in found.values() for kernel in kernels]
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py") if path != Path(__file__))
    assert [kernel for kernel in names if f'"{kernel}"' not in tests] == [], "kernels that no test sees launched"


def test_every_header_compiles_for_cuda(kernels: Path) -> None:
    headers = sorted((Path(__file__).parents[2] / "cuda_ext" / "include").glob("*.h"))
    for header in headers:
        (kernels / "include" / header.name).write_bytes(header.read_bytes())
    for header in headers:
        (kernels / "cuda" / f"{header.stem}.cu").write_text(f'#include "{header.name}"\n{SMALL.replace("{}", "0", 1)}')
        assert cuda_compile.compiled(header.stem, "sm_80").startswith(b"\x7fELF")


def test_what_was_compiled_is_read_from_the_disk(kernels: Path, empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = cuda_compile.compiled("small", "sm_90")
    (kept,) = empty.iterdir()
    assert kept.name.startswith("small-sm_90-")
    monkeypatch.setattr(cuda_compile, "_compile", None)  # Nothing compiles now.
    assert cuda_compile.compiled("small", "sm_90") == first


@pytest.mark.parametrize("change", ["source", "header", "arch", "version", "broken"])
def test_whatever_changes_the_code_compiles_it_anew(
    change: str, kernels: Path, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (kernels / "include" / "other.h").write_text("// Nobody knows who includes it.\n")
    before = cuda_compile.compiled("small", "sm_80")
    arch = "sm_90" if change == "arch" else "sm_80"
    if change == "source":
        with (kernels / "cuda" / "small.cu").open("a") as file:
            file.write("// A comment.\n")
    elif change == "header":
        (kernels / "include" / "other.h").write_text("// A comment.\n")
    elif change == "version":
        monkeypatch.setattr(cuda_compile, "version", lambda: (99, 0))
    elif change == "broken":
        (kept,) = empty.iterdir()
        kept.write_bytes(kept.read_bytes()[:-1])
    made: list[str] = []
    compile_ = cuda_compile._compile
    monkeypatch.setattr(cuda_compile, "_compile", lambda *given: made.append(given[1]) or compile_(*given))
    after = cuda_compile.compiled("small", arch)
    assert made == [arch] and after.startswith(b"\x7fELF")
    assert change != "broken" or after == before
    assert cuda_compile.compiled("small", arch) == after and len(made) == 1
    assert len(list(empty.iterdir())) == (1 if change == "broken" else 2)


def test_broken_source_is_one_clear_error(kernels: Path, empty: Path) -> None:
    (kernels / "cuda" / "small.cu").write_text('extern "C" __global__ void f(float* x) {\n    x[0] = y + z;\n}\n')
    with pytest.raises(FourdError) as caught:
        cuda_compile.compiled("small", "sm_90")
    lines = str(caught.value).splitlines()
    assert re.fullmatch(
        r"NVRTC \d+\.\d+ cannot compile fourd's kernels small\.cu for sm_90: "
        r'small\.cu\(2\): error: identifier "y" is undefined',
        lines[0],
    )
    assert len(lines) == 2 and "report" in lines[1] and "CPU" in lines[1]
    assert not list(empty.iterdir())


def test_without_a_place_to_keep_it_works_and_says_so(
    kernels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cuda" / "small.cu"))  # A file, in which no folder can be.
    with pytest.warns(RuntimeWarning, match=r"cannot be kept on the disk.* Set XDG_CACHE_HOME"):
        assert cuda_compile.compiled("small", "sm_90").startswith(b"\x7fELF")


def test_a_disk_that_refuses_is_no_reason_to_fail(kernels: Path, empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> object:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cuda_compile.files.tempfile, "mkstemp", lambda **_: full())
    with pytest.warns(RuntimeWarning, match=r"the disk is full\. Set XDG_CACHE_HOME"):
        assert cuda_compile.compiled("small", "sm_90").startswith(b"\x7fELF")


def test_many_may_write_at_once(kernels: Path, empty: Path) -> None:
    results: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: results.append(cuda_compile.compiled("small", "sm_80"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8 and len(set(results)) == 1
    assert len(list(empty.iterdir())) == 1
    assert cuda_compile.compiled("small", "sm_80") == results[0]


def test_new_devices_get_code_that_their_driver_translates(empty: Path) -> None:
    assert cuda_compile.architecture(9, 0) == "sm_90"
    assert cuda_compile.architecture(99, 0) == f"compute_{cuda_compile.architectures()[-1]}"
    assert b".visible .entry slice_mark(" in cuda_compile.compiled("slice", cuda_compile.architecture(99, 0))
    with pytest.raises(MissingError, match=r"This GPU has compute capability 3\.5; NVRTC \d+\.\d+ compiles for 7\.5"):
        cuda_compile.architecture(3, 5)


def test_without_nvrtc_the_way_to_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cuda.bindings.nvrtc", None)
    with pytest.raises(MissingError) as caught:
        cuda_compile.version()
    assert str(caught.value) == (
        "fourd on CUDA needs the package 'cuda.bindings.nvrtc', which is not installed.\n"
        "  Install it:      pip install 'fourd[gpu]'\n"
        "  Or use another:  the CPU"
    )


def test_without_its_library_the_way_to_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Bindings:
        def nvrtcVersion(self) -> object:
            raise RuntimeError("Failed to dlopen libnvrtc.so.13")

    monkeypatch.setattr(cuda_compile, "_nvrtc", Bindings)
    with pytest.raises(MissingError, match=r"NVRTC, NVIDIA's compiler, .*libnvrtc\.so\.13.*\n.*fourd\[gpu\]"):
        cuda_compile.version()


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_find_their_kernels(name: str) -> None:
    assert torch._C._dispatch_has_kernel_for_dispatch_key(f"fourd::{name}", "CUDA")
