// What many frames together say of a point, and what the pixels beside one say of it.
#pragma once
#include "fusion.h"

namespace fourd {

// Brightness of a colour.
FOURD_HD float luma(float r, float g, float b) { return 0.299f * r + 0.587f * g + 0.114f * b; }

// The value between the centres of four pixels of 8 bits, 0 to 1; `a` and `b` say how far towards the right
// and the lower ones.
FOURD_HD float between(float a, float b, float first, float right, float below, float opposite) {
    const float top = first + a * (right - first), bottom = below + a * (opposite - below);
    return (top + b * (bottom - top)) * (1.0f / 255.0f);
}

// How much a frame's colour counts that has so many pixels on a disc, against the frame that made it.
FOURD_HD float acuity(float radius_m, float focal_px, float depth, float sigma_px, float sure) {
    const float sharp = min2(radius_m * focal_px / (depth * sigma_px), 1.5f);
    return sharp * sharp * sharp * sharp * sure + 1e-6f;
}

// How much a colour counts by its distance from the median's, per channel.
FOURD_HD float likeness(float same_colour, float r, float g, float b) {
    return exp2_fast(-0.72134752f / (same_colour * same_colour) * (r * r + g * g + b * b));  // log2(e) / 2
}

// A colour as one frame sees it, 0 to 1, and how much it counts.
struct alignas(16) Sample {
    float r, g, b, weight;
};

// A mean that outliers (a passing shadow, a highlight, a wrong match) hardly move: samples count by how near
// they are to the one whose brightness is the weighted median. There is one at least; they lie `stride`
// apart.
FOURD_HD void robust_mean(const Sample* samples, int64_t stride, int count, float same_colour, float rgb[3]) {
    float total = 0, least = as_float(0x7f800000);  // Infinity.
    for (int i = 0; i < count; ++i) total += samples[i * stride].weight;
    Sample centre = samples[0];
    for (int i = 0; i < count; ++i) {  // The darkest that has half of all weight at or below it.
        const Sample s = samples[i * stride];
        const float own = luma(s.r, s.g, s.b);
        float upto = 0;
        for (int j = 0; j < count; ++j) {
            const Sample t = samples[j * stride];
            const float other = luma(t.r, t.g, t.b);
            upto += (other < own) | ((other == own) & (j <= i)) ? t.weight : 0.0f;
        }
        if (upto >= 0.5f * total && own < least) {
            least = own;
            centre = s;
        }
    }
    float r = 0, g = 0, b = 0, weight = 0;
    for (int i = 0; i < count; ++i) {
        const Sample s = samples[i * stride];
        const float share = s.weight * likeness(same_colour, s.r - centre.r, s.g - centre.g, s.b - centre.b);
        r += share * s.r;
        g += share * s.g;
        b += share * s.b;
        weight += share;
    }
    rgb[0] = r / weight;
    rgb[1] = g / weight;
    rgb[2] = b / weight;
}

// Whether a point that is unsure, or looks the same, gives way to a surface close by that is no less sure:
// one sheet, not two. `apart` and `limit` are inverse depths as in `opinion`.
FOURD_HD bool defers(float apart, float limit, float sure, float their_sure, const uint8_t* rgb,
                     const uint8_t* their_rgb, float alike) {
    if (fabsf(apart) >= 3 * limit || sure > 1.25f * their_sure) return false;
    if (sure < 0.5f) return true;
    int off = 0;
    for (int c = 0; c < 3; ++c) {
        const int d = (int)rgb[c] - (int)their_rgb[c];
        off += d < 0 ? -d : d;
    }
    return (float)off < alike * 3 * 255;
}

// An outline may lie a pixel further in: whether something beside `pixel` of the other frame stands where the
// point does.
FOURD_HD bool stands_beside(const Plane& there, int pixel, float ratio, float inverse, float limit) {
    const int row = pixel / there.w, col = pixel % there.w;
    for (int r = row > 0 ? row - 1 : 0; r <= row + 1 && r < there.h; ++r)
        for (int c = col > 0 ? col - 1 : 0; c <= col + 1 && c < there.w; ++c) {
            const int at = r * there.w + c;
            if (there.sure[at] && fabsf(ratio * fabsf(there.inverse[at]) - inverse) < limit) return true;
        }
    return false;
}

// Whether a pixel or one beside it is marked.
FOURD_HD bool any_beside(const uint8_t* marked, int h, int w, int row, int col) {
    for (int r = row > 0 ? row - 1 : 0; r <= row + 1 && r < h; ++r)
        for (int c = col > 0 ? col - 1 : 0; c <= col + 1 && c < w; ++c)
            if (marked[(int64_t)r * w + c]) return true;
    return false;
}

// Mean colour of the pixels at and beside one, 0 to 1.
FOURD_HD void soft_colour(const uint8_t* rgb, int h, int w, int row, int col, float out[3]) {
    int sum[3] = {0, 0, 0}, count = 0;
    for (int r = row > 0 ? row - 1 : 0; r <= row + 1 && r < h; ++r)
        for (int c = col > 0 ? col - 1 : 0; c <= col + 1 && c < w; ++c, ++count)
            for (int k = 0; k < 3; ++k) sum[k] += rgb[3 * ((int64_t)r * w + c) + k];
    for (int k = 0; k < 3; ++k) out[k] = (float)sum[k] / (255.0f * (float)count);
}

}  // namespace fourd
