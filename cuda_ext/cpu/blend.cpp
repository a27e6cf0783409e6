// Stage 4: the splats of each tile, laid behind each other from the nearest on.
#include "blend.h"

#include <algorithm>

#include "parallel.h"
#include "raster.h"

namespace fourd {
namespace {

// A row of pixels, field by field, so that the loop over it becomes vector instructions.
struct alignas(64) Row {
    float alpha[kTile], r[kTile], g[kTile], b[kTile], depth[kTile], median[kTile], best[kTile];
    int index[kTile];
};

struct Tile {
    Row rows[kTile];
};

FOURD_INLINE void blend_row(Row& __restrict row, float dx, float slope_dy, float inv_sx, float base,
                            const Seen& s) {
    const float r = s.r, g = s.g, b = s.b, z = s.z, first = (dx - slope_dy) * inv_sx;
    const int id = s.id;
    for (int i = 0; i < kTile; ++i) {
        const float u = first + static_cast<float>(i) * inv_sx;
        Pixel p{row.alpha[i], row.r[i],      row.g[i],    row.b[i],
                row.depth[i], row.median[i], row.best[i], row.index[i]};
        blend(p, base - u * u, r, g, b, z, id);
        row.alpha[i] = p.alpha;
        row.r[i] = p.r;
        row.g[i] = p.g;
        row.b[i] = p.b;
        row.depth[i] = p.depth;
        row.median[i] = p.median;
        row.best[i] = p.best;
        row.index[i] = p.index;
    }
}

FOURD_INLINE bool full(const Tile& tile) {
    float least = 1.0f;
    for (const Row& row : tile.rows)
        for (int i = 0; i < kTile; ++i) least = min2(row.alpha[i], least);
    return least > kOpaque;
}

// x0, y0: the tile's first pixel.
FOURD_INLINE void blend_tile_body(Tile& tile, int x0, int y0, const Seen* seen, const uint32_t* entries,
                                  size_t count) {
    for (size_t i = 0; i < count; ++i) {
        if (i % 32 == 31 && full(tile)) break;
        const Seen& s = seen[entries[i]];
        const int first = std::max<int>(s.row_first - y0, 0),
                  last = std::min<int>(s.row_last - y0, kTile - 1);
        const float dx = static_cast<float>(x0) + 0.5f - s.x;
        for (int row = first; row <= last; ++row) {
            const float dy = static_cast<float>(y0 + row) + 0.5f - s.y;
            const float v = dy * s.inv_sy;
            blend_row(tile.rows[row], dx, s.slope * dy, s.inv_sx, s.log2_opacity - v * v, s);
        }
    }
}

FOURD_DISPATCH(blend_tile,
               (Tile & tile, int x0, int y0, const Seen* seen, const uint32_t* entries, size_t count),
               (tile, x0, y0, seen, entries, count))

// Pixels beyond the picture's edge count as covered, or they would keep their tile from being full.
void clear(Tile& tile, int valid_rows, int valid_columns) {
    for (int y = 0; y < kTile; ++y) {
        Row& row = tile.rows[y];
        for (int x = 0; x < kTile; ++x) {
            row.alpha[x] = y < valid_rows && x < valid_columns ? 0.0f : 1.0f;
            row.r[x] = row.g[x] = row.b[x] = row.depth[x] = row.median[x] = row.best[x] = 0.0f;
            row.index[x] = -1;
        }
    }
}

void write(const Tile& tile, int x0, int y0, int valid_rows, int valid_columns, int w, const Pictures& out) {
    for (int y = 0; y < valid_rows; ++y) {
        const Row& row = tile.rows[y];
        const size_t start = static_cast<size_t>(y0 + y) * static_cast<size_t>(w) + static_cast<size_t>(x0);
        for (int x = 0; x < valid_columns; ++x) {
            const size_t i = start + static_cast<size_t>(x);
            out.rgb[3 * i] = row.r[x];
            out.rgb[3 * i + 1] = row.g[x];
            out.rgb[3 * i + 2] = row.b[x];
            out.alpha[i] = row.alpha[x];
            out.depth_m[i] = row.alpha[x] > 0 ? row.depth[x] / row.alpha[x] : 0.0f;
            out.median_m[i] = row.median[x];
            out.index[i] = row.index[x];
        }
    }
}

}  // namespace

void blend_tiles(const Projected& projected, const TileLists& lists, const Camera& camera,
                 const Pictures& out, int threads, Isa isa) {
    const int columns = (camera.w + kTile - 1) / kTile;
    const Seen* seen = projected.seen.data.get();
    parallel_for(lists.last_tile - lists.first_tile, threads, [&](int64_t i) {
        const size_t t = static_cast<size_t>(i);
        const int tile_index = lists.first_tile + static_cast<int>(i);
        const int x0 = tile_index % columns * kTile, y0 = tile_index / columns * kTile;
        const int valid_rows = std::min(camera.h - y0, kTile), valid_columns = std::min(camera.w - x0, kTile);
        Tile tile;
        clear(tile, valid_rows, valid_columns);
        FOURD_CALL(isa, blend_tile,
                   (tile, x0, y0, seen, lists.entries.data.get() + lists.begin[t],
                    lists.begin[t + 1] - lists.begin[t]));
        write(tile, x0, y0, valid_rows, valid_columns, camera.w, out);
    });
}

}  // namespace fourd
