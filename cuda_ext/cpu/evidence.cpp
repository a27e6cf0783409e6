// What all frames together say of each point of a surface: whether it is there, and what colour it has.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <vector>

#include "fusion.h"
#include "isa.h"
#include "module.h"
#include "parallel.h"
#include "sight.h"
#include "witness.h"

namespace nb = nanobind;

namespace fourd {
namespace {

struct Frames {
    const float* K;               // [v, 3, 3]
    const float* cam_from_world;  // [v, 4, 4]
    const uint8_t* rgb;           // [v, h, w, 3]
    const float* inverse;         // [v, h, w]
    const uint8_t* sure;          // [v, h, w]
    const float* pitch_m;         // [v, h, w]
    int64_t count;
    int h, w;

    int64_t start(int64_t v) const { return v * h * w; }
    Plane plane(int64_t v) const { return {inverse + start(v), sure + start(v), h, w}; }
};

struct Points {
    const float* mean_m;    // [n, 3]
    const float* radius_m;  // [n]
    const float* rgb;       // [n, 3]
    int64_t count;
};

struct Verdicts {
    float* support;        // [n]
    float* contradiction;  // [n]
    float* rgb;            // [n, 3]
    float* finest_m;       // [n]
};

struct Rules {
    float tolerance, sigma_px, same_colour;
};

// Points that are asked about together.
struct alignas(64) Block {
    float x[kSight], y[kSight], z[kSight], radius_m[kSight];
    float support[kSight], contradiction[kSight], finest_m[kSight], weight[kSight];
    int agrees[kSight], samples[kSight];
    Sight sight;
};

FOURD_INLINE void ask_body(const Gaze& gaze, const Plane& there, const Rules& rules, int count,
                           Block& block) {
    const Gaze g = gaze;
    const int h = there.h, w = there.w;
    for (int i = 0; i < count; ++i) put(block.sight, i, land(g, block.x[i], block.y[i], block.z[i], h, w), w);
    fetch(there, count, block.sight);
    perceive(count, block.sight);
    for (int i = 0; i < count; ++i) {
        const float sure = block.sight.sure[i], z = block.sight.ratio[i];
        const int says = opinion(z * block.sight.seen[i] - 1.0f, z * block.sight.nearest[i] - 1.0f,
                                 allowed(rules.tolerance, 1.0f, sure));
        block.support[i] += says == kAgrees ? sure : 0.0f;
        block.contradiction[i] += says == kContradicts ? sure : 0.0f;
        // How many pixels this frame has on the disc, against the frame that made it.
        const float sharp = min2(block.radius_m[i] * g.focal_px / (z * rules.sigma_px), 1.5f);
        block.weight[i] = sharp * sharp * sharp * sharp * sure + 1e-6f;
        block.agrees[i] = (says == kAgrees) & (sure > 0) ? 1 : 0;
    }
}

FOURD_DISPATCH(ask, (const Gaze& gaze, const Plane& there, const Rules& rules, int count, Block& block),
               (gaze, there, rules, count, block))

// Whether any of the points in a sphere can be inside the picture of a frame.
bool in_view(const Gaze& g, const float centre[3], float radius, int h, int w) {
    // Signed distances from the four sides of the view and from the camera's plane, each times |normal|.
    const float side[5][3] = {{1, 0, -0.5f},
                              {-1, 0, static_cast<float>(w) - 0.5f},
                              {0, 1, -0.5f},
                              {0, -1, static_cast<float>(h) - 0.5f},
                              {0, 0, 1}};
    for (const float* s : side) {
        float distance = 0, length = 0;
        for (int c = 0; c < 4; ++c) {
            const float n = s[0] * g.row[0][c] + s[1] * g.row[1][c] + s[2] * g.row[2][c];
            distance += c < 3 ? n * centre[c] : n;
            length += c < 3 ? n * n : 0.0f;
        }
        if (distance < -1.001f * radius * std::sqrt(length)) return false;
    }
    return true;
}

void ask_all(const Points& points, int64_t begin, int count, const Frames& frames,
             const std::vector<Gaze>& gazes, const Rules& rules, Isa isa, Block& block,
             std::vector<Sample>& samples, const Verdicts& out) {
    float low[3], high[3];
    for (int c = 0; c < 3; ++c) low[c] = high[c] = points.mean_m[3 * begin + c];
    for (int i = 0; i < count; ++i) {
        const float* X = points.mean_m + 3 * (begin + i);
        for (int c = 0; c < 3; ++c) {
            low[c] = std::min(low[c], X[c]);
            high[c] = std::max(high[c], X[c]);
        }
        block.x[i] = X[0];
        block.y[i] = X[1];
        block.z[i] = X[2];
        block.radius_m[i] = points.radius_m[begin + i];
        block.support[i] = block.contradiction[i] = 0;
        block.finest_m[i] = std::numeric_limits<float>::infinity();
        block.samples[i] = 0;
    }
    float centre[3], radius = 0;
    for (int c = 0; c < 3; ++c) {
        centre[c] = 0.5f * (low[c] + high[c]);
        radius += 0.25f * (high[c] - low[c]) * (high[c] - low[c]);
    }
    radius = std::sqrt(radius);
    for (size_t v = 0; v < gazes.size(); ++v) {
        if (!in_view(gazes[v], centre, radius, frames.h, frames.w)) continue;
        FOURD_CALL(isa, ask, (gazes[v], frames.plane(static_cast<int64_t>(v)), rules, count, block));
        const int64_t start = frames.start(static_cast<int64_t>(v));
        for (int i = 0; i < count; ++i) {
            if (!block.agrees[i]) continue;
            const Sight& s = block.sight;
            samples[static_cast<size_t>(i) * gazes.size() + static_cast<size_t>(block.samples[i]++)] =
                sample_at(frames.rgb + 3 * (start + s.first[i]), frames.w, s.a[i], s.b[i], block.weight[i]);
            if (s.flat[i] == 0) continue;
            const float* pitch_m = frames.pitch_m + start + s.first[i];
            block.finest_m[i] =
                std::min(block.finest_m[i],
                         std::max({pitch_m[0], pitch_m[1], pitch_m[frames.w], pitch_m[frames.w + 1]}));
        }
    }
    for (int i = 0; i < count; ++i) {
        const int64_t at = begin + i;
        out.support[at] = block.support[i];
        out.contradiction[at] = block.contradiction[i];
        out.finest_m[at] = block.finest_m[i];
        if (block.samples[i] > 0)
            robust_mean(&samples[static_cast<size_t>(i) * gazes.size()], 1, block.samples[i],
                        rules.same_colour, out.rgb + 3 * at);
        else
            std::copy_n(points.rgb + 3 * at, 3, out.rgb + 3 * at);
    }
}

template <class T, class Shape>
using Array = nb::ndarray<T, Shape, nb::c_contig, nb::device::cpu>;

void evidence(Array<const float, nb::shape<-1, 3>> mean_m, Array<const float, nb::ndim<1>> radius_m,
              Array<const float, nb::shape<-1, 3>> own_rgb, Array<const float, nb::shape<-1, 3, 3>> K,
              Array<const float, nb::shape<-1, 4, 4>> cam_from_world,
              Array<const uint8_t, nb::shape<-1, -1, -1, 3>> rgb, Array<const float, nb::ndim<3>> inverse,
              Array<const uint8_t, nb::ndim<3>> sure, Array<const float, nb::ndim<3>> pitch_m,
              float tolerance, float sigma_px, float same_colour, Array<float, nb::ndim<1>> support,
              Array<float, nb::ndim<1>> contradiction, Array<float, nb::shape<-1, 3>> out_rgb,
              Array<float, nb::ndim<1>> finest_m, int threads) {
    const size_t n = mean_m.shape(0), v = K.shape(0), h = rgb.shape(1), w = rgb.shape(2);
    for (size_t length : {radius_m.shape(0), own_rgb.shape(0), support.shape(0), contradiction.shape(0),
                          out_rgb.shape(0), finest_m.shape(0)})
        if (length != n) throw std::invalid_argument("the arrays of points differ in length");
    for (size_t length :
         {cam_from_world.shape(0), rgb.shape(0), inverse.shape(0), sure.shape(0), pitch_m.shape(0)})
        if (length != v) throw std::invalid_argument("the arrays of frames differ in length");
    for (size_t side : {inverse.shape(1), sure.shape(1), pitch_m.shape(1)})
        if (side != h) throw std::invalid_argument("the maps differ in height");
    for (size_t side : {inverse.shape(2), sure.shape(2), pitch_m.shape(2)})
        if (side != w) throw std::invalid_argument("the maps differ in width");
    const Points points{mean_m.data(), radius_m.data(), own_rgb.data(), static_cast<int64_t>(n)};
    const Frames frames{
        K.data(),       cam_from_world.data(),   rgb.data(),          inverse.data(),     sure.data(),
        pitch_m.data(), static_cast<int64_t>(v), static_cast<int>(h), static_cast<int>(w)};
    std::vector<Gaze> gazes;
    // No point lies between the pixels of a frame that is one wide or high: none is asked.
    for (int64_t i = 0; i < (h > 1 && w > 1 ? frames.count : 0); ++i)
        gazes.push_back(make_gaze(frames.K + 9 * i, frames.cam_from_world + 16 * i));
    const Verdicts out{support.data(), contradiction.data(), out_rgb.data(), finest_m.data()};
    const Rules rules{tolerance, sigma_px, same_colour};
    const Isa isa = best_isa();
    const nb::gil_scoped_release release;
    parallel_for((points.count + kSight - 1) / kSight, threads, [&](int64_t part) {
        Block block;
        std::vector<Sample> samples(kSight * gazes.size());
        const int64_t begin = part * kSight, end = std::min(points.count, begin + kSight);
        ask_all(points, begin, static_cast<int>(end - begin), frames, gazes, rules, isa, block, samples, out);
    });
}

}  // namespace

void bind_evidence(nb::module_& m) {
    m.def("evidence", &evidence, nb::arg("mean_m"), nb::arg("radius_m"), nb::arg("own_rgb"), nb::arg("K"),
          nb::arg("cam_from_world"), nb::arg("rgb"), nb::arg("inverse"), nb::arg("sure"), nb::arg("pitch_m"),
          nb::arg("tolerance"), nb::arg("sigma_px"), nb::arg("same_colour"), nb::arg("support"),
          nb::arg("contradiction"), nb::arg("out_rgb"), nb::arg("finest_m"), nb::arg("threads"),
          "Ask every frame about every point: its support, its contradiction, its colour, how finely it is "
          "seen.");
}

}  // namespace fourd
