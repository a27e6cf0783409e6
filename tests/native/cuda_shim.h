// CUDA's dialect for a C++ compiler, so that kernels can be run and judged where there is no GPU.
//
// The threads of a block are fibers that take turns on one core; each runs until it ends or waits for the
// others, and a barrier opens when all that are left of its group wait at it. Blocks run one after the other.
// That shows wrong indices, wrong mathematics and barriers that not all reach. It does not show races.
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ static  // One block runs at a time.

struct Index3 {
    unsigned x = 0, y = 0, z = 0;
};
static Index3 threadIdx, blockIdx, blockDim, gridDim;

namespace shim {

constexpr int kWarp = 32;
constexpr size_t kStack = 1 << 16;

enum class State { kReady, kAtBlock, kAtWarp, kDone };

struct Thread {
    ucontext_t context;
    std::unique_ptr<char[]> stack{new char[kStack]};
    State state = State::kReady;
};

static ucontext_t scheduler;
static std::vector<Thread> threads;
static std::function<void()> body;
static uint64_t exchange[1024];  // What a thread offers to its warp.

static void enter() {
    body();
    threads[threadIdx.x].state = State::kDone;
}

static void wait(State at) {
    const unsigned me = threadIdx.x;
    threads[me].state = at;
    swapcontext(&threads[me].context, &scheduler);
    threadIdx.x = me;
}

// Opens the barrier of threads first .. last - 1 if all that are left wait at it.
static bool open(size_t first, size_t last, State at) {
    bool any = false;
    for (size_t i = first; i < last; ++i) {
        if (threads[i].state != at && threads[i].state != State::kDone) return false;
        any |= threads[i].state == at;
    }
    for (size_t i = first; i < last && any; ++i)
        if (threads[i].state == at) threads[i].state = State::kReady;
    return any;
}

// False if some wait at a barrier that the others never reach.
static bool run_block() {
    for (Thread& thread : threads) {
        thread.state = State::kReady;
        getcontext(&thread.context);
        thread.context.uc_stack.ss_sp = thread.stack.get();
        thread.context.uc_stack.ss_size = kStack;
        thread.context.uc_link = &scheduler;
        makecontext(&thread.context, enter, 0);
    }
    for (bool moved = true; moved;) {
        moved = false;
        for (unsigned i = 0; i < threads.size(); ++i) {
            if (threads[i].state != State::kReady) continue;
            threadIdx.x = i;
            swapcontext(&scheduler, &threads[i].context);
            moved = true;
        }
        for (size_t i = 0; i < threads.size(); i += kWarp)
            moved |= open(i, std::min(i + kWarp, threads.size()), State::kAtWarp);
        moved |= open(0, threads.size(), State::kAtBlock);
    }
    for (const Thread& thread : threads)
        if (thread.state != State::kDone) return false;
    return true;
}

static bool run(unsigned blocks, unsigned block, std::function<void()> kernel) {
    body = std::move(kernel);
    if (threads.size() != block) threads = std::vector<Thread>(block);
    gridDim = {blocks, 1, 1};
    blockDim = {block, 1, 1};
    for (unsigned i = 0; i < blocks; ++i) {
        blockIdx = {i, 0, 0};
        if (!run_block()) return false;
    }
    return true;
}

// The interface of cuLaunchKernel: the arguments as pointers to their values.
template <class... A, size_t... I>
void call(void (*kernel)(A...), void** arguments, std::index_sequence<I...>) {
    kernel(*static_cast<A*>(arguments[I])...);
}
template <class... A>
bool launch(void (*kernel)(A...), unsigned blocks, unsigned block, void** arguments) {
    return run(blocks, block, [=] { call(kernel, arguments, std::index_sequence_for<A...>{}); });
}

}  // namespace shim

static void __syncthreads() { shim::wait(shim::State::kAtBlock); }
static void __syncwarp() { shim::wait(shim::State::kAtWarp); }

template <class T>
T __shfl_xor_sync(unsigned, T value, int mask) {
    static_assert(sizeof(T) <= sizeof(uint64_t), "a word");
    const unsigned me = threadIdx.x;
    memcpy(&shim::exchange[me], &value, sizeof value);
    __syncwarp();
    memcpy(&value, &shim::exchange[me ^ static_cast<unsigned>(mask)], sizeof value);
    __syncwarp();
    return value;
}
