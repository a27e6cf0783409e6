// What the headers of this folder need in order to mean the same to a C++ compiler, NVCC and NVRTC.
//
// Everything here is written for one splat or one pixel, without branches that touch memory, so that a
// C++ compiler can turn a loop over it into vector instructions.
#pragma once

#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
#define FOURD_HD __host__ __device__ __forceinline__
#if defined(__CUDACC_RTC__)  // It has CUDA's mathematics built in, and no header of the C library.
typedef unsigned char uint8_t;
typedef short int16_t;
typedef unsigned short uint16_t;
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long long int64_t;
typedef unsigned long long uint64_t;
#else
#include <stdint.h>
#endif
#else
#include <math.h>
#include <stdint.h>
#include <string.h>
#if defined(__GNUC__)
// Callers are compiled for several instruction sets; what they call must become part of them.
#define FOURD_HD inline __attribute__((always_inline))
#else
#define FOURD_HD inline
#endif
#endif

namespace fourd {

FOURD_HD float as_float(int bits) {
#if defined(__CUDA_ARCH__)
    return __int_as_float(bits);
#else
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
#endif
}

FOURD_HD int as_int(float value) {
#if defined(__CUDA_ARCH__)
    return __float_as_int(value);
#else
    int bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
#endif
}

// Ternaries and not fminf: they become one instruction, and a NaN in `a` gives `b`.
FOURD_HD float min2(float a, float b) { return a < b ? a : b; }
FOURD_HD float max2(float a, float b) { return a > b ? a : b; }
FOURD_HD float clamp(float value, float low, float high) { return min2(max2(value, low), high); }

// 2^x for x <= 126, to 2e-7 of the value. Below -125 it gives 2^-125.
//
// x is split into the nearest integer, which goes into the exponent bits, and a rest within +-0.5, where a
// minimax polynomial of degree 5 is off by 8e-8. The library's exp2f does not vectorise.
FOURD_HD float exp2_below(float x) {
    x = max2(x, -125.0f);
    const float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer, kept in the low bits.
    const float shifted = x + magic;
    const float rest = x - (shifted - magic);
    float p = 1.327647129073739e-3f;
    p = p * rest + 9.675541892647743e-3f;
    p = p * rest + 5.550713092088699e-2f;
    p = p * rest + 2.4022120237350464e-1f;
    p = p * rest + 6.931469440460205e-1f;
    p = p * rest + 1.0f;
    return as_float((int)(((unsigned)as_int(shifted) << 23) + (unsigned)as_int(p)));
}

// The same for any x; above 126 it gives 2^126, and for NaN 2^-125.
FOURD_HD float exp2_fast(float x) { return exp2_below(clamp(x, -125.0f, 126.0f)); }

// log2 of a positive normal number, to 2e-7 of the larger of the value and 1.
//
// The mantissa m is brought to [sqrt(1/2), sqrt(2)); there log(m) = 2 atanh((m - 1) / (m + 1)), whose
// series needs five terms.
FOURD_HD float log2_fast(float x) {
    const int bits = as_int(x);
    const int exponent = (bits - 0x3f3504f3) >> 23;  // 0x3f3504f3 is sqrt(1/2).
    const float m = as_float(bits - (int)((unsigned)exponent << 23));
    const float s = (m - 1.0f) / (m + 1.0f);
    const float s2 = s * s;
    float p = 3.2059889e-1f;  // 2 / (9 ln 2), 2 / (7 ln 2), ...
    p = p * s2 + 4.1219860e-1f;
    p = p * s2 + 5.7707802e-1f;
    p = p * s2 + 9.6179669e-1f;
    p = p * s2 + 2.8853901f;
    return p * s + (float)exponent;
}

}  // namespace fourd
