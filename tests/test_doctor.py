"""The doctor: tells what is there, says what to do about the rest, and never falls ill itself."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from fourd import doctor
from fourd.doctor import Finding
from fourd.native import device


def finding(name: str) -> Finding:
    return next(f for f in doctor.examine() if f.name == name)


def test_every_check_answers_under_its_own_name() -> None:
    found = doctor.examine()
    assert [f.name for f in found] == list(doctor.CHECKS)
    assert all(f.says for f in found)
    assert all(f.todo for f in found if f.state == "broken")


@pytest.mark.needs("native")
def test_a_whole_installation_can_lift() -> None:
    assert doctor.can_lift(doctor.examine())
    says = finding("native extension").says
    assert says.startswith(doctor.ISAS) and says.endswith((".so", ".pyd"))


def test_a_missing_extension_keeps_it_from_lifting(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n, *a: None if n == "fourd.native._cpu" else spec(n, *a))
    found = finding("native extension")
    assert (found.state, found.says) == ("broken", "it is not built")
    assert "make native" in found.todo and "pip install ." in found.todo
    assert not doctor.can_lift(doctor.examine())


def test_a_missing_encoder_keeps_it_from_lifting(monkeypatch: pytest.MonkeyPatch) -> None:
    import av.codec

    def codec(name: str, mode: str = "r") -> object:
        if mode == "w":
            raise ValueError(name)
        return object()

    monkeypatch.setattr(av.codec, "Codec", codec)
    found = finding("video")
    assert found.state == "broken" and "no H.264 or AAC encoder" in found.says and "pip install" in found.todo


def test_extras_are_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.find_spec
    absent: set[str] = set()
    monkeypatch.setattr(importlib.util, "find_spec", lambda n, *a: None if n in absent else spec("math"))
    found = finding("extras")
    assert (found.state, found.todo) == ("yes", "") and found.says.startswith("published models, cameras by COLMAP")
    absent |= {"diffusers", "pycolmap"}
    found = finding("extras")
    assert (found.state, found.says) == ("no", "depth as .exr, cameras for kornia")
    assert found.todo == (
        "If you want them, published models: pip install 'fourd[hub]'; cameras by COLMAP: pip install 'fourd[colmap]'."
    )
    assert doctor.can_lift([found])


def test_a_broken_package_is_a_finding_and_not_a_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)  # Importing it raises ImportError now.
    found = finding("OpenCV")
    assert found.state == "broken" and found.says.startswith("it fails: ") and "opencv-python-headless" in found.todo
    monkeypatch.setitem(sys.modules, "embreex", None)
    assert finding("embreex").state == "no"  # Worth knowing, but clips can be lifted without it.


def test_gsplat_is_not_missed_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n, *a: None if n == "gsplat" else spec(n, *a))
    assert finding("gsplat").state == "no"
    assert doctor.can_lift([f for f in doctor.examine() if f.name == "gsplat"])


def test_each_part_of_cuda_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "gpu", lambda: device.Part(True, "NVIDIA H200"))
    monkeypatch.setattr(device, "kernels", lambda: device.Part(False, "no NVRTC", "Install it."))
    assert finding("CUDA") == Finding("CUDA", "yes", "NVIDIA H200")
    assert finding("CUDA kernels") == Finding("CUDA kernels", "no", "no NVRTC", "Install it.")


def test_little_memory_and_disk_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_ROOM_BYTES", 1e18)
    assert finding("disk").state == "no" and "TMPDIR" in finding("disk").todo
    memory = finding("memory")
    assert (memory.state == "no" and "--size" in memory.todo) or "not known" in memory.says
