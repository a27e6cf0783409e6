// One function, compiled for several instruction sets, chosen when it runs: wheels must run anywhere.
//
//     FOURD_DISPATCH(blend_tile, (Tile & tile, int n), (tile, n))
//
// defines blend_tile(Isa, Tile&, int) over an always-inlined blend_tile_body(Tile&, int). Loops in the body
// become vectors of 4, 8 or 16 floats. Lambdas in it would not: they are functions of their own.
#pragma once

namespace fourd {

enum class Isa : int { kBaseline = 0, kAvx2 = 1, kAvx512 = 2 };

// The best that this processor, its system and this build offer.
Isa best_isa();

}  // namespace fourd

#if defined(__GNUC__)
#define FOURD_INLINE inline __attribute__((always_inline))
#define FOURD_PREFETCH(address) __builtin_prefetch(address)
#else
#define FOURD_INLINE inline
#define FOURD_PREFETCH(address) static_cast<void>(address)
#endif

namespace fourd {

// The place of the lowest bit that is set; there must be one.
FOURD_INLINE int lowest_bit(unsigned bits) {
#if defined(__GNUC__)
    return __builtin_ctz(bits);
#else
    int place = 0;
    for (; !(bits & 1u); bits >>= 1) ++place;
    return place;
#endif
}

}  // namespace fourd

#if defined(__x86_64__) && defined(__GNUC__)
#define FOURD_HAS_AVX 1
#define FOURD_AVX2 __attribute__((target("avx2,fma,bmi2")))
#if defined(__clang__)
#define FOURD_AVX512 \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi2"), min_vector_width(512)))
#else
// GCC would rather use 256 bits, for the sake of processors that slowed down under 512.
#define FOURD_AVX512 \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi2,prefer-vector-width=512")))
#endif
#define FOURD_DISPATCH(name, parameters, arguments)                          \
    static void name##_baseline parameters { name##_body arguments; }        \
    FOURD_AVX2 static void name##_avx2 parameters { name##_body arguments; } \
    FOURD_AVX512 static void name##_avx512 parameters { name##_body arguments; }
#define FOURD_CALL(isa, name, arguments)                    \
    (isa == ::fourd::Isa::kAvx512 ? name##_avx512 arguments \
     : isa == ::fourd::Isa::kAvx2 ? name##_avx2 arguments   \
                                  : name##_baseline arguments)
#else
#define FOURD_HAS_AVX 0
#define FOURD_DISPATCH(name, parameters, arguments) \
    static void name##_baseline parameters { name##_body arguments; }
#define FOURD_CALL(isa, name, arguments) (static_cast<void>(isa), name##_baseline arguments)
#endif

// The simpler way, where the loader picks the widest version that runs. Contraction to fused multiply-add is
// left out (avx2 alone has none), so that every version gives the same bits.
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define FOURD_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define FOURD_CLONES
#endif
