// Dense stereo, one pixel and one plane at a time: a plane sweep (Collins, 1996), semi-global matching
// (Hirschmueller, 2008) and smoothing along edges (Min et al., 2014). fourd/native/sweep_reference.py says
// the whole.
#pragma once
#include "portable.h"

namespace fourd {

constexpr int kSweepChannels = 4;      // Three features and the validity.
constexpr float kSweepUnknown = 0.5f;  // Cost where there is nothing to compare with.

// What a pixel of the reference, at infinity, is in another view: homogeneous.
FOURD_HD void sweep_far(const float* turn, float x, float y, float far[3]) {
    for (int k = 0; k < 3; ++k) far[k] = turn[3 * k] * x + turn[3 * k + 1] * y + turn[3 * k + 2];
}

// Where it falls in that view on the plane of inverse depth `rho`, from the centre of the first pixel.
FOURD_HD void sweep_place(const float far[3], const float* shift, float rho, float& u, float& v) {
    const float z = far[2] + rho * shift[2];
    // Behind the camera there is no picture: the place is put outside of it, and is not a number.
    const float inverse = z > 1e-6f ? 1.0f / z : as_float(0x7fc00000);
    u = (far[0] + rho * shift[0]) * inverse - 0.5f;
    v = (far[1] + rho * shift[1]) * inverse - 0.5f;
}

// Cost of matching features f of the reference with what a view [h, w, 4] shows at (u, v): 0 to 1.
FOURD_HD float sweep_cost(const float* features, int h, int w, const float f[3], float truncation, float u,
                          float v) {
    // Not a number fails too.
    if (!(u >= 0 && u < (float)(w - 1) && v >= 0 && v < (float)(h - 1))) return kSweepUnknown;
    const int x0 = (int)u, y0 = (int)v;
    const float fx = u - (float)x0, fy = v - (float)y0;
    const float* top = features + ((int64_t)y0 * w + x0) * kSweepChannels;
    const float* low = top + (int64_t)w * kSweepChannels;
    float seen[kSweepChannels];
    for (int k = 0; k < kSweepChannels; ++k) {
        const float a = top[k] + fx * (top[k + kSweepChannels] - top[k]);
        const float b = low[k] + fx * (low[k + kSweepChannels] - low[k]);
        seen[k] = a + fy * (b - a);
    }
    if (!(seen[3] >= 0.9f)) return kSweepUnknown;
    const float sum = fabsf(seen[0] - f[0]) + fabsf(seen[1] - f[1]) + fabsf(seen[2] - f[2]);
    return sum < truncation ? sum / truncation : 1.0f;  // Not a number counts as a mismatch.
}

// Leaves the lower of the two in `held` and the higher in `value`.
FOURD_HD void sweep_exchange(float& held, float& value) {
    const float less = value < held ? value : held;
    value = value < held ? held : value;
    held = less;
}

FOURD_HD uint8_t sweep_quantise(float sum, int keep) {
    return (uint8_t)(sum * (255.0f / (float)keep) + 0.5f);
}

// One step of a path: L(p, i) = C(p, i) + min(L(q, i), L(q, i -+ 1) + p1, min L(q) + p2) - min L(q).
// `before` points at L(q, i); on either side of the planes stands a wall that nothing wins from.
FOURD_HD int16_t sgm_step(uint8_t cost, const int16_t* before, int16_t least, int16_t p1, int16_t p2) {
    const int16_t jump = (int16_t)(least + p2);
    const int16_t beside = (int16_t)((before[-1] < before[1] ? before[-1] : before[1]) + p1);
    const int16_t best = beside < before[0] ? beside : before[0];
    return (int16_t)(cost + (jump < best ? jump : best) - least);
}

constexpr int16_t kSgmWall = 16383;

// The winner of a pixel's d planes, refined by a parabola through it and its neighbours, and its lead over
// the best plane that is not within two of it.
FOURD_HD void sgm_choose(const uint16_t* sum, int d, float& plane, float& lead, int& winner) {
    int best = 0;
    for (int i = 1; i < d; ++i)
        if (sum[i] < sum[best]) best = i;
    float offset = 0;
    if (best > 0 && best < d - 1) {
        const float a = sum[best - 1], b = sum[best], c = sum[best + 1];
        const float bend = a - 2 * b + c;
        if (bend > 0) offset = 0.5f * (a - c) / bend;
    }
    int second = 65535;
    for (int i = 0; i < d; ++i)
        if (i < best - 2 || i > best + 2) second = sum[i] < second ? sum[i] : second;
    plane = (float)best + offset;
    lead = d > 5 ? (float)(second - sum[best]) / (4 * 255.0f) : 0.0f;
    winner = best;
}

// The pivot of one step of Thomas' algorithm for (1 + strength x Laplacian) u = u along a line: `ahead` and
// `behind` are strength x the weights of the two edges, 0 at the ends; `upper_before` is what the step before
// kept.
FOURD_HD float smooth_pivot(float ahead, float behind, float upper_before) {
    return 1 + ahead + behind - behind * upper_before;
}

// The whole step forward; `upper` is what is kept for the way back.
FOURD_HD void smooth_step(float& here, float ahead, float behind, float before, float upper_before,
                          float& upper) {
    const float pivot = smooth_pivot(ahead, behind, upper_before);
    here = (here + behind * before) / pivot;
    upper = ahead / pivot;
}

}  // namespace fourd
