// The rasterizer's way back as Python sees it.
#include <algorithm>
#include <cmath>

#include "arrays.h"
#include "module.h"
#include "parallel.h"

namespace fourd {
namespace {

constexpr size_t kEntriesAtOnce = size_t{1} << 21;  // Some 100 MB of sums at a time.

// False if the loss said NaN or infinity somewhere, which shall be seen in what comes out.
bool sound(const PictureGradients& in, const Camera& camera) {
    const size_t pixels = static_cast<size_t>(camera.h) * static_cast<size_t>(camera.w);
    float sum = 0;  // x * 0 is 0, unless x is NaN or infinity.
    for (size_t i = 0; i < 3 * pixels; ++i) sum += in.by_rgb[i] * 0.0f;
    for (size_t i = 0; i < pixels; ++i) sum += in.by_alpha[i] * 0.0f + in.by_depth_m[i] * 0.0f;
    return sum == 0;
}

}  // namespace

void rasterize_backward(const SplatArrays& splats, const Camera& camera, double time_s,
                        const PictureGradients& in, const SplatGradients& out, int threads, Isa isa) {
    const Buffer<Seen> sorted = sort_by_depth(project_splats(splats, camera, time_s, threads, isa), threads);
    Buffer<PixelSums> sums(sorted.size), entry_sums(0);
    std::fill_n(sums.data.get(), sums.size, PixelSums{});
    Tiler tiler(sorted, camera, threads, kEntriesAtOnce, true);
    for (TileLists lists; tiler.next(lists);)
        gather_pixels(sorted, lists, camera, in, entry_sums, sums, threads, isa);
    project_gradients(splats, camera, time_s, sorted, sums, out, sound(in, camera), threads, isa);
}

namespace {

using In3 = Three<const float>;
using Out3 = Three<float>;

void backward_arrays(In3 mean_m, Four<const float> quat_wxyz, In3 scale_m, Column<const float> opacity,
                     Colours<const float> colour, In3 velocity_mps, Column<const float> time_s,
                     Column<const float> duration_s, Matrix3<const float> K,
                     Matrix4<const float> world_from_cam, double at_s, float eps2d_px, float near_m,
                     Rgb<const float> rgb, Plane<const float> alpha, Plane<const float> depth_m,
                     Rgb<const float> by_rgb, Plane<const float> by_alpha, Plane<const float> by_depth_m,
                     Out3 by_mean, Four<float> by_quat, Out3 by_scale, Column<float> by_opacity,
                     Colours<float> by_colour, Out3 by_velocity, Column<float> by_time,
                     Column<float> by_duration, Matrix3<float> by_K, Matrix4<float> by_pose, int threads,
                     int isa) {
    const SplatArrays splats =
        splat_arrays(mean_m, quat_wxyz, scale_m, opacity, colour, velocity_mps, time_s, duration_s);
    const Camera camera = camera_of(K, world_from_cam, rgb, eps2d_px, near_m);
    if (by_rgb.shape(0) != rgb.shape(0) || by_rgb.shape(1) != rgb.shape(1))
        throw std::invalid_argument("the pictures differ in size");
    for (const auto& plane : {alpha, depth_m, by_alpha, by_depth_m}) same_size(camera, plane);
    const size_t n = mean_m.shape(0);
    for (size_t length : {by_mean.shape(0), by_quat.shape(0), by_scale.shape(0), by_opacity.shape(0),
                          by_colour.shape(0), by_velocity.shape(0), by_time.shape(0), by_duration.shape(0)})
        if (length != n) throw std::invalid_argument("the gradients differ in length from the splats");
    if (by_colour.shape(1) != colour.shape(1))
        throw std::invalid_argument("the colours' gradient differs in coefficients from the colours");
    check_threads(threads);
    const Isa chosen = chosen_isa(isa);
    const PictureGradients in{rgb.data(),    alpha.data(),    depth_m.data(),
                              by_rgb.data(), by_alpha.data(), by_depth_m.data()};
    const SplatGradients out{by_mean.data(),   by_quat.data(),     by_scale.data(), by_opacity.data(),
                             by_colour.data(), by_velocity.data(), by_time.data(),  by_duration.data(),
                             by_K.data(),      by_pose.data()};
    const nb::gil_scoped_release release;
    rasterize_backward(splats, camera, at_s, in, out, threads, chosen);
}

}  // namespace

void bind_rasterize_backward(nb::module_& m) {
    m.def("rasterize_backward", &backward_arrays,
          "Fill gradients from the pictures that `rasterize` drew and a loss's derivatives by "
          "them. "
          "The arguments are those of `rasterize`, then rgb, alpha, depth_m, their derivatives, and the "
          "gradients "
          "in the order of the inputs.",
          nb::arg("mean_m"), nb::arg("quat_wxyz"), nb::arg("scale_m"), nb::arg("opacity"), nb::arg("colour"),
          nb::arg("velocity_mps"), nb::arg("time_s"), nb::arg("duration_s"), nb::arg("K"),
          nb::arg("world_from_cam"), nb::arg("at_s"), nb::arg("eps2d_px"), nb::arg("near_m"), nb::arg("rgb"),
          nb::arg("alpha"), nb::arg("depth_m"), nb::arg("by_rgb"), nb::arg("by_alpha"), nb::arg("by_depth_m"),
          nb::arg("by_mean"), nb::arg("by_quat"), nb::arg("by_scale"), nb::arg("by_opacity"),
          nb::arg("by_colour"), nb::arg("by_velocity"), nb::arg("by_time"), nb::arg("by_duration"),
          nb::arg("by_K"), nb::arg("by_pose"), nb::arg("threads"), nb::arg("isa") = -1);
}

}  // namespace fourd
