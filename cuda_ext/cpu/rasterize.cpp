// The rasterizer as Python sees it: arrays in, pictures out.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <stdexcept>

#include "module.h"
#include "raster.h"

namespace nb = nanobind;

namespace fourd {

Isa best_isa() {
#if FOURD_HAS_AVX
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return Isa::kAvx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
        return Isa::kAvx2;
#endif
    return Isa::kBaseline;
}

void rasterize(const SplatArrays& splats, const Camera& camera, double time_s, const Pictures& out,
               int threads, Isa isa) {
    const Buffer<Seen> sorted = sort_by_depth(project_splats(splats, camera, time_s, threads, isa), threads);
    Tiler tiler(sorted, camera, threads);
    for (TileLists lists; tiler.next(lists);) blend_tiles(sorted, lists, camera, out, threads, isa);
}

namespace {

template <class T, class Shape>
using Array = nb::ndarray<T, Shape, nb::c_contig, nb::device::cpu>;
using Column = Array<const float, nb::ndim<1>>;
using Three = Array<const float, nb::shape<-1, 3>>;
using Four = Array<const float, nb::shape<-1, 4>>;
using Colours = Array<const float, nb::shape<-1, -1, 3>>;

void rasterize_arrays(Three mean_m, Four quat_wxyz, Three scale_m, Column opacity, Colours colour,
                      Three velocity_mps, Column time_s, Column duration_s,
                      Array<const float, nb::shape<3, 3>> K,
                      Array<const float, nb::shape<4, 4>> world_from_cam, double at_s, float eps2d_px,
                      float near_m, Array<float, nb::shape<-1, -1, 3>> rgb, Array<float, nb::ndim<2>> alpha,
                      Array<float, nb::ndim<2>> depth_m, Array<float, nb::ndim<2>> median_m,
                      Array<int32_t, nb::ndim<2>> index, int threads, int isa) {
    const size_t n = mean_m.shape(0), h = rgb.shape(0), w = rgb.shape(1), k = colour.shape(1);
    for (size_t length : {quat_wxyz.shape(0), scale_m.shape(0), opacity.shape(0), colour.shape(0),
                          velocity_mps.shape(0), time_s.shape(0), duration_s.shape(0)})
        if (length != n) throw std::invalid_argument("the arrays of splats differ in length");
    if (k != 1 && k != 4 && k != 9 && k != 16)
        throw std::invalid_argument("colour must have 1, 4, 9 or 16 coefficients");
    if (n > INT32_MAX) throw std::invalid_argument("more splats than an int32 can number");
    if (h < 1 || w < 1 || h > kMaxSide || w > kMaxSide)
        throw std::invalid_argument("sides must be 1 to 32767 pixels");
    for (size_t side : {alpha.shape(0), depth_m.shape(0), median_m.shape(0), index.shape(0)})
        if (side != h) throw std::invalid_argument("the pictures differ in height");
    for (size_t side : {alpha.shape(1), depth_m.shape(1), median_m.shape(1), index.shape(1)})
        if (side != w) throw std::invalid_argument("the pictures differ in width");
    if (threads < 1) throw std::invalid_argument("threads must be at least 1");
    if (isa > static_cast<int>(best_isa()))
        throw std::invalid_argument("this processor lacks that instruction set");
    const SplatArrays splats{mean_m.data(),           quat_wxyz.data(),    scale_m.data(), opacity.data(),
                             colour.data(),           velocity_mps.data(), time_s.data(),  duration_s.data(),
                             static_cast<int64_t>(n), static_cast<int>(k)};
    const Camera camera = make_camera(K.data(), world_from_cam.data(), static_cast<int>(h),
                                      static_cast<int>(w), eps2d_px, near_m);
    const Pictures out{rgb.data(), alpha.data(), depth_m.data(), median_m.data(), index.data()};
    const nb::gil_scoped_release release;
    rasterize(splats, camera, at_s, out, threads, isa < 0 ? best_isa() : static_cast<Isa>(isa));
}

}  // namespace

void bind_rasterize(nb::module_& m) {
    m.def("rasterize", &rasterize_arrays, nb::arg("mean_m"), nb::arg("quat_wxyz"), nb::arg("scale_m"),
          nb::arg("opacity"), nb::arg("colour"), nb::arg("velocity_mps"), nb::arg("time_s"),
          nb::arg("duration_s"), nb::arg("K"), nb::arg("world_from_cam"), nb::arg("at_s"),
          nb::arg("eps2d_px"), nb::arg("near_m"), nb::arg("rgb"), nb::arg("alpha"), nb::arg("depth_m"),
          nb::arg("median_m"), nb::arg("index"), nb::arg("threads"), nb::arg("isa") = -1,
          "Draw splats into the given pictures. isa: -1 the best there is, 0 baseline, 1 AVX2, 2 AVX-512.");
    m.def(
        "best_isa", [] { return static_cast<int>(best_isa()); },
        "The best instruction set that there is here.");
}

}  // namespace fourd
