// What all frames together say of each point of a surface: whether it is there, and what colour it has.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <vector>

#include "module.h"
#include "parallel.h"

namespace nb = nanobind;

namespace fourd {
namespace {

constexpr uint8_t kStill = 1;  // Nothing moves there, nor close by.
constexpr uint8_t kFlat = 2;   // No jump in depth close by.
constexpr int64_t kChunk = 2048;

struct Frames {
    const float* K;               // [v, 3, 3]
    const float* cam_from_world;  // [v, 4, 4]
    const uint8_t* rgb;           // [v, h, w, 3]
    const float* depth_m;         // [v, h, w]
    const float* confidence;      // [v, h, w]
    const uint8_t* flags;         // [v, h, w]
    int64_t count, h, w;
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
    float* shift_m;        // [n, 3]
};

struct Sample {
    float rgb[3];
    float weight;
    float luma() const { return 0.299f * rgb[0] + 0.587f * rgb[1] + 0.114f * rgb[2]; }
};

// The colour at (x, y) in pixels, between the centres of the four pixels around it; 0 to 1.
void bilinear(const uint8_t* picture, int64_t h, int64_t w, float x, float y, float* rgb) {
    const float u = std::min(std::max(x - 0.5f, 0.0f), static_cast<float>(w - 1));
    const float v = std::min(std::max(y - 0.5f, 0.0f), static_cast<float>(h - 1));
    const int64_t c0 = static_cast<int64_t>(u), r0 = static_cast<int64_t>(v);
    const int64_t c1 = std::min(c0 + 1, w - 1), r1 = std::min(r0 + 1, h - 1);
    const float a = u - static_cast<float>(c0), b = v - static_cast<float>(r0);
    const uint8_t* p[4] = {picture + 3 * (r0 * w + c0), picture + 3 * (r0 * w + c1),
                           picture + 3 * (r1 * w + c0), picture + 3 * (r1 * w + c1)};
    const float share[4] = {(1 - a) * (1 - b), a * (1 - b), (1 - a) * b, a * b};
    for (int k = 0; k < 3; ++k) {
        float sum = 0;
        for (int q = 0; q < 4; ++q) sum += share[q] * p[q][k];
        rgb[k] = sum / 255.0f;
    }
}

// The depth at (x, y) in pixels: on a surface, between the centres of the four pixels around it (linear in
// inverse depth, which is exact on a plane); beside a jump, that of the pixel itself.
float depth_at(const float* depth_m, int64_t h, int64_t w, float x, float y, bool flat) {
    const float nearest = depth_m[static_cast<int64_t>(y) * w + static_cast<int64_t>(x)];
    if (!flat) return nearest;
    const float u = std::min(std::max(x - 0.5f, 0.0f), static_cast<float>(w - 1));
    const float v = std::min(std::max(y - 0.5f, 0.0f), static_cast<float>(h - 1));
    const int64_t c0 = static_cast<int64_t>(u), r0 = static_cast<int64_t>(v);
    const int64_t c1 = std::min(c0 + 1, w - 1), r1 = std::min(r0 + 1, h - 1);
    const float a = u - static_cast<float>(c0), b = v - static_cast<float>(r0);
    const float top = (1 - a) / depth_m[r0 * w + c0] + a / depth_m[r0 * w + c1];
    const float bottom = (1 - a) / depth_m[r1 * w + c0] + a / depth_m[r1 * w + c1];
    return 1.0f / ((1 - b) * top + b * bottom);
}

// A mean that outliers (a passing shadow, a highlight, a wrong match) hardly move: samples count by how near
// they are to the sample whose brightness is the weighted median.
void robust_mean(std::vector<Sample>& samples, float same_colour, float* rgb) {
    std::sort(samples.begin(), samples.end(),
              [](const Sample& a, const Sample& b) { return a.luma() < b.luma(); });
    float total = 0, below = 0;
    for (const Sample& s : samples) total += s.weight;
    size_t middle = 0;
    while (middle + 1 < samples.size() && below + samples[middle].weight < 0.5f * total)
        below += samples[middle++].weight;
    const Sample centre = samples[middle];
    float sum[3] = {0, 0, 0}, weight = 0;
    for (const Sample& s : samples) {
        float off = 0;
        for (int k = 0; k < 3; ++k) off += (s.rgb[k] - centre.rgb[k]) * (s.rgb[k] - centre.rgb[k]);
        const float share = s.weight * std::exp(-0.5f * off / (same_colour * same_colour));
        for (int k = 0; k < 3; ++k) sum[k] += share * s.rgb[k];
        weight += share;
    }
    for (int k = 0; k < 3; ++k) rgb[k] = sum[k] / weight;
}

void ask(const Points& points, int64_t i, const Frames& frames, float tolerance, float sigma_px,
         float same_colour, std::vector<Sample>& samples, const Verdicts& out) {
    const float* X = points.mean_m + 3 * i;
    samples.clear();
    float support = 0, contradiction = 0, shift[3] = {0, 0, 0};
    for (int64_t v = 0; v < frames.count; ++v) {
        const float* M = frames.cam_from_world + 16 * v;
        const float* K = frames.K + 9 * v;
        float p[3];
        for (int r = 0; r < 3; ++r)
            p[r] = M[4 * r] * X[0] + M[4 * r + 1] * X[1] + M[4 * r + 2] * X[2] + M[4 * r + 3];
        const float z = p[2];
        if (!(z > 1e-6f)) continue;
        const float x = (K[0] * p[0] + K[1] * p[1]) / z + K[2], y = K[4] * p[1] / z + K[5];
        if (!(x >= 0.5f && y >= 0.5f && x < frames.w - 0.5f && y < frames.h - 0.5f)) continue;
        const int64_t at = (v * frames.h + static_cast<int64_t>(y)) * frames.w + static_cast<int64_t>(x);
        const uint8_t flags = frames.flags[at];
        if (!(flags & kStill)) continue;
        const float sure = frames.confidence[at], allowed = tolerance * (2.0f - sure);
        const float* map = frames.depth_m + v * frames.h * frames.w;
        const float depth = depth_at(map, frames.h, frames.w, x, y, flags & kFlat);
        const float away = z / depth - 1.0f;
        if (std::fabs(away) < allowed) {
            support += sure;
            // Along this frame's ray to where it sees the surface: (X - C) (depth / z - 1), C its centre.
            const float share = sure * (depth / z - 1.0f);
            for (int c = 0; c < 3; ++c) shift[c] += share * (M[c] * p[0] + M[4 + c] * p[1] + M[8 + c] * p[2]);
            Sample s;
            bilinear(frames.rgb + 3 * v * frames.h * frames.w, frames.h, frames.w, x, y, s.rgb);
            // How many pixels this frame has on the disc, against the frame that made it.
            const float sharp = std::min(points.radius_m[i] * K[0] / z / sigma_px, 1.5f);
            s.weight = sharp * sharp * sharp * sharp * sure + 1e-6f;
            samples.push_back(s);
        } else if (away < -1.5f * allowed && (flags & kFlat)) {
            contradiction += sure;
        }
    }
    out.support[i] = support;
    out.contradiction[i] = contradiction;
    for (int c = 0; c < 3; ++c) out.shift_m[3 * i + c] = support > 0 ? shift[c] / support : 0.0f;
    if (samples.empty())
        std::copy_n(points.rgb + 3 * i, 3, out.rgb + 3 * i);
    else
        robust_mean(samples, same_colour, out.rgb + 3 * i);
}

template <class T, class Shape>
using Array = nb::ndarray<T, Shape, nb::c_contig, nb::device::cpu>;

void evidence(Array<const float, nb::shape<-1, 3>> mean_m, Array<const float, nb::ndim<1>> radius_m,
              Array<const float, nb::shape<-1, 3>> own_rgb, Array<const float, nb::shape<-1, 3, 3>> K,
              Array<const float, nb::shape<-1, 4, 4>> cam_from_world,
              Array<const uint8_t, nb::shape<-1, -1, -1, 3>> rgb, Array<const float, nb::ndim<3>> depth_m,
              Array<const float, nb::ndim<3>> confidence, Array<const uint8_t, nb::ndim<3>> flags,
              float tolerance, float sigma_px, float same_colour, Array<float, nb::ndim<1>> support,
              Array<float, nb::ndim<1>> contradiction, Array<float, nb::shape<-1, 3>> out_rgb,
              Array<float, nb::shape<-1, 3>> shift_m, int threads) {
    const size_t n = mean_m.shape(0), v = K.shape(0), h = rgb.shape(1), w = rgb.shape(2);
    for (size_t length : {radius_m.shape(0), own_rgb.shape(0), support.shape(0), contradiction.shape(0),
                          out_rgb.shape(0), shift_m.shape(0)})
        if (length != n) throw std::invalid_argument("the arrays of points differ in length");
    for (size_t length :
         {cam_from_world.shape(0), rgb.shape(0), depth_m.shape(0), confidence.shape(0), flags.shape(0)})
        if (length != v) throw std::invalid_argument("the arrays of frames differ in length");
    for (size_t side : {depth_m.shape(1), confidence.shape(1), flags.shape(1)})
        if (side != h) throw std::invalid_argument("the maps differ in height");
    for (size_t side : {depth_m.shape(2), confidence.shape(2), flags.shape(2)})
        if (side != w) throw std::invalid_argument("the maps differ in width");
    const Points points{mean_m.data(), radius_m.data(), own_rgb.data(), static_cast<int64_t>(n)};
    const Frames frames{K.data(),
                        cam_from_world.data(),
                        rgb.data(),
                        depth_m.data(),
                        confidence.data(),
                        flags.data(),
                        static_cast<int64_t>(v),
                        static_cast<int64_t>(h),
                        static_cast<int64_t>(w)};
    const Verdicts out{support.data(), contradiction.data(), out_rgb.data(), shift_m.data()};
    const nb::gil_scoped_release release;
    parallel_for((points.count + kChunk - 1) / kChunk, threads, [&](int64_t chunk) {
        std::vector<Sample> samples;
        samples.reserve(static_cast<size_t>(frames.count));
        const int64_t end = std::min(points.count, (chunk + 1) * kChunk);
        for (int64_t i = chunk * kChunk; i < end; ++i)
            ask(points, i, frames, tolerance, sigma_px, same_colour, samples, out);
    });
}

}  // namespace

void bind_evidence(nb::module_& m) {
    m.def("evidence", &evidence, nb::arg("mean_m"), nb::arg("radius_m"), nb::arg("own_rgb"), nb::arg("K"),
          nb::arg("cam_from_world"), nb::arg("rgb"), nb::arg("depth_m"), nb::arg("confidence"),
          nb::arg("flags"), nb::arg("tolerance"), nb::arg("sigma_px"), nb::arg("same_colour"),
          nb::arg("support"), nb::arg("contradiction"), nb::arg("out_rgb"), nb::arg("shift_m"),
          nb::arg("threads"),
          "Ask every frame about every point: its support, its contradiction, its colour, its place.");
}

}  // namespace fourd
