// Fusion on CUDA: what cuda_ext/cpu/{planes,consistency,redundant,discs,evidence}.cpp do, with a thread for
// each pixel or point. Nobody writes where another reads, so there is nothing to lock and one result only.
#include "grid.h"
#include "witness.h"

using namespace fourd;

namespace {

constexpr int kReach = 2;           // As in planes.cpp.
constexpr float kFarthest = 1e12f;  // Infinity would be neither flat nor an edge.
constexpr float kByte = 1.0f / 255.0f;

struct Eye {
    float ratio, sure, seen, nearest;  // As in Sight of cuda_ext/cpu/sight.h.
    int pixel;
    Corner corner;
    bool flat;
};

// What stands where a point lands; false if it lands outside or where nothing is known.
__device__ bool look_at(const Plane& there, const Landing& at, Eye& eye) {
    if (!at.inside) return false;
    eye.pixel = pixel_of(at.x, at.y, there.w);
    eye.sure = (float)there.sure[eye.pixel] * kByte;
    if (!(eye.sure > 0)) return false;
    eye.corner = corner_of(at.x, at.y, there.w);
    const float* p = there.inverse + eye.corner.first;
    eye.seen = look(eye.corner, p[0], p[1], p[there.w], p[there.w + 1], eye.flat);
    eye.nearest = look_nearest(p[0], p[1], p[there.w], p[there.w + 1]);
    eye.ratio = at.ratio;
    return true;
}

__device__ Plane plane_of(const float* inverse, const uint8_t* sure, int64_t k, int64_t h, int64_t w) {
    Plane plane;
    plane.inverse = inverse + k * h * w;
    plane.sure = sure + k * h * w;
    plane.h = (int)h;
    plane.w = (int)w;
    return plane;
}

}  // namespace

// -- planes -------------------------------------------------------------------------------------------------

extern "C" __global__ void fusion_planes(const float* depth_m, const float* confidence, const uint8_t* still,
                                         const float* K, int64_t h, int64_t w, float* inverse, uint8_t* sure,
                                         float* pitch_m, uint8_t* jump) {
    const int64_t at = global_thread();
    if (at >= h * w) return;
    const int row = (int)(at / w), col = (int)(at % w);
    float nearest = depth_m[at], farthest = nearest;
    for (int r = row > kReach ? row - kReach : 0; r <= row + kReach && r < h; ++r)
        for (int c = col > kReach ? col - kReach : 0; c <= col + kReach && c < w; ++c) {
            nearest = min2(depth_m[r * w + c], nearest);
            farthest = max2(depth_m[r * w + c], farthest);
        }
    farthest = min2(farthest, kFarthest);
    const bool has_left = col > 0, has_right = col + 1 < w, has_above = row > 0, has_below = row + 1 < h;
    const float z = min2(depth_m[at], kFarthest);
    const float left = 1.0f / min2(depth_m[at - has_left], kFarthest);
    const float right = 1.0f / min2(depth_m[at + has_right], kFarthest);
    const float above = 1.0f / min2(depth_m[at - (has_above ? w : 0)], kFarthest);
    const float below = 1.0f / min2(depth_m[at + (has_below ? w : 0)], kFarthest);
    const Lens lens = make_lens(K);
    bool edge_x, edge_y;
    const float lean_x = lean_of(1 - z * left, z * right - 1, has_left, has_right, lens.inv_fx, edge_x);
    const float lean_y = lean_of(1 - z * above, z * below - 1, has_above, has_below, lens.inv_fy, edge_y);
    float ray[3], a[3], b[3];
    ray_through(lens, (float)col + 0.5f, (float)row + 0.5f, ray);
    patch(lens, ray, lean_x, lean_y, a, b);
    pitch_m[at] = z * pitch(a, b);
    inverse[at] = (farthest < kFlatRatio * nearest ? 1.0f : -1.0f) / z;
    jump[at] = edge_x | edge_y ? 1 : 0;
    // What is known at all is never taken for unknown.
    const float least = confidence[at] > 0 ? 1.0f : 0.0f;
    const int rounded = (int)max2(clamp(confidence[at], 0.0f, 1.0f) * 255.0f + 0.5f, least);
    sure[at] = (uint8_t)(still[at] != 0 ? rounded : 0);
}

// Marks the pixels at or beside a jump, and makes them coarser: whoever sees the surface there whole sees it
// better.
extern "C" __global__ void fusion_widen(const uint8_t* jump, int64_t h, int64_t w, float* pitch_m,
                                        uint8_t* edge) {
    const int64_t at = global_thread();
    if (at >= h * w) return;
    edge[at] = any_beside(jump, (int)h, (int)w, (int)(at / w), (int)(at % w)) ? 1 : 0;
    if (edge[at]) pitch_m[at] *= kBareCoarser;
}

// -- consistency and redundancy -----------------------------------------------------------------------------

// The ways from the pixels of a frame to those of `count` others: 12 numbers each.
extern "C" __global__ void fusion_passages(const float* K, const float* world_from_cam, int64_t frame,
                                           const int64_t* others, int64_t count, float* passages) {
    const int64_t k = global_thread();
    if (k >= count) return;
    const float* pose = world_from_cam + 16 * others[k];
    float back[16];
    for (int i = 0; i < 3; ++i) {
        double t = 0;
        for (int j = 0; j < 3; ++j) {
            back[4 * i + j] = pose[4 * j + i];
            t -= (double)pose[4 * j + i] * (double)pose[4 * j + 3];
        }
        back[4 * i + 3] = (float)t;
        back[12 + i] = 0;
    }
    back[15] = 1;
    const Passage p = make_passage(K + 9 * frame, world_from_cam + 16 * frame, K + 9 * others[k], back);
    for (int i = 0; i < 9; ++i) passages[12 * k + i] = p.turn[i];
    for (int i = 0; i < 3; ++i) passages[12 * k + 9 + i] = p.shift[i];
}

namespace {

__device__ Passage passage_of(const float* passages, int64_t k) {
    Passage p;
    for (int i = 0; i < 9; ++i) p.turn[i] = passages[12 * k + i];
    for (int i = 0; i < 3; ++i) p.shift[i] = passages[12 * k + 9 + i];
    return p;
}

}  // namespace

extern "C" __global__ void fusion_consistency(const float* inverse, const uint8_t* sure,
                                              const float* passages, const int64_t* others, int64_t count,
                                              int64_t frame, int64_t h, int64_t w, float tolerance,
                                              float* fused, float* support, float* contradiction) {
    const int64_t at = global_thread();
    if (at >= h * w) return;
    const Plane own = plane_of(inverse, sure, frame, h, w);
    fused[at] = own.inverse[at];
    support[at] = contradiction[at] = 0;
    if (own.sure[at] == 0) return;
    const float x = (float)(at % w) + 0.5f, y = (float)(at / w) + 0.5f, mine = fabsf(own.inverse[at]);
    float agrees = 0, contradicts = 0, off = 0;
    for (int64_t k = 0; k < count; ++k) {
        const Plane there = plane_of(inverse, sure, others[k], h, w);
        Eye eye;
        if (!look_at(there, land(passage_of(passages, k), x, y, mine, there.h, there.w), eye)) continue;
        const float apart = eye.ratio * eye.seen - mine;
        const int says =
            opinion(apart, eye.ratio * eye.nearest - mine, allowed(tolerance, 1.0f, eye.sure) * mine);
        if (says == kContradicts) contradicts += eye.sure;
        if (says != kAgrees) continue;
        agrees += eye.sure;
        off += eye.sure * apart;
    }
    const float moved = mine + off / ((float)own.sure[at] * kByte + agrees);
    fused[at] = own.inverse[at] > 0 ? moved : -moved;
    support[at] = agrees;
    contradiction[at] = contradicts;
}

extern "C" __global__ void fusion_left(const uint8_t* sure, const float* support, const float* contradiction,
                                       float share, int64_t h, int64_t w, uint8_t* left) {
    const int64_t at = global_thread();
    if (at >= h * w) return;
    left[at] = outvoted(contradiction[at], support[at] + (float)sure[at] * kByte, share) ? 0 : sure[at];
}

extern "C" __global__ void fusion_redundant(const float* inverse, const uint8_t* sure, const uint8_t* rgb,
                                            const float* passages, const int64_t* earlier, int64_t count,
                                            int64_t frame, int64_t h, int64_t w, float tolerance,
                                            float coarse, float alike, float* pitch_m, uint8_t* explained) {
    const int64_t at = global_thread();
    if (at >= h * w) return;
    explained[at] = 0;
    const Plane own = plane_of(inverse, sure, frame, h, w);
    if (own.sure[at] == 0) return;
    const float x = (float)(at % w) + 0.5f, y = (float)(at / w) + 0.5f, mine = fabsf(own.inverse[at]);
    const float my_sure = (float)own.sure[at] * kByte;
    const int64_t area = h * w;
    for (int64_t k = 0; k < count; ++k) {
        const Plane there = plane_of(inverse, sure, earlier[k], h, w);
        Eye eye;
        if (!look_at(there, land(passage_of(passages, k), x, y, mine, there.h, there.w), eye)) continue;
        const float apart = eye.ratio * eye.seen - mine;
        const float limit = allowed(tolerance, my_sure, eye.sure) * mine;
        bool same = fabsf(apart) < limit;
        if (!same && (fabsf(apart) < 3 * limit || apart < 0))
            same = defers(apart, limit, my_sure, eye.sure, rgb + 3 * (frame * area + at),
                          rgb + 3 * (earlier[k] * area + eye.pixel), alike) ||
                   (apart < 0 && stands_beside(there, eye.pixel, eye.ratio, mine, limit));
        const float theirs_m = pitch_m[earlier[k] * area + eye.pixel];
        if (same && theirs_m <= coarse * pitch_m[frame * area + at]) {
            explained[at] = 1;
            pitch_m[frame * area + at] = theirs_m;
            return;
        }
    }
}

// -- discs --------------------------------------------------------------------------------------------------

// `place` is the running sum of `wanted`.
extern "C" __global__ void fusion_discs(const float* depth_m, const float* place_m, const uint8_t* wanted,
                                        const uint8_t* edge, const uint8_t* rgb, const float* K,
                                        const float* world_from_cam, const int32_t* place, int64_t h,
                                        int64_t w, float sigma_px, float bare, float behind, float* mean_m,
                                        float* quat_wxyz, float* scale_m, float* out_rgb, float* soft_rgb,
                                        float* behind_m, uint8_t* backs) {
    const int64_t at = global_thread();
    if (at >= h * w || !wanted[at]) return;
    const int64_t to = place[at] - 1;
    const int row = (int)(at / w), col = (int)(at % w);
    const bool has_left = col > 0, has_right = col + 1 < w, has_above = row > 0, has_below = row + 1 < h;
    const Lens lens = make_lens(K);
    const float z = depth_m[at];
    bool unused;
    const float lean_x =
        lean(depth_m[at - has_left], z, depth_m[at + has_right], has_left, has_right, lens.inv_fx, unused);
    const float lean_y = lean(depth_m[at - (has_above ? w : 0)], z, depth_m[at + (has_below ? w : 0)],
                              has_above, has_below, lens.inv_fy, unused);
    float ray[3], a[3], b[3], wa[3], wb[3], wr[3], q[4], s[3];
    ray_through(lens, (float)col + 0.5f, (float)row + 0.5f, ray);
    patch(lens, ray, lean_x, lean_y, a, b);
    for (int k = 0; k < 3; ++k) {
        const float* R = world_from_cam + 4 * k;
        wa[k] = R[0] * a[0] + R[1] * a[1] + R[2] * a[2];
        wb[k] = R[0] * b[0] + R[1] * b[1] + R[2] * b[2];
        wr[k] = R[0] * ray[0] + R[1] * ray[1] + R[2];
    }
    disc(wa, wb, sigma_px, q, s);
    const bool is_bare = edge[at] != 0;
    const float depth = place_m[at], size = depth * (is_bare ? bare : 1.0f);
    const float distance = behind * size * s[0] / sqrtf(wr[0] * wr[0] + wr[1] * wr[1] + wr[2] * wr[2]);
    for (int k = 0; k < 3; ++k) {
        mean_m[3 * to + k] = world_from_cam[4 * k + 3] + depth * wr[k];
        scale_m[3 * to + k] = size * s[k];
        behind_m[3 * to + k] = distance * wr[k];
        out_rgb[3 * to + k] = (float)rgb[3 * at + k] / 255.0f;
    }
    for (int k = 0; k < 4; ++k) quat_wxyz[4 * to + k] = q[k];
    soft_colour(rgb, (int)h, (int)w, row, col, soft_rgb + 3 * to);
    backs[to] = !is_bare && row % 2 == 0 && col % 2 == 0 ? 1 : 0;
}

// -- evidence -----------------------------------------------------------------------------------------------

// Asks `views` frames about points first .. first + count - 1; `samples` has room for `count` a frame.
extern "C" __global__ void fusion_evidence(const float* mean_m, const float* radius_m, const float* own_rgb,
                                           const float* K, const float* cam_from_world, const uint8_t* rgb,
                                           const float* inverse, const uint8_t* sure, const float* pitch_m,
                                           int64_t first, int64_t count, int64_t views, int64_t h, int64_t w,
                                           float tolerance, float sigma_px, float same_colour,
                                           Sample* samples, float* support, float* contradiction,
                                           float* out_rgb, float* finest_m) {
    const int64_t lane = global_thread();
    if (lane >= count) return;
    const int64_t i = first + lane;
    float agrees = 0, contradicts = 0, finest = as_float(0x7f800000);  // Infinity.
    int found = 0;
    for (int64_t v = 0; v < views; ++v) {
        const Plane there = plane_of(inverse, sure, v, h, w);
        const Gaze gaze = make_gaze(K + 9 * v, cam_from_world + 16 * v);
        Eye eye;
        if (!look_at(there, land(gaze, mean_m[3 * i], mean_m[3 * i + 1], mean_m[3 * i + 2], there.h, there.w),
                     eye))
            continue;
        const int says = opinion(eye.ratio * eye.seen - 1.0f, eye.ratio * eye.nearest - 1.0f,
                                 allowed(tolerance, 1.0f, eye.sure));
        if (says == kContradicts) contradicts += eye.sure;
        if (says != kAgrees) continue;
        agrees += eye.sure;
        const uint8_t* first = rgb + 3 * (v * h * w + eye.corner.first);
        float seen[3];
        for (int k = 0; k < 3; ++k)
            seen[k] = between(eye.corner.a, eye.corner.b, (float)first[k], (float)first[3 + k],
                              (float)first[3 * w + k], (float)first[3 * w + 3 + k]);
        samples[found++ * count + lane] = {seen[0], seen[1], seen[2],
                                           acuity(radius_m[i], gaze.focal_px, eye.ratio, sigma_px, eye.sure)};
        if (eye.flat) finest = min2(pitch_m[v * h * w + eye.pixel], finest);
    }
    support[i] = agrees;
    contradiction[i] = contradicts;
    finest_m[i] = finest;
    if (found > 0)
        robust_mean(samples + lane, count, found, same_colour, out_rgb + 3 * i);
    else
        for (int k = 0; k < 3; ++k) out_rgb[3 * i + k] = own_rgb[3 * i + k];
}
