// Many points look into a frame together: where they land, what stands there, in loops that become vectors.
#pragma once
#include <cstdint>
#include <cstring>

#include "fusion.h"
#include "isa.h"

namespace fourd {

constexpr int kSight = 256;  // Points that look together.

// Two pixels side by side: half as many loads and stores as one by one.
struct Pair {
    float left, right;
};

struct alignas(64) Sight {
    // Where they land; written by whoever aims. `inside` is 0 or 1.
    float a[kSight], b[kSight], ratio[kSight], inside[kSight];
    int first[kSight], pixel[kSight];
    // What stands there.
    Pair upper[kSight], lower[kSight];
    float sure[kSight];     // 0 to 1; 0 outside, too.
    float seen[kSight];     // Inverse depth.
    float nearest[kSight];  // The greatest inverse depth around.
    float flat[kSight];     // 0 or 1
};

// The point `i` lands as `at` says.
FOURD_INLINE void put(Sight& s, int i, const Landing& at, int w) {
    const float x = at.inside ? at.x : 0.5f, y = at.inside ? at.y : 0.5f;
    const Corner c = corner_of(x, y, w);
    s.a[i] = c.a;
    s.b[i] = c.b;
    s.first[i] = c.first;
    s.pixel[i] = pixel_of(x, y, w);
    s.ratio[i] = at.ratio;
    s.inside[i] = at.inside ? 1.0f : 0.0f;
}

// Loads from memory, of a frame at least two pixels wide and high, one point after the other: as fast as
// gathering vectors, and the same everywhere.
FOURD_INLINE void fetch(const Plane& plane, int count, Sight& s) {
    const float* inverse = plane.inverse;
    const int w = plane.w;
    // Neighbours share a line of the cache; to wait for one line after the other would cost.
    for (int i = 0; i < count; i += 8) {
        FOURD_PREFETCH(inverse + s.first[i] + w);
        FOURD_PREFETCH(plane.sure + s.pixel[i]);
    }
    for (int i = 0; i < count; ++i) {
        const float* at = inverse + s.first[i];
        std::memcpy(s.upper + i, at, sizeof(Pair));
        std::memcpy(s.lower + i, at + w, sizeof(Pair));
        s.sure[i] = static_cast<float>(plane.sure[s.pixel[i]]);
    }
}

// What the loads mean.
FOURD_INLINE void perceive(int count, Sight& s) {
    for (int i = 0; i < count; ++i) {
        Corner c;
        c.first = 0;
        c.a = s.a[i];
        c.b = s.b[i];
        bool flat;
        const Pair upper = s.upper[i], lower = s.lower[i];
        s.seen[i] = look(c, upper.left, upper.right, lower.left, lower.right, flat);
        s.nearest[i] = look_nearest(upper.left, upper.right, lower.left, lower.right);
        s.flat[i] = flat ? 1.0f : 0.0f;
        s.sure[i] *= s.inside[i] * (1.0f / 255.0f);
    }
}

}  // namespace fourd
