// The stages of the CPU rasterizer, in the order in which they run: project, sort by depth, sort into tiles,
// blend tile by tile. Each runs on several threads and gives the same result on any number of them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "gradient.h"
#include "isa.h"
#include "memory.h"
#include "splat.h"

namespace fourd {

constexpr int kTile = 16;            // Pixels along a tile's side.
constexpr int64_t kMaxSide = 32767;  // Rows are kept in 16 bits.

// The input, as torch lays it out.
struct SplatArrays {
    const float* mean_m;        // [n, 3]
    const float* quat_wxyz;     // [n, 4]
    const float* scale_m;       // [n, 3]
    const float* opacity;       // [n]
    const float* colour;        // [n, k, 3]
    const float* velocity_mps;  // [n, 3]
    const float* time_s;        // [n]
    const float* duration_s;    // [n]
    int64_t n;
    int k;
};

struct Pictures {
    float* rgb;       // [h, w, 3]
    float* alpha;     // [h, w]
    float* depth_m;   // [h, w]
    float* median_m;  // [h, w]
    int32_t* index;   // [h, w]
};

// A splat that is seen: one cache line, so that a tile fetches each of its splats once.
struct alignas(64) Seen {
    float x, y, slope, inv_sx, inv_sy, log2_opacity;
    float r, g, b, z;
    int32_t id;
    uint16_t row_first, row_last;  // Pixel rows that it may reach, both included.
    float reach, tilt, half_w;
};
static_assert(sizeof(Seen) == 64, "a splat that is seen is one cache line");

// Projects all splats and keeps those that are seen, in their order.
struct Projected {
    Buffer<Seen> seen;          // Chunk after chunk, with gaps between them.
    std::vector<size_t> start;  // Of each chunk.
    std::vector<size_t> kept;   // How many are in each.
};
Projected project_splats(const SplatArrays& splats, const Camera& camera, double time_s, int threads,
                         Isa isa);

// Nearest first; those equally far stay in their order.
Buffer<Seen> sort_by_depth(const Projected& projected, int threads);

// For each tile from `first_tile` to `last_tile - 1`, the splats that touch it, nearest first.
struct TileLists {
    int first_tile = 0, last_tile = 0;
    std::vector<uint32_t> begin;  // Of tile first_tile + i in `entries`; one more for the end.
    Buffer<uint32_t> entries{0};  // Positions among the sorted splats.
    // Where asked for: a place for each entry, so that those of a splat lie together in the order of its
    // tiles.
    Buffer<uint32_t> slots{0};       // Of each entry.
    Buffer<uint32_t> first_slot{0};  // Of each splat; one more for the end.
};

// Sorts splats into tiles, for one range of tiles after another that together are the picture. There is one
// range only, unless the lists would fill the memory: ten thousand splats may each cover ten thousand tiles.
class Tiler {
  public:
    // At most `max_entries` at a time, unless one tile has more. 2^25 are 128 MiB of lists.
    Tiler(const Buffer<Seen>& sorted, const Camera& camera, int threads, size_t max_entries = size_t{1} << 25,
          bool with_slots = false);
    // Fills the next range of tiles; false when there is none left.
    bool next(TileLists& lists);

  private:
    const Buffer<Seen>& sorted_;
    const int rows_, columns_, w_, threads_;
    const size_t chunk_;  // Splats that one thread takes.
    const size_t max_entries_;
    const bool with_slots_;
    std::vector<std::vector<uint32_t>> counts_;  // [chunk][tile]
    int next_tile_ = 0;
};

// Blends the tiles of `lists` and writes their pixels.
void blend_tiles(const Buffer<Seen>& sorted, const TileLists& lists, const Camera& camera,
                 const Pictures& out, int threads, Isa isa);

void rasterize(const SplatArrays& splats, const Camera& camera, double time_s, const Pictures& out,
               int threads, Isa isa);

// What the pictures were, and the derivatives of a loss by them. All [h, w], or [h, w, 3].
struct PictureGradients {
    const float *rgb, *alpha, *depth_m;
    const float *by_rgb, *by_alpha, *by_depth_m;
};

// The derivatives by everything in SplatArrays, laid out alike, and by K [3, 3] and world_from_cam [4, 4].
struct SplatGradients {
    float *mean_m, *quat_wxyz, *scale_m, *opacity, *colour, *velocity_mps, *time_s, *duration_s;
    float *K, *world_from_cam;
};

// Adds to `splat_sums`, for each sorted splat, what the pixels of the tiles of `lists` say of it.
// `entry_sums` is room to work in.
void gather_pixels(const Buffer<Seen>& sorted, const TileLists& lists, const Camera& camera,
                   const PictureGradients& in, Buffer<PixelSums>& entry_sums, Buffer<PixelSums>& splat_sums,
                   int threads, Isa isa);

// From there to the splats and the camera. `scrub`: what is not finite becomes 0.
void project_gradients(const SplatArrays& splats, const Camera& camera, double time_s,
                       const Buffer<Seen>& sorted, const Buffer<PixelSums>& sums, const SplatGradients& out,
                       bool scrub, int threads, Isa isa);

void rasterize_backward(const SplatArrays& splats, const Camera& camera, double time_s,
                        const PictureGradients& in, const SplatGradients& out, int threads, Isa isa);

}  // namespace fourd
