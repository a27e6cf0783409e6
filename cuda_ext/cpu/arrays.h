// The rasterizer's arrays as they come from Python, and the checks that keep it within them.
#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <stdexcept>

#include "raster.h"

namespace fourd {

namespace nb = nanobind;

template <class T, class Shape>
using Array = nb::ndarray<T, Shape, nb::c_contig, nb::device::cpu>;
template <class T>
using Column = Array<T, nb::ndim<1>>;
template <class T>
using Three = Array<T, nb::shape<-1, 3>>;
template <class T>
using Four = Array<T, nb::shape<-1, 4>>;
template <class T>
using Colours = Array<T, nb::shape<-1, -1, 3>>;
template <class T>
using Plane = Array<T, nb::ndim<2>>;
template <class T>
using Rgb = Array<T, nb::shape<-1, -1, 3>>;
template <class T>
using Matrix3 = Array<T, nb::shape<3, 3>>;
template <class T>
using Matrix4 = Array<T, nb::shape<4, 4>>;

inline SplatArrays splat_arrays(const Three<const float>& mean_m, const Four<const float>& quat_wxyz,
                                const Three<const float>& scale_m, const Column<const float>& opacity,
                                const Colours<const float>& colour, const Three<const float>& velocity_mps,
                                const Column<const float>& time_s, const Column<const float>& duration_s) {
    const size_t n = mean_m.shape(0), k = colour.shape(1);
    for (size_t length : {quat_wxyz.shape(0), scale_m.shape(0), opacity.shape(0), colour.shape(0),
                          velocity_mps.shape(0), time_s.shape(0), duration_s.shape(0)})
        if (length != n) throw std::invalid_argument("the arrays of splats differ in length");
    if (k != 1 && k != 4 && k != 9 && k != 16)
        throw std::invalid_argument("colour must have 1, 4, 9 or 16 coefficients");
    if (n > INT32_MAX) throw std::invalid_argument("more splats than an int32 can number");
    return SplatArrays{mean_m.data(),           quat_wxyz.data(),    scale_m.data(), opacity.data(),
                       colour.data(),           velocity_mps.data(), time_s.data(),  duration_s.data(),
                       static_cast<int64_t>(n), static_cast<int>(k)};
}

// The camera of a picture of h x w pixels.
inline Camera camera_of(const Matrix3<const float>& K, const Matrix4<const float>& world_from_cam, int64_t h,
                        int64_t w, float eps2d_px, float near_m) {
    if (h < 1 || w < 1 || h > kMaxSide || w > kMaxSide)
        throw std::invalid_argument("sides must be 1 to 32767 pixels");
    return make_camera(K.data(), world_from_cam.data(), static_cast<int>(h), static_cast<int>(w), eps2d_px,
                       near_m);
}

template <class T>
Camera camera_of(const Matrix3<const float>& K, const Matrix4<const float>& world_from_cam, const Rgb<T>& rgb,
                 float eps2d_px, float near_m) {
    return camera_of(K, world_from_cam, static_cast<int64_t>(rgb.shape(0)),
                     static_cast<int64_t>(rgb.shape(1)), eps2d_px, near_m);
}

template <class T>
void same_size(const Camera& camera, const Array<T, nb::ndim<2>>& plane) {
    if (plane.shape(0) != static_cast<size_t>(camera.h) || plane.shape(1) != static_cast<size_t>(camera.w))
        throw std::invalid_argument("the pictures differ in size");
}

inline void check_threads(int threads) {
    if (threads < 1) throw std::invalid_argument("threads must be at least 1");
}

// isa: -1 for the best there is.
inline Isa chosen_isa(int isa) {
    if (isa > static_cast<int>(best_isa()))
        throw std::invalid_argument("this processor lacks that instruction set");
    return isa < 0 ? best_isa() : static_cast<Isa>(isa);
}

}  // namespace fourd
