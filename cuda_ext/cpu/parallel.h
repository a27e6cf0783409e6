// Loops over several threads.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace fourd {

// Calls body(i) for i = 0 .. count - 1, each once, on up to `threads` threads; the calling thread is one of
// them. Which thread takes which i is left to chance, so body must write only where i says.
//
// The threads live for one call: that costs some 20 us each and survives fork(), which a pool does not.
// The first exception thrown by body stops the loop and is thrown again here.
template <class Body>
void parallel_for(int64_t count, int threads, Body&& body) {
    if (threads <= 1 || count <= 1) {
        for (int64_t i = 0; i < count; ++i) body(i);
        return;
    }
    std::atomic<int64_t> next{0};
    std::exception_ptr failure;
    std::mutex guard;
    auto work = [&] {
        try {
            for (int64_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;) body(i);
        } catch (...) {
            next.store(count, std::memory_order_relaxed);
            const std::lock_guard<std::mutex> lock(guard);
            if (!failure) failure = std::current_exception();
        }
    };
    std::vector<std::thread> others;
    const int64_t wanted = std::min<int64_t>(threads, count) - 1;
    others.reserve(static_cast<size_t>(wanted));
    try {
        for (int64_t i = 0; i < wanted; ++i) others.emplace_back(work);
    } catch (const std::system_error&) {
        // The system gives no more threads: those that run do all the work.
    }
    work();
    for (std::thread& thread : others) thread.join();
    if (failure) std::rethrow_exception(failure);
}

}  // namespace fourd
