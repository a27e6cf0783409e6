// A tile is blended in blocks of 4 x 4 pixels: the loop over one becomes one to four vector instructions an
// operation. Splats are small, and a square holds fewer pixels that they do not reach than a run as long.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "blend.h"
#include "raster.h"

namespace fourd {

constexpr int kSide = 4;  // Pixels along a block's side.
constexpr int kLanes = kSide * kSide;
constexpr int kBlocks = kTile / kSide;

// A tile of blocks that keep what is covered of each pixel in `alpha`.
template <class Block>
struct Tile {
    Block blocks[kBlocks * kBlocks];  // Row after row.

    // A bit for each block that has a pixel which is not covered. Those beyond the picture's edge are from
    // the start.
    FOURD_INLINE unsigned open() const {
        unsigned bits = 0;
        for (int j = 0; j < kBlocks * kBlocks; ++j) {
            float least[kLanes];
            for (int i = 0; i < kLanes; ++i) least[i] = blocks[j].alpha[i];
            for (int step = kLanes / 2; step > 0; step /= 2)
                for (int i = 0; i < step; ++i) least[i] = min2(least[i], least[i + step]);
            bits |= least[0] > kOpaque ? 0u : 1u << j;
        }
        return bits;
    }
};

// How much more the splat's u and v are at each of a block's pixels than in its middle.
struct alignas(64) Offsets {
    float u[kLanes], v[kLanes];
};

// Tables, or compilers put the numbers together anew for each splat: pixels from the middle of their block,
// and the middles of blocks from the centre of the tile's first pixel. Across, and down.
static_assert(kSide == 4 && kBlocks == 4, "the tables hold 4 x 4");
alignas(64) constexpr float kAcross[16] = {-1.5f, -0.5f, 0.5f, 1.5f, -1.5f, -0.5f, 0.5f, 1.5f,
                                           -1.5f, -0.5f, 0.5f, 1.5f, -1.5f, -0.5f, 0.5f, 1.5f};
alignas(64) constexpr float kDown[16] = {-1.5f, -1.5f, -1.5f, -1.5f, -0.5f, -0.5f, -0.5f, -0.5f,
                                         0.5f,  0.5f,  0.5f,  0.5f,  1.5f,  1.5f,  1.5f,  1.5f};
alignas(64) constexpr float kMiddleX[16] = {1.5f, 5.5f, 9.5f, 13.5f, 1.5f, 5.5f, 9.5f, 13.5f,
                                            1.5f, 5.5f, 9.5f, 13.5f, 1.5f, 5.5f, 9.5f, 13.5f};
alignas(64) constexpr float kMiddleY[16] = {1.5f, 1.5f, 1.5f, 1.5f, 5.5f,  5.5f,  5.5f,  5.5f,
                                            9.5f, 9.5f, 9.5f, 9.5f, 13.5f, 13.5f, 13.5f, 13.5f};
alignas(64) constexpr int kBit[16] = {1,      1 << 1, 1 << 2,  1 << 3,  1 << 4,  1 << 5,  1 << 6,  1 << 7,
                                      1 << 8, 1 << 9, 1 << 10, 1 << 11, 1 << 12, 1 << 13, 1 << 14, 1 << 15};

// Calls visit(splat, block, offsets, u, v) for each block of the tile in `open` that the splat may reach,
// with u and v in the block's middle. `visit` must be a struct whose call is FOURD_INLINE; x0, y0 is the
// tile's first pixel. All sixteen blocks are asked at once, and walked in one loop: processors guess its end
// wrong once only.
template <class Block, class Visit>
FOURD_INLINE void each_block(Tile<Block>& tile, int x0, int y0, unsigned open, const Seen& s, Visit& visit) {
    const float x = s.x - (static_cast<float>(x0) + 0.5f), y = s.y - (static_cast<float>(y0) + 0.5f);
    // How far u and v get from the middle within a block; with u and v apart, and a little more for rounding.
    const float wide = 1.51f * (1.0f + fabsf(s.slope)) * s.inv_sx, high = 1.51f * s.inv_sy;
    const float reach = s.reach * 1.001f;
    Offsets offsets, middles;
    int bits = 0;
    for (int i = 0; i < kLanes; ++i) {
        offsets.u[i] = (kAcross[i] - s.slope * kDown[i]) * s.inv_sx;
        offsets.v[i] = kDown[i] * s.inv_sy;
        const float dy = kMiddleY[i] - y;
        const float u = ((kMiddleX[i] - x) - s.slope * dy) * s.inv_sx, v = dy * s.inv_sy;
        middles.u[i] = u;
        middles.v[i] = v;
        const float du = max2(fabsf(u) - wide, 0.0f), dv = max2(fabsf(v) - high, 0.0f);
        bits |= du * du + dv * dv <= reach ? kBit[i] : 0;
    }
    for (unsigned left = static_cast<unsigned>(bits) & open; left != 0; left &= left - 1) {
        const int j = lowest_bit(left);
        visit(s, tile.blocks[j], offsets, middles.u[j], middles.v[j]);
    }
}

constexpr size_t kAhead = 8;

// A tile's splats lie far apart in memory, where no processor looks ahead by itself: half the time would go
// into waiting for them.
FOURD_INLINE void look_ahead(const Seen* seen, const uint32_t* entries, size_t i, size_t count) {
    if (i + kAhead < count) FOURD_PREFETCH(&seen[entries[i + kAhead]]);
}

// Whether it is time to ask if the tile is full, after so many splats.
FOURD_INLINE bool time_to_ask(size_t i) { return i % 32 == 31; }

// Where a tile lies in the picture, and how much of it does.
struct Place {
    int x0, y0, rows, columns;

    Place(int tile, const Camera& camera) {
        const int across = (camera.w + kTile - 1) / kTile;
        x0 = tile % across * kTile;
        y0 = tile / across * kTile;
        rows = std::min(camera.h - y0, kTile);
        columns = std::min(camera.w - x0, kTile);
    }

    // Whether pixel `lane` of a block is one of the picture's.
    FOURD_INLINE bool inside(int block, int lane) const {
        return (kMiddleX[block] + kAcross[lane] < static_cast<float>(columns)) &
               (kMiddleY[block] + kDown[lane] < static_cast<float>(rows));
    }
};

}  // namespace fourd
