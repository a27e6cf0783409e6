// Dense stereo from a camera that moves: a plane sweep (Collins, 1996) and semi-global matching
// (Hirschmueller, 2008). What each function computes is written plainly in fourd/native/sweep_reference.py.
#include "sweep.h"

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "isa.h"
#include "module.h"
#include "parallel.h"

namespace nb = nanobind;

namespace {

using fourd::kSweepUnknown;

template <typename T, int N>
using In = nb::ndarray<const T, nb::ndim<N>, nb::c_contig, nb::device::cpu>;
template <typename T, int N>
using Out = nb::ndarray<T, nb::ndim<N>, nb::c_contig, nb::device::cpu>;

// Runs body(begin, end) over contiguous shares of 0..count. Shares never touch the same output, so the
// result does not depend on how many threads there are.
template <typename Body>
void in_parallel(int64_t count, int threads, const Body& body) {
    const int64_t shares = std::clamp<int64_t>(threads, 1, std::max<int64_t>(count, 1));
    fourd::parallel_for(shares, threads,
                        [&](int64_t i) { body(count * i / shares, count * (i + 1) / shares); });
}

// ---------------------------------------------------------------------------------------------------------
// Plane sweep

struct View {
    const float* features;  // [h, w, 4]
    const float* turn;      // [3, 3]: pixels of the reference to pixels of this view, for points at infinity.
    const float* shift;     // [3]: what one unit of inverse depth adds.
};

// Where a pixel of the reference falls in a view, for every plane.
FOURD_CLONES void walk(const View& view, float x, float y, const float* rho, int d, float* u, float* v) {
    float far[3];
    fourd::sweep_far(view.turn, x, y, far);
    for (int i = 0; i < d; ++i) fourd::sweep_place(far, view.shift, rho[i], u[i], v[i]);
}

// Cost of matching features f of the reference with what a view shows at (u, v), 0 to 1.
FOURD_CLONES void compare(const View& view, int h, int w, const float* f, float truncation, const float* u,
                          const float* v, int d, float* cost) {
#if defined(__GNUC__)
    // sweep_cost of the header, to the bit, with the four channels side by side.
    typedef float Four __attribute__((vector_size(16), aligned(4)));
    static_assert(fourd::kSweepChannels == 4, "a pixel is one vector");
    const float right = static_cast<float>(w - 1), below = static_cast<float>(h - 1);
    for (int i = 0; i < d; ++i) {
        cost[i] = kSweepUnknown * truncation;
        if (!(u[i] >= 0 && u[i] < right && v[i] >= 0 && v[i] < below)) continue;
        const int x0 = static_cast<int>(u[i]), y0 = static_cast<int>(v[i]);
        const float fx = u[i] - static_cast<float>(x0), fy = v[i] - static_cast<float>(y0);
        const Four* top = reinterpret_cast<const Four*>(view.features) + static_cast<int64_t>(y0) * w + x0;
        const Four* low = top + w;
        const Four a = top[0] + fx * (top[1] - top[0]), b = low[0] + fx * (low[1] - low[0]);
        const Four seen = a + fy * (b - a);
        if (!(seen[3] >= 0.9f)) continue;
        const float sum = std::fabs(seen[0] - f[0]) + std::fabs(seen[1] - f[1]) + std::fabs(seen[2] - f[2]);
        cost[i] = sum < truncation ? sum : truncation;
    }
    for (int i = 0; i < d; ++i) cost[i] /= truncation;  // Many at a time.
#else
    for (int i = 0; i < d; ++i) cost[i] = fourd::sweep_cost(view.features, h, w, f, truncation, u[i], v[i]);
#endif
}

// Sorts a view's costs into the lowest `keep` so far, for every plane at once.
FOURD_CLONES void insert(const float* cost, int d, int keep, float* lowest) {
    for (int i = 0; i < d; ++i) {
        float value = cost[i];
        for (int k = 0; k < keep; ++k) fourd::sweep_exchange(lowest[k * d + i], value);
    }
}

FOURD_CLONES void quantise(const float* lowest, int d, int keep, uint8_t* out) {
    for (int i = 0; i < d; ++i) {
        float sum = 0;
        for (int k = 0; k < keep; ++k) sum += lowest[k * d + i];
        out[i] = fourd::sweep_quantise(sum, keep);
    }
}

// Mean over 3x3 pixels, rounded; at the border over what is there.
FOURD_CLONES void smooth_row(const uint8_t* cost, int h, int w, int d, int y, uint16_t* column,
                             uint8_t* out) {
    const int64_t row = static_cast<int64_t>(w) * d;
    const int y0 = std::max(y - 1, 0), y1 = std::min(y + 1, h - 1);
    std::fill(column, column + row, uint16_t{0});
    for (int j = y0; j <= y1; ++j)
        for (int64_t i = 0; i < row; ++i) column[i] = static_cast<uint16_t>(column[i] + cost[j * row + i]);
    for (int x = 0; x < w; ++x) {
        const int x0 = std::max(x - 1, 0), x1 = std::min(x + 1, w - 1);
        const int count = (y1 - y0 + 1) * (x1 - x0 + 1);
        const uint32_t inverse = (65536u + count - 1) / count;  // Exact for sums up to 9 x 255.
        const uint16_t *a = column + x0 * d, *b = column + x * d, *c = column + x1 * d;
        const uint32_t twice_a = x0 == x ? 0 : 1, twice_c = x1 == x ? 0 : 1;
        for (int i = 0; i < d; ++i) {
            const uint32_t sum = b[i] + twice_a * a[i] + twice_c * c[i] + static_cast<uint32_t>(count / 2);
            out[x * static_cast<int64_t>(d) + i] = static_cast<uint8_t>((sum * inverse) >> 16);
        }
    }
}

void plane_sweep(In<float, 3> reference, In<float, 4> others, In<float, 3> turn, In<float, 2> shift,
                 In<float, 1> rho, float truncation, Out<uint8_t, 3> out, int threads) {
    const int h = static_cast<int>(reference.shape(0)), w = static_cast<int>(reference.shape(1));
    const int n = static_cast<int>(others.shape(0)), d = static_cast<int>(rho.shape(0));
    const int keep = std::max((n + 1) / 2, 1);
    if (h == 0 || w == 0 || d == 0) return;
    nb::gil_scoped_release release;
    std::vector<uint8_t> raw(static_cast<size_t>(h) * w * d);
    std::vector<View> views;
    for (int j = 0; j < n; ++j)
        views.push_back({others.data() + static_cast<int64_t>(j) * h * w * fourd::kSweepChannels,
                         turn.data() + j * 9, shift.data() + j * 3});
    in_parallel(h, threads, [&](int64_t begin, int64_t end) {
        std::vector<float> u(d), v(d), cost(d), lowest(static_cast<size_t>(keep) * d);
        for (int64_t y = begin; y < end; ++y)
            for (int x = 0; x < w; ++x) {
                const int64_t pixel = y * w + x;
                const float* f = reference.data() + pixel * fourd::kSweepChannels;
                std::fill(lowest.begin(), lowest.end(), n == 0 || f[3] < 0.5f ? kSweepUnknown : 1.0f);
                for (int j = 0; j < n && f[3] >= 0.5f; ++j) {
                    walk(views[j], x + 0.5f, static_cast<float>(y) + 0.5f, rho.data(), d, u.data(), v.data());
                    compare(views[j], h, w, f, truncation, u.data(), v.data(), d, cost.data());
                    insert(cost.data(), d, keep, lowest.data());
                }
                quantise(lowest.data(), d, keep, raw.data() + pixel * d);
            }
    });
    in_parallel(h, threads, [&](int64_t begin, int64_t end) {
        std::vector<uint16_t> column(static_cast<size_t>(w) * d);
        for (int64_t y = begin; y < end; ++y)
            smooth_row(raw.data(), h, w, d, static_cast<int>(y), column.data(), out.data() + y * w * d);
    });
}

// ---------------------------------------------------------------------------------------------------------
// Semi-global matching

// One step of a path for all planes; returns the lowest cost. `before` and `now` have a border of one on
// either side that no plane can win from.
FOURD_CLONES int16_t step(const uint8_t* cost, const int16_t* before, int16_t least, int d, int16_t p1,
                          int16_t p2, int16_t* now) {
    int16_t lowest = std::numeric_limits<int16_t>::max();
    for (int i = 0; i < d; ++i) {
        const int16_t value = fourd::sgm_step(cost[i], before + i + 1, least, p1, p2);
        now[i + 1] = value;
        lowest = std::min(lowest, value);
    }
    return lowest;
}

FOURD_CLONES void start(const uint8_t* cost, int d, int16_t* now, int16_t* least) {
    int16_t lowest = std::numeric_limits<int16_t>::max();
    for (int i = 0; i < d; ++i) {
        now[i + 1] = cost[i];
        lowest = std::min(lowest, now[i + 1]);
    }
    *least = lowest;
}

FOURD_CLONES void add(const int16_t* now, int d, uint16_t* sum) {
    for (int i = 0; i < d; ++i) sum[i] = static_cast<uint16_t>(sum[i] + now[i + 1]);
}

// A bundle of parallel paths: path k visits pixels first + k * beside + i * along, i = 0 .. length - 1, and
// pays penalty[gap + k * gap_beside + i * gap_along] between i and i + 1.
struct Bundle {
    int64_t first, beside, along, gap, gap_beside, gap_along;
};

void sweep_paths(const Bundle& b, int64_t begin, int64_t end, int64_t length, const uint8_t* cost,
                 const int16_t* penalty, int d, int16_t p1, uint16_t* sum) {
    const int64_t stride = d + 2;
    const int64_t paths = end - begin;
    std::vector<int16_t> held(static_cast<size_t>(paths * stride), fourd::kSgmWall),
        fresh(stride, fourd::kSgmWall), least(paths);
    for (int64_t i = 0; i < length; ++i)
        for (int64_t k = 0; k < paths; ++k) {
            const int64_t pixel = b.first + (begin + k) * b.beside + i * b.along;
            int16_t* before = held.data() + k * stride;
            if (i == 0) {
                start(cost + pixel * d, d, before, &least[k]);
                add(before, d, sum + pixel * d);
                continue;
            }
            const int16_t p2 = penalty[b.gap + (begin + k) * b.gap_beside + (i - 1) * b.gap_along];
            least[k] = step(cost + pixel * d, before, least[k], d, p1, p2, fresh.data());
            add(fresh.data(), d, sum + pixel * d);
            std::copy(fresh.begin() + 1, fresh.end() - 1, before + 1);
        }
}

FOURD_CLONES void choose(const uint16_t* sum, int d, float* plane, float* lead, int* winner) {
    fourd::sgm_choose(sum, d, *plane, *lead, *winner);
}

void semi_global(In<uint8_t, 3> cost, In<int16_t, 2> across, In<int16_t, 2> down, int p1, Out<float, 2> plane,
                 Out<float, 2> lead, Out<float, 2> residual, int threads) {
    const int64_t h = cost.shape(0), w = cost.shape(1);
    const int d = static_cast<int>(cost.shape(2));
    if (h == 0 || w == 0 || d == 0) return;
    nb::gil_scoped_release release;
    std::vector<uint16_t> sum(static_cast<size_t>(h * w * d), 0);
    const auto run = [&](const Bundle& bundle, int64_t paths, int64_t length, const int16_t* penalty) {
        in_parallel(paths, threads, [&](int64_t begin, int64_t end) {
            sweep_paths(bundle, begin, end, length, cost.data(), penalty, d, static_cast<int16_t>(p1),
                        sum.data());
        });
    };
    run({0, w, 1, 0, w - 1, 1}, h, w, across.data());                  // To the right.
    run({w - 1, w, -1, w - 2, w - 1, -1}, h, w, across.data());        // To the left.
    run({0, 1, w, 0, 1, w}, w, h, down.data());                        // Down.
    run({(h - 1) * w, 1, -w, (h - 2) * w, 1, -w}, w, h, down.data());  // Up.
    in_parallel(h, threads, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin * w; i < end * w; ++i) {
            int winner = 0;
            choose(sum.data() + i * d, d, plane.data() + i, lead.data() + i, &winner);
            residual.data()[i] = static_cast<float>(cost.data()[i * d + winner]) / 255.0f;
        }
    });
}

// ---------------------------------------------------------------------------------------------------------
// Smoothing along edges

// Solves (1 + strength * Laplacian) u = u in place along lines (Thomas' algorithm), where the Laplacian's
// weights are `alike`. Lines run side by side, so that the inner loops are over them. First what does not
// depend on u:
FOURD_CLONES void factor_lines(const float* alike, int64_t along, int64_t length, int64_t lines,
                               float strength, float* pivot, float* upper) {
    for (int64_t i = 0; i < length; ++i)
        for (int64_t k = 0; k < lines; ++k) {
            const float ahead = i + 1 < length ? strength * alike[i * along + k] : 0.0f;
            const float behind = i > 0 ? strength * alike[(i - 1) * along + k] : 0.0f;
            pivot[i * lines + k] =
                fourd::smooth_pivot(ahead, behind, i > 0 ? upper[(i - 1) * lines + k] : 0.0f);
            upper[i * lines + k] = ahead / pivot[i * lines + k];
        }
}

FOURD_CLONES void solve_lines(float* u, int64_t u_along, const float* alike, int64_t along, int64_t length,
                              int64_t lines, float strength, const float* pivot, const float* upper) {
    for (int64_t k = 0; k < lines; ++k) u[k] /= pivot[k];
    for (int64_t i = 1; i < length; ++i)
        for (int64_t k = 0; k < lines; ++k) {
            const float behind = strength * alike[(i - 1) * along + k];
            u[i * u_along + k] =
                (u[i * u_along + k] + behind * u[(i - 1) * u_along + k]) / pivot[i * lines + k];
        }
    for (int64_t i = length - 2; i >= 0; --i)
        for (int64_t k = 0; k < lines; ++k)
            u[i * u_along + k] += upper[i * lines + k] * u[(i + 1) * u_along + k];
}

// Rows become columns that stand side by side, and back.
void turned(const float* from, int64_t from_stride, int64_t rows, int64_t columns, float* to,
            int64_t to_stride) {
    for (int64_t i = 0; i < rows; ++i)
        for (int64_t k = 0; k < columns; ++k) to[k * to_stride + i] = from[i * from_stride + k];
}

constexpr int64_t kRows = 16;  // That are solved side by side: a vector of floats, or two.

void smooth_along_edges(Out<float, 3> maps, In<float, 2> across, In<float, 2> down, float strength,
                        int rounds, int threads) {
    const int64_t n = maps.shape(0), h = maps.shape(1), w = maps.shape(2);
    if (n == 0 || h == 0 || w == 0) return;
    nb::gil_scoped_release release;
    for (int round = 0; round < rounds; ++round) {
        // Each round is gentler than the one before, which wipes out the streaks of separate lines.
        const float share = 1.5f * std::pow(4.0f, static_cast<float>(rounds - 1 - round)) /
                            (std::pow(4.0f, static_cast<float>(rounds)) - 1) * 2;
        const float force = strength * share;
        in_parallel((h + kRows - 1) / kRows, threads, [&](int64_t begin, int64_t end) {
            std::vector<float> scratch(static_cast<size_t>(4 * w * kRows));
            float *u = scratch.data(), *alike = u + w * kRows, *pivot = alike + w * kRows,
                  *upper = pivot + w * kRows;
            for (int64_t y = begin * kRows; y < std::min(end * kRows, h); y += kRows) {
                const int64_t rows = std::min(kRows, h - y);
                turned(across.data() + y * (w - 1), w - 1, rows, w - 1, alike, rows);
                factor_lines(alike, rows, w, rows, force, pivot, upper);
                for (int64_t m = 0; m < n; ++m) {
                    float* map = maps.data() + (m * h + y) * w;
                    turned(map, w, rows, w, u, rows);
                    solve_lines(u, rows, alike, rows, w, rows, force, pivot, upper);
                    turned(u, rows, w, rows, map, w);
                }
            }
        });
        in_parallel(w, threads, [&](int64_t begin, int64_t end) {
            const int64_t lines = end - begin;
            std::vector<float> pivot(static_cast<size_t>(lines * h)), upper(static_cast<size_t>(lines * h));
            factor_lines(down.data() + begin, w, h, lines, force, pivot.data(), upper.data());
            for (int64_t m = 0; m < n; ++m)
                solve_lines(maps.data() + m * h * w + begin, w, down.data() + begin, w, h, lines, force,
                            pivot.data(), upper.data());
        });
    }
}

}  // namespace

namespace fourd {

void bind_sweep(nb::module_& m) {
    using namespace nb::literals;
    m.def("plane_sweep", &plane_sweep, "reference"_a, "others"_a, "turn"_a, "shift"_a, "rho"_a,
          "truncation"_a, "out"_a, "threads"_a);
    m.def("semi_global", &semi_global, "cost"_a, "across"_a, "down"_a, "p1"_a, "plane"_a, "lead"_a,
          "residual"_a, "threads"_a);
    m.def("smooth_along_edges", &smooth_along_edges, "maps"_a, "across"_a, "down"_a, "strength"_a, "rounds"_a,
          "threads"_a);
}

}  // namespace fourd
