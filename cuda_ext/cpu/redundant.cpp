// Every pixel of a frame looks into earlier ones: has one of them shown it already?
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "frames.h"
#include "fusion.h"
#include "isa.h"
#include "module.h"
#include "parallel.h"
#include "sight.h"
#include "witness.h"

namespace fourd {
namespace {

constexpr int kPart = 2048;  // Pixels that one thread takes at a time.

struct Rules {
    float tolerance, coarse, alike;
};

struct Shown {
    const uint8_t* rgb;  // [m, h, w, 3]
    float* pitch_m;      // [m, h, w], that of the disc which shows the pixel
    uint8_t* explained;  // [h, w]
};

// Pixels of one frame of which it is not known yet whether another shows them.
struct alignas(64) Open {
    float x[kPart], y[kPart], inverse[kPart], sure[kPart], pitch_m[kPart];
    int32_t index[kPart];
};

// A few of them, from `begin` on, that look into another frame.
struct alignas(64) Look {
    int begin, count;
    Sight<kSight> sight;
    float theirs_m[kSight];  // The pitch of who they meet.
    int verdict[kSight];     // 1: shown; 2: to be compared more closely; 0: not shown.
};

FOURD_INLINE void set_out_body(const Passage& passage, const Plane& there, const float* pitch_m,
                               const Open& open, Look& look, bool& any) {
    const Passage p = passage;
    const int h = there.h, w = there.w, begin = look.begin, count = look.count;
    int inside = 0;
    for (int i = 0; i < count; ++i) {
        const int at = begin + i;
        const Landing landing = land(p, open.x[at], open.y[at], open.inverse[at], h, w);
        put(look.sight, i, landing, w);
        inside |= landing.inside;
    }
    any = inside != 0;
    if (!any) return;
    send_for(there, count, look.sight);
    for (int i = 0; i < count; i += kLine) FOURD_PREFETCH(pitch_m + look.sight.pixel[i]);
}

FOURD_DISPATCH(set_out,
               (const Passage& passage, const Plane& there, const float* pitch_m, const Open& open,
                Look& look, bool& any),
               (passage, there, pitch_m, open, look, any))

FOURD_INLINE void compare_body(const Plane& there, const float* pitch_m, const Rules& rules, const Open& open,
                               Look& look) {
    const Rules r = rules;
    const int begin = look.begin, count = look.count;
    fetch(there, count, look.sight);
    for (int i = 0; i < count; ++i) look.theirs_m[i] = pitch_m[look.sight.pixel[i]];
    for (int i = 0; i < count; ++i) {
        const int at = begin + i;
        const Glimpse eye = perceive(look.sight, i);
        const float inverse = open.inverse[at], apart = look.sight.ratio[i] * eye.seen - inverse;
        const float limit = allowed(r.tolerance, open.sure[at], eye.sure) * inverse;
        const bool closely = (fabsf(apart) < 3 * limit) | (apart < 0);
        const bool may = (eye.sure > 0) & (look.theirs_m[i] <= r.coarse * open.pitch_m[at]);
        look.verdict[i] = may ? (fabsf(apart) < limit ? 1 : closely ? 2 : 0) : 0;
    }
}

FOURD_DISPATCH(compare,
               (const Plane& there, const float* pitch_m, const Rules& rules, const Open& open, Look& look),
               (there, pitch_m, rules, open, look))

// What `compare` left open.
bool shown(const Plane& there, const Open& open, const Look& look, int i, const uint8_t* rgb,
           const uint8_t* their_rgb, const Rules& rules) {
    const int at = look.begin + i, pixel = look.sight.pixel[i];
    const Glimpse eye = perceive(look.sight, i);
    const float sure = open.sure[at], inverse = open.inverse[at], ratio = look.sight.ratio[i];
    const float apart = ratio * eye.seen - inverse;
    const float limit = allowed(rules.tolerance, sure, eye.sure) * inverse;
    return defers(apart, limit, sure, eye.sure, rgb + 3 * open.index[at], their_rgb + 3 * pixel,
                  rules.alike) ||
           (apart < 0 && stands_beside(there, pixel, ratio, inverse, limit));
}

// Adds `count` pixels of row `y`, from column `x` on, of which all stand still.
FOURD_INLINE void take_body(const float* inverse, const uint8_t* sure, const float* pitch_m, float x, float y,
                            int first, int count, int to, Open& open) {
    for (int i = 0; i < count; ++i) {
        open.x[to + i] = x + static_cast<float>(i);
        open.y[to + i] = y;
        open.inverse[to + i] = fabsf(inverse[i]);
        open.sure[to + i] = static_cast<float>(sure[i]) * (1.0f / 255.0f);
        open.pitch_m[to + i] = pitch_m[i];
        open.index[to + i] = first + i;
    }
}

FOURD_DISPATCH(take,
               (const float* inverse, const uint8_t* sure, const float* pitch_m, float x, float y, int first,
                int count, int to, Open& open),
               (inverse, sure, pitch_m, x, y, first, count, to, open))

// Takes the pixels from `begin` on that stand still; returns how many.
int take_all(const Plane& own, const float* pitch_m, int begin, int end, Isa isa, Open& open) {
    int count = 0;
    for (int at = begin; at < end;) {
        const uint8_t* sure = own.sure + at;
        if (!*sure) {
            ++at;
            continue;
        }
        // A run of pixels of one row.
        const int y = at / own.w, x = at - y * own.w, most = std::min(own.w - x, end - at);
        const void* stop = std::memchr(sure, 0, static_cast<size_t>(most));
        const int run = stop ? static_cast<int>(static_cast<const uint8_t*>(stop) - sure) : most;
        FOURD_CALL(isa, take,
                   (own.inverse + at, sure, pitch_m + at, static_cast<float>(x) + 0.5f,
                    static_cast<float>(y) + 0.5f, at, run, count, open));
        count += run;
        at += run;
    }
    return count;
}

// Takes `from` to the place `to` before it.
void keep(Open& open, int from, int to) {
    open.x[to] = open.x[from];
    open.y[to] = open.y[from];
    open.inverse[to] = open.inverse[from];
    open.sure[to] = open.sure[from];
    open.pitch_m[to] = open.pitch_m[from];
    open.index[to] = open.index[from];
}

// Settles who is shown of those that looked; the others go to `left` and on. Returns where these end.
int sift(const Plane& there, const uint8_t* rgb, const uint8_t* their_rgb, const Rules& rules,
         const Look& look, Open& open, int left, const Shown& out, float* pitch_m) {
    for (int i = 0; i < look.count; ++i) {
        const int from = look.begin + i;
        const int verdict = look.verdict[i];
        if (verdict == 1 || (verdict == 2 && shown(there, open, look, i, rgb, their_rgb, rules))) {
            out.explained[open.index[from]] = 1;
            pitch_m[open.index[from]] = look.theirs_m[i];
        } else {
            keep(open, from, left++);
        }
    }
    return left;
}

void redundant_part(const Frames& frames, int64_t from, const std::vector<int64_t>& earlier,
                    const std::vector<Passage>& passages, const Rules& rules, int begin, int end, Isa isa,
                    const Shown& out) {
    const Plane own = frames.plane(from);
    const int64_t area = static_cast<int64_t>(own.h) * own.w;
    const uint8_t* rgb = out.rgb + 3 * from * area;
    float* pitch_m = out.pitch_m + from * area;
    std::fill(out.explained + begin, out.explained + end, uint8_t{0});
    Open open;
    Look looks[2];
    int count = take_all(own, pitch_m, begin, end, isa, open);
    for (size_t k = 0; k < passages.size() && count > 0; ++k) {
        const Plane there = frames.plane(earlier[k]);
        const float* their_pitch_m = out.pitch_m + earlier[k] * area;
        const uint8_t* their_rgb = out.rgb + 3 * earlier[k] * area;
        int left = 0;
        bool any[2] = {};
        for (int at = 0, turn = 0; at < count + kSight; at += kSight, turn = 1 - turn) {
            if (at < count) {  // The next are sent out before those before them are asked.
                looks[turn].begin = at;
                looks[turn].count = std::min(kSight, count - at);
                FOURD_CALL(isa, set_out, (passages[k], there, their_pitch_m, open, looks[turn], any[turn]));
            }
            if (at == 0) continue;
            Look& look = looks[1 - turn];
            if (any[1 - turn]) {
                FOURD_CALL(isa, compare, (there, their_pitch_m, rules, open, look));
                left = sift(there, rgb, their_rgb, rules, look, open, left, out, pitch_m);
                continue;
            }
            for (int i = 0; i < look.count; ++i, ++left)
                if (left != look.begin + i) keep(open, look.begin + i, left);
        }
        count = left;
    }
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
    const int64_t area = static_cast<int64_t>(frames.h) * frames.w;
    if (area > INT32_MAX) throw std::invalid_argument("more pixels than an int32 can number");
    parallel_for((area + kPart - 1) / kPart, threads, [&](int64_t part) {
        redundant_part(frames, frame, earlier, passages, rules, static_cast<int>(part * kPart),
                       static_cast<int>(std::min(area, (part + 1) * kPart)), isa, out);
    });
}

}  // namespace

void bind_redundant(nb::module_& m) {
    m.def("redundant", &redundant, nb::arg("inverse"), nb::arg("sure"), nb::arg("rgb"), nb::arg("K"),
          nb::arg("world_from_cam"), nb::arg("frame"), nb::arg("earlier"), nb::arg("tolerance"),
          nb::arg("coarse"), nb::arg("alike"), nb::arg("pitch_m"), nb::arg("explained"), nb::arg("threads"),
          "Which pixels of a frame earlier ones show already.");
}

}  // namespace fourd
