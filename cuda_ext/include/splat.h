// One splat: where it stands at a moment, and the ellipse that a pinhole camera sees of it.
//
// The projection is EWA splatting (Zwicker et al., 2001) as 3D Gaussian splatting uses it: the Jacobian of
// the perspective at the splat's centre maps its covariance into the picture, and a low-pass filter widens it
// there. The opacity shrinks in return, so that thin splats do not grow brighter (Yu et al., Mip-Splatting,
// 2024, eq. 8).
#pragma once
#include "portable.h"

namespace fourd {

constexpr float kAlphaMin = 1.0f / 255.0f;             // Fainter is invisible in 8 bits, and skipped.
constexpr float kLog2AlphaMin = -7.9943534368588578f;  // log2(1 / 255)
constexpr float kAlphaMax = 0.999f;                    // So that no single splat stops the light entirely.

// The camera, prepared once for a picture.
struct Camera {
    float R[9];  // cam_from_world, row-major.
    float t[3];
    float eye[3];  // The camera's centre in the world.
    float fx, fy, cx, cy, skew;
    float x_min, x_max, y_min, y_max;  // Bounds of x/z and y/z in the Jacobian.
    float scale_max;                   // Bound of a standard deviation at z = 1; see make_camera.
    float near_m, eps2d_px;
    int h, w;
};

// A splat at one moment, in the world.
struct Moment {
    float x, y, z;
    float opacity;
};

// A splat in the picture. With (dx, dy) measured from its centre, its exponent is
//     log2(alpha) = log2_opacity - u^2 - v^2,   u = (dx - slope dy) inv_sx,   v = dy inv_sy:
// the density of y, times that of x given y. Against the usual form (the inverse covariance's three numbers)
// nothing cancels in it, so that splats a thousand times as long as wide stay exact in single precision.
// inv_sx and inv_sy carry the factor sqrt(log2(e) / 2).
struct Ellipse {
    float x, y, z;
    float slope, inv_sx, inv_sy, log2_opacity;
    float reach;           // Largest u^2 + v^2 that is still visible.
    float half_w, half_h;  // Half the box around what is visible.
    float tilt;            // dy where the ellipse reaches farthest to the right.
    int visible;
};

FOURD_HD Camera make_camera(const float* K, const float* world_from_cam, int h, int w, float eps2d_px,
                            float near_m) {
    Camera c;
    for (int i = 0; i < 3; ++i) {
        for (int j = 0; j < 3; ++j) c.R[3 * i + j] = world_from_cam[4 * j + i];
        c.eye[i] = world_from_cam[4 * i + 3];
    }
    for (int i = 0; i < 3; ++i)
        c.t[i] = -(c.R[3 * i] * c.eye[0] + c.R[3 * i + 1] * c.eye[1] + c.R[3 * i + 2] * c.eye[2]);
    c.fx = K[0];
    c.skew = K[1];
    c.cx = K[2];
    c.fy = K[4];
    c.cy = K[5];
    c.h = h;
    c.w = w;
    c.eps2d_px = eps2d_px;
    c.near_m = near_m;
    // Far outside the picture the Jacobian would stretch a splat without bound, back into view: it is taken
    // at most 15 % of the picture beyond each edge, as in 3D Gaussian splatting and gsplat.
    const float beyond_x = 0.3f * 0.5f * (float)w / c.fx, beyond_y = 0.3f * 0.5f * (float)h / c.fy;
    c.x_min = -c.cx / c.fx - beyond_x;
    c.x_max = ((float)w - c.cx) / c.fx + beyond_x;
    c.y_min = -c.cy / c.fy - beyond_y;
    c.y_max = ((float)h - c.cy) / c.fy + beyond_y;
    // A splat of 1e8 pixels looks like one of 1e20, whose covariance's determinant would be infinite.
    float stretch = 1.0f;
    stretch = max2(stretch, max2(fabsf(c.x_min), fabsf(c.x_max)));
    stretch = max2(stretch, max2(fabsf(c.y_min), fabsf(c.y_max)));
    c.scale_max = 1e8f / (stretch * max2(max2(c.fx, c.fy), fabsf(c.skew)));
    return c;
}

// What is left of an opacity dt_s after the middle of a life of `duration_s`.
FOURD_HD float opacity_at(float opacity, float dt_s, float duration_s) {
    const float age = dt_s / duration_s;
    return opacity * exp2_fast(-0.72134752f * age * age);  // log2(e) / 2
}

// mean + velocity dt, and the opacity that is left of a life of `duration_s` around dt = 0.
FOURD_HD Moment at_moment(const float mean[3], const float velocity[3], float opacity, float dt_s,
                          float duration_s) {
    Moment m;
    m.x = mean[0] + velocity[0] * dt_s;
    m.y = mean[1] + velocity[1] * dt_s;
    m.z = mean[2] + velocity[2] * dt_s;
    m.opacity = opacity_at(opacity, dt_s, duration_s);
    return m;
}

// q = (w, x, y, z), unit; s = standard deviations along the splat's own axes.
FOURD_HD Ellipse project(const Camera& c, const Moment& m, const float q[4], const float s[3]) {
    Ellipse e;
    const float x = c.R[0] * m.x + c.R[1] * m.y + c.R[2] * m.z + c.t[0];
    const float y = c.R[3] * m.x + c.R[4] * m.y + c.R[5] * m.z + c.t[1];
    const float z = c.R[6] * m.x + c.R[7] * m.y + c.R[8] * m.z + c.t[2];
    const bool in_front = z > c.near_m;
    const float inv_z = 1.0f / (in_front ? z : 1.0f);
    const float x_n = x * inv_z, y_n = y * inv_z;
    e.x = c.fx * x_n + c.skew * y_n + c.cx;
    e.y = c.fy * y_n + c.cy;
    e.z = z;

    // The two rows of (Jacobian x cam_from_world), then x the splat's rotation and scale: a and b span the
    // covariance, which is [aa ab; ab bb], so that it cannot lose its definiteness to rounding.
    const float xc = clamp(x_n, c.x_min, c.x_max), yc = clamp(y_n, c.y_min, c.y_max);
    const float j00 = c.fx * inv_z, j01 = c.skew * inv_z, j02 = -(c.fx * xc + c.skew * yc) * inv_z;
    const float j11 = c.fy * inv_z, j12 = -c.fy * yc * inv_z;
    const float p0 = j00 * c.R[0] + j01 * c.R[3] + j02 * c.R[6];
    const float p1 = j00 * c.R[1] + j01 * c.R[4] + j02 * c.R[7];
    const float p2 = j00 * c.R[2] + j01 * c.R[5] + j02 * c.R[8];
    const float r0 = j11 * c.R[3] + j12 * c.R[6];
    const float r1 = j11 * c.R[4] + j12 * c.R[7];
    const float r2 = j11 * c.R[5] + j12 * c.R[8];
    const float limit = c.scale_max * (in_front ? z : 1.0f);
    const float s0 = min2(limit, s[0]), s1 = min2(limit, s[1]), s2 = min2(limit, s[2]);  // NaN stays NaN.
    const float qw = q[0], qx = q[1], qy = q[2], qz = q[3];
    const float m00 = 1 - 2 * (qy * qy + qz * qz), m01 = 2 * (qx * qy - qw * qz),
                m02 = 2 * (qx * qz + qw * qy);
    const float m10 = 2 * (qx * qy + qw * qz), m11 = 1 - 2 * (qx * qx + qz * qz),
                m12 = 2 * (qy * qz - qw * qx);
    const float m20 = 2 * (qx * qz - qw * qy), m21 = 2 * (qy * qz + qw * qx),
                m22 = 1 - 2 * (qx * qx + qy * qy);
    const float a0 = s0 * (p0 * m00 + p1 * m10 + p2 * m20), b0 = s0 * (r0 * m00 + r1 * m10 + r2 * m20);
    const float a1 = s1 * (p0 * m01 + p1 * m11 + p2 * m21), b1 = s1 * (r0 * m01 + r1 * m11 + r2 * m21);
    const float a2 = s2 * (p0 * m02 + p1 * m12 + p2 * m22), b2 = s2 * (r0 * m02 + r1 * m12 + r2 * m22);
    const float aa = a0 * a0 + a1 * a1 + a2 * a2, bb = b0 * b0 + b1 * b1 + b2 * b2;
    const float ab = a0 * b0 + a1 * b1 + a2 * b2;
    // |a x b|^2 is aa bb - ab^2 without the cancellation.
    const float n0 = a1 * b2 - a2 * b1, n1 = a2 * b0 - a0 * b2, n2 = a0 * b1 - a1 * b0;
    const float det_sharp = n0 * n0 + n1 * n1 + n2 * n2;
    const float det = det_sharp + c.eps2d_px * (aa + bb) + c.eps2d_px * c.eps2d_px;
    const float xx = aa + c.eps2d_px, yy = bb + c.eps2d_px;

    const float opacity = m.opacity * sqrtf(det_sharp / det);
    const bool bright = opacity >= kAlphaMin;
    const float half_log2e = 0.72134752f;
    e.slope = ab / yy;
    e.inv_sx = sqrtf(half_log2e * yy / det);
    e.inv_sy = sqrtf(half_log2e / yy);
    e.log2_opacity = log2_fast(bright ? opacity : 1.0f);
    e.reach = e.log2_opacity - kLog2AlphaMin;
    // A hundredth of a pixel more, so that rounding never cuts off what the pixels themselves would accept.
    e.half_w = sqrtf(e.reach * xx * (1 / half_log2e)) + 0.01f;
    e.half_h = sqrtf(e.reach * yy * (1 / half_log2e)) + 0.01f;
    e.tilt = ab * sqrtf(e.reach * (1 / half_log2e) / xx);
    // NaN and infinity fail these comparisons and are left out.
    e.visible = in_front & bright & (e.x + e.half_w > 0.5f) & (e.x - e.half_w < (float)c.w - 0.5f) &
                (e.y + e.half_h > 0.5f) & (e.y - e.half_h < (float)c.h - 0.5f);
    return e;
}

}  // namespace fourd
