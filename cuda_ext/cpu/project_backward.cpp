// Backward, stage 3: from the sums over a splat's pixels to the splat's own numbers and the camera's.
#include <algorithm>
#include <cstring>

#include "gradient.h"
#include "parallel.h"
#include "raster.h"
#include "sh.h"

namespace fourd {
namespace {

constexpr int kBlock = 64;        // Splats whose numbers stay in the first-level cache together.
constexpr int64_t kChunk = 4096;  // Splats that one thread takes at a time.
constexpr int kSums = sizeof(PixelSums) / sizeof(float);
constexpr int kOut = sizeof(SplatGradient) / sizeof(float);
constexpr int kCamera = sizeof(CameraGradient) / sizeof(float);

// A block of splats, number by number, so that the loop over them becomes vector instructions.
struct alignas(64) Block {
    float mean[3][kBlock], velocity[3][kBlock], quat[4][kBlock], scale[3][kBlock];
    float opacity[kBlock], dt[kBlock], duration[kBlock], view[3][kBlock];
    float sums[kSums][kBlock];
    float out[kOut][kBlock], camera[kCamera][kBlock];
    size_t id[kBlock];
};

// Numbers that overflow say nothing, rather than infinity.
FOURD_INLINE float checked(float x, bool scrub) { return scrub & !(x * 0.0f == 0.0f) ? 0.0f : x; }

// Adds what the block says of the camera to `total`.
FOURD_INLINE void block_gradient_body(const Camera& camera, bool scrub, Block& block, double* total) {
    const Camera c = camera;
    Block& __restrict b = block;
    for (int i = 0; i < kBlock; ++i) {
        const float m3[3] = {b.mean[0][i], b.mean[1][i], b.mean[2][i]};
        const float v3[3] = {b.velocity[0][i], b.velocity[1][i], b.velocity[2][i]};
        const float q4[4] = {b.quat[0][i], b.quat[1][i], b.quat[2][i], b.quat[3][i]};
        const float s3[3] = {b.scale[0][i], b.scale[1][i], b.scale[2][i]};
        const float view[3] = {b.view[0][i], b.view[1][i], b.view[2][i]};
        const PixelSums sums{b.sums[0][i], b.sums[1][i], b.sums[2][i], b.sums[3][i], b.sums[4][i],
                             b.sums[5][i], b.sums[6][i], b.sums[7][i], b.sums[8][i], b.sums[9][i]};
        SplatGradient g;
        CameraGradient k;
        project_gradient(c, m3, v3, b.opacity[i], b.dt[i], b.duration[i], q4, s3, sums, view, g, k);
        b.out[0][i] = g.mean[0];
        b.out[1][i] = g.mean[1];
        b.out[2][i] = g.mean[2];
        b.out[3][i] = g.quat[0];
        b.out[4][i] = g.quat[1];
        b.out[5][i] = g.quat[2];
        b.out[6][i] = g.quat[3];
        b.out[7][i] = g.scale[0];
        b.out[8][i] = g.scale[1];
        b.out[9][i] = g.scale[2];
        b.out[10][i] = g.velocity[0];
        b.out[11][i] = g.velocity[1];
        b.out[12][i] = g.velocity[2];
        b.out[13][i] = g.opacity;
        b.out[14][i] = g.time;
        b.out[15][i] = g.duration;
        for (int j = 0; j < 9; ++j) b.camera[j][i] = k.R[j];
        for (int j = 0; j < 3; ++j) b.camera[9 + j][i] = k.eye[j];
        b.camera[12][i] = k.fx;
        b.camera[13][i] = k.fy;
        b.camera[14][i] = k.cx;
        b.camera[15][i] = k.cy;
        b.camera[16][i] = k.skew;
    }
    for (auto& row : b.out)
        for (float& x : row) x = checked(x, scrub);
    for (int k = 0; k < kCamera; ++k) {
        double parts[8] = {};
        for (int i = 0; i < kBlock; i += 8)
            for (int j = 0; j < 8; ++j) parts[j] += static_cast<double>(checked(b.camera[k][i + j], scrub));
        for (double part : parts) total[k] += part;
    }
}

FOURD_DISPATCH(block_gradient, (const Camera& camera, bool scrub, Block& block, double* total),
               (camera, scrub, block, total))

// Fills column `i` of the block with the splat; its colour's own gradient is written at once.
void load(const SplatArrays& s, const Camera& c, double time_s, size_t id, const PixelSums& sums,
          const SplatGradients& out, bool scrub, Block& b, int i) {
    b.id[i] = id;
    for (size_t k = 0; k < 3; ++k) {
        b.mean[k][i] = s.mean_m[3 * id + k];
        b.velocity[k][i] = s.velocity_mps[3 * id + k];
        b.scale[k][i] = s.scale_m[3 * id + k];
    }
    for (size_t k = 0; k < 4; ++k) b.quat[k][i] = s.quat_wxyz[4 * id + k];
    b.opacity[i] = s.opacity[id];
    b.duration[i] = s.duration_s[id];
    const float dt_s = static_cast<float>(time_s - static_cast<double>(s.time_s[id]));
    b.dt[i] = dt_s;
    float all[kSums], d[3], view[3];
    std::memcpy(all, &sums, sizeof all);
    for (int k = 0; k < kSums; ++k) b.sums[k][i] = all[k];
    for (int k = 0; k < 3; ++k) d[k] = b.mean[k][i] + b.velocity[k][i] * dt_s - c.eye[k];
    const float rgb[3] = {sums.r, sums.g, sums.b};
    const size_t start = id * static_cast<size_t>(s.k) * 3;
    float* colour = out.colour + start;
    sh_gradient(s.colour + start, s.k, d[0], d[1], d[2], rgb, colour, view);
    for (int k = 0; k < 3 * s.k; ++k) colour[k] = checked(colour[k], scrub);
    for (int k = 0; k < 3; ++k) b.view[k][i] = view[k];
}

// What nobody sees says nothing.
void clear(const SplatGradients& out, size_t begin, size_t end, size_t k) {
    std::fill(out.mean_m + 3 * begin, out.mean_m + 3 * end, 0.0f);
    std::fill(out.quat_wxyz + 4 * begin, out.quat_wxyz + 4 * end, 0.0f);
    std::fill(out.scale_m + 3 * begin, out.scale_m + 3 * end, 0.0f);
    std::fill(out.opacity + begin, out.opacity + end, 0.0f);
    std::fill(out.colour + 3 * k * begin, out.colour + 3 * k * end, 0.0f);
    std::fill(out.velocity_mps + 3 * begin, out.velocity_mps + 3 * end, 0.0f);
    std::fill(out.time_s + begin, out.time_s + end, 0.0f);
    std::fill(out.duration_s + begin, out.duration_s + end, 0.0f);
}

// The block's first splat once more, in column `i`, of which no pixel says anything.
void pad(Block& b, int i) {
    for (int k = 0; k < 3; ++k) {
        b.mean[k][i] = b.mean[k][0];
        b.velocity[k][i] = b.velocity[k][0];
        b.scale[k][i] = b.scale[k][0];
        b.view[k][i] = 0;
    }
    for (auto& q : b.quat) q[i] = q[0];
    b.opacity[i] = b.opacity[0];
    b.duration[i] = b.duration[0];
    b.dt[i] = b.dt[0];
    for (auto& sum : b.sums) sum[i] = 0;
}

void store(const Block& b, int i, const SplatGradients& out) {
    const size_t id = b.id[i];
    for (size_t k = 0; k < 3; ++k) {
        out.mean_m[3 * id + k] = b.out[k][i];
        out.scale_m[3 * id + k] = b.out[7 + k][i];
        out.velocity_mps[3 * id + k] = b.out[10 + k][i];
    }
    for (size_t k = 0; k < 4; ++k) out.quat_wxyz[4 * id + k] = b.out[3 + k][i];
    out.opacity[id] = b.out[13][i];
    out.time_s[id] = b.out[14][i];
    out.duration_s[id] = b.out[15][i];
}

}  // namespace

void project_gradients(const SplatArrays& splats, const Camera& camera, double time_s,
                       const Buffer<Seen>& sorted, const Buffer<PixelSums>& sums, const SplatGradients& out,
                       bool scrub, int threads, Isa isa) {
    // In the order of the input, whose numbers lie side by side: in the order of depth each would be fetched
    // from elsewhere.
    constexpr uint32_t kUnseen = UINT32_MAX;
    Buffer<uint32_t> rank(static_cast<size_t>(splats.n));
    std::fill_n(rank.data.get(), rank.size, kUnseen);
    for (size_t i = 0; i < sorted.size; ++i)
        rank[static_cast<size_t>(sorted[i].id)] = static_cast<uint32_t>(i);
    struct Total {
        double of[kCamera] = {};
    };
    const int64_t chunks = (splats.n + kChunk - 1) / kChunk;
    std::vector<Total> totals(static_cast<size_t>(chunks));
    parallel_for(chunks, threads, [&](int64_t chunk) {
        const size_t begin = static_cast<size_t>(chunk * kChunk),
                     end = static_cast<size_t>(std::min((chunk + 1) * kChunk, splats.n));
        clear(out, begin, end, static_cast<size_t>(splats.k));
        Block block;
        int count = 0;
        const auto flush = [&] {
            for (int i = count; i < kBlock; ++i) pad(block, i);
            FOURD_CALL(isa, block_gradient, (camera, scrub, block, totals[static_cast<size_t>(chunk)].of));
            for (int i = 0; i < count; ++i) store(block, i, out);
            count = 0;
        };
        constexpr size_t kAhead = 16;
        for (size_t id = begin; id < end; ++id) {
            if (id + kAhead < end && rank[id + kAhead] != kUnseen) FOURD_PREFETCH(&sums[rank[id + kAhead]]);
            if (rank[id] == kUnseen) continue;
            load(splats, camera, time_s, id, sums[rank[id]], out, scrub, block, count);
            if (++count == kBlock) flush();
        }
        if (count > 0) flush();
    });
    // Chunk after chunk, so that the sums are the same on any number of threads.
    double sum[kCamera] = {};
    for (const Total& total : totals)
        for (int k = 0; k < kCamera; ++k) sum[k] += total.of[k];
    const auto at = [&](int k) { return static_cast<float>(sum[k]); };
    std::fill_n(out.world_from_cam, 16, 0.0f);
    for (int i = 0; i < 3; ++i) {
        for (int j = 0; j < 3; ++j) out.world_from_cam[4 * j + i] = at(3 * i + j);
        out.world_from_cam[4 * i + 3] = at(9 + i);
    }
    const float K[9] = {at(12), at(16), at(14), 0, at(13), at(15), 0, 0, 0};
    std::copy_n(K, 9, out.K);
}

}  // namespace fourd
