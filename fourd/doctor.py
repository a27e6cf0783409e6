"""What this installation can do, and why not: one small check for each thing that fourd can use."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

_ROOM_BYTES = 2e9
"""Free memory and disk below which a clip of a few hundred frames may not fit."""


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's report."""

    name: str
    state: Literal["yes", "no", "broken"]
    """``no`` is worth knowing; ``broken`` keeps fourd from lifting at all."""
    says: str
    todo: str = ""
    """What would turn ``no`` or ``broken`` into ``yes``; empty if nothing needs to."""


def examine() -> list[Finding]:
    """Look at everything, in order. Never raises: a broken package is a finding."""
    return [_examined(name, look) for name, look in CHECKS.items()]


def _examined(name: str, look: Callable[[], Finding]) -> Finding:
    try:
        return look()
    except Exception as error:  # What a broken package raises at import may be anything.
        text = " ".join(str(error).split()) or type(error).__name__
        state = "broken" if name in NEEDED else "no"
        return Finding(name, state, f"it fails: {text[:200]}", f"Install it again: {NEEDED.get(name, 'see above')}")


def _python() -> Finding:
    return Finding("Python", "yes", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _fourd() -> Finding:
    try:
        version = importlib.metadata.version("fourd")
    except importlib.metadata.PackageNotFoundError:
        return Finding("fourd", "no", "it runs from its sources and is not installed", "Install it: pip install .")
    return Finding("fourd", "yes", f"{version} in {os.path.dirname(__file__)}")


def _torch() -> Finding:
    import torch

    return Finding("PyTorch", "yes", f"{torch.__version__}, {torch.get_num_threads()} threads")


def _native() -> Finding:
    spec = importlib.util.find_spec("fourd.native._cpu")
    if spec is None:
        todo = "Build it: `make native` in the sources, or `pip install .`; a C++17 compiler is needed."
        return Finding("native extension", "broken", "it is not built", todo)
    best = importlib.import_module("fourd.native._cpu").best_isa()
    says = f"{ISAS[best]}, the best that this processor has of {', '.join(ISAS[:-1])} and {ISAS[-1]}; {spec.origin}"
    return Finding("native extension", "yes", says)


ISAS = ("baseline", "AVX2", "AVX-512")
"""Instruction sets that the extension was compiled for; it chooses when it runs."""


def _cpu() -> Finding:
    import torch

    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Finding("CPU", "yes", f"{count} cores, {torch.backends.cpu.get_cpu_capability()}")


def _cuda() -> Finding:
    return _part("CUDA", "gpu")


def _kernels() -> Finding:
    return _part("CUDA kernels", "kernels")


def _gsplat() -> Finding:
    return _part("gsplat", "gsplat")


def _part(name: str, look: str) -> Finding:
    from fourd.native import device  # Not before it is wanted: it needs a PyTorch that works.

    part = getattr(device, look)()
    return Finding(name, "yes" if part.there else "no", part.says, part.todo)


def _video() -> Finding:
    import av
    from av.codec import Codec

    def there(name: str, mode: Literal["r", "w"]) -> bool:
        try:
            Codec(name, mode)
        except ValueError:  # av.codec.codec.UnknownCodecError is one.
            return False
        return True

    if not there("libx264", "w") or not there("aac", "w"):
        todo = (
            "Install PyAV's own wheel, which brings FFmpeg with it: pip install --force-reinstall --only-binary av av"
        )
        return Finding("video", "broken", f"PyAV {av.__version__} has no H.264 or AAC encoder", todo)
    reads = [label for name, label in _DECODERS.items() if there(name, "r")]
    return Finding("video", "yes", f"PyAV {av.__version__}; writes H.264 and AAC; reads {', '.join(reads)} and more")


_DECODERS = {"h264": "H.264", "hevc": "HEVC", "vp9": "VP9", "libdav1d": "AV1", "prores": "ProRes"}


def _opencv() -> Finding:
    import cv2

    return Finding("OpenCV", "yes", cv2.__version__)


def _embree() -> Finding:
    importlib.import_module("embreex")
    return Finding("embreex", "yes", f"{importlib.metadata.version('embreex')}: rays on meshes are quick")


_EXTRAS = {
    "hub": ("published models", ("transformers", "diffusers")),
    "colmap": ("cameras by COLMAP", ("pycolmap",)),
    "exr": ("depth as .exr", ("OpenEXR",)),
    "interop": ("cameras for kornia", ("kornia",)),
}


def _extras() -> Finding:
    """Packages that some options want. They are looked for and not imported, which would take seconds."""
    there, lacking = [], []
    for extra, (does, packages) in _EXTRAS.items():
        if all(importlib.util.find_spec(package) for package in packages):
            there.append(does)
        else:
            lacking.append(f"{does}: pip install 'fourd[{extra}]'")
    state = "no" if lacking else "yes"
    says = ", ".join(there) if there else "none of the optional packages is installed; nothing else needs them"
    return Finding("extras", state, says, "If you want them, " + "; ".join(lacking) + "." if lacking else "")


def _memory() -> Finding:
    try:
        with open("/proc/meminfo") as file:
            lines = dict(line.split(":", 1) for line in file)
        free, total = (int(lines[key].split()[0]) * 1024 for key in ("MemAvailable", "MemTotal"))
    except (OSError, KeyError):
        return Finding("memory", "yes", "not known on this system")
    state = "yes" if free > _ROOM_BYTES else "no"
    todo = "" if state == "yes" else "Close other programs, or lift with --size 320 or a shorter --duration."
    return Finding("memory", state, f"{free / 1e9:.1f} of {total / 1e9:.1f} GB are free", todo)


def _disk() -> Finding:
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    state = "yes" if free > _ROOM_BYTES else "no"
    todo = "" if state == "yes" else "Make room, or point TMPDIR to a larger disk."
    return Finding("disk", state, f"{free / 1e9:.1f} GB are free in {folder}", todo)


CHECKS: dict[str, Callable[[], Finding]] = {
    "Python": _python,
    "fourd": _fourd,
    "PyTorch": _torch,
    "native extension": _native,
    "CPU": _cpu,
    "CUDA": _cuda,
    "CUDA kernels": _kernels,
    "gsplat": _gsplat,
    "video": _video,
    "OpenCV": _opencv,
    "embreex": _embree,
    "extras": _extras,
    "memory": _memory,
    "disk": _disk,
}

NEEDED = {
    "PyTorch": "pip install --force-reinstall torch",
    "native extension": "`make native` in the sources, or `pip install --force-reinstall .`",
    "video": "pip install --force-reinstall --only-binary av av",
    "OpenCV": "pip install --force-reinstall opencv-python-headless",
}
"""Without these fourd cannot lift a clip; how to install each again."""


def can_lift(findings: list[Finding]) -> bool:
    """True unless something is broken that every lift needs."""
    return all(finding.state != "broken" for finding in findings) and sys.version_info >= (3, 11)
