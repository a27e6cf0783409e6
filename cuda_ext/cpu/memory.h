// Arrays that are not cleared first: filling them is the job of whoever asked for them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace fourd {

// Large arrays lie in large pages where the system has them: their splats are fetched here and there, and
// looking up small pages would take as long as fetching.
constexpr size_t kLargePage = size_t{1} << 21;

// Large blocks that were given back, kept for whoever asks next: a scene is drawn over and over, and the
// system would clear fresh pages for every picture. What waits here is at most kRoom bytes.
class Shelf {
  public:
#if defined(__SANITIZE_ADDRESS__)
    static constexpr size_t kRoom = 0;  // What was given back is gone, and who still reads it is caught.
#else
    static constexpr size_t kRoom = size_t{1} << 27;
#endif

    static Shelf& instance() {
        static Shelf* shelf = new Shelf;  // Never destroyed: buffers of other threads may outlive main().
        return *shelf;
    }

    // A block of at least `size` bytes and its true size, or nothing.
    std::pair<void*, size_t> take(size_t size) {
        // Somebody else may hold the lock, and in a forked process for ever: then the shelf is empty.
        const std::unique_lock<std::mutex> lock(mutex_, std::try_to_lock);
        if (!lock) return {nullptr, 0};
        auto best = blocks_.end();
        for (auto it = blocks_.begin(); it != blocks_.end(); ++it)
            if (it->second >= size && it->second / 2 <= size &&
                (best == blocks_.end() || it->second < best->second))
                best = it;
        if (best == blocks_.end()) return {nullptr, 0};
        const std::pair<void*, size_t> found = *best;
        blocks_.erase(best);
        waiting_ -= found.second;
        return found;
    }

    // False when there is no room for it.
    bool put(void* memory, size_t size) {
        const std::unique_lock<std::mutex> lock(mutex_, std::try_to_lock);
        if (!lock || waiting_ + size > kRoom) return false;
        blocks_.emplace_back(memory, size);
        waiting_ += size;
        return true;
    }

  private:
    Shelf() { blocks_.reserve(kRoom / kLargePage); }  // So that put() never needs memory itself.
    std::mutex mutex_;
    std::vector<std::pair<void*, size_t>> blocks_;
    size_t waiting_ = 0;
};

template <class T>
struct Buffer {
    struct Free {
        size_t bytes = 0;  // Of a block that lies in large pages; others go back to the heap.
        void operator()(T* array) const {
            if (bytes == 0) {
                ::operator delete(array, kLine);
            } else if (!Shelf::instance().put(array, bytes)) {
                ::operator delete(array, std::align_val_t{kLargePage});
            }
        }
    };
    std::unique_ptr<T[], Free> data;
    size_t size = 0;

    explicit Buffer(size_t n) : data(take(n)), size(n) {}
    T& operator[](size_t i) { return data.get()[i]; }
    const T& operator[](size_t i) const { return data.get()[i]; }

  private:
    static constexpr std::align_val_t kLine{64};

    static std::unique_ptr<T[], Free> take(size_t n) {
        static_assert(std::is_trivially_default_constructible_v<T>, "the memory is taken as it comes");
        if (n > SIZE_MAX / 2 / sizeof(T)) throw std::bad_array_new_length();
        if (n * sizeof(T) < kLargePage)
            return {static_cast<T*>(::operator new(n * sizeof(T), kLine)), Free{}};
        // Whole pages: the next picture shows a few splats more or fewer, and finds this block again.
        const size_t wanted = (n * sizeof(T) + kLargePage - 1) / kLargePage * kLargePage;
        auto [memory, bytes] = Shelf::instance().take(wanted);
        if (!memory) {
            bytes = wanted;
            memory = ::operator new(bytes, std::align_val_t{kLargePage});
#if defined(__linux__) && defined(MADV_HUGEPAGE)
            madvise(memory, bytes, MADV_HUGEPAGE);  // A wish, no more.
#endif
        }
        return {static_cast<T*>(memory), Free{bytes}};
    }
};

}  // namespace fourd
