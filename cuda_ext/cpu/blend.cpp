// Stage 4: the splats of each tile, laid behind each other from the nearest on.
#include "blend.h"

#include <algorithm>

#include "blocks.h"
#include "parallel.h"
#include "raster.h"

namespace fourd {
namespace {

// Field by field, so that the loop over the pixels becomes vector instructions.
struct alignas(64) Block {
    float alpha[kLanes], r[kLanes], g[kLanes], b[kLanes], depth[kLanes], median[kLanes], best[kLanes];
    int index[kLanes];
};

struct Blend {
    FOURD_INLINE void operator()(const Seen& s, Block& __restrict block, const Offsets& offsets, float u0,
                                 float v0) const {
        const float r = s.r, g = s.g, b = s.b, z = s.z, base = s.log2_opacity;
        const int id = s.id;
        for (int i = 0; i < kLanes; ++i) {
            const float u = u0 + offsets.u[i], v = v0 + offsets.v[i];
            Pixel p{block.alpha[i], block.r[i],      block.g[i],    block.b[i],
                    block.depth[i], block.median[i], block.best[i], block.index[i]};
            blend(p, base - v * v - u * u, r, g, b, z, id);
            block.alpha[i] = p.alpha;
            block.r[i] = p.r;
            block.g[i] = p.g;
            block.b[i] = p.b;
            block.depth[i] = p.depth;
            block.median[i] = p.median;
            block.best[i] = p.best;
            block.index[i] = p.index;
        }
    }
};

// Pixels beyond the picture's edge count as covered, or they would keep their tile from being full.
FOURD_INLINE void clear(Tile<Block>& tile, const Place& place) {
    for (int j = 0; j < kBlocks * kBlocks; ++j) {
        Block& block = tile.blocks[j];
        for (int i = 0; i < kLanes; ++i) {
            block.alpha[i] = place.inside(j, i) ? 0.0f : 1.0f;
            block.r[i] = block.g[i] = block.b[i] = 0.0f;
            block.depth[i] = block.median[i] = block.best[i] = 0.0f;
            block.index[i] = -1;
        }
    }
}

// From sums to means; a pixel that never became half covered has no median.
FOURD_INLINE void finish(Tile<Block>& tile) {
    for (Block& block : tile.blocks) {
        for (int i = 0; i < kLanes; ++i) {
            const float alpha = block.alpha[i];
            block.depth[i] = alpha > 0 ? block.depth[i] / alpha : 0.0f;
            block.median[i] = alpha > 0.5f ? block.median[i] : 0.0f;
        }
    }
}

// Pixels of a row of a block, `n` of them, to the picture from pixel `at` on.
FOURD_INLINE void copy(const Block& block, int from, int n, size_t at, const Pictures& out) {
    for (int k = 0; k < n; ++k) {
        out.rgb[3 * (at + static_cast<size_t>(k))] = block.r[from + k];
        out.rgb[3 * (at + static_cast<size_t>(k)) + 1] = block.g[from + k];
        out.rgb[3 * (at + static_cast<size_t>(k)) + 2] = block.b[from + k];
    }
    for (int k = 0; k < n; ++k) out.alpha[at + static_cast<size_t>(k)] = block.alpha[from + k];
    for (int k = 0; k < n; ++k) out.depth_m[at + static_cast<size_t>(k)] = block.depth[from + k];
    for (int k = 0; k < n; ++k) out.median_m[at + static_cast<size_t>(k)] = block.median[from + k];
    for (int k = 0; k < n; ++k) out.index[at + static_cast<size_t>(k)] = block.index[from + k];
}

FOURD_INLINE void write(const Tile<Block>& tile, const Place& place, int w, const Pictures& out) {
    for (int y = 0; y < place.rows; ++y) {
        for (int x = 0; x < place.columns; x += kSide) {
            const Block& block = tile.blocks[y / kSide * kBlocks + x / kSide];
            const size_t at = static_cast<size_t>(place.y0 + y) * static_cast<size_t>(w) +
                              static_cast<size_t>(place.x0 + x);
            if (x + kSide <= place.columns)
                copy(block, y % kSide * kSide, kSide, at, out);  // The compiler knows how many.
            else
                copy(block, y % kSide * kSide, place.columns - x, at, out);
        }
    }
}

FOURD_INLINE void blend_tile_body(const Place& place, const Seen* seen, const uint32_t* entries, size_t count,
                                  int w, const Pictures& out) {
    Tile<Block> tile;
    Blend blend_block;
    clear(tile, place);
    unsigned open = tile.open();
    for (size_t i = 0; i < count; ++i) {
        if (time_to_ask(i) && (open = tile.open()) == 0) break;
        look_ahead(seen, entries, i, count);
        each_block(tile, place.x0, place.y0, open, seen[entries[i]], blend_block);
    }
    finish(tile);
    write(tile, place, w, out);
}

FOURD_DISPATCH(blend_tile,
               (const Place& place, const Seen* seen, const uint32_t* entries, size_t count, int w,
                const Pictures& out),
               (place, seen, entries, count, w, out))

}  // namespace

void blend_tiles(const Buffer<Seen>& sorted, const TileLists& lists, const Camera& camera,
                 const Pictures& out, int threads, Isa isa) {
    parallel_for(lists.last_tile - lists.first_tile, threads, [&](int64_t i) {
        const size_t t = static_cast<size_t>(i), begin = lists.begin[t];
        const Place place(lists.first_tile + static_cast<int>(i), camera);
        FOURD_CALL(isa, blend_tile,
                   (place, sorted.data.get(), lists.entries.data.get() + begin, lists.begin[t + 1] - begin,
                    camera.w, out));
    });
}

}  // namespace fourd
