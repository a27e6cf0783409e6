// Backward, stage 3: from the sums over a splat's pixels to the splat's own numbers and the camera's.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "gradient.h"
#include "parallel.h"
#include "raster.h"
#include "sh.h"

namespace fourd {
namespace {

constexpr int kBlock = 64;
constexpr int64_t kChunk = 4096;
constexpr int kSums = sizeof(PixelSums) / sizeof(float);
constexpr int kOut = sizeof(SplatGradient) / sizeof(float);
constexpr int kCamera = sizeof(CameraGradient) / sizeof(float);

// A block of splats, number by number, so that the loop over them becomes vector instructions.
struct alignas(64) Block {
    float mean[3][kBlock], velocity[3][kBlock], quat[4][kBlock], scale[3][kBlock];
    float opacity[kBlock], dt[kBlock], duration[kBlock], view[3][kBlock];
    float sums[kSums][kBlock];
    float out[kOut][kBlock], camera[kCamera][kBlock];
};

FOURD_INLINE void block_gradient_body(const Camera& camera, Block& block) {
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
}

FOURD_DISPATCH(block_gradient, (const Camera& camera, Block& block), (camera, block))

// Numbers that overflow say nothing, rather than infinity.
FOURD_INLINE float checked(float x, bool scrub) { return scrub && !std::isfinite(x) ? 0.0f : x; }

// Fills column `i` of the block with the splat; its colour's own gradient is written at once.
void load(const SplatArrays& s, const Camera& c, double time_s, size_t id, const PixelSums& sums,
          const SplatGradients& out, Block& b, int i, bool scrub) {
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
    sh_gradient(s.colour + start, s.k, d[0], d[1], d[2], rgb, out.colour + start, view);
    for (int k = 0; k < 3 * s.k; ++k)
        out.colour[start + static_cast<size_t>(k)] =
            checked(out.colour[start + static_cast<size_t>(k)], scrub);
    for (int k = 0; k < 3; ++k) b.view[k][i] = view[k];
}

// A splat that does nothing, to fill a block.
void pad(Block& b, int i) {
    for (auto* rows : {b.mean, b.velocity, b.view})
        for (int k = 0; k < 3; ++k) rows[k][i] = 0;
    for (int k = 0; k < 3; ++k) b.scale[k][i] = 1;
    for (int k = 0; k < 4; ++k) b.quat[k][i] = k == 0;
    b.opacity[i] = b.duration[i] = 1;
    b.dt[i] = 0;
    for (auto& sum : b.sums) sum[i] = 0;
}

void store(const Block& b, int i, size_t id, const SplatGradients& out, bool scrub) {
    for (size_t k = 0; k < 3; ++k) {
        out.mean_m[3 * id + k] = checked(b.out[k][i], scrub);
        out.scale_m[3 * id + k] = checked(b.out[7 + k][i], scrub);
        out.velocity_mps[3 * id + k] = checked(b.out[10 + k][i], scrub);
    }
    for (size_t k = 0; k < 4; ++k) out.quat_wxyz[4 * id + k] = checked(b.out[3 + k][i], scrub);
    out.opacity[id] = checked(b.out[13][i], scrub);
    out.time_s[id] = checked(b.out[14][i], scrub);
    out.duration_s[id] = checked(b.out[15][i], scrub);
}

}  // namespace

void project_gradients(const SplatArrays& splats, const Camera& camera, double time_s,
                       const Buffer<Seen>& sorted, const Buffer<PixelSums>& sums, const SplatGradients& out,
                       bool scrub, int threads, Isa isa) {
    const int64_t n = static_cast<int64_t>(sorted.size), chunks = (n + kChunk - 1) / kChunk;
    struct Total {
        double of[kCamera] = {};
    };
    std::vector<Total> totals(static_cast<size_t>(chunks));
    parallel_for(chunks, threads, [&](int64_t chunk) {
        Block block;
        Total& total = totals[static_cast<size_t>(chunk)];
        const int64_t end = std::min((chunk + 1) * kChunk, n);
        for (int64_t begin = chunk * kChunk; begin < end; begin += kBlock) {
            const int count = static_cast<int>(std::min<int64_t>(kBlock, end - begin));
            const auto id = [&](int i) {
                return static_cast<size_t>(sorted[static_cast<size_t>(begin + i)].id);
            };
            for (int i = 0; i < count; ++i)
                load(splats, camera, time_s, id(i), sums[static_cast<size_t>(begin + i)], out, block, i,
                     scrub);
            for (int i = count; i < kBlock; ++i) pad(block, i);
            FOURD_CALL(isa, block_gradient, (camera, block));
            for (int i = 0; i < count; ++i) store(block, i, id(i), out, scrub);
            for (int k = 0; k < kCamera; ++k)
                for (int i = 0; i < count; ++i)
                    total.of[k] += static_cast<double>(checked(block.camera[k][i], scrub));
        }
    });
    // Chunk after chunk, so that the sums are the same on any number of threads.
    double sum[kCamera] = {};
    for (const Total& total : totals)
        for (int k = 0; k < kCamera; ++k) sum[k] += total.of[k];
    const auto at = [&](int k) { return static_cast<float>(sum[k]); };
    for (int i = 0; i < 3; ++i) {
        for (int j = 0; j < 3; ++j) out.world_from_cam[4 * j + i] = at(3 * i + j);
        out.world_from_cam[4 * i + 3] = at(9 + i);
    }
    out.K[0] = at(12);
    out.K[1] = at(16);
    out.K[2] = at(14);
    out.K[4] = at(13);
    out.K[5] = at(15);
}

}  // namespace fourd
