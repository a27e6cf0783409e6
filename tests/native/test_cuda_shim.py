"""The judge judged: what stands in for a GPU runs blocks, barriers and warps as a GPU does."""

from __future__ import annotations

import ctypes

import pytest
import torch

from tests.native import cuda_shim

KERNELS = """
#include "grid.h"
extern "C" __global__ void reverse(const float* x, float* out) {
    __shared__ float all[64];
    all[threadIdx.x] = x[blockIdx.x * blockDim.x + threadIdx.x];
    __syncthreads();
    out[blockIdx.x * blockDim.x + threadIdx.x] = all[blockDim.x - 1 - threadIdx.x];
}
extern "C" __global__ void total(const int* x, int* out) {
    int sum = x[fourd::global_thread()];
    for (int mask = 16; mask > 0; mask /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, mask);
    out[fourd::global_thread()] = sum;
}
extern "C" __global__ void stuck(float* x) {
    if (threadIdx.x == 3) __syncwarp();
    if (threadIdx.x != 3) __syncthreads();
    x[0] = 1;
}
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("kernels")
    (folder / "small.cu").write_text(KERNELS)
    return cuda_shim.build(folder / "small.cu", folder)


def test_a_barrier_holds_a_block(library: ctypes.CDLL) -> None:
    x = torch.arange(192.0)
    out = torch.empty_like(x)
    cuda_shim.run(library, "reverse", 192, (x, out), block=64)
    assert torch.equal(out, x.view(3, 64).flip(1).flatten())


def test_a_warp_exchanges_values(library: ctypes.CDLL) -> None:
    x = torch.arange(128, dtype=torch.int32)
    out = torch.empty_like(x)
    cuda_shim.run(library, "total", 128, (x, out), block=64)
    assert torch.equal(out.view(4, 32), x.view(4, 32).sum(1, keepdim=True, dtype=torch.int32).expand(4, 32))


def test_threads_that_never_meet_are_found(library: ctypes.CDLL) -> None:
    x = torch.zeros(1)
    with pytest.raises(AssertionError, match="stuck has a barrier that not all of its threads reach"):
        cuda_shim.run(library, "stuck", 8, (x,), block=8)


def test_a_last_block_may_be_too_long(library: ctypes.CDLL) -> None:
    x = torch.arange(64.0)
    out = torch.empty_like(x)
    cuda_shim.run(library, "reverse", 1, (x, out), block=64)  # One thread is asked for, a block of 64 runs.
    assert torch.equal(out, x.flip(0))
