// Arrays that are not cleared first: filling them is the job of whoever asked for them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <type_traits>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace fourd {

// Large arrays lie in large pages where the system has them: their splats are fetched here and there, and
// looking up small pages would take as long as fetching.
constexpr size_t kLargePage = size_t{1} << 21;

template <class T>
struct Buffer {
    struct Free {
        std::align_val_t alignment;
        void operator()(T* array) const { ::operator delete(array, alignment); }
    };
    std::unique_ptr<T[], Free> data;
    size_t size = 0;

    explicit Buffer(size_t n) : data(take(n)), size(n) {}
    T& operator[](size_t i) { return data.get()[i]; }
    const T& operator[](size_t i) const { return data.get()[i]; }

  private:
    static std::unique_ptr<T[], Free> take(size_t n) {
        static_assert(std::is_trivially_default_constructible_v<T>, "the memory is taken as it comes");
        if (n > SIZE_MAX / 2 / sizeof(T)) throw std::bad_array_new_length();
        const bool large = n * sizeof(T) >= 2 * kLargePage;
        const std::align_val_t alignment{large ? kLargePage : size_t{64}};
        void* memory = ::operator new(n * sizeof(T), alignment);
#if defined(__linux__) && defined(MADV_HUGEPAGE)
        if (large)
            madvise(memory, n * sizeof(T) / kLargePage * kLargePage, MADV_HUGEPAGE);  // A wish, no more.
#endif
        return {static_cast<T*>(memory), Free{alignment}};
    }
};

}  // namespace fourd
