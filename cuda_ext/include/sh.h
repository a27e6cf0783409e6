// Colour that depends on the direction of view: real spherical harmonics up to degree 3.
//
// Basis, order and signs are those of 3D Gaussian splatting (Kerbl et al., 2023), that is, with the
// Condon-Shortley phase: degree 1 is (-y, z, -x).
#pragma once
#include "portable.h"

namespace fourd {

constexpr float kBrightest =
    1e30f;  // Finite, because 0 x infinity would spoil pixels that it does not reach.

// The first k functions in the unit direction (x, y, z); k = 1, 4, 9 or 16.
FOURD_HD void sh_basis(int k, float x, float y, float z, float basis[16]) {
    basis[0] = 0.28209479177387814f;
    if (k > 1) {
        basis[1] = -0.48860251190291987f * y;
        basis[2] = 0.48860251190291987f * z;
        basis[3] = -0.48860251190291987f * x;
    }
    const float xx = x * x, yy = y * y, zz = z * z;
    if (k > 4) {
        basis[4] = 1.0925484305920792f * x * y;
        basis[5] = -1.0925484305920792f * y * z;
        basis[6] = 0.31539156525252005f * (2 * zz - xx - yy);
        basis[7] = -1.0925484305920792f * x * z;
        basis[8] = 0.5462742152960396f * (xx - yy);
    }
    if (k > 9) {
        basis[9] = -0.5900435899266435f * y * (3 * xx - yy);
        basis[10] = 2.890611442640554f * x * y * z;
        basis[11] = -0.4570457994644658f * y * (4 * zz - xx - yy);
        basis[12] = 0.3731763325901154f * z * (2 * zz - 3 * xx - 3 * yy);
        basis[13] = -0.4570457994644658f * x * (4 * zz - xx - yy);
        basis[14] = 1.445305721320277f * z * (xx - yy);
        basis[15] = -0.5900435899266435f * x * (xx - 3 * yy);
    }
}

// 1 / length, or 0 for no length at all.
FOURD_HD float inverse_length(float x, float y, float z) {
    const float length2 = x * x + y * y + z * z;
    return length2 > 0 ? 1.0f / sqrtf(length2) : 0.0f;
}

// rgb = max(0, 0.5 + sum of basis x coefficients). `coefficients` is [k, 3], k = 1, 4, 9 or 16;
// (dx, dy, dz) points from the camera to the splat, of any length but zero.
FOURD_HD void sh_colour(const float* coefficients, int k, float dx, float dy, float dz, float rgb[3]) {
    float basis[16];
    const float scale = k > 1 ? inverse_length(dx, dy, dz) : 0.0f;
    sh_basis(k, dx * scale, dy * scale, dz * scale, basis);
    for (int c = 0; c < 3; ++c) {
        float sum = 0.5f;
        for (int i = 0; i < k; ++i) sum += basis[i] * coefficients[3 * i + c];
        rgb[c] = clamp(sum, 0.0f, kBrightest);
    }
}

// The way back: from the derivative by rgb to those by the coefficients [k, 3] and by (dx, dy, dz). A channel
// that is cut off below 0 does not move.
FOURD_HD void sh_gradient(const float* coefficients, int k, float dx, float dy, float dz, const float rgb[3],
                          float* by_coefficients, float by_direction[3]) {
    float basis[16], sees[3];
    const float scale = k > 1 ? inverse_length(dx, dy, dz) : 0.0f;
    const float x = dx * scale, y = dy * scale, z = dz * scale;
    sh_basis(k, x, y, z, basis);
    for (int c = 0; c < 3; ++c) {
        float sum = 0.5f;
        for (int i = 0; i < k; ++i) sum += basis[i] * coefficients[3 * i + c];
        sees[c] = (sum >= 0.0f) & (sum < kBrightest) ? rgb[c] : 0.0f;
        for (int i = 0; i < k; ++i) by_coefficients[3 * i + c] = basis[i] * sees[c];
    }
    by_direction[0] = by_direction[1] = by_direction[2] = 0.0f;
    if (k == 1) return;
    float w[16];  // The derivative by each function.
    for (int i = 0; i < 16; ++i) w[i] = 0.0f;
    for (int i = 1; i < k; ++i)
        for (int c = 0; c < 3; ++c) w[i] += sees[c] * coefficients[3 * i + c];
    float gx = -0.48860251190291987f * w[3], gy = -0.48860251190291987f * w[1],
          gz = 0.48860251190291987f * w[2];
    if (k > 4) {
        const float a = 1.0925484305920792f, b = 2 * 0.31539156525252005f, c = a;  // c = 2 x 0.546...
        gx += a * (y * w[4] - z * w[7]) - b * x * w[6] + c * x * w[8];
        gy += a * (x * w[4] - z * w[5]) - b * y * w[6] - c * y * w[8];
        gz += -a * (y * w[5] + x * w[7]) + 2 * b * z * w[6];
    }
    if (k > 9) {
        const float xx = x * x, yy = y * y, zz = z * z;
        const float a = 0.5900435899266435f, b = 2.890611442640554f, c = 0.4570457994644658f,
                    d = 0.3731763325901154f, e = 1.445305721320277f;
        gx += -6 * a * x * y * w[9] + b * y * z * w[10] + 2 * c * x * y * w[11] - 6 * d * x * z * w[12] -
              c * (4 * zz - 3 * xx - yy) * w[13] + 2 * e * x * z * w[14] - 3 * a * (xx - yy) * w[15];
        gy += -3 * a * (xx - yy) * w[9] + b * x * z * w[10] - c * (4 * zz - xx - 3 * yy) * w[11] -
              6 * d * y * z * w[12] + 2 * c * x * y * w[13] - 2 * e * y * z * w[14] + 6 * a * x * y * w[15];
        gz += b * x * y * w[10] - 8 * c * y * z * w[11] + 3 * d * (2 * zz - xx - yy) * w[12] -
              8 * c * x * z * w[13] + e * (xx - yy) * w[14];
    }
    // Only what turns the direction changes it.
    const float along = gx * x + gy * y + gz * z;
    by_direction[0] = (gx - along * x) * scale;
    by_direction[1] = (gy - along * y) * scale;
    by_direction[2] = (gz - along * z) * scale;
}

}  // namespace fourd
