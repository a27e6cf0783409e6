// Every pixel of a frame looks into other frames: do they see its point too?
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "frames.h"
#include "fusion.h"
#include "isa.h"
#include "module.h"
#include "parallel.h"
#include "sight.h"

namespace fourd {
namespace {

// Pixels of a row that look into other frames, and what those say.
struct alignas(64) Row {
    float inverse[kSight];
    float support[kSight], contradiction[kSight], off[kSight];
    Sight<kSight> sights[2];  // Of the frame that is asked, and of the next.
};

// Where another frame sees the pixels from (x, y) on.
FOURD_INLINE void aim_row_body(const Passage& passage, const Plane& there, float x, float y, int count,
                               int turn, Row& row) {
    const Passage p = passage;
    const int h = there.h, w = there.w;
    Sight<kSight>& s = row.sights[turn];
    for (int i = 0; i < count; ++i) put(s, i, land(p, x + static_cast<float>(i), y, row.inverse[i], h, w), w);
    send_for(there, count, s);
}

FOURD_DISPATCH(aim_row,
               (const Passage& passage, const Plane& there, float x, float y, int count, int turn, Row& row),
               (passage, there, x, y, count, turn, row))

FOURD_INLINE void ask_row_body(const Plane& there, float tolerance, int count, int turn, Row& row) {
    Sight<kSight>& s = row.sights[turn];
    fetch(there, count, s);
    for (int i = 0; i < count; ++i) {
        const Glimpse eye = perceive(s, i);
        const float inverse = row.inverse[i], apart = s.ratio[i] * eye.seen - inverse;
        const int says =
            opinion(apart, s.ratio[i] * eye.nearest - inverse, allowed(tolerance, 1.0f, eye.sure) * inverse);
        row.support[i] += says == kAgrees ? eye.sure : 0.0f;
        row.off[i] += says == kAgrees ? eye.sure * apart : 0.0f;  // Who does not agree may be NaN.
        row.contradiction[i] += says == kContradicts ? eye.sure : 0.0f;
    }
}

FOURD_DISPATCH(ask_row, (const Plane& there, float tolerance, int count, int turn, Row& row),
               (there, tolerance, count, turn, row))

// Sets out, and says whether any pixel stands still.
FOURD_INLINE void begin_row_body(const float* inverse, const uint8_t* sure, int count, Row& row, bool& any) {
    int most = 0;
    for (int i = 0; i < count; ++i) most = most > sure[i] ? most : sure[i];
    any = most > 0;
    for (int i = 0; i < count; ++i) {
        row.inverse[i] = fabsf(inverse[i]);
        row.support[i] = row.contradiction[i] = row.off[i] = 0.0f;
    }
}

FOURD_DISPATCH(begin_row, (const float* inverse, const uint8_t* sure, int count, Row& row, bool& any),
               (inverse, sure, count, row, any))

// What comes of it. Of pixels that do not stand still nothing was asked.
FOURD_INLINE void end_row_body(const float* inverse, const uint8_t* sure, int count, Row& row,
                               float* __restrict fused) {
    for (int i = 0; i < count; ++i) {
        const float mine = static_cast<float>(sure[i]) * (1.0f / 255.0f);
        const bool asked = sure[i] != 0;
        const float moved = row.inverse[i] + row.off[i] / (mine + row.support[i]);
        fused[i] = !asked ? inverse[i] : inverse[i] > 0 ? moved : -moved;
        row.support[i] = asked ? row.support[i] : 0.0f;
        row.contradiction[i] = asked ? row.contradiction[i] : 0.0f;
    }
}

FOURD_DISPATCH(end_row, (const float* inverse, const uint8_t* sure, int count, Row& row, float* fused),
               (inverse, sure, count, row, fused))

// Who is left: nobody of whom too many frames say that they look through it.
FOURD_INLINE void judge_row_body(const uint8_t* sure, float share, int count, const Row& row,
                                 uint8_t* __restrict left) {
    for (int i = 0; i < count; ++i) {
        const float seen = row.support[i] + static_cast<float>(sure[i]) * (1.0f / 255.0f);
        left[i] = static_cast<uint8_t>(outvoted(row.contradiction[i], seen, share) ? 0 : sure[i]);
    }
}

FOURD_DISPATCH(judge_row, (const uint8_t* sure, float share, int count, const Row& row, uint8_t* left),
               (sure, share, count, row, left))

// Some pixels of row `y`, from column `x` on, are asked about; `row` holds the answers.
void ask_others(const Frames& frames, int64_t from, const std::vector<int64_t>& others,
                const std::vector<Passage>& passages, float tolerance, int y, int x, int count, Isa isa,
                Row& row, float* fused) {
    const Plane own = frames.plane(from);
    const int64_t at = static_cast<int64_t>(y) * own.w + x;
    bool any;
    FOURD_CALL(isa, begin_row, (own.inverse + at, own.sure + at, count, row, any));
    const size_t asked = any ? passages.size() : 0;
    for (size_t k = 0; k <= asked; ++k) {  // The next is sent for before the last is asked.
        const int turn = static_cast<int>(k & 1);
        if (k < asked)
            FOURD_CALL(isa, aim_row,
                       (passages[k], frames.plane(others[k]), static_cast<float>(x) + 0.5f,
                        static_cast<float>(y) + 0.5f, count, turn, row));
        if (k > 0) FOURD_CALL(isa, ask_row, (frames.plane(others[k - 1]), tolerance, count, 1 - turn, row));
    }
    FOURD_CALL(isa, end_row, (own.inverse + at, own.sure + at, count, row, fused));
}

// Rows of `count` frames in parts of some thousand pixels; the body gets a frame, a row, and where in it some
// pixels begin and how many.
template <class Body>
void by_rows(const Frames& frames, int64_t count, int threads, Body&& body) {
    const int step = std::max(1, 4096 / std::max(frames.w, 1)), parts = (frames.h + step - 1) / step;
    parallel_for(count * parts, threads, [&](int64_t part) {
        const int first = static_cast<int>(part % parts) * step, last = std::min(frames.h, first + step);
        for (int y = first; y < last; ++y)
            for (int x = 0; x < frames.w; x += kSight)
                body(part / parts, y, x, std::min(kSight, frames.w - x));
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
    const Isa isa = best_isa();
    const nb::gil_scoped_release release;
    by_rows(frames, 1, threads, [&](int64_t, int y, int x, int count) {
        Row row;
        const int64_t at = static_cast<int64_t>(y) * frames.w + x;
        ask_others(frames, frame, others, passages, tolerance, y, x, count, isa, row, fused.data() + at);
        std::copy_n(row.support, count, support.data() + at);
        std::copy_n(row.contradiction, count, contradiction.data() + at);
    });
}

void agree(Array<const float, nb::ndim<3>> inverse, Array<const uint8_t, nb::ndim<3>> sure,
           Array<const float, nb::shape<-1, 3, 3>> K, Array<const float, nb::shape<-1, 4, 4>> world_from_cam,
           const std::vector<std::vector<int64_t>>& others, float tolerance, float share,
           Array<float, nb::ndim<3>> fused, Array<uint8_t, nb::ndim<3>> left, int threads) {
    const Frames frames = frames_of(inverse, sure, K, world_from_cam);
    for (size_t axis : {0, 1, 2})
        if (fused.shape(axis) != inverse.shape(axis) || left.shape(axis) != inverse.shape(axis))
            throw std::invalid_argument("the maps differ in size");
    if (others.size() != inverse.shape(0)) throw std::invalid_argument("there is no list for every frame");
    std::vector<std::vector<Passage>> passages;
    for (int64_t k = 0; k < frames.count; ++k)
        passages.push_back(passages_of(frames, k, others[static_cast<size_t>(k)]));
    const Isa isa = best_isa();
    const nb::gil_scoped_release release;
    by_rows(frames, frames.count, threads, [&](int64_t frame, int y, int x, int count) {
        Row row;
        const size_t k = static_cast<size_t>(frame);
        const int64_t at = (frame * frames.h + y) * frames.w + x;
        ask_others(frames, frame, others[k], passages[k], tolerance, y, x, count, isa, row,
                   fused.data() + at);
        FOURD_CALL(isa, judge_row, (frames.sure + at, share, count, row, left.data() + at));
    });
}

}  // namespace

void bind_consistency(nb::module_& m) {
    m.def("consistency", &consistency, nb::arg("inverse"), nb::arg("sure"), nb::arg("K"),
          nb::arg("world_from_cam"), nb::arg("frame"), nb::arg("others"), nb::arg("tolerance"),
          nb::arg("fused"), nb::arg("support"), nb::arg("contradiction"), nb::arg("threads"),
          "What other frames say of every pixel of one.");
    m.def("agree", &agree, nb::arg("inverse"), nb::arg("sure"), nb::arg("K"), nb::arg("world_from_cam"),
          nb::arg("others"), nb::arg("tolerance"), nb::arg("share"), nb::arg("fused"), nb::arg("left"),
          nb::arg("threads"),
          "Where frames see the pixels of all of them in the mean, and who is left of these.");
}

}  // namespace fourd
