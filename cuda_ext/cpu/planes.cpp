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
constexpr int kBlock = 256;         // Pixels of a row that are worked on together.
constexpr int kRows = 16;           // Rows that one thread takes at a time.

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

// A row of the input; inverse depth of it and of those above and below, and the extremes of depth around each
// of its pixels.
struct Row {
    const float *z, *here, *above, *below, *low, *high, *confidence;
    bool has_above, has_below;
    float y;
};

// What comes of some pixels of it. An array of its own, of which the compiler knows that nothing else lies
// there, and no bytes: so the loop becomes vector instructions.
struct alignas(64) Block {
    float inverse[kBlock], pitch_m[kBlock];
    int edge[kBlock], sure[kBlock];
};

FOURD_INLINE void pixels(const Lens& lens, const Row& in, int first, int count, bool has_left, bool has_right,
                         Block& out) {
    const Lens l = lens;
    const Row row = in;
    for (int i = 0; i < count; ++i) {
        const int x = first + i;
        const float z = min2(row.z[x], kFarthest);
        bool edge_x, edge_y;
        const float lean_x = lean_of(1 - z * row.here[x - has_left], z * row.here[x + has_right] - 1,
                                     has_left, has_right, l.inv_fx, edge_x);
        const float lean_y = lean_of(1 - z * row.above[x], z * row.below[x] - 1, row.has_above, row.has_below,
                                     l.inv_fy, edge_y);
        float ray[3], a[3], b[3];
        ray_through(l, static_cast<float>(x) + 0.5f, row.y, ray);
        patch(l, ray, lean_x, lean_y, a, b);
        out.pitch_m[i] = z * pitch(a, b);
        const float* low = row.low + x;
        const float* high = row.high + x;
        const float nearest = min2(min2(min2(low[-2], low[-1]), min2(low[1], low[2])), low[0]);
        const float farthest = max2(max2(max2(high[-2], high[-1]), max2(high[1], high[2])), high[0]);
        out.inverse[i] = farthest < kFlatRatio * nearest ? row.here[x] : -row.here[x];
        out.edge[i] = edge_x | edge_y ? 1 : 0;
        // What is known at all is never taken for unknown.
        const float least = row.confidence[x] > 0 ? 1.0f : 0.0f;
        out.sure[i] = static_cast<int>(max2(clamp(row.confidence[x], 0.0f, 1.0f) * 255.0f + 0.5f, least));
    }
}

// Fills `edge` with where the depth jumps beside the pixels of a row, and, if `out` is given, that row of it.
FOURD_INLINE void row_body(const Input& in, int y, float* low, float* high, float* const* inverse,
                           uint8_t* edge, const Output* out) {
    extremes(in, y, low, high);
    const int64_t at = static_cast<int64_t>(y) * in.w;
    const bool has_above = y > 0, has_below = y + 1 < in.h;
    const Row row{in.depth_m + at,
                  inverse[y % 3],
                  inverse[has_above ? (y + 2) % 3 : y % 3],
                  inverse[has_below ? (y + 1) % 3 : y % 3],
                  low,
                  high,
                  in.confidence + at,
                  has_above,
                  has_below,
                  static_cast<float>(y) + 0.5f};
    const uint8_t* still = in.still + at;
    Block block;
    for (int first = 0; first < in.w;) {
        // The ends of a row have one neighbour only, or none.
        const bool has_left = first > 0, has_right = first + 1 < in.w;
        const int count = has_left & has_right ? std::min(kBlock, in.w - 1 - first) : 1;
        if (count == 1)
            pixels(in.lens, row, first, 1, has_left, has_right, block);
        else
            pixels(in.lens, row, first, count, true, true, block);
        for (int i = 0; i < count; ++i) edge[first + i] = static_cast<uint8_t>(block.edge[i]);
        if (out) {
            std::copy_n(block.inverse, count, out->inverse + at + first);
            std::copy_n(block.pitch_m, count, out->pitch_m + at + first);
            uint8_t* sure =
                out->sure + at + first;  // What is read through `out` might change with every byte.
            for (int i = 0; i < count; ++i)
                sure[i] = static_cast<uint8_t>(still[first + i] != 0 ? block.sure[i] : 0);
        }
        first += count;
    }
}

FOURD_DISPATCH(row,
               (const Input& in, int y, float* low, float* high, float* const* inverse, uint8_t* edge,
                const Output* out),
               (in, y, low, high, inverse, edge, out))

FOURD_INLINE void invert_body(const float* depth_m, int w, float* __restrict inverse) {
    for (int x = 0; x < w; ++x) inverse[x] = 1.0f / min2(depth_m[x], kFarthest);
}

FOURD_DISPATCH(invert, (const float* depth_m, int w, float* inverse), (depth_m, w, inverse))

// Marks the pixels of a row at or beside an edge, and makes them coarser: whoever sees the surface there
// whole sees it better. `above` and `below` are the edges of the neighbouring rows.
FOURD_INLINE void widen_body(const uint8_t* above, const uint8_t* here, const uint8_t* below, int w,
                             uint8_t* column, uint8_t* edge, float* pitch_m) {
    for (int x = 0; x < w; ++x) column[x] = above[x] | here[x] | below[x];
    column[-1] = column[w] = 0;
    for (int x = 0; x < w; ++x) edge[x] = column[x - 1] | column[x] | column[x + 1];
    for (int x = 0; x < w; ++x) pitch_m[x] *= edge[x] ? kBareCoarser : 1.0f;
}

FOURD_DISPATCH(widen,
               (const uint8_t* above, const uint8_t* here, const uint8_t* below, int w, uint8_t* column,
                uint8_t* edge, float* pitch_m),
               (above, here, below, w, column, edge, pitch_m))

// Rows `first` to `last` of everything.
void rows(const Input& in, int first, int last, Isa isa, const Output& out) {
    const size_t w = static_cast<size_t>(in.w);
    std::vector<float> low(w + 2 * kReach), high(w + 2 * kReach), inverses(3 * w);
    float* const inverse[3] = {inverses.data(), inverses.data() + w, inverses.data() + 2 * w};
    const auto invert_row = [&](int y) {
        if (y >= 0 && y < in.h)
            FOURD_CALL(isa, invert, (in.depth_m + static_cast<size_t>(y) * w, in.w, inverse[y % 3]));
    };
    std::vector<uint8_t> edges(w * (kRows + 2), 0), column(w + 2);
    invert_row(first - 2);
    invert_row(first - 1);
    invert_row(first);
    for (int y = std::max(first - 1, 0); y < std::min(last + 1, in.h); ++y) {
        if (y >= first) invert_row(y + 1);
        FOURD_CALL(
            isa, row,
            (in, y, low.data() + kReach, high.data() + kReach, inverse,
             edges.data() + static_cast<size_t>(y - first + 1) * w, y >= first && y < last ? &out : nullptr));
    }
    for (int y = first; y < last; ++y) {
        const uint8_t* above = edges.data() + static_cast<size_t>(y - first) * w;
        const int64_t at = static_cast<int64_t>(y) * in.w;
        FOURD_CALL(
            isa, widen,
            (above, above + w, above + 2 * w, in.w, column.data() + 1, out.edge + at, out.pitch_m + at));
    }
}

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
        const int first = static_cast<int>(part) * kRows;
        rows(in, first, std::min(in.h, first + kRows), isa, out);
    });
}

}  // namespace

void bind_planes(nb::module_& m) {
    m.def("planes", &planes, nb::arg("depth_m"), nb::arg("confidence"), nb::arg("still"), nb::arg("K"),
          nb::arg("inverse"), nb::arg("sure"), nb::arg("pitch_m"), nb::arg("edge"), nb::arg("threads"),
          "What fusion keeps of one frame for those who look into it.");
}

}  // namespace fourd
