// Backward, stages 1 and 2: what each pixel says of each splat in it, summed over a tile's pixels, then over
// the tiles of each splat.
//
// A tile is blended once more from the nearest splat on, so that the same splats count as did forward. What
// lies behind a splat is what the whole pixel was worth less what has been passed.
#include <algorithm>
#include <cstring>

#include "blend.h"
#include "parallel.h"
#include "raster.h"

namespace fourd {
namespace {

constexpr int kLanes = 8;
constexpr int kStrips = kTile / kLanes;
constexpr size_t kAhead = 8;
constexpr int kSums = sizeof(PixelSums) / sizeof(float);

// A run of pixels in a row: what has gathered, what lies behind, and the derivatives of the loss. `depth` is
// by the sum of weight x distance, `alpha` by the sum of the weights, both with what the mean depth owes
// them.
struct alignas(32) Run {
    float covered[kLanes], behind[kLanes];
    float r[kLanes], g[kLanes], b[kLanes], depth[kLanes], alpha[kLanes];
};

struct Tile {
    Run runs[kStrips][kTile];
};

struct alignas(32) Lanes {
    float e[kLanes], eu[kLanes], ev[kLanes], euu[kLanes], euv[kLanes], evv[kLanes];
    float r[kLanes], g[kLanes], b[kLanes], z[kLanes];
};
static_assert(sizeof(Lanes) == kSums * kLanes * sizeof(float), "one row of lanes for each sum");

FOURD_INLINE void gather_run(Run& __restrict run, Lanes& __restrict sums, float first, float step, float v,
                             const Seen& s) {
    const float r = s.r, g = s.g, b = s.b, z = s.z, base = s.log2_opacity - v * v;
    for (int i = 0; i < kLanes; ++i) {
        const float u = first + static_cast<float>(i) * step;
        float alpha, weight, e;
        const float worth = r * run.r[i] + g * run.g[i] + b * run.b[i] + z * run.depth[i] + run.alpha[i];
        blend_gradient(run.covered[i], run.behind[i], base - u * u, worth, alpha, weight, e);
        const float eu = e * u;
        sums.e[i] += e;
        sums.eu[i] += eu;
        sums.euu[i] += eu * u;
        sums.ev[i] += e * v;
        sums.euv[i] += eu * v;
        sums.evv[i] += e * (v * v);
        sums.r[i] += weight * run.r[i];
        sums.g[i] += weight * run.g[i];
        sums.b[i] += weight * run.b[i];
        sums.z[i] += weight * run.depth[i];
    }
}

FOURD_INLINE bool full(const Tile& tile) {
    float least[kLanes];
    for (int i = 0; i < kLanes; ++i) least[i] = 1.0f;
    for (const auto& strip : tile.runs)
        for (const Run& run : strip)
            for (int i = 0; i < kLanes; ++i) least[i] = min2(run.covered[i], least[i]);
    for (int i = 1; i < kLanes; ++i) least[0] = min2(least[i], least[0]);
    return least[0] > kOpaque;
}

FOURD_INLINE void total(const Lanes& lanes, PixelSums& out) {
    float sums[kSums];
    const float* from = lanes.e;
    for (int k = 0; k < kSums; ++k) {
        const float* x = from + k * kLanes;
        sums[k] = ((x[0] + x[1]) + (x[2] + x[3])) + ((x[4] + x[5]) + (x[6] + x[7]));
    }
    std::memcpy(&out, sums, sizeof sums);
}

FOURD_INLINE void gather_tile_body(Tile& tile, int x0, int y0, const Seen* seen, const uint32_t* entries,
                                   const uint32_t* slots, size_t count, PixelSums* out) {
    size_t i = 0;
    for (; i < count; ++i) {
        if (i % 32 == 31 && full(tile)) break;
        if (i + kAhead < count) {
            FOURD_PREFETCH(&seen[entries[i + kAhead]]);
            FOURD_PREFETCH(&out[slots[i + kAhead]]);
        }
        const Seen& s = seen[entries[i]];
        const int first = std::max<int>(s.row_first - y0, 0),
                  last = std::min<int>(s.row_last - y0, kTile - 1);
        Lanes lanes{};
        for (int strip = 0; strip < kStrips; ++strip) {
            const float dx = static_cast<float>(x0 + strip * kLanes) + 0.5f - s.x;
            if (dx > s.half_w || dx + (kLanes - 1) < -s.half_w) continue;
            for (int row = first; row <= last; ++row) {
                const float dy = static_cast<float>(y0 + row) + 0.5f - s.y;
                gather_run(tile.runs[strip][row], lanes, (dx - s.slope * dy) * s.inv_sx, s.inv_sx,
                           dy * s.inv_sy, s);
            }
        }
        total(lanes, out[slots[i]]);
    }
    for (; i < count; ++i) out[slots[i]] = PixelSums{};
}

FOURD_DISPATCH(gather_tile,
               (Tile & tile, int x0, int y0, const Seen* seen, const uint32_t* entries, const uint32_t* slots,
                size_t count, PixelSums* out),
               (tile, x0, y0, seen, entries, slots, count, out))

// Pixels beyond the picture's edge are covered, so that nothing counts in them.
void load(Tile& tile, int x0, int y0, int valid_rows, int valid_columns, int w, const PictureGradients& in) {
    for (int y = 0; y < kTile; ++y) {
        for (int x = 0; x < kTile; ++x) {
            Run& run = tile.runs[x / kLanes][y];
            const int lane = x % kLanes;
            run.covered[lane] = 1.0f;
            run.behind[lane] = run.r[lane] = run.g[lane] = run.b[lane] = run.depth[lane] = run.alpha[lane] =
                0;
            if (y >= valid_rows || x >= valid_columns) continue;
            const size_t i =
                static_cast<size_t>(y0 + y) * static_cast<size_t>(w) + static_cast<size_t>(x0 + x);
            const float alpha = in.alpha[i];
            if (!(alpha > 0)) continue;  // Nothing is in this pixel.
            // depth_m = (sum of weight x distance) / alpha.
            run.covered[lane] = 0.0f;
            run.r[lane] = in.by_rgb[3 * i];
            run.g[lane] = in.by_rgb[3 * i + 1];
            run.b[lane] = in.by_rgb[3 * i + 2];
            run.depth[lane] = in.by_depth_m[i] / alpha;
            run.alpha[lane] = in.by_alpha[i] - run.depth[lane] * in.depth_m[i];
            // Summed over all splats the depth's part is 0: moving all weights alike moves no mean.
            run.behind[lane] = run.r[lane] * in.rgb[3 * i] + run.g[lane] * in.rgb[3 * i + 1] +
                               run.b[lane] * in.rgb[3 * i + 2] + in.by_alpha[i] * alpha;
        }
    }
}

}  // namespace

void gather_pixels(const Buffer<Seen>& sorted, const TileLists& lists, const Camera& camera,
                   const PictureGradients& in, Buffer<PixelSums>& entry_sums, Buffer<PixelSums>& splat_sums,
                   int threads, Isa isa) {
    const int columns = (camera.w + kTile - 1) / kTile;
    if (entry_sums.size < lists.begin.back()) entry_sums = Buffer<PixelSums>(lists.begin.back());
    parallel_for(lists.last_tile - lists.first_tile, threads, [&](int64_t i) {
        const size_t t = static_cast<size_t>(i);
        const int tile_index = lists.first_tile + static_cast<int>(i);
        const int x0 = tile_index % columns * kTile, y0 = tile_index / columns * kTile;
        const int valid_rows = std::min(camera.h - y0, kTile), valid_columns = std::min(camera.w - x0, kTile);
        Tile tile;
        load(tile, x0, y0, valid_rows, valid_columns, camera.w, in);
        FOURD_CALL(isa, gather_tile,
                   (tile, x0, y0, sorted.data.get(), lists.entries.data.get() + lists.begin[t],
                    lists.slots.data.get() + lists.begin[t], lists.begin[t + 1] - lists.begin[t],
                    entry_sums.data.get()));
    });
    // A splat's slots lie together in the order of its tiles, so that the sum is the same on any number of
    // threads.
    constexpr size_t kSplats = 4096;
    parallel_for(static_cast<int64_t>((sorted.size + kSplats - 1) / kSplats), threads, [&](int64_t chunk) {
        const size_t begin = static_cast<size_t>(chunk) * kSplats,
                     end = std::min(begin + kSplats, sorted.size);
        for (size_t i = begin; i < end; ++i) {
            float sums[kSums];
            std::memcpy(sums, &splat_sums[i], sizeof sums);
            for (uint32_t slot = lists.first_slot[i]; slot < lists.first_slot[i + 1]; ++slot) {
                float more[kSums];
                std::memcpy(more, &entry_sums[slot], sizeof more);
                for (int k = 0; k < kSums; ++k) sums[k] += more[k];
            }
            std::memcpy(&splat_sums[i], sums, sizeof sums);
        }
    });
}

}  // namespace fourd
