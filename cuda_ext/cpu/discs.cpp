// The wanted pixels of a frame as discs in the world.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "fusion.h"
#include "isa.h"
#include "module.h"
#include "parallel.h"
#include "witness.h"

namespace nb = nanobind;

namespace fourd {
namespace {

constexpr int kBlock = 64;

struct Input {
    const float* depth_m;  // [h, w], whose slopes the discs follow
    const float* place_m;  // [h, w], where they stand
    const uint8_t* wanted;
    const uint8_t* edge;
    const uint8_t* rgb;  // [h, w, 3]
    Lens lens;
    float R[9], eye[3];
    float sigma_px, bare, behind;
    int h, w;
};

struct Output {
    float* mean_m;     // [n, 3]
    float* quat_wxyz;  // [n, 4]
    float* scale_m;    // [n, 3]
    float* rgb;        // [n, 3]
    float* soft_rgb;   // [n, 3]
    float* behind_m;   // [n, 3]
    uint8_t* backs;    // [n]
};

struct alignas(64) Block {
    float x[kBlock], y[kBlock], z[kBlock], place[kBlock];
    float wider[kBlock];
    float left[kBlock], right[kBlock], above[kBlock], below[kBlock];
    int has_left[kBlock], has_right[kBlock], has_above[kBlock], has_below[kBlock];
    float rgb[3][kBlock];  // 0 to 255.
    float soft[3][kBlock],
        beside[kBlock];  // Sums over the pixels at and beside each, and how many these are.
    float mean[3][kBlock], quat[4][kBlock], scale[3][kBlock], behind[3][kBlock];
};

// One number after the other of each disc, as they lie in the block, to the places of discs from `at` on.
template <int kNumbers>
FOURD_INLINE void lay_out(const float (&numbers)[kNumbers][kBlock], int count, float* __restrict at) {
    for (int i = 0; i < count; ++i)
        for (int k = 0; k < kNumbers; ++k) at[kNumbers * i + k] = numbers[k][i];
}

FOURD_INLINE void make_body(const Input& input, int count, int64_t at, const Output& out, Block& block) {
    const Lens lens = input.lens;
    const float sigma = input.sigma_px, behind = input.behind;
    float R[9], eye[3];
    for (int k = 0; k < 9; ++k) R[k] = input.R[k];
    for (int k = 0; k < 3; ++k) eye[k] = input.eye[k];
    Block& __restrict o = block;
    for (int i = 0; i < count; ++i) {
        bool edge;
        const float lean_x =
            lean(o.left[i], o.z[i], o.right[i], o.has_left[i] != 0, o.has_right[i] != 0, lens.inv_fx, edge);
        const float lean_y =
            lean(o.above[i], o.z[i], o.below[i], o.has_above[i] != 0, o.has_below[i] != 0, lens.inv_fy, edge);
        float ray[3], a[3], b[3], q[4], s[3];
        ray_through(lens, o.x[i], o.y[i], ray);
        patch(lens, ray, lean_x, lean_y, a, b);
        float wa[3], wb[3], wr[3];
        for (int k = 0; k < 3; ++k) {
            wa[k] = R[3 * k] * a[0] + R[3 * k + 1] * a[1] + R[3 * k + 2] * a[2];
            wb[k] = R[3 * k] * b[0] + R[3 * k + 1] * b[1] + R[3 * k + 2] * b[2];
            wr[k] = R[3 * k] * ray[0] + R[3 * k + 1] * ray[1] + R[3 * k + 2];
        }
        disc(wa, wb, sigma, q, s);
        const float z = o.place[i], size = z * o.wider[i];
        const float distance = behind * size * s[0] / sqrtf(wr[0] * wr[0] + wr[1] * wr[1] + wr[2] * wr[2]);
        for (int k = 0; k < 3; ++k) {
            o.mean[k][i] = eye[k] + z * wr[k];
            o.scale[k][i] = size * s[k];
            o.behind[k][i] = distance * wr[k];
        }
        for (int k = 0; k < 4; ++k) o.quat[k][i] = q[k];
    }
    for (int i = 0; i < count; ++i)
        for (int k = 0; k < 3; ++k) {
            o.rgb[k][i] /= 255.0f;
            o.soft[k][i] /= 255.0f * o.beside[i];
        }
    lay_out(o.mean, count, out.mean_m + 3 * at);
    lay_out(o.quat, count, out.quat_wxyz + 4 * at);
    lay_out(o.scale, count, out.scale_m + 3 * at);
    lay_out(o.rgb, count, out.rgb + 3 * at);
    lay_out(o.soft, count, out.soft_rgb + 3 * at);
    lay_out(o.behind, count, out.behind_m + 3 * at);
}

// Sums over three rows of a picture, and over three pixels of these: `sums` has three numbers a pixel, and
// three more before and behind.
FOURD_INLINE void soften_body(const uint8_t* above, const uint8_t* here, const uint8_t* below, int w,
                              uint16_t* __restrict columns, uint16_t* __restrict sums) {
    for (int i = 0; i < 3 * w; ++i)
        columns[i] = static_cast<uint16_t>(here[i] + (above ? above[i] : 0) + (below ? below[i] : 0));
    for (int i = 0; i < 3 * w; ++i)
        sums[i] = static_cast<uint16_t>(columns[i - 3] + columns[i] + columns[i + 3]);
}

FOURD_DISPATCH(soften,
               (const uint8_t* above, const uint8_t* here, const uint8_t* below, int w, uint16_t* columns,
                uint16_t* sums),
               (above, here, below, w, columns, sums))

FOURD_DISPATCH(make, (const Input& input, int count, int64_t at, const Output& out, Block& block),
               (input, count, at, out, block))

// The first wanted pixel from `x` on, or the width.
FOURD_INLINE int next_wanted(const uint8_t* wanted, int x, int w) {
    for (uint64_t eight; x + 8 <= w; x += 8) {
        std::memcpy(&eight, wanted + x, sizeof eight);
        if (eight) break;
    }
    while (x < w && !wanted[x]) ++x;
    return x;
}

// The discs of a row go to `at` and on. `soft` is room for two rows of three numbers a pixel, and six more
// each.
void row_discs(const Input& in, int row, int64_t at, Isa isa, Block& b, uint16_t* soft, const Output& out) {
    const int64_t start = static_cast<int64_t>(row) * in.w;
    const float* z = in.depth_m + start;
    const uint8_t *wanted = in.wanted + start, *rgb = in.rgb + 3 * start;
    const bool has_above = row > 0, has_below = row + 1 < in.h;
    int x = next_wanted(wanted, 0, in.w);
    if (x == in.w) return;
    uint16_t *columns = soft + 3, *sums = soft + 3 * in.w + 6;
    std::fill_n(columns - 3, 3, uint16_t{0});
    std::fill_n(columns + 3 * in.w, 3, uint16_t{0});
    FOURD_CALL(isa, soften,
               (has_above ? rgb - 3 * in.w : nullptr, rgb, has_below ? rgb + 3 * in.w : nullptr, in.w,
                columns, sums));
    while (x < in.w) {
        int count = 0;
        for (; x < in.w && count < kBlock; x = next_wanted(wanted, x + 1, in.w)) {
            const bool has_left = x > 0, has_right = x + 1 < in.w;
            const bool bare = in.edge[start + x] != 0;
            out.backs[at + count] = !bare && row % 2 == 0 && x % 2 == 0;
            for (int k = 0; k < 3; ++k) {
                b.rgb[k][count] = static_cast<float>(rgb[3 * x + k]);
                b.soft[k][count] = static_cast<float>(sums[3 * x + k]);
            }
            b.beside[count] = static_cast<float>((1 + has_left + has_right) * (1 + has_above + has_below));
            b.wider[count] = bare ? in.bare : 1.0f;
            b.x[count] = static_cast<float>(x) + 0.5f;
            b.y[count] = static_cast<float>(row) + 0.5f;
            b.z[count] = z[x];
            b.place[count] = in.place_m[start + x];
            b.left[count] = has_left ? z[x - 1] : z[x];
            b.right[count] = has_right ? z[x + 1] : z[x];
            b.above[count] = has_above ? z[x - in.w] : z[x];
            b.below[count] = has_below ? z[x + in.w] : z[x];
            b.has_left[count] = has_left;
            b.has_right[count] = has_right;
            b.has_above[count] = has_above;
            b.has_below[count++] = has_below;
        }
        FOURD_CALL(isa, make, (in, count, at, out, b));
        at += count;
    }
}

template <class T, class Shape>
using Array = nb::ndarray<T, Shape, nb::c_contig, nb::device::cpu>;

void discs(Array<const float, nb::ndim<2>> depth_m, Array<const float, nb::ndim<2>> place_m,
           Array<const uint8_t, nb::ndim<2>> wanted, Array<const uint8_t, nb::ndim<2>> edge,
           Array<const uint8_t, nb::shape<-1, -1, 3>> rgb, Array<const float, nb::shape<3, 3>> K,
           Array<const float, nb::shape<4, 4>> world_from_cam, float sigma_px, float bare, float behind,
           Array<float, nb::shape<-1, 3>> mean_m, Array<float, nb::shape<-1, 4>> quat_wxyz,
           Array<float, nb::shape<-1, 3>> scale_m, Array<float, nb::shape<-1, 3>> out_rgb,
           Array<float, nb::shape<-1, 3>> soft_rgb, Array<float, nb::shape<-1, 3>> behind_m,
           Array<uint8_t, nb::ndim<1>> backs, int threads) {
    const size_t h = depth_m.shape(0), w = depth_m.shape(1);
    for (size_t side : {place_m.shape(0), wanted.shape(0), edge.shape(0), rgb.shape(0)})
        if (side != h) throw std::invalid_argument("the maps differ in height");
    for (size_t side : {place_m.shape(1), wanted.shape(1), edge.shape(1), rgb.shape(1)})
        if (side != w) throw std::invalid_argument("the maps differ in width");
    Input in{depth_m.data(),
             place_m.data(),
             wanted.data(),
             edge.data(),
             rgb.data(),
             make_lens(K.data()),
             {},
             {},
             sigma_px,
             bare,
             behind,
             static_cast<int>(h),
             static_cast<int>(w)};
    for (int i = 0; i < 3; ++i) {
        for (int j = 0; j < 3; ++j) in.R[3 * i + j] = world_from_cam(i, j);
        in.eye[i] = world_from_cam(i, 3);
    }
    std::vector<int64_t> start(h + 1, 0);
    for (size_t r = 0; r < h; ++r)
        start[r + 1] =
            start[r] + static_cast<int64_t>(w) - std::count(in.wanted + r * w, in.wanted + (r + 1) * w, 0);
    for (size_t length : {mean_m.shape(0), quat_wxyz.shape(0), scale_m.shape(0), out_rgb.shape(0),
                          soft_rgb.shape(0), behind_m.shape(0), backs.shape(0)})
        if (length != static_cast<size_t>(start[h]))
            throw std::invalid_argument("the arrays of discs are not as long as there are wanted pixels");
    const Output out{mean_m.data(),   quat_wxyz.data(), scale_m.data(), out_rgb.data(),
                     soft_rgb.data(), behind_m.data(),  backs.data()};
    const Isa isa = best_isa();
    constexpr int kRows = 8;
    const nb::gil_scoped_release release;
    parallel_for((in.h + kRows - 1) / kRows, threads, [&](int64_t part) {
        Block block;
        std::vector<uint16_t> soft(6 * static_cast<size_t>(in.w) + 12);
        const int end = std::min(in.h, static_cast<int>(part + 1) * kRows);
        for (int r = static_cast<int>(part) * kRows; r < end; ++r)
            row_discs(in, r, start[static_cast<size_t>(r)], isa, block, soft.data(), out);
    });
}

}  // namespace

void bind_discs(nb::module_& m) {
    m.def("discs", &discs, nb::arg("depth_m"), nb::arg("place_m"), nb::arg("wanted"), nb::arg("edge"),
          nb::arg("rgb"), nb::arg("K"), nb::arg("world_from_cam"), nb::arg("sigma_px"), nb::arg("bare"),
          nb::arg("behind"), nb::arg("mean_m"), nb::arg("quat_wxyz"), nb::arg("scale_m"), nb::arg("out_rgb"),
          nb::arg("soft_rgb"), nb::arg("behind_m"), nb::arg("backs"), nb::arg("threads"),
          "The wanted pixels of a frame as discs in the world, row by row.");
}

}  // namespace fourd
