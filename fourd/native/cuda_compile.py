"""Compile the CUDA kernels with NVRTC, which needs no toolkit and no GPU, and keep the result on disk.

A kernel is compiled for one architecture when it is first wanted there. What was compiled is kept in
``$XDG_CACHE_HOME/fourd`` (``~/.cache/fourd``), named by a hash of everything that went into it.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import os
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

from fourd import files
from fourd.errors import FourdError, MissingError, OutputError, missing

OPTIONS = ("--std=c++17", "--fmad=false")
"""No fused multiply-add: then CUDA rounds as a CPU does, and both sides decide alike what lies on an edge."""


@functools.cache
def folder() -> Path:
    """Where the kernels lie: ``cuda_ext`` of a checkout, or the copy of it that was installed.

    Raises:
        MissingError: If neither is there.
    """
    places = (Path(__file__).parents[2] / "cuda_ext", Path(__file__).parent / "_cuda")
    for place in places:
        if (place / "cuda").is_dir() and (place / "include").is_dir():
            return place
    raise MissingError(
        f"fourd's CUDA kernels are not in this installation; they were expected in {places[1]}.\n"
        "  Install it again:  pip install --force-reinstall --no-deps fourd"
    )


def sources() -> list[str]:
    """The names of all kernel files, without their suffix."""
    return sorted(path.stem for path in (folder() / "cuda").glob("*.cu"))


def version() -> tuple[int, int]:
    """The version of NVRTC.

    Raises:
        MissingError: If it, or ``cuda-bindings``, is not installed.
    """
    return _call(_nvrtc(), "nvrtcVersion")


@functools.cache
def architectures() -> tuple[int, ...]:
    """What this NVRTC compiles for, oldest first: 75, 80 and so on."""
    return tuple(sorted(_call(_nvrtc(), "nvrtcGetSupportedArchs")))


def architecture(major: int, minor: int) -> str:
    """What to compile for a device of this capability: its own code, or PTX that its driver can translate.

    Raises:
        MissingError: If the device is older than anything that this NVRTC compiles for.
    """
    known, wanted = architectures(), 10 * major + minor
    if wanted in known:
        return f"sm_{wanted}"
    older = [number for number in known if number < wanted]
    if not older:
        raise MissingError(
            f"This GPU has compute capability {major}.{minor}; NVRTC {'.'.join(map(str, version()))} compiles for"
            f" {known[0] // 10}.{known[0] % 10} and newer.\n  Or use another:  the CPU"
        )
    return f"compute_{older[-1]}"


def compiled(name: str, arch: str) -> bytes:
    """The machine code of the kernel file ``name``, from the disk if it was compiled before.

    Args:
        name: One of ``sources()``.
        arch: ``sm_`` or, for PTX, ``compute_`` with one of ``architectures()``.

    Warns:
        RuntimeWarning: If it cannot be kept on the disk. It is compiled anew in each process then.

    Raises:
        MissingError: If NVRTC is not installed.
        FourdError: If NVRTC refuses the source; the message has its first complaint.
    """
    source = (folder() / "cuda" / f"{name}.cu").read_bytes()
    headers = {path.name: path.read_bytes() for where in ("include", "cuda") for path in _headers(where)}
    kept = _cache(name, arch, source, headers)
    if kept is not None and (code := _read(kept)) is not None:
        return code
    code = _compile(name, arch, source, headers)
    if kept is not None:
        _keep(kept, code)
    return code


def _headers(where: str) -> list[Path]:
    return sorted((folder() / where).glob("*.h"))


def _nvrtc() -> ModuleType:
    try:
        return importlib.import_module("cuda.bindings.nvrtc")
    except ImportError as error:
        raise missing("fourd on CUDA", error.name or "cuda.bindings", "fourd[gpu]", "the CPU") from error


def _call(nvrtc: Any, function: str, *arguments: object) -> Any:
    """Call NVRTC; its first result is a status, of which ours are errors."""
    try:
        status, *results = getattr(nvrtc, function)(*arguments)
    except RuntimeError as error:  # The bindings are there, and the library is not.
        reason = " ".join(str(error).split())[:200]
        raise MissingError(
            f"fourd on CUDA needs NVRTC, NVIDIA's compiler, which cannot be loaded ({reason}).\n"
            "  Install it:      pip install 'fourd[gpu]'\n  Or use another:  the CPU"
        ) from error
    if int(status) != 0:
        raise FourdError(f"NVRTC's {function} fails with {status.name}.")
    return results[0] if len(results) == 1 else tuple(results)


def _compile(name: str, arch: str, source: bytes, headers: dict[str, bytes]) -> bytes:
    nvrtc = _nvrtc()
    texts, names = list(headers.values()), [header.encode() for header in headers]
    program = _call(nvrtc, "nvrtcCreateProgram", source, f"{name}.cu".encode(), len(headers), texts, names)
    try:
        options = [option.encode() for option in (f"--gpu-architecture={arch}", *OPTIONS)]
        (status,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
        if int(status) != 0:
            raise FourdError(_complaint(name, arch, status.name, _text(nvrtc, program, "ProgramLog")))
        return _text(nvrtc, program, "CUBIN" if arch.startswith("sm_") else "PTX")
    finally:
        _call(nvrtc, "nvrtcDestroyProgram", program)


def _text(nvrtc: Any, program: Any, what: str) -> bytes:
    text = bytearray(_call(nvrtc, f"nvrtcGet{what}Size", program))
    _call(nvrtc, f"nvrtcGet{what}", program, text)
    return bytes(text)


def _complaint(name: str, arch: str, status: str, log: bytes) -> str:
    lines = log.decode(errors="replace").rstrip("\0").splitlines()
    first = next((line.strip() for line in lines if "error" in line), " ".join(lines)[:300] or status)
    major, minor = version()
    return (
        f"NVRTC {major}.{minor} cannot compile fourd's kernels {name}.cu for {arch}: {first}\n"
        "  This is not your doing: please report it with what `fourd doctor` says. The CPU does the same work."
    )


# What was compiled lies on the disk as its own SHA-256 and then the code, so that a broken file is no code.


def cache_folder() -> Path | None:
    """Where compiled kernels are kept; None if this user has no home. It need not exist yet."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fourd"
    except RuntimeError:
        return None


def _cache(name: str, arch: str, source: bytes, headers: dict[str, bytes]) -> Path | None:
    """Where the code is or will be kept; None if there is no place, of which the user is told."""
    digest = hashlib.sha256(repr((version(), arch, OPTIONS, source, sorted(headers.items()))).encode()).hexdigest()
    place = cache_folder()
    if place is None:
        _warn("there is no home to keep them in")
        return None
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _warn(str(error))
        return None
    return place / f"{name}-{arch}-{digest[:24]}.bin"


def _read(path: Path) -> bytes | None:
    try:
        data = path.read_bytes()
    except OSError:
        return None
    digest, code = data[:32], data[32:]
    return code if hashlib.sha256(code).digest() == digest else None


def _keep(path: Path, code: bytes) -> None:
    try:
        with files.replacing(path) as fresh:
            fresh.write_bytes(hashlib.sha256(code).digest() + code)
    except OutputError as error:
        _warn(str(error))


def _warn(reason: str) -> None:
    reason = reason.rstrip(".")
    warnings.warn(
        f"fourd's CUDA kernels cannot be kept on the disk and will be compiled again by each process: {reason}."
        " Set XDG_CACHE_HOME to a folder that can be written to.",
        RuntimeWarning,
        stacklevel=2,
    )
