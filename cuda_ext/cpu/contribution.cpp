// How much each splat adds to a picture: what decides whether it is worth
// keeping.
#include <algorithm>

#include "arrays.h"
#include "blend.h"
#include "module.h"
#include "parallel.h"

namespace fourd {
namespace {

constexpr int kLanes = 8;
constexpr int kStrips = kTile / kLanes;
constexpr size_t kAhead = 8;
constexpr size_t kEntriesAtOnce = size_t{1} << 22;

// Of a splat in one tile, or in the whole picture.
struct Share {
    float weight, peak;
    int pixels;
};

struct alignas(32) Tile {
    float covered[kStrips][kTile][kLanes];
};

struct alignas(32) Lanes {
    float weight[kLanes], peak[kLanes];
    int pixels[kLanes];
};

FOURD_INLINE void weigh_run(float* __restrict covered, Lanes& __restrict lanes, float first, float step,
                            float base, float least) {
    for (int i = 0; i < kLanes; ++i) {
        const float u = first + static_cast<float>(i) * step;
        const float weight = lay(covered[i], base - u * u);
        lanes.weight[i] += weight;
        lanes.peak[i] = max2(weight, lanes.peak[i]);
        lanes.pixels[i] += weight > least;
    }
}

FOURD_INLINE bool full(const Tile& tile) {
    float least[kLanes];
    for (int i = 0; i < kLanes; ++i) least[i] = 1.0f;
    for (const auto& strip : tile.covered)
        for (const auto& run : strip)
            for (int i = 0; i < kLanes; ++i) least[i] = min2(run[i], least[i]);
    for (int i = 1; i < kLanes; ++i) least[0] = min2(least[i], least[0]);
    return least[0] > kOpaque;
}

FOURD_INLINE void weigh_tile_body(Tile& tile, int x0, int y0, const Seen* seen, const uint32_t* entries,
                                  const uint32_t* slots, size_t count, float least, Share* out) {
    size_t i = 0;
    for (; i < count; ++i) {
        if (i % 32 == 31 && full(tile)) break;
        if (i + kAhead < count) FOURD_PREFETCH(&seen[entries[i + kAhead]]);
        const Seen& s = seen[entries[i]];
        const int first = std::max<int>(s.row_first - y0, 0),
                  last = std::min<int>(s.row_last - y0, kTile - 1);
        Lanes lanes{};
        for (int strip = 0; strip < kStrips; ++strip) {
            const float dx = static_cast<float>(x0 + strip * kLanes) + 0.5f - s.x;
            if (dx > s.half_w || dx + (kLanes - 1) < -s.half_w) continue;
            for (int row = first; row <= last; ++row) {
                const float dy = static_cast<float>(y0 + row) + 0.5f - s.y;
                const float v = dy * s.inv_sy;
                weigh_run(tile.covered[strip][row], lanes, (dx - s.slope * dy) * s.inv_sx, s.inv_sx,
                          s.log2_opacity - v * v, least);
            }
        }
        Share& share = out[slots[i]] = Share{};
        for (int lane = 0; lane < kLanes; ++lane) {
            share.weight += lanes.weight[lane];
            share.peak = max2(lanes.peak[lane], share.peak);
            share.pixels += lanes.pixels[lane];
        }
    }
    for (; i < count; ++i) out[slots[i]] = Share{};
}

FOURD_DISPATCH(weigh_tile,
               (Tile & tile, int x0, int y0, const Seen* seen, const uint32_t* entries, const uint32_t* slots,
                size_t count, float least, Share* out),
               (tile, x0, y0, seen, entries, slots, count, least, out))

struct Shares {
    float *weight, *peak;  // [n], zero before: what is not seen is not written.
    int32_t* pixels;
};

void contribution(const SplatArrays& splats, const Camera& camera, double time_s, float least,
                  const Shares& out, int threads, Isa isa) {
    const Buffer<Seen> sorted = sort_by_depth(project_splats(splats, camera, time_s, threads, isa), threads);
    Tiler tiler(sorted, camera, threads, kEntriesAtOnce, true);
    Buffer<Share> shares(0);
    const int columns = (camera.w + kTile - 1) / kTile;
    for (TileLists lists; tiler.next(lists);) {
        if (shares.size < lists.begin.back()) shares = Buffer<Share>(lists.begin.back());
        parallel_for(lists.last_tile - lists.first_tile, threads, [&](int64_t i) {
            const size_t t = static_cast<size_t>(i);
            const int tile_index = lists.first_tile + static_cast<int>(i);
            const int x0 = tile_index % columns * kTile, y0 = tile_index / columns * kTile;
            Tile tile;  // Pixels beyond the picture's edge are covered.
            for (int x = 0; x < kTile; ++x)
                for (int y = 0; y < kTile; ++y)
                    tile.covered[x / kLanes][y][x % kLanes] =
                        x0 + x < camera.w && y0 + y < camera.h ? 0.0f : 1.0f;
            FOURD_CALL(isa, weigh_tile,
                       (tile, x0, y0, sorted.data.get(), lists.entries.data.get() + lists.begin[t],
                        lists.slots.data.get() + lists.begin[t], lists.begin[t + 1] - lists.begin[t], least,
                        shares.data.get()));
        });
        for (size_t i = 0; i < sorted.size; ++i) {
            const size_t id = static_cast<size_t>(sorted[i].id);
            for (uint32_t slot = lists.first_slot[i]; slot < lists.first_slot[i + 1]; ++slot) {
                out.weight[id] += shares[slot].weight;
                out.peak[id] = max2(shares[slot].peak, out.peak[id]);
                out.pixels[id] += shares[slot].pixels;
            }
        }
    }
}

void contribution_arrays(Three<const float> mean_m, Four<const float> quat_wxyz, Three<const float> scale_m,
                         Column<const float> opacity, Colours<const float> colour,
                         Three<const float> velocity_mps, Column<const float> time_s,
                         Column<const float> duration_s, Matrix3<const float> K,
                         Matrix4<const float> world_from_cam, int h, int w, double at_s, float eps2d_px,
                         float near_m, float least, Column<float> weight, Column<float> peak,
                         Column<int32_t> pixels, int threads, int isa) {
    const SplatArrays splats =
        splat_arrays(mean_m, quat_wxyz, scale_m, opacity, colour, velocity_mps, time_s, duration_s);
    const Camera camera = camera_of(K, world_from_cam, h, w, eps2d_px, near_m);
    for (size_t length : {weight.shape(0), peak.shape(0), pixels.shape(0)})
        if (length != mean_m.shape(0))
            throw std::invalid_argument("the results differ in length from the splats");
    check_threads(threads);
    const Isa chosen = chosen_isa(isa);
    const nb::gil_scoped_release release;
    contribution(splats, camera, at_s, least, Shares{weight.data(), peak.data(), pixels.data()}, threads,
                 chosen);
}

}  // namespace

void bind_contribution(nb::module_& m) {
    m.def("contribution", &contribution_arrays,
          "Fill weight, peak and pixels, zero before, with what each splat adds "
          "to a picture.",
          nb::arg("mean_m"), nb::arg("quat_wxyz"), nb::arg("scale_m"), nb::arg("opacity"), nb::arg("colour"),
          nb::arg("velocity_mps"), nb::arg("time_s"), nb::arg("duration_s"), nb::arg("K"),
          nb::arg("world_from_cam"), nb::arg("h"), nb::arg("w"), nb::arg("at_s"), nb::arg("eps2d_px"),
          nb::arg("near_m"), nb::arg("least"), nb::arg("weight"), nb::arg("peak"), nb::arg("pixels"),
          nb::arg("threads"), nb::arg("isa") = -1);
}

}  // namespace fourd
