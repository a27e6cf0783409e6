// Which thread this is.
#pragma once
#include "portable.h"

namespace fourd {

// Kernels have one dimension: a thread for each thing.
__device__ inline int64_t global_thread() { return (int64_t)blockIdx.x * blockDim.x + threadIdx.x; }

}  // namespace fourd
