// Stages 2 and 3: the splats in the order of their depth, and for each tile those that touch it.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "parallel.h"
#include "raster.h"

namespace fourd {
namespace {

struct Keyed {
    uint32_t key, position;
};

// Calls use(tile_row, first_column, last_column) for the tiles, in rows first_row .. last_row, that hold the
// centre of a pixel inside the visible ellipse of `s` or a hundredth of a pixel beside it.
template <class Use>
inline void each_tile_row(const Seen& s, int first_row, int last_row, int w, Use&& use) {
    const float left = s.x - s.half_w - 0.5f, right = s.x + s.half_w - 0.5f,
                w_last = static_cast<float>(w - 1);
    const int from = std::max(s.row_first / kTile, first_row), to = std::min(s.row_last / kTile, last_row);
    // Only boxes that span several tiles have corners worth cutting off.
    const int box_first = static_cast<int>(std::max(left, 0.0f)) / kTile;
    const int box_last = static_cast<int>(std::min(right, w_last)) / kTile;
    if (box_first == box_last || s.row_first / kTile == s.row_last / kTile) {
        for (int row = from; row <= to; ++row) use(row, box_first, box_last);
        return;
    }
    const float sx = 1.0f / s.inv_sx;
    for (int row = from; row <= to; ++row) {
        const float top = static_cast<float>(std::max<int>(s.row_first, row * kTile)) + 0.5f - s.y;
        const float bottom =
            static_cast<float>(std::min<int>(s.row_last, row * kTile + kTile - 1)) + 0.5f - s.y;
        // The right edge is a concave function of dy with its top at `tilt`, the left edge its mirror image.
        const float at_right = std::min(std::max(s.tilt, top), bottom);
        const float at_left = std::min(std::max(-s.tilt, top), bottom);
        const float v_right = at_right * s.inv_sy, v_left = at_left * s.inv_sy;
        const float u_right = std::sqrt(std::max(s.reach - v_right * v_right, 0.0f)) * sx;
        const float u_left = std::sqrt(std::max(s.reach - v_left * v_left, 0.0f)) * sx;
        const float first = std::ceil(std::max(s.x + s.slope * at_left - u_left - 0.51f, 0.0f));
        const float last = std::floor(std::min(s.x + s.slope * at_right + u_right - 0.49f, w_last));
        if (first <= last) use(row, static_cast<int>(first) / kTile, static_cast<int>(last) / kTile);
    }
}

// Sorts by key - low, of which the greatest is `span`. Least significant digit first; depths of one scene
// differ in 26 bits at most as a rule, which are two digits. Each thread takes a run of the keys; runs go
// into a bin one behind the other, so that equal keys stay in their order whatever the number of threads. The
// result is in `from`.
void radix_sort(Buffer<Keyed>& from, Buffer<Keyed>& to, uint32_t low, uint32_t span, int threads) {
    const uint32_t bits = span >> 26 ? 11 : 13, digits = span >> 26 ? 3 : 2, bins_a_run = 1u << bits;
    constexpr size_t kWorthAThread = 1 << 14;
    const size_t runs = std::clamp<size_t>(from.size / kWorthAThread, 1, static_cast<size_t>(threads));
    const size_t length = (from.size + runs - 1) / runs;
    std::vector<std::vector<uint32_t>> bins(runs);
    const auto in_each_run = [&](auto&& use) {
        parallel_for(static_cast<int64_t>(runs), threads, [&](int64_t i) {
            const size_t run = static_cast<size_t>(i), begin = run * length;
            use(bins[run], begin, std::min(begin + length, from.size));
        });
    };
    for (uint32_t digit = 0; digit < digits; ++digit) {
        const uint32_t shift = digit * bits, mask = bins_a_run - 1;
        const auto bin_of = [&](const Keyed& k) { return ((k.key - low) >> shift) & mask; };
        in_each_run([&](std::vector<uint32_t>& bin, size_t begin, size_t end) {
            bin.assign(bins_a_run, 0);
            for (size_t i = begin; i < end; ++i) ++bin[bin_of(from[i])];
        });
        uint32_t sum = 0;  // Counts become the places where each run's part of a bin begins.
        for (size_t b = 0; b < bins_a_run; ++b)
            for (auto& bin : bins) {
                const uint32_t here = bin[b];
                bin[b] = sum;
                sum += here;
            }
        in_each_run([&](std::vector<uint32_t>& bin, size_t begin, size_t end) {
            for (size_t i = begin; i < end; ++i) to[bin[bin_of(from[i])]++] = from[i];
        });
        std::swap(from, to);
    }
}

}  // namespace

Buffer<Seen> sort_by_depth(const Projected& projected, int threads) {
    const auto& kept = projected.kept;
    std::vector<size_t> base(kept.size() + 1, 0);
    for (size_t c = 0; c < kept.size(); ++c) base[c + 1] = base[c] + kept[c];
    const size_t n = base.back();
    Buffer<Keyed> from(n), to(n);
    std::vector<uint32_t> low(kept.size(), UINT32_MAX), high(kept.size(), 0);
    parallel_for(static_cast<int64_t>(kept.size()), threads, [&](int64_t chunk) {
        const size_t c = static_cast<size_t>(chunk), start = projected.start[c];
        uint32_t least = UINT32_MAX,
                 greatest = 0;  // Here, for threads that write side by side slow each other.
        for (size_t i = 0; i < kept[c]; ++i) {
            Keyed& k = from[base[c] + i];
            // Positive floats sort like their bits.
            std::memcpy(&k.key, &projected.seen[start + i].z, sizeof k.key);
            k.position = static_cast<uint32_t>(start + i);
            least = std::min(least, k.key);
            greatest = std::max(greatest, k.key);
        }
        low[c] = least;
        high[c] = greatest;
    });
    if (n > 0) {
        const uint32_t least = *std::min_element(low.begin(), low.end());
        radix_sort(from, to, least, *std::max_element(high.begin(), high.end()) - least, threads);
    }
    Buffer<Seen> sorted(n);
    constexpr size_t kCopied = 4096, kAhead = 16;
    parallel_for(static_cast<int64_t>((n + kCopied - 1) / kCopied), threads, [&](int64_t chunk) {
        const size_t begin = static_cast<size_t>(chunk) * kCopied, end = std::min(begin + kCopied, n);
        for (size_t i = begin; i < end; ++i) {
            if (i + kAhead < end) FOURD_PREFETCH(&projected.seen[from[i + kAhead].position]);
            sorted[i] = projected.seen[from[i].position];
        }
    });
    return sorted;
}

Tiler::Tiler(const Buffer<Seen>& sorted, const Camera& camera, int threads, size_t max_entries,
             bool with_slots)
    : sorted_(sorted),
      rows_((camera.h + kTile - 1) / kTile),
      columns_((camera.w + kTile - 1) / kTile),
      w_(camera.w),
      threads_(threads),
      chunk_(std::max<size_t>((sorted.size + static_cast<size_t>(threads) - 1) / static_cast<size_t>(threads),
                              1)),
      max_entries_(max_entries),
      with_slots_(with_slots),
      counts_((sorted.size + chunk_ - 1) / chunk_) {
    parallel_for(static_cast<int64_t>(counts_.size()), threads_, [&](int64_t c) {
        std::vector<uint32_t>& count = counts_[static_cast<size_t>(c)];
        count.assign(static_cast<size_t>(rows_) * static_cast<size_t>(columns_), 0);
        const size_t begin = static_cast<size_t>(c) * chunk_, end = std::min(begin + chunk_, sorted_.size);
        for (size_t i = begin; i < end; ++i)
            each_tile_row(sorted_[i], 0, rows_ - 1, w_, [&](int row, int first, int last) {
                for (int t = row * columns_ + first; t <= row * columns_ + last; ++t)
                    ++count[static_cast<size_t>(t)];
            });
    });
}

bool Tiler::next(TileLists& lists) {
    const int tiles = rows_ * columns_;
    if (next_tile_ >= tiles) return false;
    lists.first_tile = next_tile_;
    lists.begin.assign(1, 0);
    // `counts` becomes where each chunk writes the next splat of each tile.
    size_t total = 0;
    std::vector<size_t> in_chunk(counts_.size(), 0);
    for (; next_tile_ < tiles; ++next_tile_) {
        size_t here = 0;
        for (const auto& count : counts_) here += count[static_cast<size_t>(next_tile_)];
        if (total > 0 && total + here > max_entries_) break;
        for (size_t c = 0; c < counts_.size(); ++c) {
            uint32_t& count = counts_[c][static_cast<size_t>(next_tile_)];
            const size_t start = total;
            total += count;
            in_chunk[c] += count;
            count = static_cast<uint32_t>(start);
        }
        lists.begin.push_back(static_cast<uint32_t>(total));
    }
    const int first_tile = lists.first_tile, last_tile = lists.last_tile = next_tile_;
    if (lists.entries.size < total) lists.entries = Buffer<uint32_t>(total);
    if (with_slots_) {
        if (lists.slots.size < total) lists.slots = Buffer<uint32_t>(total);
        if (lists.first_slot.size == 0) lists.first_slot = Buffer<uint32_t>(sorted_.size + 1);
        lists.first_slot[sorted_.size] = static_cast<uint32_t>(total);
    }
    parallel_for(static_cast<int64_t>(counts_.size()), threads_, [&](int64_t chunk) {
        const size_t c = static_cast<size_t>(chunk);
        std::vector<uint32_t>& place = counts_[c];
        const size_t begin = c * chunk_, end = std::min(begin + chunk_, sorted_.size);
        size_t slot = 0;
        for (size_t before = 0; before < c; ++before) slot += in_chunk[before];
        for (size_t i = begin; i < end; ++i) {
            if (with_slots_) lists.first_slot[i] = static_cast<uint32_t>(slot);
            each_tile_row(sorted_[i], first_tile / columns_, (last_tile - 1) / columns_, w_,
                          [&](int row, int first, int last) {
                              const int from = std::max(row * columns_ + first, first_tile);
                              const int to = std::min(row * columns_ + last, last_tile - 1);
                              for (int t = from; t <= to; ++t) {
                                  const uint32_t at = place[static_cast<size_t>(t)]++;
                                  lists.entries[at] = static_cast<uint32_t>(i);
                                  if (with_slots_) lists.slots[at] = static_cast<uint32_t>(slot++);
                              }
                          });
        }
    });
    return true;
}

}  // namespace fourd
