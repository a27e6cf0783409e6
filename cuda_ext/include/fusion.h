// Fusion, one pixel at a time: how its surface leans, which disc covers it, and what another frame says of
// it.
//
// Depth is kept as its inverse: inverse depth is linear on a plane in the picture, sums of it weigh near
// errors as the eye does, and infinity needs no special case.
#pragma once
#include "portable.h"

namespace fourd {

constexpr float kSteepest = 5.0f;     // Tangent of the steepest slope that a disc follows.
constexpr float kJump = 0.05f;        // Relative change of depth from pixel to pixel that is a boundary.
constexpr float kThickness = 0.1f;    // Of a disc along its normal, as a share of its smaller radius.
constexpr float kBareCoarser = 2.0f;  // A pixel at or beside an edge counts as so much coarser.
constexpr float kFlatRatio = 1.15f;   // Farthest to nearest depth within two pixels that is no jump.

// Intrinsics of a pinhole camera; the centre of the first pixel is at (0.5, 0.5).
struct Lens {
    float inv_fx, inv_fy, cx, cy, skew;
};

FOURD_HD Lens make_lens(const float* K) {
    Lens lens;
    lens.inv_fx = 1.0f / K[0];
    lens.inv_fy = 1.0f / K[4];
    lens.cx = K[2];
    lens.cy = K[5];
    lens.skew = K[1];
    return lens;
}

// Direction through (x, y), with z = 1.
FOURD_HD void ray_through(const Lens& lens, float x, float y, float ray[3]) {
    ray[1] = (y - lens.cy) * lens.inv_fy;
    ray[0] = (x - lens.cx - lens.skew * ray[1]) * lens.inv_fx;
    ray[2] = 1.0f;
}

// Relative change of depth to the next pixel along one axis, of the differences of inverse depth from the
// pixel before and to the one after it, times its depth. One-sided, towards whichever neighbour lies nearer
// in depth, so that a boundary is never leant across; where both jump away (a wire) it is 0.
FOURD_HD float lean_of(float from, float to, bool has_before, bool has_after, float inv_focal, bool& edge) {
    const float back = has_before ? from : to, ahead = has_after ? to : from;
    const float a = fabsf(back), b = fabsf(ahead);
    const float share = a < b ? back : ahead;
    const float least = min2(a, b), most = max2(a, b);
    const float limit = kSteepest * inv_focal;
    const bool lost = least > max2(limit, kJump);
    // A leaning surface changes by a similar amount on both sides; a boundary only on one.
    edge = ((most > kJump) & (most > 2.5f * least)) | lost;
    return lost ? 0.0f : -clamp(share, -limit, limit);
}

// The same of the depths of the neighbours; where there is none, of the pixel itself. Exactly 0 where all are
// equal.
FOURD_HD float lean(float before, float z, float after, bool has_before, bool has_after, float inv_focal,
                    bool& edge) {
    return lean_of(1.0f - z / before, z / after - 1.0f, has_before, has_after, inv_focal, edge);
}

// The patch of surface in a pixel, for a depth of 1: from its point to where the surface is one pixel further
// right (a) and down (b).
FOURD_HD void patch(const Lens& lens, const float ray[3], float lean_x, float lean_y, float a[3],
                    float b[3]) {
    a[0] = ray[0] * lean_x + lens.inv_fx;
    a[1] = ray[1] * lean_x;
    a[2] = lean_x;
    b[0] = ray[0] * lean_y - lens.skew * lens.inv_fx * lens.inv_fy;
    b[1] = ray[1] * lean_y + lens.inv_fy;
    b[2] = lean_y;
}

// Square root of the area of a patch.
FOURD_HD float pitch(const float a[3], const float b[3]) {
    const float x = a[1] * b[2] - a[2] * b[1], y = a[2] * b[0] - a[0] * b[2], z = a[0] * b[1] - a[1] * b[0];
    return sqrtf(sqrtf(x * x + y * y + z * z));
}

// Unit quaternion (w, x, y, z), w >= 0, of the rotation whose columns are e1, e2 and e3. The largest of the
// four components is found first, so that none is a difference of nearly equal numbers (Shepperd, 1978).
FOURD_HD void quat_from_axes(const float e1[3], const float e2[3], const float e3[3], float q[4]) {
    const float ww = 1 + e1[0] + e2[1] + e3[2], xx = 1 + e1[0] - e2[1] - e3[2];
    const float yy = 1 - e1[0] + e2[1] - e3[2], zz = 1 - e1[0] - e2[1] + e3[2];
    const float wx = e2[2] - e3[1], wy = e3[0] - e1[2], wz = e1[1] - e2[0];
    const float xy = e2[0] + e1[1], xz = e3[0] + e1[2], yz = e3[1] + e2[2];
    const bool x_first = xx > ww, z_first = zz > yy;
    const float left = x_first ? xx : ww, right = z_first ? zz : yy;
    const bool of_right = right > left;
    float w = of_right ? (z_first ? wz : wy) : (x_first ? wx : ww);
    float x = of_right ? (z_first ? xz : xy) : (x_first ? xx : wx);
    float y = of_right ? (z_first ? yz : yy) : (x_first ? xy : wy);
    float z = of_right ? (z_first ? zz : yz) : (x_first ? xz : wz);
    const float norm = sqrtf(w * w + x * x + y * y + z * z);
    const float by = (w < 0 ? -1.0f : 1.0f) / norm;
    q[0] = w * by;
    q[1] = x * by;
    q[2] = y * by;
    q[3] = z * by;
}

// The Gaussian whose covariance is sigma^2 (a a^T + b b^T), and a thin normal. Its axes are those of the 2x2
// Gram matrix of a and b, carried to space: cos and sin of half the angle of (aa - bb, 2 ab).
FOURD_HD void disc(const float a[3], const float b[3], float sigma, float q[4], float scale[3]) {
    const float aa = a[0] * a[0] + a[1] * a[1] + a[2] * a[2], bb = b[0] * b[0] + b[1] * b[1] + b[2] * b[2];
    const float d = aa - bb, e = 2 * (a[0] * b[0] + a[1] * b[1] + a[2] * b[2]);
    const float h = sqrtf(d * d + e * e);
    const bool round = h <= 1e-6f * (aa + bb);  // Any axes will do, and none can be told.
    const float most = sqrtf(0.5f + 0.5f * fabsf(d) / h), least = 0.5f * fabsf(e) / (h * most);
    const float c = round ? 1.0f : d >= 0 ? most : least;
    const float s = round ? 0.0f : (d >= 0 ? least : most) * (e < 0 ? -1.0f : 1.0f);
    float e1[3], e2[3];
    for (int k = 0; k < 3; ++k) {
        e1[k] = c * a[k] + s * b[k];
        e2[k] = c * b[k] - s * a[k];
    }
    const float longer = max2(sqrtf(e1[0] * e1[0] + e1[1] * e1[1] + e1[2] * e1[2]), 1e-12f);
    const float shorter = max2(sqrtf(e2[0] * e2[0] + e2[1] * e2[1] + e2[2] * e2[2]), 1e-12f);
    for (int k = 0; k < 3; ++k) {
        e1[k] /= longer;
        e2[k] /= shorter;
    }
    const float e3[3] = {e1[1] * e2[2] - e1[2] * e2[1], e1[2] * e2[0] - e1[0] * e2[2],
                         e1[0] * e2[1] - e1[1] * e2[0]};
    quat_from_axes(e1, e2, e3, q);
    scale[0] = sigma * longer;
    scale[1] = sigma * shorter;
    scale[2] = sigma * kThickness * shorter;
}

// From the pixels of one frame to those of another. For a pixel (x, y) of inverse depth r, the vector
// turn (x, y, 1) + r shift is the pixel of the other frame, homogeneous, times the ratio of its depth there
// to its depth here.
struct Passage {
    float turn[9];
    float shift[3];
};

// `pose` is world_from_cam of the frame, `other` cam_from_world of the other. In double precision, for what
// is nearly equal is subtracted.
FOURD_HD Passage make_passage(const float* K, const float* pose, const float* other_K, const float* other) {
    double R[9], t[3], M[9];
    for (int i = 0; i < 3; ++i) {
        for (int j = 0; j < 3; ++j) {
            double sum = 0;
            for (int k = 0; k < 3; ++k) sum += (double)other[4 * i + k] * (double)pose[4 * k + j];
            R[3 * i + j] = sum;
        }
        double sum = other[4 * i + 3];
        for (int k = 0; k < 3; ++k) sum += (double)other[4 * i + k] * (double)pose[4 * k + 3];
        t[i] = sum;
    }
    for (int i = 0; i < 3; ++i) {  // R times the inverse of K.
        const double c0 = R[3 * i] / K[0], c1 = (R[3 * i + 1] - c0 * K[1]) / K[4];
        M[3 * i] = c0;
        M[3 * i + 1] = c1;
        M[3 * i + 2] = R[3 * i + 2] - c0 * K[2] - c1 * K[5];
    }
    Passage p;
    for (int j = 0; j < 3; ++j) {
        p.turn[j] = (float)(other_K[0] * M[j] + other_K[1] * M[3 + j] + other_K[2] * M[6 + j]);
        p.turn[3 + j] = (float)(other_K[4] * M[3 + j] + other_K[5] * M[6 + j]);
        p.turn[6 + j] = (float)M[6 + j];
    }
    p.shift[0] = (float)(other_K[0] * t[0] + other_K[1] * t[1] + other_K[2] * t[2]);
    p.shift[1] = (float)(other_K[4] * t[1] + other_K[5] * t[2]);
    p.shift[2] = (float)t[2];
    return p;
}

// Where another frame sees a point.
struct Landing {
    float x, y;   // In its pixels.
    float ratio;  // Depth there by depth here.
    int inside;   // In front of it, and half a pixel from the border at least.
};

FOURD_HD Landing landing(float X, float Y, float Z, int h, int w) {
    Landing at;
    const float by = 1.0f / Z;  // Infinite or NaN are outside, too: they compare as false.
    at.x = X * by;
    at.y = Y * by;
    at.ratio = Z;
    at.inside =
        (Z > 1e-6f) & (at.x >= 0.5f) & (at.y >= 0.5f) & (at.x < (float)w - 0.5f) & (at.y < (float)h - 0.5f);
    return at;
}

FOURD_HD Landing land(const Passage& p, float x, float y, float inverse, int h, int w) {
    const float X = p.turn[0] * x + p.turn[1] * y + p.turn[2] + inverse * p.shift[0];
    const float Y = p.turn[3] * x + p.turn[4] * y + p.turn[5] + inverse * p.shift[1];
    const float Z = p.turn[6] * x + p.turn[7] * y + p.turn[8] + inverse * p.shift[2];
    return landing(X, Y, Z, h, w);
}

// From points of the world to the pixels of a frame: three rows that give the pixel, homogeneous, times the
// depth.
struct Gaze {
    float row[3][4];
    float focal_px;
};

FOURD_HD Gaze make_gaze(const float* K, const float* cam_from_world) {
    Gaze g;
    for (int c = 0; c < 4; ++c) {
        const float x = cam_from_world[c], y = cam_from_world[4 + c], z = cam_from_world[8 + c];
        g.row[0][c] = K[0] * x + K[1] * y + K[2] * z;
        g.row[1][c] = K[4] * y + K[5] * z;
        g.row[2][c] = z;
    }
    g.focal_px = K[0];
    return g;
}

// `ratio` is the depth.
FOURD_HD Landing land(const Gaze& g, float x, float y, float z, int h, int w) {
    const float X = g.row[0][0] * x + g.row[0][1] * y + g.row[0][2] * z + g.row[0][3];
    const float Y = g.row[1][0] * x + g.row[1][1] * y + g.row[1][2] * z + g.row[1][3];
    const float Z = g.row[2][0] * x + g.row[2][1] * y + g.row[2][2] * z + g.row[2][3];
    return landing(X, Y, Z, h, w);
}

// What fusion keeps of a frame for those who look into it.
struct Plane {
    const float* inverse;       // [h, w]; negative where the depth jumps close by, or might.
    const unsigned char* sure;  // [h, w]; confidence, 1 to 255; 0 where something moves or nothing is known.
    int h, w;
};

// The four pixels whose centres lie around (x, y), which is inside a picture: the index of the first, and how
// far (x, y) lies from it towards the others.
struct Corner {
    int first;
    float a, b;
};

FOURD_HD Corner corner_of(float x, float y, int w) {
    const float u = x - 0.5f, v = y - 0.5f;
    const int col = (int)u, row = (int)v;
    Corner corner;
    corner.first = row * w + col;
    corner.a = u - (float)col;
    corner.b = v - (float)row;
    return corner;
}

// The index of the pixel in which (x, y) lies.
FOURD_HD int pixel_of(float x, float y, int w) { return (int)y * w + (int)x; }

// That one of the four in which (x, y) lies.
FOURD_HD float own_of(const Corner& c, float first, float right, float below, float opposite) {
    const float upper = c.a >= 0.5f ? right : first, lower = c.a >= 0.5f ? opposite : below;
    return c.b >= 0.5f ? lower : upper;
}

// The inverse depth there, of the four values of Plane::inverse: on a surface between them, which is exact on
// a plane; beside a jump (`flat` false) that of the pixel itself.
FOURD_HD float look(const Corner& c, float first, float right, float below, float opposite, bool& flat) {
    const float own = own_of(c, first, right, below, opposite);
    flat = own > 0;
    const float top = fabsf(first) + c.a * (fabsf(right) - fabsf(first));
    const float bottom = fabsf(below) + c.a * (fabsf(opposite) - fabsf(below));
    return flat ? top + c.b * (bottom - top) : fabsf(own);
}

// The nearest of the four, as an inverse depth.
FOURD_HD float look_nearest(float first, float right, float below, float opposite) {
    return max2(max2(fabsf(first), fabsf(right)), max2(fabsf(below), fabsf(opposite)));
}

// Relative difference in depth up to which two frames see one surface: more if one of them is unsure.
FOURD_HD float allowed(float tolerance, float sure, float other_sure) {
    return tolerance * (2.0f - min2(sure, other_sure));
}

// What a frame says of a point. `off` is the inverse depth of its surface less that of the point, both as
// seen from where the point was filmed, and `off_nearest` the same for the nearest of the four pixels around;
// `limit` is the inverse depth within which they are one.
enum Opinion { kSilent = 0, kAgrees = 1, kContradicts = 2 };

FOURD_HD int opinion(float off, float off_nearest, float limit) {
    return fabsf(off) < limit ? kAgrees : off_nearest < -1.5f * limit ? kContradicts : kSilent;
}

// Whether too many frames look through a point, as a share of those that see it. Half an opinion more is
// allowed, for one frame may err.
FOURD_HD bool outvoted(float contradiction, float support, float share) {
    return contradiction > share * support + 0.5f;
}

}  // namespace fourd
