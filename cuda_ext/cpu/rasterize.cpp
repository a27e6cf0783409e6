// The rasterizer as Python sees it: arrays in, pictures out.
#include "arrays.h"
#include "module.h"

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

void rasterize_arrays(Three<const float> mean_m, Four<const float> quat_wxyz, Three<const float> scale_m,
                      Column<const float> opacity, Colours<const float> colour,
                      Three<const float> velocity_mps, Column<const float> time_s,
                      Column<const float> duration_s, Matrix3<const float> K,
                      Matrix4<const float> world_from_cam, double at_s, float eps2d_px, float near_m,
                      Rgb<float> rgb, Plane<float> alpha, Plane<float> depth_m, Plane<float> median_m,
                      Plane<int32_t> index, int threads, int isa) {
    const SplatArrays splats =
        splat_arrays(mean_m, quat_wxyz, scale_m, opacity, colour, velocity_mps, time_s, duration_s);
    const Camera camera = camera_of(K, world_from_cam, rgb, eps2d_px, near_m);
    for (const auto& plane : {alpha, depth_m, median_m}) same_size(camera, plane);
    same_size(camera, index);
    check_threads(threads);
    const Isa chosen = chosen_isa(isa);
    const Pictures out{rgb.data(), alpha.data(), depth_m.data(), median_m.data(), index.data()};
    const nb::gil_scoped_release release;
    rasterize(splats, camera, at_s, out, threads, chosen);
}

}  // namespace

void bind_rasterize(nb::module_& m) {
    bind_rasterize_backward(m);
    bind_contribution(m);
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
