// What all frames together say of each point of a surface: whether it is there, and what colour it has.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
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

constexpr int kAsked =
    64;  // Points that are asked about together: what frames say of them stays in the cache.

// What one frame sees of the points, and the weight of what it and darker ones see; 0 weight: it sees none.
struct alignas(64) Witness {
    float r[kAsked], g[kAsked], b[kAsked], luma[kAsked], weight[kAsked], upto[kAsked];
};

struct alignas(64) Block {
    float x[kAsked], y[kAsked], z[kAsked], radius_m[kAsked];
    float support[kAsked], contradiction[kAsked], finest_m[kAsked];
    uint32_t colours[4][kAsked];  // Red, green and blue of the four pixels around, from the lowest byte.
    float pitch_m[kAsked];
    int agrees[kAsked];  // 0 or 1
    Sight sight;
    Witness witness;  // Beside the rest, so that it is known to be apart from it.
};

FOURD_INLINE void ask_body(const Gaze& gaze, const Plane& there, const Rules& rules, int count,
                           Block& block) {
    const Gaze g = gaze;
    const float tolerance = rules.tolerance;  // In the open it might change with every point.
    const int h = there.h, w = there.w;
    for (int i = 0; i < count; ++i) put(block.sight, i, land(g, block.x[i], block.y[i], block.z[i], h, w), w);
    fetch(there, count, block.sight);
    perceive(count, block.sight);
    for (int i = 0; i < count; ++i) {
        const float sure = block.sight.sure[i], z = block.sight.ratio[i];
        const int says = opinion(z * block.sight.seen[i] - 1.0f, z * block.sight.nearest[i] - 1.0f,
                                 allowed(tolerance, 1.0f, sure));
        block.support[i] += says == kAgrees ? sure : 0.0f;
        block.contradiction[i] += says == kContradicts ? sure : 0.0f;
        block.agrees[i] = (says == kAgrees) & (sure > 0) ? 1 : 0;
    }
}

FOURD_DISPATCH(ask, (const Gaze& gaze, const Plane& there, const Rules& rules, int count, Block& block),
               (gaze, there, rules, count, block))

// Three bytes at `at`, and whatever follows.
FOURD_INLINE uint32_t load32(const uint8_t* at) {
    uint32_t value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

FOURD_INLINE float channel(uint32_t colour, int k) {
    return static_cast<float>(static_cast<int>((colour >> (8 * k)) & 255u));
}

// What it sees of those that it sees.
FOURD_INLINE void see_body(const uint8_t* rgb, const float* pitch_m, int w, float focal_px,
                           const Rules& rules, int count, Block& block) {
    Sight& s = block.sight;
    Witness& out = block.witness;
    const float sigma_px = rules.sigma_px;
    for (int i = 0; i < count; ++i) {
        // The right pixels are read a byte early, and no more than the four pixels is touched.
        const uint8_t* upper = rgb + 3 * static_cast<int64_t>(s.first[i]);
        const uint8_t* lower = upper + 3 * w;
        block.colours[0][i] = load32(upper);
        block.colours[1][i] = load32(upper + 2) >> 8;
        block.colours[2][i] = load32(lower);
        block.colours[3][i] = load32(lower + 2) >> 8;
        block.pitch_m[i] = pitch_m[s.pixel[i]];
    }
    for (int i = 0; i < count; ++i) {
        const uint32_t first = block.colours[0][i], right = block.colours[1][i];
        const uint32_t below = block.colours[2][i], opposite = block.colours[3][i];
        const float a = s.a[i], b = s.b[i];
        out.r[i] =
            between(a, b, channel(first, 0), channel(right, 0), channel(below, 0), channel(opposite, 0));
        out.g[i] =
            between(a, b, channel(first, 1), channel(right, 1), channel(below, 1), channel(opposite, 1));
        out.b[i] =
            between(a, b, channel(first, 2), channel(right, 2), channel(below, 2), channel(opposite, 2));
        out.luma[i] = luma(out.r[i], out.g[i], out.b[i]);
        const float weight = acuity(block.radius_m[i], focal_px, s.ratio[i], sigma_px, s.sure[i]);
        out.weight[i] = out.upto[i] = block.agrees[i] ? weight : 0.0f;
        const float least = min2(block.pitch_m[i], block.finest_m[i]);
        block.finest_m[i] = (block.agrees[i] != 0) & (s.flat[i] != 0) ? least : block.finest_m[i];
    }
}

FOURD_DISPATCH(see,
               (const uint8_t* rgb, const float* pitch_m, int w, float focal_px, const Rules& rules,
                int count, Block& block),
               (rgb, pitch_m, w, focal_px, rules, count, block))

struct alignas(64) Colours {
    float r[kAsked], g[kAsked], b[kAsked];
};

// `robust_mean` of witness.h for many points together; `mean` holds what those keep that nobody sees.
FOURD_INLINE void conclude_body(Witness* witnesses, int frames, int count, float same_colour, Colours& mean) {
    for (int i = 0; i < frames; ++i)
        for (int j = 0; j < i; ++j) {
            Witness &later = witnesses[i], &earlier = witnesses[j];
            for (int k = 0; k < count; ++k) {
                const bool darker = earlier.luma[k] <= later.luma[k];
                later.upto[k] += darker ? earlier.weight[k] : 0.0f;
                earlier.upto[k] += darker ? 0.0f : later.weight[k];
            }
        }
    alignas(64) float total[kAsked], least[kAsked], r[kAsked], g[kAsked], b[kAsked];
    Colours centre;
    for (int k = 0; k < count; ++k) {
        total[k] = r[k] = g[k] = b[k] = centre.r[k] = centre.g[k] = centre.b[k] = 0.0f;
        least[k] = as_float(0x7f800000);  // Infinity.
    }
    for (int i = 0; i < frames; ++i)
        for (int k = 0; k < count; ++k) total[k] += witnesses[i].weight[k];
    for (int i = 0; i < frames; ++i) {
        const Witness& s = witnesses[i];
        for (int k = 0; k < count; ++k) {
            const bool is = (s.weight[k] > 0) & (s.upto[k] >= 0.5f * total[k]) & (s.luma[k] < least[k]);
            least[k] = is ? s.luma[k] : least[k];
            centre.r[k] = is ? s.r[k] : centre.r[k];
            centre.g[k] = is ? s.g[k] : centre.g[k];
            centre.b[k] = is ? s.b[k] : centre.b[k];
        }
    }
    for (int k = 0; k < count; ++k) total[k] = 0.0f;
    for (int i = 0; i < frames; ++i) {
        const Witness& s = witnesses[i];
        for (int k = 0; k < count; ++k) {
            const float share = s.weight[k] * likeness(same_colour, s.r[k] - centre.r[k],
                                                       s.g[k] - centre.g[k], s.b[k] - centre.b[k]);
            r[k] += share * s.r[k];
            g[k] += share * s.g[k];
            b[k] += share * s.b[k];
            total[k] += share;
        }
    }
    for (int k = 0; k < count; ++k) {
        mean.r[k] = total[k] > 0 ? r[k] / total[k] : mean.r[k];
        mean.g[k] = total[k] > 0 ? g[k] / total[k] : mean.g[k];
        mean.b[k] = total[k] > 0 ? b[k] / total[k] : mean.b[k];
    }
}

FOURD_DISPATCH(conclude, (Witness * witnesses, int frames, int count, float same_colour, Colours& mean),
               (witnesses, frames, count, same_colour, mean))

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
             const std::vector<Gaze>& gazes, const Rules& rules, Isa isa, Witness* witnesses,
             const Verdicts& out) {
    Block block;
    Colours mean;
    float low[3], high[3];
    for (int c = 0; c < 3; ++c) low[c] = high[c] = points.mean_m[3 * begin + c];
    for (int i = 0; i < count; ++i) {
        const float *X = points.mean_m + 3 * (begin + i), *own = points.rgb + 3 * (begin + i);
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
        mean.r[i] = own[0];
        mean.g[i] = own[1];
        mean.b[i] = own[2];
    }
    float centre[3], radius = 0;
    for (int c = 0; c < 3; ++c) {
        centre[c] = 0.5f * (low[c] + high[c]);
        radius += 0.25f * (high[c] - low[c]) * (high[c] - low[c]);
    }
    radius = std::sqrt(radius);
    int seen = 0;
    for (int64_t v = 0; v < static_cast<int64_t>(gazes.size()); ++v) {
        const Gaze& gaze = gazes[static_cast<size_t>(v)];
        if (!in_view(gaze, centre, radius, frames.h, frames.w)) continue;
        FOURD_CALL(isa, ask, (gaze, frames.plane(v), rules, count, block));
        if (std::find(block.agrees, block.agrees + count, 1) == block.agrees + count) continue;
        const int64_t start = frames.start(v);
        FOURD_CALL(
            isa, see,
            (frames.rgb + 3 * start, frames.pitch_m + start, frames.w, gaze.focal_px, rules, count, block));
        witnesses[seen++] = block.witness;
    }
    FOURD_CALL(isa, conclude, (witnesses, seen, count, rules.same_colour, mean));
    for (int i = 0; i < count; ++i) {
        const int64_t at = begin + i;
        out.support[at] = block.support[i];
        out.contradiction[at] = block.contradiction[i];
        out.finest_m[at] = block.finest_m[i];
        out.rgb[3 * at] = mean.r[i];
        out.rgb[3 * at + 1] = mean.g[i];
        out.rgb[3 * at + 2] = mean.b[i];
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
    constexpr int64_t kPart = 16 * kAsked;
    parallel_for((points.count + kPart - 1) / kPart, threads, [&](int64_t part) {
        std::vector<Witness> witnesses(gazes.size());
        const int64_t stop = std::min(points.count, (part + 1) * kPart);
        for (int64_t begin = part * kPart; begin < stop; begin += kAsked)
            ask_all(points, begin, static_cast<int>(std::min<int64_t>(kAsked, stop - begin)), frames, gazes,
                    rules, isa, witnesses.data(), out);
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
