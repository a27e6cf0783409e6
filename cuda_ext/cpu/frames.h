// Frames whose pixels look into each other, as they come from Python.
#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstdint>
#include <stdexcept>
#include <vector>

#include "fusion.h"

namespace fourd {

constexpr int kSight = 128;  // Pixels that look together.

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

namespace nb = nanobind;

template <class T, class Shape>
using Array = nb::ndarray<T, Shape, nb::c_contig, nb::device::cpu>;

inline Frames frames_of(const Array<const float, nb::ndim<3>>& inverse,
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

// The ways from the pixels of a frame to those of others.
inline std::vector<Passage> passages_of(const Frames& frames, int64_t from,
                                        const std::vector<int64_t>& others) {
    if (from < 0 || from >= frames.count) throw std::invalid_argument("there is no such frame");
    std::vector<Passage> passages;
    for (int64_t k : others) {
        if (k < 0 || k >= frames.count) throw std::invalid_argument("there is no such other frame");
        // No point lies between the pixels of a frame that is one wide or high: none is asked.
        if (frames.h > 1 && frames.w > 1) passages.push_back(frames.passage(from, k));
    }
    return passages;
}

}  // namespace fourd
