// Many points look into a frame together: where they land, what stands there, in loops that become vectors.
#pragma once
#include <cstdint>
#include <cstring>

#include "fusion.h"
#include "isa.h"

namespace fourd {

// Two pixels side by side: half as many loads and stores as one by one.
struct Pair {
    float left, right;
};

// At most kCount points that look together.
template <int kCount>
struct alignas(64) Sight {
    // Where they land; written by whoever aims. Who lands outside has a ratio of NaN, and so no opinion.
    float a[kCount], b[kCount], ratio[kCount];
    int first[kCount], pixel[kCount];
    // What is stored there.
    Pair upper[kCount], lower[kCount];
    float level[kCount];  // Confidence, 0 to 255.
};

// The point `i` lands as `at` says.
template <int kCount>
FOURD_INLINE void put(Sight<kCount>& s, int i, const Landing& at, int w) {
    const float x = at.inside ? at.x : 0.5f, y = at.inside ? at.y : 0.5f;
    const Corner c = corner_of(x, y, w);
    s.a[i] = c.a;
    s.b[i] = c.b;
    s.first[i] = c.first;
    s.pixel[i] = pixel_of(x, y, w);
    s.ratio[i] = at.inside ? at.ratio : as_float(0x7fc00000);
}

constexpr int kLine = 8;  // So many neighbours share lines of the cache, more or less.

// Sends for what is stored where they land, to be at hand when it is fetched.
template <int kCount>
FOURD_INLINE void send_for(const Plane& plane, int count, const Sight<kCount>& s) {
    for (int i = 0; i < count; i += kLine) {
        FOURD_PREFETCH(plane.inverse + s.first[i]);
        FOURD_PREFETCH(plane.inverse + s.first[i] + plane.w);
        FOURD_PREFETCH(plane.sure + s.pixel[i]);
    }
}

// Loads from memory, of a frame at least two pixels wide and high, one point after the other: as fast as
// gathering vectors, and the same everywhere.
template <int kCount>
FOURD_INLINE void fetch(const Plane& plane, int count, Sight<kCount>& s) {
    const float* inverse = plane.inverse;
    const int w = plane.w;
    for (int i = 0; i < count; ++i) {
        const float* at = inverse + s.first[i];
        std::memcpy(s.upper + i, at, sizeof(Pair));
        std::memcpy(s.lower + i, at + w, sizeof(Pair));
        s.level[i] = static_cast<float>(plane.sure[s.pixel[i]]);
    }
}

template <int kCount>
FOURD_INLINE Corner corner_at(const Sight<kCount>& s, int i) {
    Corner c;
    c.first = s.first[i];
    c.a = s.a[i];
    c.b = s.b[i];
    return c;
}

// What the loads mean.
struct Glimpse {
    float sure;     // 0 to 1
    float seen;     // Inverse depth.
    float nearest;  // The greatest inverse depth around.
};

template <int kCount>
FOURD_INLINE Glimpse perceive(const Sight<kCount>& s, int i) {
    const Pair upper = s.upper[i], lower = s.lower[i];
    Glimpse g;
    bool flat;
    g.seen = look(corner_at(s, i), upper.left, upper.right, lower.left, lower.right, flat);
    g.nearest = look_nearest(upper.left, upper.right, lower.left, lower.right);
    g.sure = s.level[i] * (1.0f / 255.0f);
    return g;
}

// Whether that is a surface without a jump. Told apart from the rest: a choice that both make would become a
// branch.
template <int kCount>
FOURD_INLINE bool is_flat(const Sight<kCount>& s, int i) {
    const Pair upper = s.upper[i], lower = s.lower[i];
    return own_of(corner_at(s, i), upper.left, upper.right, lower.left, lower.right) > 0;
}

}  // namespace fourd
