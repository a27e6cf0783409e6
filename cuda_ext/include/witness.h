// What many frames together say of a point, and what the pixels beside one say of it.
#pragma once
#include "fusion.h"

namespace fourd {

// A colour as one frame sees it, 0 to 1, and how much it counts.
struct alignas(16) Sample {
    float r, g, b, weight;
};

FOURD_HD float luma(const Sample& s) { return 0.299f * s.r + 0.587f * s.g + 0.114f * s.b; }

// The colour between the centres of the four pixels at `first` of a picture that is w wide; `a` and `b` say
// how far towards the right and the lower ones.
FOURD_HD Sample sample_at(const uint8_t* first, int w, float a, float b, float weight) {
    const uint8_t *right = first + 3, *below = first + 3 * w, *opposite = below + 3;
    const float share[4] = {(1 - a) * (1 - b), a * (1 - b), (1 - a) * b, a * b};
    float rgb[3];
    for (int k = 0; k < 3; ++k)
        rgb[k] = (share[0] * (float)first[k] + share[1] * (float)right[k] + share[2] * (float)below[k] +
                  share[3] * (float)opposite[k]) /
                 255.0f;
    return {rgb[0], rgb[1], rgb[2], weight};
}

// A mean that outliers (a passing shadow, a highlight, a wrong match) hardly move: samples count by how near
// they are to the sample whose brightness is the weighted median. There is one sample at least; they lie
// `stride` apart, and are put in order.
FOURD_HD void robust_mean(Sample* samples, int64_t stride, int count, float same_colour, float rgb[3]) {
    float total = 0;
    for (int i = 0; i < count; ++i) {  // Sorted by insertion: they are few.
        const Sample s = samples[i * stride];
        int k = i;
        for (; k > 0 && luma(samples[(k - 1) * stride]) > luma(s); --k)
            samples[k * stride] = samples[(k - 1) * stride];
        samples[k * stride] = s;
    }
    for (int i = 0; i < count; ++i) total += samples[i * stride].weight;
    int middle = 0;
    float below = 0;
    while (middle + 1 < count && below + samples[middle * stride].weight < 0.5f * total)
        below += samples[middle++ * stride].weight;
    const Sample centre = samples[middle * stride];
    const float by = -0.72134752f / (same_colour * same_colour);  // log2(e) / 2
    float r = 0, g = 0, b = 0, weight = 0;
    for (int i = 0; i < count; ++i) {
        const Sample s = samples[i * stride];
        const float dr = s.r - centre.r, dg = s.g - centre.g, db = s.b - centre.b;
        const float share = s.weight * exp2_fast(by * (dr * dr + dg * dg + db * db));
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
