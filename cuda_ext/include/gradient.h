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
    // Forward, as in splat.h.
    const Moment m = at_moment(mean, velocity, opacity, dt_s, duration_s);
    const float wx = m.x - c.eye[0], wy = m.y - c.eye[1], wz = m.z - c.eye[2];
    const float x = c.R[0] * m.x + c.R[1] * m.y + c.R[2] * m.z + c.t[0];
    const float y = c.R[3] * m.x + c.R[4] * m.y + c.R[5] * m.z + c.t[1];
    const float z = c.R[6] * m.x + c.R[7] * m.y + c.R[8] * m.z + c.t[2];
    const float inv_z = 1.0f / z;
    const float x_n = x * inv_z, y_n = y * inv_z;
    const float xc = clamp(x_n, c.x_min, c.x_max), yc = clamp(y_n, c.y_min, c.y_max);
    const float j00 = c.fx * inv_z, j01 = c.skew * inv_z, j02 = -(c.fx * xc + c.skew * yc) * inv_z;
    const float j11 = c.fy * inv_z, j12 = -c.fy * yc * inv_z;
    const float p0 = j00 * c.R[0] + j01 * c.R[3] + j02 * c.R[6];
    const float p1 = j00 * c.R[1] + j01 * c.R[4] + j02 * c.R[7];
    const float p2 = j00 * c.R[2] + j01 * c.R[5] + j02 * c.R[8];
    const float r0 = j11 * c.R[3] + j12 * c.R[6];
    const float r1 = j11 * c.R[4] + j12 * c.R[7];
    const float r2 = j11 * c.R[5] + j12 * c.R[8];
    const float limit = c.scale_max * z;
    const float s0 = min2(limit, s[0]), s1 = min2(limit, s[1]), s2 = min2(limit, s[2]);
    const float qw = q[0], qx = q[1], qy = q[2], qz = q[3];
    const float m00 = 1 - 2 * (qy * qy + qz * qz), m01 = 2 * (qx * qy - qw * qz),
                m02 = 2 * (qx * qz + qw * qy);
    const float m10 = 2 * (qx * qy + qw * qz), m11 = 1 - 2 * (qx * qx + qz * qz),
                m12 = 2 * (qy * qz - qw * qx);
    const float m20 = 2 * (qx * qz - qw * qy), m21 = 2 * (qy * qz + qw * qx),
                m22 = 1 - 2 * (qx * qx + qy * qy);
    const float pm0 = p0 * m00 + p1 * m10 + p2 * m20, rm0 = r0 * m00 + r1 * m10 + r2 * m20;
    const float pm1 = p0 * m01 + p1 * m11 + p2 * m21, rm1 = r0 * m01 + r1 * m11 + r2 * m21;
    const float pm2 = p0 * m02 + p1 * m12 + p2 * m22, rm2 = r0 * m02 + r1 * m12 + r2 * m22;
    const float a0 = s0 * pm0, a1 = s1 * pm1, a2 = s2 * pm2, b0 = s0 * rm0, b1 = s1 * rm1, b2 = s2 * rm2;
    const float aa = a0 * a0 + a1 * a1 + a2 * a2, bb = b0 * b0 + b1 * b1 + b2 * b2;
    const float ab = a0 * b0 + a1 * b1 + a2 * b2;
    const float n0 = a1 * b2 - a2 * b1, n1 = a2 * b0 - a0 * b2, n2 = a0 * b1 - a1 * b0;
    const float det_sharp = n0 * n0 + n1 * n1 + n2 * n2;
    const float det = det_sharp + c.eps2d_px * (aa + bb) + c.eps2d_px * c.eps2d_px;
    const float yy = bb + c.eps2d_px;
    const float inv_yy = 1.0f / yy, inv_det = 1.0f / det;
    const float half_log2e = 0.72134752f, ln2 = 0.69314718f;
    const float slope = ab * inv_yy;
    const float inv_sx = sqrtf(half_log2e * yy * inv_det), inv_sy = sqrtf(half_log2e * inv_yy);

    // exponent = log2_opacity - u^2 - v^2, with u and v as functions of the ellipse.
    const float g_x = 2 * inv_sx * sums.eu;
    const float g_y = 2 * inv_sy * sums.ev - slope * g_x;
    const float g_slope = 2 * inv_sx / inv_sy * sums.euv;
    // inv_sx = sqrt(half_log2e yy / det), inv_sy = sqrt(half_log2e / yy).
    const float g_det = sums.euu * inv_det - 0.5f * sums.e / ln2 * inv_det;
    const float g_yy = (sums.evv - sums.euu - g_slope * slope) * inv_yy;
    const float g_ab = g_slope * inv_yy;
    // A splat that is seen has det_sharp > det / 255^2.
    const float g_sharp = g_det + 0.5f * sums.e / (ln2 * det_sharp);

    // d|a x b|^2 / da = 2 b x n, / db = 2 n x a.
    const float g_aa = 2 * c.eps2d_px * g_det, g_bb = 2 * (c.eps2d_px * g_det + g_yy), g_n = 2 * g_sharp;
    const float da0 = g_aa * a0 + g_ab * b0 + g_n * (b1 * n2 - b2 * n1);
    const float da1 = g_aa * a1 + g_ab * b1 + g_n * (b2 * n0 - b0 * n2);
    const float da2 = g_aa * a2 + g_ab * b2 + g_n * (b0 * n1 - b1 * n0);
    const float db0 = g_bb * b0 + g_ab * a0 + g_n * (n1 * a2 - n2 * a1);
    const float db1 = g_bb * b1 + g_ab * a1 + g_n * (n2 * a0 - n0 * a2);
    const float db2 = g_bb * b2 + g_ab * a2 + g_n * (n0 * a1 - n1 * a0);

    // a_k = s_k (p . column k of the rotation), b_k likewise. A scale at its limit does not move.
    out.scale[0] = s[0] < limit ? da0 * pm0 + db0 * rm0 : 0.0f;
    out.scale[1] = s[1] < limit ? da1 * pm1 + db1 * rm1 : 0.0f;
    out.scale[2] = s[2] < limit ? da2 * pm2 + db2 * rm2 : 0.0f;
    const float sa0 = s0 * da0, sa1 = s1 * da1, sa2 = s2 * da2, sb0 = s0 * db0, sb1 = s1 * db1,
                sb2 = s2 * db2;
    const float dp0 = sa0 * m00 + sa1 * m01 + sa2 * m02, dr0 = sb0 * m00 + sb1 * m01 + sb2 * m02;
    const float dp1 = sa0 * m10 + sa1 * m11 + sa2 * m12, dr1 = sb0 * m10 + sb1 * m11 + sb2 * m12;
    const float dp2 = sa0 * m20 + sa1 * m21 + sa2 * m22, dr2 = sb0 * m20 + sb1 * m21 + sb2 * m22;
    const float g00 = sa0 * p0 + sb0 * r0, g01 = sa1 * p0 + sb1 * r0, g02 = sa2 * p0 + sb2 * r0;
    const float g10 = sa0 * p1 + sb0 * r1, g11 = sa1 * p1 + sb1 * r1, g12 = sa2 * p1 + sb2 * r1;
    const float g20 = sa0 * p2 + sb0 * r2, g21 = sa1 * p2 + sb1 * r2, g22 = sa2 * p2 + sb2 * r2;
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
    const float dxc = -dj02 * c.fx * inv_z, dyc = -(dj02 * c.skew + dj12 * c.fy) * inv_z;
    const bool free_x = (x_n > c.x_min) & (x_n < c.x_max), free_y = (y_n > c.y_min) & (y_n < c.y_max);
    const float dx_n = c.fx * g_x + (free_x ? dxc : 0.0f);
    const float dy_n = c.skew * g_x + c.fy * g_y + (free_y ? dyc : 0.0f);
    // The bounds of x/z and y/z depend on K: fx x_max + cx is a constant.
    const float edge_x = free_x ? 0.0f : dxc / c.fx, edge_y = free_y ? 0.0f : dyc / c.fy;
    camera.fx = g_x * x_n + (dj00 - dj02 * xc) * inv_z - edge_x * xc;
    camera.skew = g_x * y_n + (dj01 - dj02 * yc) * inv_z;
    camera.fy = g_y * y_n + (dj11 - dj12 * yc) * inv_z - edge_y * yc;
    camera.cx = g_x - edge_x;
    camera.cy = g_y - edge_y;
    const float dx = dx_n * inv_z, dy = dy_n * inv_z;
    const float dz =
        sums.z -
        (dx_n * x_n + dy_n * y_n + dj00 * j00 + dj01 * j01 + dj02 * j02 + dj11 * j11 + dj12 * j12) * inv_z;

    const float dm0 = c.R[0] * dx + c.R[3] * dy + c.R[6] * dz + view[0];
    const float dm1 = c.R[1] * dx + c.R[4] * dy + c.R[7] * dz + view[1];
    const float dm2 = c.R[2] * dx + c.R[5] * dy + c.R[8] * dz + view[2];
    camera.R[0] = dx * wx + j00 * dp0;
    camera.R[1] = dx * wy + j00 * dp1;
    camera.R[2] = dx * wz + j00 * dp2;
    camera.R[3] = dy * wx + j01 * dp0 + j11 * dr0;
    camera.R[4] = dy * wy + j01 * dp1 + j11 * dr1;
    camera.R[5] = dy * wz + j01 * dp2 + j11 * dr2;
    camera.R[6] = dz * wx + j02 * dp0 + j12 * dr0;
    camera.R[7] = dz * wy + j02 * dp1 + j12 * dr1;
    camera.R[8] = dz * wz + j02 * dp2 + j12 * dr2;
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
