// How much each splat adds to a picture: what decides whether it is worth
// keeping.
#include <algorithm>

#include "arrays.h"
#include "blend.h"
#include "blocks.h"
#include "module.h"
#include "parallel.h"

namespace fourd {
namespace {

constexpr size_t kEntriesAtOnce = size_t{1} << 22;

// Of a splat in one tile.
struct Share {
    float weight, peak;
    int pixels;
};

struct alignas(64) Block {
    float alpha[kLanes];
};

struct Weigh {
    float least;
    alignas(64) float weight[kLanes], peak[kLanes];
    alignas(64) int pixels[kLanes];

    FOURD_INLINE void operator()(const Seen& s, Block& __restrict block, const Offsets& offsets, float u0,
                                 float v0) {
        const float base = s.log2_opacity, threshold = least;
        for (int i = 0; i < kLanes; ++i) {
            const float u = u0 + offsets.u[i], v = v0 + offsets.v[i];
            const float taken = share(block.alpha[i], base - v * v - u * u);
            block.alpha[i] += taken;
            weight[i] += taken;
            peak[i] = max2(taken, peak[i]);
            pixels[i] += taken > threshold;
        }
    }
};

FOURD_INLINE void weigh_tile_body(const Place& place, const Seen* seen, const uint32_t* entries,
                                  const uint32_t* slots, size_t count, float least, Share* out) {
    Tile<Block> tile;
    for (int j = 0; j < kBlocks * kBlocks; ++j)  // Pixels beyond the picture's edge are covered.
        for (int i = 0; i < kLanes; ++i) tile.blocks[j].alpha[i] = place.inside(j, i) ? 0.0f : 1.0f;
    unsigned open = tile.open();
    size_t i = 0;
    for (; i < count; ++i) {
        if (time_to_ask(i) && (open = tile.open()) == 0) break;
        look_ahead(seen, entries, i, count);
        Weigh weigh{};
        weigh.least = least;
        each_block(tile, place.x0, place.y0, open, seen[entries[i]], weigh);
        Share& sum = out[slots[i]] = Share{};
        for (int lane = 0; lane < kLanes; ++lane) {
            sum.weight += weigh.weight[lane];
            sum.peak = max2(weigh.peak[lane], sum.peak);
            sum.pixels += weigh.pixels[lane];
        }
    }
    for (; i < count; ++i) out[slots[i]] = Share{};
}

FOURD_DISPATCH(weigh_tile,
               (const Place& place, const Seen* seen, const uint32_t* entries, const uint32_t* slots,
                size_t count, float least, Share* out),
               (place, seen, entries, slots, count, least, out))

struct Shares {
    float *weight, *peak;  // [n]
    int32_t* pixels;
};

void contribution(const SplatArrays& splats, const Camera& camera, double time_s, float least,
                  const Shares& out, int threads, Isa isa) {
    const Buffer<Seen> sorted = sort_by_depth(project_splats(splats, camera, time_s, threads, isa), threads);
    Tiler tiler(sorted, camera, threads, kEntriesAtOnce, true);
    Buffer<Share> shares(0);
    std::fill_n(out.weight, splats.n, 0.0f);
    std::fill_n(out.peak, splats.n, 0.0f);
    std::fill_n(out.pixels, splats.n, 0);
    for (TileLists lists; tiler.next(lists);) {
        if (shares.size < lists.begin.back()) shares = Buffer<Share>(lists.begin.back());
        parallel_for(lists.last_tile - lists.first_tile, threads, [&](int64_t i) {
            const size_t t = static_cast<size_t>(i), begin = lists.begin[t];
            const Place place(lists.first_tile + static_cast<int>(i), camera);
            FOURD_CALL(
                isa, weigh_tile,
                (place, sorted.data.get(), lists.entries.data.get() + begin, lists.slots.data.get() + begin,
                 lists.begin[t + 1] - begin, least, shares.data.get()));
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
          "Fill weight, peak and pixels with what each splat adds "
          "to a picture.",
          nb::arg("mean_m"), nb::arg("quat_wxyz"), nb::arg("scale_m"), nb::arg("opacity"), nb::arg("colour"),
          nb::arg("velocity_mps"), nb::arg("time_s"), nb::arg("duration_s"), nb::arg("K"),
          nb::arg("world_from_cam"), nb::arg("h"), nb::arg("w"), nb::arg("at_s"), nb::arg("eps2d_px"),
          nb::arg("near_m"), nb::arg("least"), nb::arg("weight"), nb::arg("peak"), nb::arg("pixels"),
          nb::arg("threads"), nb::arg("isa") = -1);
}

}  // namespace fourd
