"""The CUDA sources travel with the package, since they are compiled where it runs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fourd.errors import MissingError
from fourd.native import cuda_compile

ROOT = Path(__file__).parents[2]


def cmake() -> str:
    found = shutil.which("cmake", path=str(Path(sys.executable).parent)) or shutil.which("cmake")
    if found is None:
        pytest.skip("there is no cmake")
    return found


def test_all_sources_are_installed(tmp_path: Path) -> None:
    assert (
        'add_subdirectory("${CMAKE_CURRENT_SOURCE_DIR}/../cuda" cuda)'
        in (ROOT / "cuda_ext" / "cpu" / "CMakeLists.txt").read_text()
    ), "what the wheel is built from must install the CUDA side too"
    build, wheel = tmp_path / "build", tmp_path / "wheel"
    subprocess.run([cmake(), "-S", ROOT / "cuda_ext" / "cuda", "-B", build], check=True, capture_output=True)
    subprocess.run([cmake(), "--install", build, "--prefix", wheel], check=True, capture_output=True)
    installed = {str(p.relative_to(wheel)): p.read_bytes() for p in wheel.rglob("*") if p.is_file()}
    sources = [*ROOT.glob("cuda_ext/cuda/*.cu"), *ROOT.glob("cuda_ext/cuda/*.h"), *ROOT.glob("cuda_ext/include/*.h")]
    expected = {f"fourd/native/_cuda/{p.relative_to(ROOT / 'cuda_ext')}": p.read_bytes() for p in sources}
    assert installed == expected and any(name.endswith(".cu") for name in expected)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Pretends that the package lies here; the folder of ``fourd.native``."""
    native = tmp_path / "site-packages" / "fourd" / "native"
    native.mkdir(parents=True)
    monkeypatch.setattr(cuda_compile, "__file__", str(native / "cuda_compile.py"))
    cuda_compile.folder.cache_clear()
    yield native
    cuda_compile.folder.cache_clear()


def test_a_checkout_uses_its_own_sources() -> None:
    assert cuda_compile.folder() == ROOT / "cuda_ext"


def test_an_installed_package_uses_its_copy(elsewhere: Path) -> None:
    for name in ("cuda", "include"):
        (elsewhere / "_cuda" / name).mkdir(parents=True)
    (elsewhere / "_cuda" / "cuda" / "a.cu").touch()
    assert cuda_compile.folder() == elsewhere / "_cuda"
    assert cuda_compile.sources() == ["a"]


def test_a_package_without_them_says_so(elsewhere: Path) -> None:
    with pytest.raises(MissingError) as caught:
        cuda_compile.folder()
    assert str(caught.value) == (
        f"fourd's CUDA kernels are not in this installation; they were expected in {elsewhere / '_cuda'}.\n"
        "  Install it again:  pip install --force-reinstall --no-deps fourd"
    )
