// Every pixel of a frame looks into other frames: do they see its point too (consistency), and has one of
// them shown it already (redundant)?
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

constexpr int kBlock = 256;  // Pixels that look into a frame together.

// Pixels of one frame, and where another one sees them.
struct alignas(64) Block {
    float x[kBlock], y[kBlock], inverse[kBlock];
    float to_x[kBlock], to_y[kBlock], ratio[kBlock];
    int inside[kBlock];
};

FOURD_INLINE void aim_body(const Passage& passage, int count, int h, int w, Block& block) {
    const Passage p = passage;
    Block& __restrict b = block;
    for (int i = 0; i < count; ++i) {
        const Landing at = land(p, b.x[i], b.y[i], b.inverse[i], h, w);
        b.to_x[i] = at.x;
        b.to_y[i] = at.y;
        b.ratio[i] = at.ratio;
        b.inside[i] = at.inside;
    }
}

FOURD_DISPATCH(aim, (const Passage& passage, int count, int h, int w, Block& block),
               (passage, count, h, w, block))

struct Frames {
    const float* inverse;         // [m, h, w]
    const uint8_t* sure;          // [m, h, w]
    const float* K;               // [m, 3, 3]
    const float* world_from_cam;  // [m, 4, 4]
    int64_t count;
    int h, w;

    Plane plane(int64_t k) const { return {inverse + k * h * w, sure + k * h * w, h, w}; }
    Passage passage(int64_t from, int64_t to) const {
        const float* pose = world_from_cam + 16 * to;
        float back[16] = {};
        for (int i = 0; i < 3; ++i) {
            double t = 0;
            for (int j = 0; j < 3; ++j) {
                back[4 * i + j] = pose[4 * j + i];
                t -= static_cast<double>(pose[4 * j + i]) * static_cast<double>(pose[4 * j + 3]);
            }
            back[4 * i + 3] = static_cast<float>(t);
        }
        return make_passage(K + 9 * from, world_from_cam + 16 * from, K + 9 * to, back);
    }
};

constexpr float kByte = 1.0f / 255.0f;

// -- consistency --------------------------------------------------------------------------------------------

struct Tally {
    float* fused;          // [h, w]
    float* support;        // [h, w]
    float* contradiction;  // [h, w]
};

void consistency_rows(const Frames& frames, int64_t from, const std::vector<int64_t>& others,
                      const std::vector<Passage>& passages, float tolerance, int first, int last, Isa isa,
                      const Tally& out) {
    const Plane own = frames.plane(from);
    Block block;
    int64_t index[kBlock];
    float sure[kBlock], support[kBlock], contradiction[kBlock], off[kBlock];
    const int64_t begin = static_cast<int64_t>(first) * own.w, end = static_cast<int64_t>(last) * own.w;
    for (int64_t next = begin; next < end;) {
        int count = 0;
        for (; next < end && count < kBlock; ++next) {
            out.fused[next] = own.inverse[next];
            out.support[next] = out.contradiction[next] = 0;
            if (own.sure[next] == 0) continue;
            block.x[count] = static_cast<float>(next % own.w) + 0.5f;
            block.y[count] = static_cast<float>(next / own.w) + 0.5f;
            block.inverse[count] = std::fabs(own.inverse[next]);
            sure[count] = static_cast<float>(own.sure[next]) * kByte;
            support[count] = contradiction[count] = off[count] = 0;
            index[count++] = next;
        }
        for (size_t k = 0; k < others.size(); ++k) {
            const Plane there = frames.plane(others[k]);
            FOURD_CALL(isa, aim, (passages[k], count, there.h, there.w, block));
            for (int i = 0; i < count; ++i) {
                if (!block.inside[i]) continue;
                int near;
                const float seen = look(there, block.to_x[i], block.to_y[i], near);
                const float s = static_cast<float>(there.sure[near]) * kByte;
                const float apart = block.ratio[i] * seen - block.inverse[i];
                const float limit = allowed(tolerance, 1.0f, s) * block.inverse[i];
                const int says = opinion(apart, limit, there.inverse[near] > 0);
                support[i] += says == kAgrees ? s : 0.0f;
                off[i] += says == kAgrees ? s * apart : 0.0f;
                contradiction[i] += says == kContradicts ? s : 0.0f;
            }
        }
        for (int i = 0; i < count; ++i) {
            const float fused = block.inverse[i] + off[i] / (sure[i] + support[i]);
            out.fused[index[i]] = own.inverse[index[i]] > 0 ? fused : -fused;
            out.support[index[i]] = support[i];
            out.contradiction[index[i]] = contradiction[i];
        }
    }
}

// -- redundant ----------------------------------------------------------------------------------------------

struct Rules {
    float tolerance, coarse, alike;
};

struct Shown {
    const uint8_t* rgb;  // [m, h, w, 3]
    float* pitch_m;      // [m, h, w], that of the disc which shows the pixel
    uint8_t* explained;  // [h, w]
};

// Whether what the other frame has at `near` shows the pixel `index` of this one as well or better.
bool explains(const Plane& there, int near, float seen, float ratio, float inverse, float sure,
              const uint8_t* rgb, const uint8_t* rgb_there, const Rules& rules) {
    const float s = static_cast<float>(there.sure[near]) * kByte;
    if (s == 0) return false;
    const float apart = std::fabs(ratio * seen - inverse);
    const float limit = allowed(rules.tolerance, sure, s) * inverse;
    if (apart < limit) return true;
    // Who is unsure, or much less sure, or looks the same, gives way to a surface that is near: one sheet,
    // not two.
    if (apart >= 3 * limit || sure > 1.25f * s) return false;
    if (sure < 0.5f) return true;
    int off = 0;
    for (int c = 0; c < 3; ++c) off += std::abs(static_cast<int>(rgb[c]) - static_cast<int>(rgb_there[c]));
    return static_cast<float>(off) < rules.alike * 3 * 255;
}

// An outline may lie a pixel further in: a point in front of what the other frame sees is shown if what
// stands beside it there agrees.
bool beside(const Plane& there, int near, float ratio, float inverse, float limit) {
    const int row = near / there.w, col = near % there.w;
    for (int r = std::max(row - 1, 0); r <= std::min(row + 1, there.h - 1); ++r)
        for (int c = std::max(col - 1, 0); c <= std::min(col + 1, there.w - 1); ++c) {
            const int at = r * there.w + c;
            if (there.sure[at] && std::fabs(ratio * std::fabs(there.inverse[at]) - inverse) < limit)
                return true;
        }
    return false;
}

void redundant_rows(const Frames& frames, int64_t from, const std::vector<int64_t>& earlier,
                    const std::vector<Passage>& passages, const Rules& rules, int first, int last, Isa isa,
                    const Shown& out) {
    const Plane own = frames.plane(from);
    const int64_t area = static_cast<int64_t>(own.h) * own.w;
    const uint8_t* rgb = out.rgb + 3 * from * area;
    float* pitch_m = out.pitch_m + from * area;
    Block block;
    int64_t index[kBlock];
    const int64_t begin = static_cast<int64_t>(first) * own.w, end = static_cast<int64_t>(last) * own.w;
    for (int64_t next = begin; next < end;) {
        int count = 0;
        for (; next < end && count < kBlock; ++next) {
            out.explained[next] = 0;
            if (own.sure[next] == 0) continue;
            block.x[count] = static_cast<float>(next % own.w) + 0.5f;
            block.y[count] = static_cast<float>(next / own.w) + 0.5f;
            block.inverse[count] = std::fabs(own.inverse[next]);
            index[count++] = next;
        }
        for (size_t k = 0; k < earlier.size() && count > 0; ++k) {
            const Plane there = frames.plane(earlier[k]);
            const float* their_pitch_m = out.pitch_m + earlier[k] * area;
            const uint8_t* their_rgb = out.rgb + 3 * earlier[k] * area;
            FOURD_CALL(isa, aim, (passages[k], count, there.h, there.w, block));
            int left = 0;
            for (int i = 0; i < count; ++i) {
                const int64_t at = index[i];
                bool shown = false;
                if (block.inside[i]) {
                    int near;
                    const float seen = look(there, block.to_x[i], block.to_y[i], near);
                    const float sure = static_cast<float>(own.sure[at]) * kByte;
                    shown = explains(there, near, seen, block.ratio[i], block.inverse[i], sure, rgb + 3 * at,
                                     their_rgb + 3 * near, rules) ||
                            (block.ratio[i] * seen < block.inverse[i] &&
                             beside(there, near, block.ratio[i], block.inverse[i],
                                    rules.tolerance * block.inverse[i]));
                    shown = shown && their_pitch_m[near] <= rules.coarse * pitch_m[at];
                    if (shown) {
                        out.explained[at] = 1;
                        pitch_m[at] = their_pitch_m[near];
                    }
                }
                if (!shown) {
                    block.x[left] = block.x[i];
                    block.y[left] = block.y[i];
                    block.inverse[left] = block.inverse[i];
                    index[left++] = at;
                }
            }
            count = left;
        }
    }
}

template <class T, class Shape>
using Array = nb::ndarray<T, Shape, nb::c_contig, nb::device::cpu>;

Frames frames_of(const Array<const float, nb::ndim<3>>& inverse,
                 const Array<const uint8_t, nb::ndim<3>>& sure,
                 const Array<const float, nb::shape<-1, 3, 3>>& K,
                 const Array<const float, nb::shape<-1, 4, 4>>& world_from_cam) {
    const size_t m = inverse.shape(0), h = inverse.shape(1), w = inverse.shape(2);
    if (sure.shape(0) != m || K.shape(0) != m || world_from_cam.shape(0) != m)
        throw std::invalid_argument("the arrays of frames differ in length");
    if (sure.shape(1) != h || sure.shape(2) != w) throw std::invalid_argument("the maps differ in size");
    return {inverse.data(),          sure.data(),         K.data(),           world_from_cam.data(),
            static_cast<int64_t>(m), static_cast<int>(h), static_cast<int>(w)};
}

std::vector<Passage> passages_of(const Frames& frames, int64_t from, const std::vector<int64_t>& others) {
    if (from < 0 || from >= frames.count) throw std::invalid_argument("there is no such frame");
    std::vector<Passage> passages;
    for (int64_t k : others) {
        if (k < 0 || k >= frames.count) throw std::invalid_argument("there is no such other frame");
        passages.push_back(frames.passage(from, k));
    }
    return passages;
}

// Rows in parts of about a thousand pixels.
template <class Body>
void by_rows(const Frames& frames, int threads, Body&& body) {
    const int step = std::max(1, 4096 / std::max(frames.w, 1));
    parallel_for((frames.h + step - 1) / step, threads, [&](int64_t part) {
        body(static_cast<int>(part) * step, std::min(frames.h, static_cast<int>(part + 1) * step));
    });
}

void consistency(Array<const float, nb::ndim<3>> inverse, Array<const uint8_t, nb::ndim<3>> sure,
                 Array<const float, nb::shape<-1, 3, 3>> K,
                 Array<const float, nb::shape<-1, 4, 4>> world_from_cam, int64_t frame,
                 const std::vector<int64_t>& others, float tolerance, Array<float, nb::ndim<2>> fused,
                 Array<float, nb::ndim<2>> support, Array<float, nb::ndim<2>> contradiction, int threads) {
    const Frames frames = frames_of(inverse, sure, K, world_from_cam);
    for (auto* map : {&fused, &support, &contradiction})
        if (map->shape(0) != inverse.shape(1) || map->shape(1) != inverse.shape(2))
            throw std::invalid_argument("the maps differ in size");
    const std::vector<Passage> passages = passages_of(frames, frame, others);
    const Tally out{fused.data(), support.data(), contradiction.data()};
    const Isa isa = best_isa();
    const nb::gil_scoped_release release;
    by_rows(frames, threads, [&](int first, int last) {
        consistency_rows(frames, frame, others, passages, tolerance, first, last, isa, out);
    });
}

void redundant(Array<const float, nb::ndim<3>> inverse, Array<const uint8_t, nb::ndim<3>> sure,
               Array<const uint8_t, nb::shape<-1, -1, -1, 3>> rgb, Array<const float, nb::shape<-1, 3, 3>> K,
               Array<const float, nb::shape<-1, 4, 4>> world_from_cam, int64_t frame,
               const std::vector<int64_t>& earlier, float tolerance, float coarse, float alike,
               Array<float, nb::ndim<3>> pitch_m, Array<uint8_t, nb::ndim<2>> explained, int threads) {
    const Frames frames = frames_of(inverse, sure, K, world_from_cam);
    if (pitch_m.shape(0) != inverse.shape(0) || rgb.shape(0) != inverse.shape(0))
        throw std::invalid_argument("the arrays of frames differ in length");
    if (pitch_m.shape(1) != inverse.shape(1) || pitch_m.shape(2) != inverse.shape(2) ||
        rgb.shape(1) != inverse.shape(1) || rgb.shape(2) != inverse.shape(2) ||
        explained.shape(0) != inverse.shape(1) || explained.shape(1) != inverse.shape(2))
        throw std::invalid_argument("the maps differ in size");
    const std::vector<Passage> passages = passages_of(frames, frame, earlier);
    if (std::count(earlier.begin(), earlier.end(), frame) > 0)
        throw std::invalid_argument("a frame cannot look into itself");
    const Rules rules{tolerance, coarse, alike};
    const Shown out{rgb.data(), pitch_m.data(), explained.data()};
    const Isa isa = best_isa();
    const nb::gil_scoped_release release;
    by_rows(frames, threads, [&](int first, int last) {
        redundant_rows(frames, frame, earlier, passages, rules, first, last, isa, out);
    });
}

}  // namespace

void bind_gather(nb::module_& m) {
    m.def("consistency", &consistency, nb::arg("inverse"), nb::arg("sure"), nb::arg("K"),
          nb::arg("world_from_cam"), nb::arg("frame"), nb::arg("others"), nb::arg("tolerance"),
          nb::arg("fused"), nb::arg("support"), nb::arg("contradiction"), nb::arg("threads"),
          "What other frames say of every pixel of one.");
    m.def("redundant", &redundant, nb::arg("inverse"), nb::arg("sure"), nb::arg("rgb"), nb::arg("K"),
          nb::arg("world_from_cam"), nb::arg("frame"), nb::arg("earlier"), nb::arg("tolerance"),
          nb::arg("coarse"), nb::arg("alike"), nb::arg("pitch_m"), nb::arg("explained"), nb::arg("threads"),
          "Which pixels of a frame earlier ones show already.");
}

}  // namespace fourd
