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

// How the camera sees a splat's axes: what `project` needs, and its derivative (gradient.h) again. a and b
// are the rows of (Jacobian x cam_from_world x the splat's rotation and scale): they span the covariance,
// which is [aa ab; ab bb], so that it cannot lose its definiteness to rounding.
struct Span {
    bool in_front;
    float x_n, y_n, z, inv_z;                           // The centre: x/z, y/z and z in the camera.
    float xc, yc;                                       // x/z and y/z, kept within bounds in the Jacobian.
    float j00, j01, j02, j11, j12;                      // The Jacobian of the perspective; j10 is 0.
    float p0, p1, p2, r0, r1, r2;                       // Its rows x cam_from_world.
    float m00, m01, m02, m10, m11, m12, m20, m21, m22;  // The splat's rotation.
    float limit, s0, s1, s2;                            // Its standard deviations, kept below the limit.
    float pm0, pm1, pm2, rm0, rm1, rm2;                 // The rows x its rotation.
    float a0, a1, a2, b0, b1, b2;
    float ab, n0, n1, n2;  // n = a x b
    float det_sharp, det;  // Determinants of the covariance, and of what the low-pass filter makes of it.
    float xx, yy;          // The latter's diagonal.
};

// q = (w, x, y, z), unit; s = standard deviations along the splat's own axes.
FOURD_HD Span span(const Camera& c, const Moment& m, const float q[4], const float s[3]) {
    Span f;
    const float x = c.R[0] * m.x + c.R[1] * m.y + c.R[2] * m.z + c.t[0];
    const float y = c.R[3] * m.x + c.R[4] * m.y + c.R[5] * m.z + c.t[1];
    f.z = c.R[6] * m.x + c.R[7] * m.y + c.R[8] * m.z + c.t[2];
    f.in_front = f.z > c.near_m;
    f.inv_z = 1.0f / (f.in_front ? f.z : 1.0f);
    f.x_n = x * f.inv_z;
    f.y_n = y * f.inv_z;
    f.xc = clamp(f.x_n, c.x_min, c.x_max);
    f.yc = clamp(f.y_n, c.y_min, c.y_max);
    f.j00 = c.fx * f.inv_z;
    f.j01 = c.skew * f.inv_z;
    f.j02 = -(c.fx * f.xc + c.skew * f.yc) * f.inv_z;
    f.j11 = c.fy * f.inv_z;
    f.j12 = -c.fy * f.yc * f.inv_z;
    f.p0 = f.j00 * c.R[0] + f.j01 * c.R[3] + f.j02 * c.R[6];
    f.p1 = f.j00 * c.R[1] + f.j01 * c.R[4] + f.j02 * c.R[7];
    f.p2 = f.j00 * c.R[2] + f.j01 * c.R[5] + f.j02 * c.R[8];
    f.r0 = f.j11 * c.R[3] + f.j12 * c.R[6];
    f.r1 = f.j11 * c.R[4] + f.j12 * c.R[7];
    f.r2 = f.j11 * c.R[5] + f.j12 * c.R[8];
    f.limit = c.scale_max * (f.in_front ? f.z : 1.0f);
    f.s0 = min2(f.limit, s[0]);  // NaN stays NaN.
    f.s1 = min2(f.limit, s[1]);
    f.s2 = min2(f.limit, s[2]);
    const float qw = q[0], qx = q[1], qy = q[2], qz = q[3];
    f.m00 = 1 - 2 * (qy * qy + qz * qz);
    f.m01 = 2 * (qx * qy - qw * qz);
    f.m02 = 2 * (qx * qz + qw * qy);
    f.m10 = 2 * (qx * qy + qw * qz);
    f.m11 = 1 - 2 * (qx * qx + qz * qz);
    f.m12 = 2 * (qy * qz - qw * qx);
    f.m20 = 2 * (qx * qz - qw * qy);
    f.m21 = 2 * (qy * qz + qw * qx);
    f.m22 = 1 - 2 * (qx * qx + qy * qy);
    f.pm0 = f.p0 * f.m00 + f.p1 * f.m10 + f.p2 * f.m20;
    f.pm1 = f.p0 * f.m01 + f.p1 * f.m11 + f.p2 * f.m21;
    f.pm2 = f.p0 * f.m02 + f.p1 * f.m12 + f.p2 * f.m22;
    f.rm0 = f.r0 * f.m00 + f.r1 * f.m10 + f.r2 * f.m20;
    f.rm1 = f.r0 * f.m01 + f.r1 * f.m11 + f.r2 * f.m21;
    f.rm2 = f.r0 * f.m02 + f.r1 * f.m12 + f.r2 * f.m22;
    f.a0 = f.s0 * f.pm0;
    f.a1 = f.s1 * f.pm1;
    f.a2 = f.s2 * f.pm2;
    f.b0 = f.s0 * f.rm0;
    f.b1 = f.s1 * f.rm1;
    f.b2 = f.s2 * f.rm2;
    const float aa = f.a0 * f.a0 + f.a1 * f.a1 + f.a2 * f.a2, bb = f.b0 * f.b0 + f.b1 * f.b1 + f.b2 * f.b2;
    f.ab = f.a0 * f.b0 + f.a1 * f.b1 + f.a2 * f.b2;
    // |a x b|^2 is aa bb - ab^2 without the cancellation.
    f.n0 = f.a1 * f.b2 - f.a2 * f.b1;
    f.n1 = f.a2 * f.b0 - f.a0 * f.b2;
    f.n2 = f.a0 * f.b1 - f.a1 * f.b0;
    f.det_sharp = f.n0 * f.n0 + f.n1 * f.n1 + f.n2 * f.n2;
    f.det = f.det_sharp + c.eps2d_px * (aa + bb) + c.eps2d_px * c.eps2d_px;
    f.xx = aa + c.eps2d_px;
    f.yy = bb + c.eps2d_px;
    return f;
}

FOURD_HD Ellipse project(const Camera& c, const Moment& m, const float q[4], const float s[3]) {
    const Span f = span(c, m, q, s);
    Ellipse e;
    e.x = c.fx * f.x_n + c.skew * f.y_n + c.cx;
    e.y = c.fy * f.y_n + c.cy;
    e.z = f.z;
    const float opacity = m.opacity * sqrtf(f.det_sharp / f.det);
    const bool bright = opacity >= kAlphaMin;
    const float half_log2e = 0.72134752f;
    e.slope = f.ab / f.yy;
    e.inv_sx = sqrtf(half_log2e * f.yy / f.det);
    e.inv_sy = sqrtf(half_log2e / f.yy);
    e.log2_opacity = log2_fast(bright ? opacity : 1.0f);
    e.reach = e.log2_opacity - kLog2AlphaMin;
    // A hundredth of a pixel more, so that rounding never cuts off what the pixels themselves would accept.
    e.half_w = sqrtf(e.reach * f.xx * (1 / half_log2e)) + 0.01f;
    e.half_h = sqrtf(e.reach * f.yy * (1 / half_log2e)) + 0.01f;
    e.tilt = f.ab * sqrtf(e.reach * (1 / half_log2e) / f.xx);
    // NaN and infinity fail these comparisons and are left out.
    e.visible = f.in_front & bright & (e.x + e.half_w > 0.5f) & (e.x - e.half_w < (float)c.w - 0.5f) &
                (e.y + e.half_h > 0.5f) & (e.y - e.half_h < (float)c.h - 0.5f);
    return e;
}

}  // namespace fourd
