// What fusion keeps of a frame: inverse depth, confidence, the size of the patch in each pixel, and its
// edges.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "fusion.h"
#include "isa.h"
#include "module.h"
#include "parallel.h"

namespace nb = nanobind;

namespace fourd {
namespace {

constexpr int kReach = 2;           // Pixels around one in which its depth must not jump.
constexpr float kFarthest = 1e12f;  // Infinity would be neither flat nor an edge.
constexpr int kRows = 8;            // Rows that one thread takes at a time.

struct Input {
    const float* depth_m;
    const float* confidence;
    const uint8_t* still;
    Lens lens;
    int h, w;
};

struct Output {
    float* inverse;
    uint8_t* sure;
    float* pitch_m;
    uint8_t* edge;
};

// Nearest and farthest depth of the rows around `row`, padded by kReach on either side.
FOURD_INLINE void extremes(const Input& in, int row, float* __restrict low, float* __restrict high) {
    const int first = std::max(row - kReach, 0), last = std::min(row + kReach, in.h - 1);
    std::copy_n(in.depth_m + static_cast<int64_t>(first) * in.w, in.w, low);
    std::copy_n(low, in.w, high);
    for (int r = first + 1; r <= last; ++r) {
        const float* __restrict z = in.depth_m + static_cast<int64_t>(r) * in.w;
        for (int x = 0; x < in.w; ++x) {
            low[x] = min2(z[x], low[x]);
            high[x] = max2(z[x], high[x]);
        }
    }
    for (int x = 0; x < in.w; ++x) high[x] = min2(high[x], kFarthest);
    for (int k = 1; k <= kReach; ++k) {
        low[-k] = low[0];
        high[-k] = high[0];
        low[in.w - 1 + k] = low[in.w - 1];
        high[in.w - 1 + k] = high[in.w - 1];
    }
}

FOURD_INLINE void row_body(const Input& in, int row, float* low, float* high, const Output& out) {
    extremes(in, row, low, high);
    const int64_t at = static_cast<int64_t>(row) * in.w;
    const float* __restrict here = in.depth_m + at;
    const float* __restrict above = row > 0 ? here - in.w : here;
    const float* __restrict below = row + 1 < in.h ? here + in.w : here;
    const float* __restrict confidence = in.confidence + at;
    const uint8_t* __restrict still = in.still + at;
    float* __restrict inverse = out.inverse + at;
    float* __restrict pitch_m = out.pitch_m + at;
    uint8_t* __restrict sure = out.sure + at;
    uint8_t* __restrict edges = out.edge + at;
    const Lens lens = in.lens;
    const bool has_above = row > 0, has_below = row + 1 < in.h;
    const int w = in.w;
    for (int x = 0; x < w; ++x) {
        const int left = x > 0 ? x - 1 : 0, right = x + 1 < w ? x + 1 : w - 1;
        const float z = min2(here[x], kFarthest);
        bool edge_x, edge_y;
        const float lean_x = lean(min2(here[left], kFarthest), z, min2(here[right], kFarthest), x > 0,
                                  x + 1 < w, lens.inv_fx, edge_x);
        const float lean_y = lean(min2(above[x], kFarthest), z, min2(below[x], kFarthest), has_above,
                                  has_below, lens.inv_fy, edge_y);
        float ray[3], a[3], b[3];
        ray_through(lens, static_cast<float>(x) + 0.5f, static_cast<float>(row) + 0.5f, ray);
        patch(lens, ray, lean_x, lean_y, a, b);
        pitch_m[x] = z * pitch(a, b);
        const float nearest = min2(min2(min2(low[x - 2], low[x - 1]), min2(low[x + 1], low[x + 2])), low[x]);
        const float farthest =
            max2(max2(max2(high[x - 2], high[x - 1]), max2(high[x + 1], high[x + 2])), high[x]);
        const float r = 1.0f / z;
        inverse[x] = farthest < kFlatRatio * nearest ? r : -r;
        edges[x] = edge_x | edge_y;
        const float level = still[x] ? clamp(confidence[x], 0.0f, 1.0f) * 255.0f + 0.5f : 0.0f;
        // What is known at all is never taken for unknown.
        const float least = (still[x] != 0) & (confidence[x] > 0) ? 1.0f : 0.0f;
        sure[x] = static_cast<uint8_t>(static_cast<int>(max2(level, least)));
    }
}

FOURD_DISPATCH(row, (const Input& in, int row, float* low, float* high, const Output& out),
               (in, row, low, high, out))

template <class T, class Shape>
using Array = nb::ndarray<T, Shape, nb::c_contig, nb::device::cpu>;

void planes(Array<const float, nb::ndim<2>> depth_m, Array<const float, nb::ndim<2>> confidence,
            Array<const uint8_t, nb::ndim<2>> still, Array<const float, nb::shape<3, 3>> K,
            Array<float, nb::ndim<2>> inverse, Array<uint8_t, nb::ndim<2>> sure,
            Array<float, nb::ndim<2>> pitch_m, Array<uint8_t, nb::ndim<2>> edge, int threads) {
    const size_t h = depth_m.shape(0), w = depth_m.shape(1);
    for (size_t side : {confidence.shape(0), still.shape(0), inverse.shape(0), sure.shape(0),
                        pitch_m.shape(0), edge.shape(0)})
        if (side != h) throw std::invalid_argument("the maps differ in height");
    for (size_t side : {confidence.shape(1), still.shape(1), inverse.shape(1), sure.shape(1),
                        pitch_m.shape(1), edge.shape(1)})
        if (side != w) throw std::invalid_argument("the maps differ in width");
    if (h == 0 || w == 0) return;
    const Input in{depth_m.data(),      confidence.data(),   still.data(),
                   make_lens(K.data()), static_cast<int>(h), static_cast<int>(w)};
    const Output out{inverse.data(), sure.data(), pitch_m.data(), edge.data()};
    const Isa isa = best_isa();
    const nb::gil_scoped_release release;
    parallel_for((in.h + kRows - 1) / kRows, threads, [&](int64_t part) {
        std::vector<float> low(w + 2 * kReach), high(w + 2 * kReach);
        const int end = std::min(in.h, static_cast<int>(part + 1) * kRows);
        for (int r = static_cast<int>(part) * kRows; r < end; ++r)
            FOURD_CALL(isa, row, (in, r, low.data() + kReach, high.data() + kReach, out));
    });
}

}  // namespace

void bind_planes(nb::module_& m) {
    m.def("planes", &planes, nb::arg("depth_m"), nb::arg("confidence"), nb::arg("still"), nb::arg("K"),
          nb::arg("inverse"), nb::arg("sure"), nb::arg("pitch_m"), nb::arg("edge"), nb::arg("threads"),
          "What fusion keeps of one frame for those who look into it.");
}

}  // namespace fourd
