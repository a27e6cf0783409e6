"""Whether CUDA can be used here, part by part, and why not: what the doctor says and errors repeat."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
from pathlib import Path
from typing import NamedTuple

from fourd.errors import FourdError, MissingError
from fourd.native import cuda_compile


class Part(NamedTuple):
    """One thing that CUDA needs."""

    there: bool
    says: str
    todo: str = ""
    """What would bring it; empty if it is there."""


def gpu() -> Part:
    """A GPU, and a PyTorch that sees it."""
    import torch

    if torch.cuda.is_available():
        seen = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
        names = [f"{p.name} ({p.total_memory / 1e9:.0f} GB, capability {p.major}.{p.minor})" for p in seen]
        return Part(True, ", ".join(names))
    if torch.version.cuda is None:
        todo = "With an NVIDIA GPU: install a CUDA build of PyTorch (https://pytorch.org). Without one: nothing."
        return Part(False, "this PyTorch is built for the CPU only; all work is done there", todo)
    todo = "See whether `nvidia-smi` finds the GPU; if it does, the driver may be too old for this PyTorch."
    return Part(False, f"PyTorch has CUDA {torch.version.cuda}, but no device is visible", todo)


def kernels() -> Part:
    """NVRTC, which compiles our own kernels."""
    try:
        version, names = cuda_compile.version(), cuda_compile.sources()
    except FourdError as error:
        return Part(False, str(error).splitlines()[0].rstrip("."), "With an NVIDIA GPU: pip install 'fourd[gpu]'.")
    kept = cuda_compile.cache_folder() or "nowhere, for there is no home"
    says = f"NVRTC {'.'.join(map(str, version))} compiles {', '.join(names)} at their first use; kept in {kept}"
    return Part(True, says)


def gsplat() -> Part:
    """gsplat, which rasterizes on CUDA, and what its own kernels come from."""
    spec = importlib.util.find_spec("gsplat")
    if spec is None or spec.origin is None:
        says = "it is not installed; it draws on CUDA devices only, the CPU has a rasterizer of its own"
        return Part(False, says, "With an NVIDIA GPU: pip install 'fourd[gpu]'. Without one: nothing.")
    version = importlib.metadata.version("gsplat")
    if list(Path(spec.origin).parent.glob("csrc*.so")):
        return Part(True, f"{version}, with its kernels built")
    nvcc = _nvcc()
    if nvcc is not None:
        return Part(True, f"{version}; it builds its kernels at the first picture, by {nvcc}, which takes minutes")
    says = f"{version} came without built kernels, and there is no nvcc to build them"
    todo = "With an NVIDIA GPU: install CUDA's toolkit, or a built wheel from https://docs.gsplat.studio/whl."
    return Part(False, says, todo)


def require_cuda(what: str) -> None:
    """Refuse before any work is done what only CUDA can do.

    Args:
        what: What asks for it, as the user named it (``"Config.device is 'cuda'"``).

    Raises:
        MissingError: If something is missing; the message names the first such thing and what to do.
    """
    for name, look in (("CUDA", gpu), ("fourd's CUDA kernels", kernels), ("gsplat", gsplat)):
        part = look()
        if not part.there:
            raise MissingError(
                f"{what}, but {name} cannot be used here: {part.says}.\n"
                f"  What to do:      {part.todo}\n  Or use another:  cpu"
            )


def _nvcc() -> str | None:
    """Where gsplat would find CUDA's compiler."""
    homes = [os.environ[name] for name in ("CUDA_HOME", "CUDA_PATH") if os.environ.get(name)]
    places = os.pathsep.join(os.path.join(home, "bin") for home in [*homes, "/usr/local/cuda"])
    return shutil.which("nvcc") or shutil.which("nvcc", path=places)
