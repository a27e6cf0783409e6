// One moment of a scene that lives in time, as one camera sees it: the splats that are alive then and in
// view, laid together in their order for a rasterizer that knows nothing of time.
//
// Two passes: the first marks what is kept, torch adds the marks up, and the second writes each splat to the
// place that the sum says. So the order, and every bit, is the same however the threads run.
#include "grid.h"
#include "sh.h"
#include "splat.h"

using namespace fourd;

// kept[i] = 1 if splat i shows in the picture, else 0.
extern "C" __global__ void slice_mark(const float* mean_m, const float* quat_wxyz, const float* scale_m,
                                      const float* opacity, const float* velocity_mps, const float* time_s,
                                      const float* duration_s, const float* K, const float* world_from_cam,
                                      int64_t n, int64_t h, int64_t w, double at_s, float eps2d_px,
                                      float near_m, int32_t* kept) {
    const int64_t i = global_thread();
    if (i >= n) return;
    kept[i] = 0;
    // In double precision: an hour into a clip a float is good to a quarter of a millisecond only.
    const float dt_s = (float)(at_s - (double)time_s[i]);
    // Most of a long scene is dead at any moment. Of those splats nothing but their life is read.
    if (!(opacity_at(opacity[i], dt_s, duration_s[i]) >= kAlphaMin)) return;
    const Moment m = at_moment(mean_m + 3 * i, velocity_mps + 3 * i, opacity[i], dt_s, duration_s[i]);
    const Camera c = make_camera(K, world_from_cam, (int)h, (int)w, eps2d_px, near_m);
    kept[i] = project(c, m, quat_wxyz + 4 * i, scale_m + 3 * i).visible ? 1 : 0;
}

// `place` is the running sum of `kept`.
extern "C" __global__ void slice_take(const float* mean_m, const float* quat_wxyz, const float* scale_m,
                                      const float* opacity, const float* colour, const float* velocity_mps,
                                      const float* time_s, const float* duration_s,
                                      const float* world_from_cam, int64_t n, int64_t k, double at_s,
                                      const int32_t* place, float* out_mean_m, float* out_quat_wxyz,
                                      float* out_scale_m, float* out_opacity, float* out_rgb,
                                      int64_t* out_index) {
    const int64_t i = global_thread();
    if (i >= n) return;
    const int32_t before = i > 0 ? place[i - 1] : 0;
    if (place[i] == before) return;
    const int64_t o = before;
    const float dt_s = (float)(at_s - (double)time_s[i]);
    const Moment m = at_moment(mean_m + 3 * i, velocity_mps + 3 * i, opacity[i], dt_s, duration_s[i]);
    const float mean[3] = {m.x, m.y, m.z};
    for (int a = 0; a < 3; ++a) {
        out_mean_m[3 * o + a] = mean[a];
        out_scale_m[3 * o + a] = scale_m[3 * i + a];
    }
    for (int a = 0; a < 4; ++a) out_quat_wxyz[4 * o + a] = quat_wxyz[4 * i + a];
    out_opacity[o] = m.opacity;
    float rgb[3];
    sh_colour(colour + 3 * k * i, (int)k, m.x - world_from_cam[3], m.y - world_from_cam[7],
              m.z - world_from_cam[11], rgb);
    for (int a = 0; a < 3; ++a) out_rgb[3 * o + a] = rgb[a];
    out_index[o] = i;
}
