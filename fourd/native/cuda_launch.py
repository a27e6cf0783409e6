"""Launch compiled kernels through CUDA's driver, on torch's device and its current stream."""

from __future__ import annotations

import ctypes
import functools
import importlib
import threading
from typing import Any, TypeAlias

import torch
from torch import Tensor

from fourd.errors import FourdError, InputError, MissingError, missing
from fourd.native import cuda_compile

Argument: TypeAlias = "Tensor | int | float | ctypes._SimpleCData[Any]"
"""A tensor is passed as a pointer, an int as int64_t, a float as float; ctypes' values as what they are."""

BLOCK = 256
"""Threads of a block, unless a kernel wants another number."""


def launch(source: str, kernel: str, threads: int, arguments: tuple[Argument, ...], *, block: int = BLOCK) -> None:
    """Run a kernel with at least ``threads`` threads. It returns before the kernel ends, as torch's own do.

    Args:
        source: Name of the kernel file, of ``cuda_compile.sources()``.
        kernel: Name of the function in it.
        threads: How many; none is fine. The kernel looks after those that are too many.
        arguments: In the order of the function's parameters. Tensors are contiguous and of one CUDA device.
        block: Threads of a block.

    Raises:
        InputError: If a tensor is on another device or not contiguous.
        MissingError: If NVRTC or CUDA's bindings are not installed, or the driver is too old for them.
        FourdError: If the driver refuses.
    """
    tensors = [argument for argument in arguments if isinstance(argument, Tensor)]
    device = tensors[0].device
    for i, tensor in enumerate(tensors):
        if not tensor.is_cuda or tensor.device != device or not tensor.is_contiguous():
            kind = "" if tensor.is_contiguous() else ", not contiguous"
            raise InputError(
                f"{kernel}: tensor {i + 1} of {len(tensors)} is on {tensor.device}{kind}; all must be contiguous and"
                f" on one CUDA device, here {device if tensors[0].is_cuda else 'any'}."
            )
    if threads <= 0:
        return
    driver = _driver()
    values = packed(arguments)
    pointers = (ctypes.c_void_p * len(values))(*(ctypes.addressof(value) for value in values))
    with torch.cuda.device(device):
        function = _function(source, kernel, device.index)
        stream = torch.cuda.current_stream(device).cuda_stream
        blocks = -(-threads // block)
        _call(driver, "cuLaunchKernel", function, blocks, 1, 1, block, 1, 1, 0, stream, ctypes.addressof(pointers), 0)


def arrays(operator: str, dtype: torch.dtype, **tensors: Tensor) -> list[Tensor]:
    """The tensors as a kernel reads them: contiguous, and of one dtype.

    Raises:
        InputError: If one has another dtype.
    """
    for name, tensor in tensors.items():
        if tensor.dtype != dtype:
            raise InputError(f"{operator}: {name} has dtype {tensor.dtype}; it must be {dtype}.")
    return [tensor.detach().contiguous() for tensor in tensors.values()]


def packed(arguments: tuple[Argument, ...]) -> list[ctypes._SimpleCData[Any]]:
    """The arguments as the C values that a kernel takes."""
    values: list[ctypes._SimpleCData[Any]] = []
    for argument in arguments:
        if isinstance(argument, Tensor):
            values.append(ctypes.c_void_p(argument.data_ptr()))
        elif isinstance(argument, int):
            values.append(ctypes.c_int64(argument))
        elif isinstance(argument, float):
            values.append(ctypes.c_float(argument))
        else:
            values.append(argument)
    return values


_loading = threading.Lock()


def _function(source: str, kernel: str, device: int) -> Any:
    with _loading:  # Two threads that want the same kernel first would compile it twice.
        _enter(device)
        return _loaded(source, kernel, device)


def _enter(device: int) -> None:
    """Make torch's context of the device current: a thread that has done nothing on it yet has none."""
    _call(_driver(), "cuCtxSetCurrent", _context(device))


@functools.cache
def _context(device: int) -> Any:
    torch.cuda.init()
    driver = _driver()
    return _call(driver, "cuDevicePrimaryCtxRetain", _call(driver, "cuDeviceGet", device))


@functools.cache
def _loaded(source: str, kernel: str, device: int) -> Any:
    return _call(_driver(), "cuModuleGetFunction", _module(source, device), kernel.encode())


@functools.cache
def _module(source: str, device: int) -> Any:
    arch = cuda_compile.architecture(*torch.cuda.get_device_capability(device))
    code = cuda_compile.compiled(source, arch)
    driver, nvrtc = _driver(), cuda_compile.version()
    major, minor = divmod(_call(driver, "cuDriverGetVersion") // 10, 100)
    if major < nvrtc[0]:
        raise MissingError(
            f"The driver of this GPU knows CUDA {major}.{minor}, and NVRTC is {nvrtc[0]}.{nvrtc[1]}: it is too new.\n"
            f"  Install one that fits:  pip install 'cuda-bindings=={major}.*' 'nvidia-cuda-nvrtc-cu{major}'\n"
            "  Or use another:         the CPU"
        )
    return _call(driver, "cuModuleLoadData", code)


@functools.cache
def _driver() -> Any:
    try:
        driver = importlib.import_module("cuda.bindings.driver")
    except ImportError as error:
        raise missing("fourd on CUDA", error.name or "cuda.bindings", "fourd[gpu]", "the CPU") from error
    _call(driver, "cuInit", 0)
    return driver


def _call(driver: Any, function: str, *arguments: object) -> Any:
    """Call the driver; its first result is a status, of which ours are errors."""
    try:
        status, *results = getattr(driver, function)(*arguments)
    except RuntimeError as error:  # The bindings are there, and the library is not.
        reason = " ".join(str(error).split())[:200]
        raise MissingError(
            f"CUDA's driver cannot be loaded ({reason}). Install NVIDIA's driver, or use the CPU."
        ) from error
    if int(status) != 0:
        raise FourdError(f"CUDA's driver refuses {function}: {status.name}.")
    return results[0] if results else None
