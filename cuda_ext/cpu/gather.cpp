// Every pixel of a frame looks into other frames: do they see its point too (consistency), and has one of
// them shown it already (redundant)?
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
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

// Pixels of one frame that look into another.
struct alignas(64) Block {
    float x[kSight], y[kSight], inverse[kSight], sure[kSight];
    int64_t index[kSight];
    Sight sight;
};

FOURD_INLINE void look_into(const Passage& passage, const Plane& there, int count, Block& block) {
    const Passage p = passage;
    const int h = there.h, w = there.w;
    for (int i = 0; i < count; ++i)
        put(block.sight, i, land(p, block.x[i], block.y[i], block.inverse[i], h, w), w);
    fetch(there, count, block.sight);
    perceive(count, block.sight);
}

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

// Fills the block with the next pixels of the plane that stand still; returns how many. `next` runs on to
// `end`.
int take(const Plane& own, int64_t& next, int64_t end, Block& block) {
    int count = 0;
    while (next < end && count < kSight) {
        const int64_t row = next / own.w;
        const int64_t stop = std::min({(row + 1) * own.w, end, next + kSight - count});
        const float y = static_cast<float>(row) + 0.5f;
        float x = static_cast<float>(next - row * own.w) + 0.5f;
        for (; next < stop; ++next, x += 1.0f) {
            block.x[count] = x;
            block.y[count] = y;
            block.inverse[count] = std::fabs(own.inverse[next]);
            block.sure[count] = static_cast<float>(own.sure[next]) * (1.0f / 255.0f);
            block.index[count] = next;
            count += own.sure[next] != 0;
        }
    }
    return count;
}

// -- consistency --------------------------------------------------------------------------------------------

struct Tally {
    float* fused;          // [h, w]
    float* support;        // [h, w]
    float* contradiction;  // [h, w]
};

struct alignas(64) Sums {
    float support[kSight], contradiction[kSight], off[kSight];
};

FOURD_INLINE void ask_body(const Passage& passage, const Plane& there, float tolerance, int count,
                           Block& block, Sums& sums) {
    look_into(passage, there, count, block);
    for (int i = 0; i < count; ++i) {
        const float sure = block.sight.sure[i], inverse = block.inverse[i];
        const float apart = block.sight.ratio[i] * block.sight.seen[i] - inverse;
        const int says = opinion(apart, block.sight.ratio[i] * block.sight.nearest[i] - inverse,
                                 allowed(tolerance, 1.0f, sure) * inverse);
        sums.support[i] += says == kAgrees ? sure : 0.0f;
        sums.off[i] += says == kAgrees ? sure * apart : 0.0f;  // Who does not agree may be NaN.
        sums.contradiction[i] += says == kContradicts ? sure : 0.0f;
    }
}

FOURD_DISPATCH(ask,
               (const Passage& passage, const Plane& there, float tolerance, int count, Block& block,
                Sums& sums),
               (passage, there, tolerance, count, block, sums))

void consistency_rows(const Frames& frames, int64_t from, const std::vector<int64_t>& others,
                      const std::vector<Passage>& passages, float tolerance, int first, int last, Isa isa,
                      const Tally& out) {
    const Plane own = frames.plane(from);
    Block block;
    Sums sums;
    const int64_t begin = static_cast<int64_t>(first) * own.w, end = static_cast<int64_t>(last) * own.w;
    std::copy(own.inverse + begin, own.inverse + end, out.fused + begin);
    std::fill(out.support + begin, out.support + end, 0.0f);
    std::fill(out.contradiction + begin, out.contradiction + end, 0.0f);
    for (int64_t next = begin; next < end;) {
        const int count = take(own, next, end, block);
        std::fill_n(sums.support, count, 0.0f);
        std::fill_n(sums.contradiction, count, 0.0f);
        std::fill_n(sums.off, count, 0.0f);
        for (size_t k = 0; k < passages.size(); ++k)
            FOURD_CALL(isa, ask, (passages[k], frames.plane(others[k]), tolerance, count, block, sums));
        for (int i = 0; i < count; ++i) {
            const int64_t at = block.index[i];
            const float fused = block.inverse[i] + sums.off[i] / (block.sure[i] + sums.support[i]);
            out.fused[at] = own.inverse[at] > 0 ? fused : -fused;
            out.support[at] = sums.support[i];
            out.contradiction[at] = sums.contradiction[i];
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

// What decides for one pixel: 1 if the other frame sees its point where it is; 2 if the two are to be
// compared more closely; 0 if it tells nothing.
FOURD_INLINE void compare_body(const Passage& passage, const Plane& there, float tolerance, int count,
                               Block& block, int* near) {
    look_into(passage, there, count, block);
    for (int i = 0; i < count; ++i) {
        const float sure = block.sight.sure[i], inverse = block.inverse[i];
        const float apart = block.sight.ratio[i] * block.sight.seen[i] - inverse;
        const float limit = allowed(tolerance, block.sure[i], sure) * inverse;
        const bool closely = (fabsf(apart) < 3 * limit) | (apart < 0);
        near[i] = sure > 0 ? (fabsf(apart) < limit ? 1 : closely ? 2 : 0) : 0;
    }
}

FOURD_DISPATCH(compare,
               (const Passage& passage, const Plane& there, float tolerance, int count, Block& block,
                int* near),
               (passage, there, tolerance, count, block, near))

// What `compare` left open.
bool shown(const Plane& there, const Block& block, int i, const uint8_t* rgb, const uint8_t* their_rgb,
           const Rules& rules) {
    const float sure = block.sure[i], theirs = block.sight.sure[i], inverse = block.inverse[i];
    const float apart = block.sight.ratio[i] * block.sight.seen[i] - inverse;
    const float limit = allowed(rules.tolerance, sure, theirs) * inverse;
    return defers(apart, limit, sure, theirs, rgb, their_rgb, rules.alike) ||
           (apart < 0 && stands_beside(there, block.sight.pixel[i], block.sight.ratio[i], inverse, limit));
}

void redundant_rows(const Frames& frames, int64_t from, const std::vector<int64_t>& earlier,
                    const std::vector<Passage>& passages, const Rules& rules, int first, int last, Isa isa,
                    const Shown& out) {
    const Plane own = frames.plane(from);
    const int64_t area = static_cast<int64_t>(own.h) * own.w;
    const uint8_t* rgb = out.rgb + 3 * from * area;
    float* pitch_m = out.pitch_m + from * area;
    Block block;
    int near[kSight];
    const int64_t begin = static_cast<int64_t>(first) * own.w, end = static_cast<int64_t>(last) * own.w;
    std::fill(out.explained + begin, out.explained + end, uint8_t{0});
    for (int64_t next = begin; next < end;) {
        int count = take(own, next, end, block);
        for (size_t k = 0; k < passages.size() && count > 0; ++k) {
            const Plane there = frames.plane(earlier[k]);
            const float* their_pitch_m = out.pitch_m + earlier[k] * area;
            const uint8_t* their_rgb = out.rgb + 3 * earlier[k] * area;
            FOURD_CALL(isa, compare, (passages[k], there, rules.tolerance, count, block, near));
            int left = 0;
            for (int i = 0; i < count; ++i) {
                const int64_t at = block.index[i];
                const int pixel = block.sight.pixel[i];
                const bool same = near[i] == 1 || (near[i] == 2 && shown(there, block, i, rgb + 3 * at,
                                                                         their_rgb + 3 * pixel, rules));
                if (same && their_pitch_m[pixel] <= rules.coarse * pitch_m[at]) {
                    out.explained[at] = 1;
                    pitch_m[at] = their_pitch_m[pixel];
                    continue;
                }
                block.x[left] = block.x[i];
                block.y[left] = block.y[i];
                block.inverse[left] = block.inverse[i];
                block.sure[left] = block.sure[i];
                block.index[left++] = at;
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
        // No point lies between the pixels of a frame that is one wide or high: none is asked.
        if (frames.h > 1 && frames.w > 1) passages.push_back(frames.passage(from, k));
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
