// Colour that depends on the direction of view: real spherical harmonics up to degree 3.
//
// Basis, order and signs are those of 3D Gaussian splatting (Kerbl et al., 2023), that is, with the
// Condon-Shortley phase: degree 1 is (-y, z, -x).
#pragma once
#include "portable.h"

namespace fourd {

constexpr float kBrightest =
    1e30f;  // Finite, because 0 x infinity would spoil pixels that it does not reach.

// rgb = max(0, 0.5 + sum of basis x coefficients). `coefficients` is [k, 3], k = 1, 4, 9 or 16;
// (dx, dy, dz) points from the camera to the splat, of any length but zero.
FOURD_HD void sh_colour(const float* coefficients, int k, float dx, float dy, float dz, float rgb[3]) {
    float basis[16];
    basis[0] = 0.28209479177387814f;
    if (k > 1) {
        const float length2 = dx * dx + dy * dy + dz * dz;
        const float scale = length2 > 0 ? 1.0f / sqrtf(length2) : 0.0f;
        const float x = dx * scale, y = dy * scale, z = dz * scale;
        basis[1] = -0.48860251190291987f * y;
        basis[2] = 0.48860251190291987f * z;
        basis[3] = -0.48860251190291987f * x;
        if (k > 4) {
            const float xx = x * x, yy = y * y, zz = z * z;
            basis[4] = 1.0925484305920792f * x * y;
            basis[5] = -1.0925484305920792f * y * z;
            basis[6] = 0.31539156525252005f * (2 * zz - xx - yy);
            basis[7] = -1.0925484305920792f * x * z;
            basis[8] = 0.5462742152960396f * (xx - yy);
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
    }
    for (int c = 0; c < 3; ++c) {
        float sum = 0.5f;
        for (int i = 0; i < k; ++i) sum += basis[i] * coefficients[3 * i + c];
        rgb[c] = clamp(sum, 0.0f, kBrightest);
    }
}

}  // namespace fourd
