// Stage 4: the splats of each tile, laid behind each other from the nearest on.
#include "blend.h"

#include <algorithm>

#include "parallel.h"
#include "raster.h"

namespace fourd {
namespace {

constexpr int kLanes =
    8;  // Splats are small: wider vectors would mostly blend what the splat does not reach.
constexpr int kStrips = kTile / kLanes;

constexpr size_t kAhead = 8;

// A run of pixels in a row, field by field, so that the loop over it becomes vector instructions.
struct alignas(32) Run {
    float alpha[kLanes], r[kLanes], g[kLanes], b[kLanes], depth[kLanes], median[kLanes], best[kLanes];
    int index[kLanes];
};

struct Tile {
    Run runs[kStrips][kTile];  // A strip is a column of runs.
};

// The splat's u is `first` in the run's first pixel and grows by `step`.
FOURD_INLINE void blend_run(Run& __restrict run, float first, float step, float base, const Seen& s) {
    const float r = s.r, g = s.g, b = s.b, z = s.z;
    const int id = s.id;
    for (int i = 0; i < kLanes; ++i) {
        const float u = first + static_cast<float>(i) * step;
        Pixel p{run.alpha[i], run.r[i],      run.g[i],    run.b[i],
                run.depth[i], run.median[i], run.best[i], run.index[i]};
        blend(p, base - u * u, r, g, b, z, id);
        run.alpha[i] = p.alpha;
        run.r[i] = p.r;
        run.g[i] = p.g;
        run.b[i] = p.b;
        run.depth[i] = p.depth;
        run.median[i] = p.median;
        run.best[i] = p.best;
        run.index[i] = p.index;
    }
}

FOURD_INLINE bool full(const Tile& tile) {
    float least[kLanes];
    for (int i = 0; i < kLanes; ++i) least[i] = 1.0f;
    for (const auto& strip : tile.runs)
        for (const Run& run : strip)
            for (int i = 0; i < kLanes; ++i) least[i] = min2(run.alpha[i], least[i]);
    for (int i = 1; i < kLanes; ++i) least[0] = min2(least[i], least[0]);
    return least[0] > kOpaque;
}

// x0, y0: the tile's first pixel.
FOURD_INLINE void blend_tile_body(Tile& tile, int x0, int y0, const Seen* seen, const uint32_t* entries,
                                  size_t count) {
    for (size_t i = 0; i < count; ++i) {
        if (i % 32 == 31 && full(tile)) break;
        // A tile's splats lie far apart in memory, where no processor looks ahead by itself: half the time
        // would go into waiting for them.
        if (i + kAhead < count) FOURD_PREFETCH(&seen[entries[i + kAhead]]);
        const Seen& s = seen[entries[i]];
        const int first = std::max<int>(s.row_first - y0, 0),
                  last = std::min<int>(s.row_last - y0, kTile - 1);
        for (int strip = 0; strip < kStrips; ++strip) {
            const float dx = static_cast<float>(x0 + strip * kLanes) + 0.5f - s.x;
            if (dx > s.half_w || dx + (kLanes - 1) < -s.half_w) continue;
            for (int row = first; row <= last; ++row) {
                const float dy = static_cast<float>(y0 + row) + 0.5f - s.y;
                const float v = dy * s.inv_sy;
                blend_run(tile.runs[strip][row], (dx - s.slope * dy) * s.inv_sx, s.inv_sx,
                          s.log2_opacity - v * v, s);
            }
        }
    }
}

FOURD_DISPATCH(blend_tile,
               (Tile & tile, int x0, int y0, const Seen* seen, const uint32_t* entries, size_t count),
               (tile, x0, y0, seen, entries, count))

// Pixels beyond the picture's edge count as covered, or they would keep their tile from being full.
void clear(Tile& tile, int valid_rows, int valid_columns) {
    for (int y = 0; y < kTile; ++y) {
        for (int x = 0; x < kTile; ++x) {
            Run& run = tile.runs[x / kLanes][y];
            const int i = x % kLanes;
            run.alpha[i] = y < valid_rows && x < valid_columns ? 0.0f : 1.0f;
            run.r[i] = run.g[i] = run.b[i] = run.depth[i] = run.median[i] = run.best[i] = 0.0f;
            run.index[i] = -1;
        }
    }
}

void write(const Tile& tile, int x0, int y0, int valid_rows, int valid_columns, int w, const Pictures& out) {
    for (int y = 0; y < valid_rows; ++y) {
        const size_t start = static_cast<size_t>(y0 + y) * static_cast<size_t>(w) + static_cast<size_t>(x0);
        for (int x = 0; x < valid_columns; ++x) {
            const Run& run = tile.runs[x / kLanes][y];
            const int lane = x % kLanes;
            const size_t i = start + static_cast<size_t>(x);
            out.rgb[3 * i] = run.r[lane];
            out.rgb[3 * i + 1] = run.g[lane];
            out.rgb[3 * i + 2] = run.b[lane];
            out.alpha[i] = run.alpha[lane];
            out.depth_m[i] = run.alpha[lane] > 0 ? run.depth[lane] / run.alpha[lane] : 0.0f;
            out.median_m[i] = run.median[lane];
            out.index[i] = run.index[lane];
        }
    }
}

}  // namespace

void blend_tiles(const Buffer<Seen>& sorted, const TileLists& lists, const Camera& camera,
                 const Pictures& out, int threads, Isa isa) {
    const int columns = (camera.w + kTile - 1) / kTile;
    parallel_for(lists.last_tile - lists.first_tile, threads, [&](int64_t i) {
        const size_t t = static_cast<size_t>(i);
        const int tile_index = lists.first_tile + static_cast<int>(i);
        const int x0 = tile_index % columns * kTile, y0 = tile_index / columns * kTile;
        const int valid_rows = std::min(camera.h - y0, kTile), valid_columns = std::min(camera.w - x0, kTile);
        Tile tile;
        clear(tile, valid_rows, valid_columns);
        FOURD_CALL(isa, blend_tile,
                   (tile, x0, y0, sorted.data.get(), lists.entries.data.get() + lists.begin[t],
                    lists.begin[t + 1] - lists.begin[t]));
        write(tile, x0, y0, valid_rows, valid_columns, camera.w, out);
    });
}

}  // namespace fourd
