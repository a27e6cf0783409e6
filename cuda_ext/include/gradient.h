// The way back through splat.h: from what a loss says of a splat's ellipse and colour to what it says of the
// splat and of the camera.
//
// What follows are the derivatives of `at_moment` and `project`, line by line in reverse. Nothing is
// subtracted that could cancel: the determinant goes back through the cross product of the rows, as it came.
#pragma once
#include "portable.h"
#include "splat.h"

namespace fourd {

// What pixels say of a splat, summed over them. `e` is the derivative by the exponent, log2(alpha), of the
// pixel; u and v are those of Ellipse.
struct PixelSums {
    float e, eu, ev, euu, euv, evv;
    float r, g, b, z;  // Weight x derivative by the pixel's colour; by its sum of weight x distance.
};

struct SplatGradient {
    float mean[3], quat[4], scale[3], velocity[3];
    float opacity, time, duration;
};

// By the entries of cam_from_world's rotation, the camera's centre and K. Everything is taken as it is used:
// a rotation's nine entries as if they were free.
struct CameraGradient {
    float R[9], eye[3], fx, fy, cx, cy, skew;
};

// dt_s = the moment - time. `view` is the derivative by the direction from the camera to the splat (m - eye),
// which its colour depends on.
FOURD_HD void project_gradient(const Camera& c, const float mean[3], const float velocity[3], float opacity,
                               float dt_s, float duration_s, const float q[4], const float s[3],
                               const PixelSums& sums, const float view[3], SplatGradient& out,
                               CameraGradient& camera) {
    const Moment m = at_moment(mean, velocity, opacity, dt_s, duration_s);
    const float wx = m.x - c.eye[0], wy = m.y - c.eye[1], wz = m.z - c.eye[2];
    const Span f = span(c, m, q, s);
    const float qw = q[0], qx = q[1], qy = q[2], qz = q[3];
    const float inv_yy = 1.0f / f.yy, inv_det = 1.0f / f.det;
    const float half_log2e = 0.72134752f, ln2 = 0.69314718f;
    const float slope = f.ab * inv_yy;
    const float inv_sx = sqrtf(half_log2e * f.yy * inv_det), inv_sy = sqrtf(half_log2e * inv_yy);

    // exponent = log2_opacity - u^2 - v^2, with u and v as functions of the ellipse.
    const float g_x = 2 * inv_sx * sums.eu;
    const float g_y = 2 * inv_sy * sums.ev - slope * g_x;
    const float g_slope = 2 * inv_sx / inv_sy * sums.euv;
    // inv_sx = sqrt(half_log2e yy / det), inv_sy = sqrt(half_log2e / yy).
    const float g_det = sums.euu * inv_det - 0.5f * sums.e / ln2 * inv_det;
    const float g_yy = (sums.evv - sums.euu - g_slope * slope) * inv_yy;
    const float g_ab = g_slope * inv_yy;
    // A splat that is seen has det_sharp > det / 255^2.
    const float g_sharp = g_det + 0.5f * sums.e / (ln2 * f.det_sharp);

    // d|a x b|^2 / da = 2 b x n, / db = 2 n x a.
    const float g_aa = 2 * c.eps2d_px * g_det, g_bb = 2 * (c.eps2d_px * g_det + g_yy), g_n = 2 * g_sharp;
    const float da0 = g_aa * f.a0 + g_ab * f.b0 + g_n * (f.b1 * f.n2 - f.b2 * f.n1);
    const float da1 = g_aa * f.a1 + g_ab * f.b1 + g_n * (f.b2 * f.n0 - f.b0 * f.n2);
    const float da2 = g_aa * f.a2 + g_ab * f.b2 + g_n * (f.b0 * f.n1 - f.b1 * f.n0);
    const float db0 = g_bb * f.b0 + g_ab * f.a0 + g_n * (f.n1 * f.a2 - f.n2 * f.a1);
    const float db1 = g_bb * f.b1 + g_ab * f.a1 + g_n * (f.n2 * f.a0 - f.n0 * f.a2);
    const float db2 = g_bb * f.b2 + g_ab * f.a2 + g_n * (f.n0 * f.a1 - f.n1 * f.a0);

    // a_k = s_k (p . column k of the rotation), b_k likewise. A scale at its limit does not move.
    out.scale[0] = s[0] < f.limit ? da0 * f.pm0 + db0 * f.rm0 : 0.0f;
    out.scale[1] = s[1] < f.limit ? da1 * f.pm1 + db1 * f.rm1 : 0.0f;
    out.scale[2] = s[2] < f.limit ? da2 * f.pm2 + db2 * f.rm2 : 0.0f;
    const float sa0 = f.s0 * da0, sa1 = f.s1 * da1, sa2 = f.s2 * da2, sb0 = f.s0 * db0, sb1 = f.s1 * db1,
                sb2 = f.s2 * db2;
    const float dp0 = sa0 * f.m00 + sa1 * f.m01 + sa2 * f.m02, dr0 = sb0 * f.m00 + sb1 * f.m01 + sb2 * f.m02;
    const float dp1 = sa0 * f.m10 + sa1 * f.m11 + sa2 * f.m12, dr1 = sb0 * f.m10 + sb1 * f.m11 + sb2 * f.m12;
    const float dp2 = sa0 * f.m20 + sa1 * f.m21 + sa2 * f.m22, dr2 = sb0 * f.m20 + sb1 * f.m21 + sb2 * f.m22;
    const float g00 = sa0 * f.p0 + sb0 * f.r0, g01 = sa1 * f.p0 + sb1 * f.r0, g02 = sa2 * f.p0 + sb2 * f.r0;
    const float g10 = sa0 * f.p1 + sb0 * f.r1, g11 = sa1 * f.p1 + sb1 * f.r1, g12 = sa2 * f.p1 + sb2 * f.r1;
    const float g20 = sa0 * f.p2 + sb0 * f.r2, g21 = sa1 * f.p2 + sb1 * f.r2, g22 = sa2 * f.p2 + sb2 * f.r2;
    out.quat[0] = 2 * (qx * (g21 - g12) + qy * (g02 - g20) + qz * (g10 - g01));
    out.quat[1] = 2 * (qy * (g01 + g10) + qz * (g02 + g20) + qw * (g21 - g12) - 2 * qx * (g11 + g22));
    out.quat[2] = 2 * (qx * (g01 + g10) + qz * (g12 + g21) + qw * (g02 - g20) - 2 * qy * (g00 + g22));
    out.quat[3] = 2 * (qx * (g02 + g20) + qy * (g12 + g21) + qw * (g10 - g01) - 2 * qz * (g00 + g11));

    // p = j0 x R, r = j1 x R.
    const float dj00 = dp0 * c.R[0] + dp1 * c.R[1] + dp2 * c.R[2];
    const float dj01 = dp0 * c.R[3] + dp1 * c.R[4] + dp2 * c.R[5];
    const float dj02 = dp0 * c.R[6] + dp1 * c.R[7] + dp2 * c.R[8];
    const float dj11 = dr0 * c.R[3] + dr1 * c.R[4] + dr2 * c.R[5];
    const float dj12 = dr0 * c.R[6] + dr1 * c.R[7] + dr2 * c.R[8];
    const float dxc = -dj02 * c.fx * f.inv_z, dyc = -(dj02 * c.skew + dj12 * c.fy) * f.inv_z;
    const bool free_x = (f.x_n > c.x_min) & (f.x_n < c.x_max), free_y = (f.y_n > c.y_min) & (f.y_n < c.y_max);
    const float dx_n = c.fx * g_x + (free_x ? dxc : 0.0f);
    const float dy_n = c.skew * g_x + c.fy * g_y + (free_y ? dyc : 0.0f);
    // The bounds of x/z and y/z depend on K: fx x_max + cx is a constant.
    const float edge_x = free_x ? 0.0f : dxc / c.fx, edge_y = free_y ? 0.0f : dyc / c.fy;
    camera.fx = g_x * f.x_n + (dj00 - dj02 * f.xc) * f.inv_z - edge_x * f.xc;
    camera.skew = g_x * f.y_n + (dj01 - dj02 * f.yc) * f.inv_z;
    camera.fy = g_y * f.y_n + (dj11 - dj12 * f.yc) * f.inv_z - edge_y * f.yc;
    camera.cx = g_x - edge_x;
    camera.cy = g_y - edge_y;
    const float dx = dx_n * f.inv_z, dy = dy_n * f.inv_z;
    const float dz = sums.z - (dx_n * f.x_n + dy_n * f.y_n + dj00 * f.j00 + dj01 * f.j01 + dj02 * f.j02 +
                               dj11 * f.j11 + dj12 * f.j12) *
                                  f.inv_z;

    const float dm0 = c.R[0] * dx + c.R[3] * dy + c.R[6] * dz + view[0];
    const float dm1 = c.R[1] * dx + c.R[4] * dy + c.R[7] * dz + view[1];
    const float dm2 = c.R[2] * dx + c.R[5] * dy + c.R[8] * dz + view[2];
    camera.R[0] = dx * wx + f.j00 * dp0;
    camera.R[1] = dx * wy + f.j00 * dp1;
    camera.R[2] = dx * wz + f.j00 * dp2;
    camera.R[3] = dy * wx + f.j01 * dp0 + f.j11 * dr0;
    camera.R[4] = dy * wy + f.j01 * dp1 + f.j11 * dr1;
    camera.R[5] = dy * wz + f.j01 * dp2 + f.j11 * dr2;
    camera.R[6] = dz * wx + f.j02 * dp0 + f.j12 * dr0;
    camera.R[7] = dz * wy + f.j02 * dp1 + f.j12 * dr1;
    camera.R[8] = dz * wz + f.j02 * dp2 + f.j12 * dr2;
    camera.eye[0] = -dm0;
    camera.eye[1] = -dm1;
    camera.eye[2] = -dm2;

    out.mean[0] = dm0;
    out.mean[1] = dm1;
    out.mean[2] = dm2;
    out.velocity[0] = dm0 * dt_s;
    out.velocity[1] = dm1 * dt_s;
    out.velocity[2] = dm2 * dt_s;
    // The exponent holds log2(opacity) - age^2 / (2 ln 2). For a splat of endless life both parts are 0.
    const float age = dt_s / duration_s, aging = sums.e / ln2 * age / duration_s;
    out.opacity = sums.e / (ln2 * opacity);
    out.time = aging - (dm0 * velocity[0] + dm1 * velocity[1] + dm2 * velocity[2]);
    out.duration = aging * age;
}

}  // namespace fourd
