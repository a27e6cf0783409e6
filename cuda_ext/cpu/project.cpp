// Stage 1: every splat is moved to its moment and projected; those that are seen are kept.
#include <algorithm>
#include <cmath>
#include <utility>

#include "parallel.h"
#include "raster.h"
#include "sh.h"

namespace fourd {
namespace {

constexpr int64_t kChunk = 4096;  // Splats that one thread takes at a time.
constexpr int kBlock = 128;       // Splats whose ellipses stay in the first-level cache together.

// The ellipses of a block, field by field, so that the loop over them becomes vector instructions.
struct alignas(64) Block {
    float x[kBlock], y[kBlock], z[kBlock];
    float slope[kBlock], inv_sx[kBlock], inv_sy[kBlock], log2_opacity[kBlock];
    float reach[kBlock], half_w[kBlock], half_h[kBlock], tilt[kBlock];
    int visible[kBlock];
};

FOURD_INLINE void project_block_body(const SplatArrays& s, const Camera& camera, double time_s, int64_t begin,
                                     int count, Block& out) {
    const Camera c = camera;  // A copy: the compiler then knows that writing `out` leaves it alone.
    const float* __restrict mean = s.mean_m + 3 * begin;
    const float* __restrict quat = s.quat_wxyz + 4 * begin;
    const float* __restrict scale = s.scale_m + 3 * begin;
    const float* __restrict velocity = s.velocity_mps + 3 * begin;
    const float* __restrict opacity = s.opacity + begin;
    const float* __restrict time = s.time_s + begin;
    const float* __restrict duration = s.duration_s + begin;
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

FOURD_DISPATCH(project_block,
               (const SplatArrays& s, const Camera& camera, double time_s, int64_t begin, int count,
                Block& out),
               (s, camera, time_s, begin, count, out))

// The splat's centre at the moment, from the camera's.
void direction(const SplatArrays& s, const Camera& c, double time_s, int64_t i, float out[3]) {
    const float dt_s = static_cast<float>(time_s - static_cast<double>(s.time_s[i]));
    for (int k = 0; k < 3; ++k) out[k] = s.mean_m[3 * i + k] + s.velocity_mps[3 * i + k] * dt_s - c.eye[k];
}

// Writes the splats of a block that are seen to `out`; returns how many.
int keep_seen(const SplatArrays& s, const Camera& c, double time_s, int64_t begin, int count, const Block& b,
              Seen* out) {
    int kept = 0;
    for (int i = 0; i < count; ++i) {
        if (!b.visible[i]) continue;
        const float top = std::ceil(std::max(b.y[i] - b.half_h[i] - 0.5f, 0.0f));
        const float bottom = std::floor(std::min(b.y[i] + b.half_h[i] - 0.5f, static_cast<float>(c.h - 1)));
        if (top > bottom) continue;  // It falls between the centres of two rows.
        Seen& e = out[kept++];
        e.x = b.x[i];
        e.y = b.y[i];
        e.slope = b.slope[i];
        e.inv_sx = b.inv_sx[i];
        e.inv_sy = b.inv_sy[i];
        e.log2_opacity = b.log2_opacity[i];
        e.z = b.z[i];
        e.id = static_cast<int32_t>(begin + i);
        e.row_first = static_cast<uint16_t>(top);
        e.row_last = static_cast<uint16_t>(bottom);
        e.reach = b.reach[i];
        e.tilt = b.tilt[i];
        e.half_w = b.half_w[i];
        float rgb[3], d[3] = {0, 0, 0};
        if (s.k > 1) direction(s, c, time_s, begin + i, d);
        sh_colour(s.colour + (begin + i) * s.k * 3, s.k, d[0], d[1], d[2], rgb);
        e.r = rgb[0];
        e.g = rgb[1];
        e.b = rgb[2];
    }
    return kept;
}

}  // namespace

Projected project_splats(const SplatArrays& splats, const Camera& camera, double time_s, int threads,
                         Isa isa) {
    const int64_t chunks = (splats.n + kChunk - 1) / kChunk;
    Buffer<Seen> loose(static_cast<size_t>(splats.n));  // Each chunk at its own place, with gaps after it.
    std::vector<size_t> kept(static_cast<size_t>(chunks), 0);
    parallel_for(chunks, threads, [&](int64_t chunk) {
        const int64_t begin = chunk * kChunk, end = std::min(begin + kChunk, splats.n);
        Block block;
        Seen* out = &loose.data[static_cast<size_t>(begin)];
        size_t written = 0;
        for (int64_t i = begin; i < end; i += kBlock) {
            const int count = static_cast<int>(std::min<int64_t>(kBlock, end - i));
            FOURD_CALL(isa, project_block, (splats, camera, time_s, i, count, block));
            written += static_cast<size_t>(keep_seen(splats, camera, time_s, i, count, block, out + written));
        }
        kept[static_cast<size_t>(chunk)] = written;
    });
    return Projected{std::move(loose), std::move(kept), static_cast<size_t>(kChunk)};
}

}  // namespace fourd
