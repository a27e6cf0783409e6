// Backward, stages 1 and 2: what each pixel says of each splat in it, summed over a tile's pixels, then over
// the tiles of each splat.
//
// A tile is blended once more from the nearest splat on, so that the same splats count as did forward. What
// lies behind a splat is what the whole pixel was worth less what has been passed.
#include <algorithm>
#include <cstring>

#include "blend.h"
#include "blocks.h"
#include "parallel.h"
#include "raster.h"

namespace fourd {
namespace {

constexpr int kSums = sizeof(PixelSums) / sizeof(float);

// Pixels: what has gathered, what lies behind, and the derivatives of the loss. `depth` is by the sum of
// weight x distance, `by_alpha` by the sum of the weights, both with what the mean depth owes them.
struct alignas(64) Block {
    float alpha[kLanes], behind[kLanes];
    float r[kLanes], g[kLanes], b[kLanes], depth[kLanes], by_alpha[kLanes];
};

// The sums of one splat, pixel of the block by pixel.
struct alignas(64) Lanes {
    float e[kLanes], eu[kLanes], ev[kLanes], euu[kLanes], euv[kLanes], evv[kLanes];
    float r[kLanes], g[kLanes], b[kLanes], z[kLanes];

    FOURD_INLINE void total(PixelSums& out) const {
        float half[kSums][kLanes / 2], sums[kSums];
        const float (*rows)[kLanes] = reinterpret_cast<const float (*)[kLanes]>(this);
        for (int k = 0; k < kSums; ++k)
            for (int i = 0; i < kLanes / 2; ++i) half[k][i] = rows[k][i] + rows[k][i + kLanes / 2];
        for (int k = 0; k < kSums; ++k) {
            const float* x = half[k];
            sums[k] = ((x[0] + x[4]) + (x[1] + x[5])) + ((x[2] + x[6]) + (x[3] + x[7]));
        }
        std::memcpy(&out, sums, sizeof sums);
    }
};
static_assert(sizeof(Lanes) == kSums * kLanes * sizeof(float), "one row of lanes for each sum");

struct Gather {
    Lanes lanes;

    FOURD_INLINE void operator()(const Seen& s, Block& __restrict block, const Offsets& offsets, float u0,
                                 float v0) {
        const float r = s.r, g = s.g, b = s.b, z = s.z, base = s.log2_opacity;
        Lanes& __restrict sums = lanes;
        for (int i = 0; i < kLanes; ++i) {
            const float u = u0 + offsets.u[i], v = v0 + offsets.v[i];
            const float worth =
                r * block.r[i] + g * block.g[i] + b * block.b[i] + z * block.depth[i] + block.by_alpha[i];
            float weight, e;
            blend_gradient(block.alpha[i], block.behind[i], base - v * v - u * u, worth, weight, e);
            const float eu = e * u, ev = e * v;
            sums.e[i] += e;
            sums.eu[i] += eu;
            sums.ev[i] += ev;
            sums.euu[i] += eu * u;
            sums.euv[i] += eu * v;
            sums.evv[i] += ev * v;
            sums.r[i] += weight * block.r[i];
            sums.g[i] += weight * block.g[i];
            sums.b[i] += weight * block.b[i];
            sums.z[i] += weight * block.depth[i];
        }
    }
};

// Pixels beyond the picture's edge are covered, so that nothing counts in them; and those in which nothing
// is.
void load(Tile<Block>& tile, const Place& place, int w, const PictureGradients& in) {
    for (int y = 0; y < kTile; ++y) {
        for (int x = 0; x < kTile; ++x) {
            Block& block = tile.blocks[y / kSide * kBlocks + x / kSide];
            const int lane = y % kSide * kSide + x % kSide;
            block.alpha[lane] = 1.0f;
            block.behind[lane] = block.r[lane] = block.g[lane] = block.b[lane] = 0.0f;
            block.depth[lane] = block.by_alpha[lane] = 0.0f;
            if (y >= place.rows || x >= place.columns) continue;
            const size_t i = static_cast<size_t>(place.y0 + y) * static_cast<size_t>(w) +
                             static_cast<size_t>(place.x0 + x);
            const float alpha = in.alpha[i];
            if (!(alpha > 0)) continue;
            // depth_m = (sum of weight x distance) / alpha.
            block.alpha[lane] = 0.0f;
            block.r[lane] = in.by_rgb[3 * i];
            block.g[lane] = in.by_rgb[3 * i + 1];
            block.b[lane] = in.by_rgb[3 * i + 2];
            block.depth[lane] = in.by_depth_m[i] / alpha;
            block.by_alpha[lane] = in.by_alpha[i] - block.depth[lane] * in.depth_m[i];
            // Summed over all splats the depth's part is 0: moving all weights alike moves no mean.
            block.behind[lane] = block.r[lane] * in.rgb[3 * i] + block.g[lane] * in.rgb[3 * i + 1] +
                                 block.b[lane] * in.rgb[3 * i + 2] + in.by_alpha[i] * alpha;
        }
    }
}

FOURD_INLINE void gather_tile_body(const Place& place, const Seen* seen, const uint32_t* entries,
                                   const uint32_t* slots, size_t count, int w, const PictureGradients& in,
                                   PixelSums* out) {
    Tile<Block> tile;
    load(tile, place, w, in);
    unsigned open = tile.open();
    size_t i = 0;
    for (; i < count; ++i) {
        if (time_to_ask(i) && (open = tile.open()) == 0) break;
        look_ahead(seen, entries, i, count);
        if (i + kAhead < count) FOURD_PREFETCH(&out[slots[i + kAhead]]);
        Gather gather{};
        each_block(tile, place.x0, place.y0, open, seen[entries[i]], gather);
        gather.lanes.total(out[slots[i]]);
    }
    for (; i < count; ++i) out[slots[i]] = PixelSums{};
}

FOURD_DISPATCH(gather_tile,
               (const Place& place, const Seen* seen, const uint32_t* entries, const uint32_t* slots,
                size_t count, int w, const PictureGradients& in, PixelSums* out),
               (place, seen, entries, slots, count, w, in, out))

}  // namespace

void gather_pixels(const Buffer<Seen>& sorted, const TileLists& lists, const Camera& camera,
                   const PictureGradients& in, Buffer<PixelSums>& entry_sums, Buffer<PixelSums>& splat_sums,
                   int threads, Isa isa) {
    if (entry_sums.size < lists.begin.back()) entry_sums = Buffer<PixelSums>(lists.begin.back());
    parallel_for(lists.last_tile - lists.first_tile, threads, [&](int64_t i) {
        const size_t t = static_cast<size_t>(i), begin = lists.begin[t];
        const Place place(lists.first_tile + static_cast<int>(i), camera);
        FOURD_CALL(
            isa, gather_tile,
            (place, sorted.data.get(), lists.entries.data.get() + begin, lists.slots.data.get() + begin,
             lists.begin[t + 1] - begin, camera.w, in, entry_sums.data.get()));
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
