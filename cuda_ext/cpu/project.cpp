// Stage 1: every splat is moved to its moment and projected; those that are seen are kept.
#include <algorithm>
#include <cmath>
#include <utility>

#include "parallel.h"
#include "raster.h"
#include "sh.h"

namespace fourd {
namespace {

constexpr int kChunk = 4096;  // Splats that one thread takes at a time.
constexpr int kBlock = 128;   // Splats whose ellipses stay in the first-level cache together.

// The ellipses of a block, field by field, so that the loop over them becomes vector instructions.
struct alignas(64) Block {
    float x[kBlock], y[kBlock], z[kBlock];
    float slope[kBlock], inv_sx[kBlock], inv_sy[kBlock], log2_opacity[kBlock];
    float reach[kBlock], half_w[kBlock], half_h[kBlock], tilt[kBlock];
    int visible[kBlock];
};

// Splats as `SplatArrays` has them, from the first one on.
struct Source {
    const float *mean_m, *quat_wxyz, *scale_m, *opacity, *velocity_mps, *time_s, *duration_s;
};

Source from(const SplatArrays& s, int64_t first) {
    return {s.mean_m + 3 * first,       s.quat_wxyz + 4 * first, s.scale_m + 3 * first, s.opacity + first,
            s.velocity_mps + 3 * first, s.time_s + first,        s.duration_s + first};
}

FOURD_INLINE void project_block_body(const Source& s, const Camera& camera, double time_s, int count,
                                     Block& out) {
    const Camera c = camera;  // A copy: the compiler then knows that writing `out` leaves it alone.
    const float* __restrict mean = s.mean_m;
    const float* __restrict quat = s.quat_wxyz;
    const float* __restrict scale = s.scale_m;
    const float* __restrict velocity = s.velocity_mps;
    const float* __restrict opacity = s.opacity;
    const float* __restrict time = s.time_s;
    const float* __restrict duration = s.duration_s;
    Block& __restrict o = out;
    for (int i = 0; i < count; ++i) {
        const float m3[3] = {mean[3 * i], mean[3 * i + 1], mean[3 * i + 2]};
        const float v3[3] = {velocity[3 * i], velocity[3 * i + 1], velocity[3 * i + 2]};
        const float q4[4] = {quat[4 * i], quat[4 * i + 1], quat[4 * i + 2], quat[4 * i + 3]};
        const float s3[3] = {scale[3 * i], scale[3 * i + 1], scale[3 * i + 2]};
        // In double precision: an hour into a clip a float is good to a quarter of a millisecond only.
        const float dt_s = static_cast<float>(time_s - static_cast<double>(time[i]));
        const Moment moment = at_moment(m3, v3, opacity[i], dt_s, duration[i]);
        const Ellipse e = project(c, moment, q4, s3);
        o.x[i] = e.x;
        o.y[i] = e.y;
        o.z[i] = e.z;
        o.slope[i] = e.slope;
        o.inv_sx[i] = e.inv_sx;
        o.inv_sy[i] = e.inv_sy;
        o.log2_opacity[i] = e.log2_opacity;
        o.reach[i] = e.reach;
        o.half_w[i] = e.half_w;
        o.half_h[i] = e.half_h;
        o.tilt[i] = e.tilt;
        o.visible[i] = e.visible;
    }
}

FOURD_DISPATCH(project_block, (const Source& s, const Camera& camera, double time_s, int count, Block& out),
               (s, camera, time_s, count, out))

// Lists those of the `count` splats that are alive at the moment, that is, of which enough is left to be
// seen. It reads three numbers a splat: a long scene costs what is alive.
FOURD_INLINE void list_alive_body(const Source& s, double time_s, int count, uint16_t* alive, int& listed) {
    int lives[kChunk];
    const float* __restrict opacity = s.opacity;
    const float* __restrict time = s.time_s;
    const float* __restrict duration = s.duration_s;
    for (int i = 0; i < count; ++i) {
        const float dt_s = static_cast<float>(time_s - static_cast<double>(time[i]));
        lives[i] = opacity_at(opacity[i], dt_s, duration[i]) >= kAlphaMin;
    }
    int n = 0;
    for (int i = 0; i < count; ++i) {
        alive[n] = static_cast<uint16_t>(i);
        n += lives[i];
    }
    listed = n;
}

FOURD_DISPATCH(list_alive, (const Source& s, double time_s, int count, uint16_t* alive, int& listed),
               (s, time_s, count, alive, listed))

// Copies of some splats, side by side.
struct Picked {
    float mean[3 * kBlock], quat[4 * kBlock], scale[3 * kBlock], opacity[kBlock];
    float velocity[3 * kBlock], time[kBlock], duration[kBlock];

    Source from(const Source& s, const uint16_t* which, int count) {
        for (int i = 0; i < count; ++i) {
            const int j = which[i];
            for (int k = 0; k < 3; ++k) {
                mean[3 * i + k] = s.mean_m[3 * j + k];
                scale[3 * i + k] = s.scale_m[3 * j + k];
                velocity[3 * i + k] = s.velocity_mps[3 * j + k];
            }
            for (int k = 0; k < 4; ++k) quat[4 * i + k] = s.quat_wxyz[4 * j + k];
            opacity[i] = s.opacity[j];
            time[i] = s.time_s[j];
            duration[i] = s.duration_s[j];
        }
        return {mean, quat, scale, opacity, velocity, time, duration};
    }
};

// The splat's centre at the moment, from the camera's.
void direction(const SplatArrays& s, const Camera& c, double time_s, int64_t i, float out[3]) {
    const float dt_s = static_cast<float>(time_s - static_cast<double>(s.time_s[i]));
    for (int k = 0; k < 3; ++k) out[k] = s.mean_m[3 * i + k] + s.velocity_mps[3 * i + k] * dt_s - c.eye[k];
}

// Writes the splats of a block that are seen to `out`; returns how many. Splat i of the block is the one
// after `begin` that `which` says, or the i-th.
int keep_seen(const SplatArrays& s, const Camera& c, double time_s, int64_t begin, const uint16_t* which,
              int count, const Block& b, Seen* out) {
    int kept = 0;
    for (int i = 0; i < count; ++i) {
        if (!b.visible[i]) continue;
        const float top = std::ceil(std::max(b.y[i] - b.half_h[i] - 0.5f, 0.0f));
        const float bottom = std::floor(std::min(b.y[i] + b.half_h[i] - 0.5f, static_cast<float>(c.h - 1)));
        if (top > bottom) continue;  // It falls between the centres of two rows.
        const int64_t id = begin + (which ? which[i] : i);
        Seen& e = out[kept++];
        e.x = b.x[i];
        e.y = b.y[i];
        e.slope = b.slope[i];
        e.inv_sx = b.inv_sx[i];
        e.inv_sy = b.inv_sy[i];
        e.log2_opacity = b.log2_opacity[i];
        e.z = b.z[i];
        e.id = static_cast<int32_t>(id);
        e.row_first = static_cast<uint16_t>(top);
        e.row_last = static_cast<uint16_t>(bottom);
        e.reach = b.reach[i];
        e.tilt = b.tilt[i];
        e.half_w = b.half_w[i];
        float rgb[3], d[3] = {0, 0, 0};
        if (s.k > 1) direction(s, c, time_s, id, d);
        sh_colour(s.colour + id * s.k * 3, s.k, d[0], d[1], d[2], rgb);
        e.r = rgb[0];
        e.g = rgb[1];
        e.b = rgb[2];
    }
    return kept;
}

}  // namespace

Projected project_splats(const SplatArrays& splats, const Camera& camera, double time_s, int threads,
                         Isa isa) {
    const size_t chunks = static_cast<size_t>((splats.n + kChunk - 1) / kChunk);
    const auto count_of = [&](int64_t begin) {
        return static_cast<int>(std::min<int64_t>(kChunk, splats.n - begin));
    };
    Buffer<uint16_t> alive(static_cast<size_t>(splats.n));
    std::vector<int> listed(chunks, 0);
    parallel_for(static_cast<int64_t>(chunks), threads, [&](int64_t chunk) {
        const int64_t begin = chunk * kChunk;
        FOURD_CALL(isa, list_alive,
                   (from(splats, begin), time_s, count_of(begin), &alive[static_cast<size_t>(begin)],
                    listed[static_cast<size_t>(chunk)]));
    });
    std::vector<size_t> start(chunks + 1, 0), kept(chunks, 0);
    for (size_t c = 0; c < chunks; ++c) start[c + 1] = start[c] + static_cast<size_t>(listed[c]);
    Buffer<Seen> seen(start.back());
    parallel_for(static_cast<int64_t>(chunks), threads, [&](int64_t chunk) {
        const size_t c = static_cast<size_t>(chunk);
        const int64_t begin = chunk * kChunk;
        // Copying many costs more than projecting a few too many where they lie.
        const bool pick = listed[c] < count_of(begin) - count_of(begin) / 4;
        const int all = pick ? listed[c] : count_of(begin);
        Block block;
        Picked picked;
        size_t seen_here = 0;  // Of its own: threads that count side by side in memory slow each other.
        for (int i = 0; i < all; i += kBlock) {
            const int some = std::min(kBlock, all - i);
            const uint16_t* which = pick ? &alive[static_cast<size_t>(begin)] + i : nullptr;
            const int64_t first = pick ? begin : begin + i;
            const Source source = pick ? picked.from(from(splats, begin), which, some) : from(splats, first);
            FOURD_CALL(isa, project_block, (source, camera, time_s, some, block));
            seen_here += static_cast<size_t>(keep_seen(splats, camera, time_s, first, which, some, block,
                                                       seen.data.get() + start[c] + seen_here));
        }
        kept[c] = seen_here;
    });
    return Projected{std::move(seen), std::move(start), std::move(kept)};
}

}  // namespace fourd
