// Dense stereo on CUDA: what cuda_ext/cpu/sweep.cpp does, with a thread for each pixel and plane, a warp for
// each path of semi-global matching, and a thread for each line that is smoothed.
#include "grid.h"
#include "sweep.h"

using namespace fourd;

namespace {

constexpr int kMaxKeep = 32;      // Views whose costs one thread keeps: the better half of twice as many.
constexpr int kMaxPlanes = 4096;  // That the paths' state in shared memory has room for.

}  // namespace

// Before smoothing: cost[y, x, i] of plane i, the mean over the better half of the views.
extern "C" __global__ void sweep_match(const float* reference, const float* others, const float* turn,
                                       const float* shift, const float* rho, int64_t n, int64_t h, int64_t w,
                                       int64_t d, float truncation, uint8_t* cost) {
    const int64_t at = global_thread();
    if (at >= h * w * d) return;
    const int64_t pixel = at / d, plane = at % d;
    const float* f = reference + pixel * kSweepChannels;
    const int keep = n < 2 ? 1 : (int)(n + 1) / 2;
    float lowest[kMaxKeep];
    for (int k = 0; k < keep; ++k) lowest[k] = n == 0 || f[3] < 0.5f ? kSweepUnknown : 1.0f;
    for (int64_t j = 0; j < n && f[3] >= 0.5f; ++j) {
        float far[3], u, v;
        sweep_far(turn + 9 * j, (float)(pixel % w) + 0.5f, (float)(pixel / w) + 0.5f, far);
        sweep_place(far, shift + 3 * j, rho[plane], u, v);
        float value = sweep_cost(others + j * h * w * kSweepChannels, (int)h, (int)w, f, truncation, u, v);
        for (int k = 0; k < keep; ++k) sweep_exchange(lowest[k], value);
    }
    float sum = 0;
    for (int k = 0; k < keep; ++k) sum += lowest[k];
    cost[at] = sweep_quantise(sum, keep);
}

// The mean over 3x3 pixels, rounded; at the border over what is there.
extern "C" __global__ void sweep_mean(const uint8_t* cost, int64_t h, int64_t w, int64_t d, uint8_t* out) {
    const int64_t at = global_thread();
    if (at >= h * w * d) return;
    const int64_t pixel = at / d, y = pixel / w, x = pixel % w;
    unsigned sum = 0, count = 0;
    for (int64_t j = y > 0 ? y - 1 : 0; j <= y + 1 && j < h; ++j)
        for (int64_t i = x > 0 ? x - 1 : 0; i <= x + 1 && i < w; ++i, ++count)
            sum += cost[(j * w + i) * d + at % d];
    out[at] = (uint8_t)((sum + count / 2) / count);
}

// One direction of semi-global matching; a warp of 32 threads a path. Path k visits the pixels
// first + k beside + i along, i = 0 .. length - 1, and pays penalty[gap + k gap_beside + i gap_along] between
// i and i + 1. `sum` gathers the costs of all directions; no pixel lies on two paths of one.
extern "C" __global__ void sweep_paths(const uint8_t* cost, const int16_t* penalty, int64_t first,
                                       int64_t beside, int64_t along, int64_t gap, int64_t gap_beside,
                                       int64_t gap_along, int64_t length, int64_t d, int64_t p1,
                                       uint16_t* sum) {
    __shared__ int16_t state[2][kMaxPlanes + 2];  // Of the pixel before and this one, between two walls.
    const int lane = (int)threadIdx.x;
    const int64_t k = blockIdx.x;
    int16_t *before = state[0], *now = state[1];
    if (lane == 0) before[0] = before[d + 1] = now[0] = now[d + 1] = kSgmWall;
    int16_t least = 0;
    for (int64_t i = 0; i < length; ++i) {
        const int64_t pixel = first + k * beside + i * along;
        const int16_t p2 = i > 0 ? penalty[gap + k * gap_beside + (i - 1) * gap_along] : (int16_t)0;
        int lowest = 32767;
        for (int64_t plane = lane; plane < d; plane += 32) {
            const uint8_t own = cost[pixel * d + plane];
            const int16_t value =
                i > 0 ? sgm_step(own, before + plane + 1, least, (int16_t)p1, p2) : (int16_t)own;
            now[plane + 1] = value;
            sum[pixel * d + plane] = (uint16_t)(sum[pixel * d + plane] + value);
            lowest = value < lowest ? value : lowest;
        }
        for (int mask = 16; mask > 0; mask /= 2) {
            const int other = __shfl_xor_sync(0xffffffffu, lowest, mask);
            lowest = other < lowest ? other : lowest;
        }
        least = (int16_t)lowest;
        __syncwarp();
        int16_t* swap = before;
        before = now;
        now = swap;
    }
}

extern "C" __global__ void sweep_choose(const uint16_t* sum, const uint8_t* cost, int64_t count, int64_t d,
                                        float* plane, float* lead, float* residual) {
    const int64_t i = global_thread();
    if (i >= count) return;
    int winner;
    sgm_choose(sum + i * d, (int)d, plane[i], lead[i], winner);
    residual[i] = (float)cost[i * d + winner] / 255.0f;
}

// Smooths each of m x lines lines in place: line k of map j starts at u + j size + k beside.
extern "C" __global__ void sweep_smooth(float* u, const float* alike, int64_t maps, int64_t size,
                                        int64_t lines, int64_t beside, int64_t along, int64_t length,
                                        int64_t alike_beside, int64_t alike_along, float strength,
                                        float* upper) {
    const int64_t at = global_thread();
    if (at >= maps * lines) return;
    const int64_t k = at % lines;
    float* line = u + at / lines * size + k * beside;
    float* kept = upper + at / lines * size + k * beside;  // Laid out as the line itself.
    const float* edge = alike + k * alike_beside;
    float behind = 0, before = 0, upper_before = 0;
    for (int64_t i = 0; i < length; ++i) {
        const float ahead = i + 1 < length ? strength * edge[i * alike_along] : 0.0f;
        smooth_step(line[i * along], ahead, behind, before, upper_before, kept[i * along]);
        before = line[i * along];
        upper_before = kept[i * along];
        behind = ahead;
    }
    for (int64_t i = length - 2; i >= 0; --i) line[i * along] += kept[i * along] * line[(i + 1) * along];
}
