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

// What a frame keeps besides its surface.
struct Picture {
    const uint8_t* rgb;    // [h, w, 3]
    const float* pitch_m;  // [h, w]
};

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
    Picture picture(int64_t v) const { return {rgb + 3 * start(v), pitch_m + start(v)}; }
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

// What one frame sees of the points. Weight 0: it does not see one.
struct alignas(64) Witness {
    float r[kAsked], g[kAsked], b[kAsked], luma[kAsked], weight[kAsked];
};

// The colours of two pixels side by side, from the lowest byte: red, green, blue, red / green, blue,
// whatever.
struct Bytes {
    uint32_t low, high;
};

struct alignas(64) Block {
    float x[kAsked], y[kAsked], z[kAsked], radius_m[kAsked];
    float support[kAsked], contradiction[kAsked], finest_m[kAsked];
    float agrees[kAsked];  // The confidence of a frame that agrees, or 0.
    Bytes upper[kAsked], lower[kAsked];
    float pitch_m[kAsked];
    Sight<kAsked> sights[2];  // Of the frame that is asked and of the next. Beside the rest, so that the
                              // compiler knows them to be apart from it.
};

// Loads the colours of the four pixels around each point, and how fine the one is in which it lies.
FOURD_INLINE void fetch_colours(const Picture& picture, int w, int count, int turn, Block& block) {
    const Sight<kAsked>& s = block.sights[turn];
    const uint8_t* rgb = picture.rgb;
    const int64_t row = 3 * static_cast<int64_t>(w);
    for (int i = 0; i < count; ++i) {
        // Two bytes more than the two pixels are read at once: after the upper ones, which a row follows, and
        // before the lower ones, which follow a row.
        const uint8_t* upper = rgb + 3 * static_cast<int64_t>(s.first[i]);
        uint64_t two;
        std::memcpy(block.upper + i, upper, sizeof(Bytes));
        std::memcpy(&two, upper + row - 2, sizeof two);
        two >>= 16;
        std::memcpy(block.lower + i, &two, sizeof two);
        block.pitch_m[i] = picture.pitch_m[s.pixel[i]];
    }
}

FOURD_INLINE float channel(uint32_t word, int k) {
    return static_cast<float>(static_cast<int>((word >> (8 * k)) & 255u));
}

// Where a frame sees the points. What lies there is sent for, to be at hand when it is asked.
FOURD_INLINE void aim_body(const Gaze& gaze, const Plane& there, const Picture& picture, int count, int turn,
                           Block& block) {
    Sight<kAsked>& s = block.sights[turn];
    const Gaze g = gaze;
    const int h = there.h, w = there.w;
    for (int i = 0; i < count; ++i) put(s, i, land(g, block.x[i], block.y[i], block.z[i], h, w), w);
    send_for(there, count, s);
    for (int i = 0; i < count; i += kLine) {
        FOURD_PREFETCH(picture.pitch_m + s.pixel[i]);
        FOURD_PREFETCH(picture.rgb + 3 * static_cast<int64_t>(s.first[i]));
        FOURD_PREFETCH(picture.rgb + 3 * static_cast<int64_t>(s.first[i] + w));
    }
}

FOURD_DISPATCH(aim,
               (const Gaze& gaze, const Plane& there, const Picture& picture, int count, int turn,
                Block& block),
               (gaze, there, picture, count, turn, block))

// Asks a frame about the points; says whether it sees any.
FOURD_INLINE void ask_body(float focal_px, const Plane& there, const Picture& picture, const Rules& rules,
                           int count, int turn, Block& __restrict block, Witness& __restrict out,
                           bool& sees) {
    Sight<kAsked>& s = block.sights[turn];
    const Rules r = rules;  // In the open they might change with every point.
    const int w = there.w;
    fetch(there, count, s);
    fetch_colours(picture, w, count, turn, block);
    int any = 0;
    for (int i = 0; i < count; ++i) {
        const Glimpse eye = perceive(s, i);
        const float z = s.ratio[i];
        const int says =
            opinion(z * eye.seen - 1.0f, z * eye.nearest - 1.0f, allowed(r.tolerance, 1.0f, eye.sure));
        const float agrees = says == kAgrees ? eye.sure : 0.0f;
        block.agrees[i] = agrees;
        block.support[i] += agrees;
        block.contradiction[i] += says == kContradicts ? eye.sure : 0.0f;
    }
    for (int i = 0; i < count; ++i) {
        const float least = min2(block.pitch_m[i], block.finest_m[i]);
        const bool sharp = (block.agrees[i] > 0) & is_flat(s, i);
        block.finest_m[i] = sharp ? least : block.finest_m[i];
        any |= block.agrees[i] > 0 ? 1 : 0;
    }
    for (int i = 0; i < count; ++i) {
        const float a = s.a[i], b = s.b[i];
        const Bytes upper = block.upper[i], lower = block.lower[i];
        const float red = between(a, b, channel(upper.low, 0), channel(upper.low, 3), channel(lower.low, 0),
                                  channel(lower.low, 3));
        const float green = between(a, b, channel(upper.low, 1), channel(upper.high, 0),
                                    channel(lower.low, 1), channel(lower.high, 0));
        const float blue = between(a, b, channel(upper.low, 2), channel(upper.high, 1), channel(lower.low, 2),
                                   channel(lower.high, 1));
        const float weight = acuity(block.radius_m[i], focal_px, s.ratio[i], r.sigma_px, block.agrees[i]);
        out.r[i] = red;
        out.g[i] = green;
        out.b[i] = blue;
        out.luma[i] = luma(red, green, blue);
        out.weight[i] = block.agrees[i] > 0 ? weight : 0.0f;
    }
    sees = any != 0;
}

FOURD_DISPATCH(ask,
               (float focal_px, const Plane& there, const Picture& picture, const Rules& rules, int count,
                int turn, Block& block, Witness& out, bool& sees),
               (focal_px, there, picture, rules, count, turn, block, out, sees))

struct alignas(64) Colours {
    float r[kAsked], g[kAsked], b[kAsked];
};

constexpr int kLanes = 16;  // Points that are concluded about together: numbers of theirs stay in registers.

// The value, or 0; by bits, for the compiler would make a branch of it.
FOURD_INLINE float where(bool is, float value) { return as_float(as_int(value) & (is ? -1 : 0)); }

// The weight of what witness `i` and those before it in the order of brightness see.
FOURD_INLINE void weigh(const Witness* witnesses, int frames, int i, int at, float* __restrict upto) {
    const float* own = witnesses[i].luma + at;
    for (int k = 0; k < kLanes; ++k) {
        float sum = 0;
        for (int j = 0; j <= i; ++j)
            sum += where(witnesses[j].luma[at + k] <= own[k], witnesses[j].weight[at + k]);
        upto[k] = sum;
    }
    for (int k = 0; k < kLanes; ++k) {
        float sum = upto[k];
        int j = i;  // The compiler wants to see that there is one at least; it adds nothing.
        do sum += where(witnesses[j].luma[at + k] < own[k], witnesses[j].weight[at + k]);
        while (++j < frames);
        upto[k] = sum;
    }
}

// `robust_mean` of witness.h for many points together; `mean` holds what those keep that nobody sees.
FOURD_INLINE void conclude_body(const Witness* witnesses, int frames, int count, float same_colour,
                                Colours& mean) {
    for (int at = 0; at < count; at += kLanes) {
        alignas(64) float total[kLanes], least[kLanes], upto[kLanes], r[kLanes], g[kLanes], b[kLanes];
        alignas(64) float red[kLanes], green[kLanes], blue[kLanes];  // Of the median.
        for (int k = 0; k < kLanes; ++k) {
            total[k] = r[k] = g[k] = b[k] = red[k] = green[k] = blue[k] = 0.0f;
            least[k] = as_float(0x7f800000);  // Infinity.
        }
        for (int i = 0; i < frames; ++i)
            for (int k = 0; k < kLanes; ++k) total[k] += witnesses[i].weight[at + k];
        for (int i = 0; i < frames; ++i) {
            const Witness& s = witnesses[i];
            weigh(witnesses, frames, i, at, upto);
            for (int k = 0; k < kLanes; ++k) {
                const bool is =
                    (s.weight[at + k] > 0) & (upto[k] >= 0.5f * total[k]) & (s.luma[at + k] < least[k]);
                least[k] = is ? s.luma[at + k] : least[k];
                red[k] = is ? s.r[at + k] : red[k];
                green[k] = is ? s.g[at + k] : green[k];
                blue[k] = is ? s.b[at + k] : blue[k];
            }
        }
        for (int k = 0; k < kLanes; ++k) total[k] = 0.0f;
        for (int i = 0; i < frames; ++i) {
            const Witness& s = witnesses[i];
            for (int k = 0; k < kLanes; ++k) {
                const float share =
                    s.weight[at + k] * likeness(same_colour, s.r[at + k] - red[k], s.g[at + k] - green[k],
                                                s.b[at + k] - blue[k]);
                r[k] += share * s.r[at + k];
                g[k] += share * s.g[at + k];
                b[k] += share * s.b[at + k];
                total[k] += share;
            }
        }
        for (int k = 0; k < kLanes; ++k) {
            mean.r[at + k] = total[k] > 0 ? r[k] / total[k] : mean.r[at + k];
            mean.g[at + k] = total[k] > 0 ? g[k] / total[k] : mean.g[at + k];
            mean.b[at + k] = total[k] > 0 ? b[k] / total[k] : mean.b[at + k];
        }
    }
}

FOURD_DISPATCH(conclude, (const Witness* witnesses, int frames, int count, float same_colour, Colours& mean),
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
    const auto ask_of = [&](int64_t v, int turn) {
        bool sees;
        const float focal_px = gazes[static_cast<size_t>(v)].focal_px;
        FOURD_CALL(
            isa, ask,
            (focal_px, frames.plane(v), frames.picture(v), rules, count, turn, block, witnesses[seen], sees));
        seen += sees ? 1 : 0;
    };
    int turn = 0;
    int64_t before = -1;  // A frame is asked once what lies there of the next has been sent for.
    for (int64_t v = 0; v < static_cast<int64_t>(gazes.size()); ++v) {
        const Gaze& gaze = gazes[static_cast<size_t>(v)];
        if (!in_view(gaze, centre, radius, frames.h, frames.w)) continue;
        FOURD_CALL(isa, aim, (gaze, frames.plane(v), frames.picture(v), count, turn, block));
        if (before >= 0) ask_of(before, 1 - turn);
        before = v;
        turn = 1 - turn;
    }
    if (before >= 0) ask_of(before, 1 - turn);
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
