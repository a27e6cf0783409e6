// One pixel: how a splat is laid behind those already there.
#pragma once
#include "portable.h"
#include "splat.h"

namespace fourd {

constexpr float kOpaque = 0.9999f;  // Covered so far, a pixel takes nothing more.

// What has gathered in a pixel. The transmittance is 1 - alpha; the sum of the weights is kept and not their
// product's complement, because the depth is divided by it.
struct Pixel {
    float alpha, r, g, b;
    float depth;  // Sum of weight x distance.
    float
        median;  // Distance of the splat that brought the transmittance below a half, or of the last so far.
    float best;  // The greatest weight so far, and whose it was.
    int index;
};

// How much of the pixel the splat takes that was free. `covered` is alpha so far.
FOURD_HD float share(float covered, float exponent) {
    const bool counts = (exponent >= kLog2AlphaMin) & (covered <= kOpaque);
    const float room = counts ? 1.0f - covered : 0.0f;
    return room * min2(exp2_below(exponent), kAlphaMax);
}

// `exponent` is the splat's log2(alpha) here. Without branches: the callers do many pixels at once.
FOURD_HD void blend(Pixel& p, float exponent, float r, float g, float b, float z, int index) {
    const float weight = share(p.alpha, exponent);
    p.median = p.alpha <= 0.5f ? z : p.median;
    p.index = weight > p.best ? index : p.index;
    p.best = max2(weight, p.best);
    p.r += weight * r;
    p.g += weight * g;
    p.b += weight * b;
    p.depth += weight * z;
    p.alpha += weight;
}

// The way back through `blend`, nearest first as well. `covered` is alpha so far; `worth` is the derivative
// of the loss by this splat's weight in this pixel; `behind` the sum of weight x worth of this splat and all
// that lie behind it. Gives the splat's weight, and in `e` the derivative by its exponent.
FOURD_HD void blend_gradient(float& covered, float& behind, float exponent, float worth, float& weight,
                             float& e) {
    const bool counts = (exponent >= kLog2AlphaMin) & (covered <= kOpaque);
    const float room = counts ? 1.0f - covered : 0.0f;
    const float full = exp2_below(exponent), alpha = min2(full, kAlphaMax);
    weight = room * alpha;
    covered += weight;
    const float gain = weight * worth;
    behind -= gain;
    // A splat that covers more takes from those behind it. At the bound of alpha nothing moves.
    const float by_log = gain - behind * (alpha / (1.0f - alpha));
    e = counts & (full < kAlphaMax) ? 0.69314718f * by_log : 0.0f;
}

}  // namespace fourd
