// Bundle adjustment: the normal equations of cameras, points and a lens, the points taken out of them (the
// Schur complement), and put back (Triggs et al., 2000). What is meant is written plainly in
// fourd/native/bundle_reference.py.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <vector>

#include "isa.h"
#include "module.h"
#include "parallel.h"

namespace nb = nanobind;

namespace {

constexpr double kNearest = 1e-6;    // Less than this in front of a camera is behind it.
constexpr double kBehindPx = 50.0;   // The error of what is behind.
constexpr double kLeastRoot = 0.05;  // As fourd.camera.lens has it.
constexpr int kLens = 2;             // Unknowns of the lens: the logarithm of the focal length, and the bend.
constexpr int64_t kPoints = 64;      // Points that a thread takes at a time.

template <typename T, int N>
using In = nb::ndarray<const T, nb::ndim<N>, nb::c_contig, nb::device::cpu>;
template <typename T, int N>
using Out = nb::ndarray<T, nb::ndim<N>, nb::c_contig, nb::device::cpu>;

struct Lens {
    double focal, bend, half_px;

    // What a straight place at a squared distance of s is multiplied by, and the root that its slopes divide
    // by.
    void roots(double s, double& factor, double& q) const {
        q = std::sqrt(std::max(1 - 4 * bend * s, kLeastRoot * kLeastRoot));
        factor = 2 / (1 + q);
    }
};

// A point in the frame of a camera, times its fourth coordinate.
inline void in_camera(const double* pose, const double* X, double Y[3]) {
    for (int k = 0; k < 3; ++k)
        Y[k] = pose[4 * k] * X[0] + pose[4 * k + 1] * X[1] + pose[4 * k + 2] * X[2] + pose[4 * k + 3] * X[3];
}

// The observations of points, sorted by point and then by frame, and which of them each frame has.
struct Tracks {
    const int64_t *first, *frame;  // [n + 1], [m]
    int64_t points, frames;
    std::vector<int64_t> point, start, mine;

    Tracks(const In<int64_t, 1>& firsts, const In<int64_t, 1>& frame_of, int64_t t)
        : first(firsts.data()),
          frame(frame_of.data()),
          points(static_cast<int64_t>(firsts.shape(0)) - 1),
          frames(t) {
        const int64_t m = static_cast<int64_t>(frame_of.shape(0));
        if (points < 0 || first[0] != 0 || first[points] != m)
            throw std::invalid_argument("first must begin with 0 and end with the number of observations");
        point.resize(m);
        start.assign(t + 1, 0);
        mine.resize(m);
        for (int64_t p = 0; p < points; ++p) {
            if (first[p + 1] < first[p] || first[p + 1] > m)
                throw std::invalid_argument("first must not fall");
            for (int64_t o = first[p]; o < first[p + 1]; ++o) {
                if (frame[o] < 0 || frame[o] >= t || (o > first[p] && frame[o] <= frame[o - 1]))
                    throw std::invalid_argument("the frames of a point must rise, and be among the cameras");
                point[o] = p;
                ++start[frame[o] + 1];
            }
        }
        for (int64_t k = 0; k < t; ++k) start[k + 1] += start[k];
        std::vector<int64_t> next(start.begin(), start.end() - 1);
        for (int64_t o = 0; o < m; ++o) mine[next[frame[o]]++] = o;
    }
};

// Derivatives of one residual, times the root of its weight: by the point, the camera and the lens; and
// itself.
template <int C>
struct Slopes {
    double point[2][3], camera[2][C], lens[2][kLens], r[2];
};

template <int C>
void slopes(const double* pose, const double* X, const double* basis, const double* xy, double root,
            const Lens& lens, Slopes<C>& out) {
    double Y[3];
    in_camera(pose, X, Y);
    if (!(Y[2] > kNearest)) {
        out = Slopes<C>{};
        return;
    }
    const double x[2] = {Y[0] / Y[2], Y[1] / Y[2]};
    const double g = lens.focal / Y[2] * root;
    for (int i = 0; i < 2; ++i)
        for (int c = 0; c < 3; ++c) {
            double sum = 0;
            for (int k = 0; k < 4; ++k) sum += g * (pose[4 * i + k] - x[i] * pose[8 + k]) * basis[3 * k + c];
            out.point[i][c] = sum;
        }
    // With p the turned point and J a row of the projection's derivative, the turn's row is p x J.
    const double p[3] = {Y[0] - pose[3] * X[3], Y[1] - pose[7] * X[3], Y[2] - pose[11] * X[3]};
    const double gx = g * x[0], gy = g * x[1], gw = g * X[3];
    const double row0[6] = {-p[1] * gx, p[2] * g + p[0] * gx, -p[1] * g, gw, 0, -gw * x[0]};
    const double row1[6] = {-p[2] * g - p[1] * gy, p[0] * gy, p[0] * g, 0, gw, -gw * x[1]};
    for (int c = 0; c < C; ++c) out.camera[0][c] = row0[c], out.camera[1][c] = row1[c];
    const double place[2] = {lens.focal * x[0], lens.focal * x[1]};
    const double s = (place[0] * place[0] + place[1] * place[1]) / (lens.half_px * lens.half_px);
    double factor, q;
    lens.roots(s, factor, q);
    for (int i = 0; i < 2; ++i) {
        out.lens[i][0] = place[i] * root;
        out.lens[i][1] = s * factor * factor / q * place[i] * root;
        out.r[i] = (factor * place[i] - xy[i]) * root;
    }
    if (lens.bend == 0) return;
    // A place on a circle moves with the factor, and along its radius with more.
    const double more = 2 * lens.bend * factor * factor / q / (lens.half_px * lens.half_px);
    const auto bent = [&](double& a, double& b) {
        const double outward = more * (place[0] * a + place[1] * b);
        a = factor * a + place[0] * outward;
        b = factor * b + place[1] * outward;
    };
    for (int c = 0; c < 3; ++c) bent(out.point[0][c], out.point[1][c]);
    for (int c = 0; c < C; ++c) bent(out.camera[0][c], out.camera[1][c]);
    bent(out.lens[0][0], out.lens[1][0]);
}

struct System {
    double *U, *pull, *V, *point_pull, *W, *W_lens;  // See bundle_system.
};

template <int C>
void assemble(const Tracks& tracks, const double* xy, const double* root, const double* pose, const double* X,
              const double* basis, const Lens& lens, const System& out, int threads) {
    const int64_t wide = C * tracks.frames + kLens, end = C * tracks.frames;
    std::vector<Slopes<C>> every(tracks.point.size());
    fourd::parallel_for((tracks.points + kPoints - 1) / kPoints, threads, [&](int64_t chunk) {
        for (int64_t p = chunk * kPoints; p < std::min((chunk + 1) * kPoints, tracks.points); ++p) {
            double V[9] = {}, pull[3] = {}, W_lens[3 * kLens] = {};
            const int64_t begin = tracks.first[p], count = tracks.first[p + 1] - begin;
            double* W = out.W + begin * 3 * C;
            for (int64_t l = 0; l < count; ++l) {
                Slopes<C>& j = every[begin + l];
                slopes<C>(pose + 12 * tracks.frame[begin + l], X + 4 * p, basis + 12 * p,
                          xy + 2 * (begin + l), root[begin + l], lens, j);
                for (int a = 0; a < 3; ++a) {
                    const double j0 = j.point[0][a], j1 = j.point[1][a];
                    for (int b = 0; b < 3; ++b) V[3 * a + b] += j0 * j.point[0][b] + j1 * j.point[1][b];
                    for (int b = 0; b < kLens; ++b)
                        W_lens[kLens * a + b] += j0 * j.lens[0][b] + j1 * j.lens[1][b];
                    pull[a] += j0 * j.r[0] + j1 * j.r[1];
                    double* row = W + a * C * count + C * l;
                    for (int b = 0; b < C; ++b) row[b] = j0 * j.camera[0][b] + j1 * j.camera[1][b];
                }
            }
            std::copy(V, V + 9, out.V + 9 * p);
            std::copy(pull, pull + 3, out.point_pull + 3 * p);
            std::copy(W_lens, W_lens + 3 * kLens, out.W_lens + 3 * kLens * p);
        }
    });
    std::vector<double> alone(tracks.frames * (kLens * kLens + kLens),
                              0.0);  // What each frame adds to the lens.
    fourd::parallel_for(tracks.frames, threads, [&](int64_t k) {
        double U[C * C] = {}, across[C * kLens] = {}, pull[C] = {};
        double* own = alone.data() + k * (kLens * kLens + kLens);
        for (int64_t i = tracks.start[k]; i < tracks.start[k + 1]; ++i) {
            const Slopes<C>& j = every[tracks.mine[i]];
            for (int a = 0; a < C; ++a) {
                const double j0 = j.camera[0][a], j1 = j.camera[1][a];
                for (int b = 0; b < C; ++b) U[C * a + b] += j0 * j.camera[0][b] + j1 * j.camera[1][b];
                for (int b = 0; b < kLens; ++b)
                    across[kLens * a + b] += j0 * j.lens[0][b] + j1 * j.lens[1][b];
                pull[a] += j0 * j.r[0] + j1 * j.r[1];
            }
            for (int a = 0; a < kLens; ++a) {
                for (int b = 0; b < kLens; ++b)
                    own[kLens * a + b] += j.lens[0][a] * j.lens[0][b] + j.lens[1][a] * j.lens[1][b];
                own[kLens * kLens + a] += j.lens[0][a] * j.r[0] + j.lens[1][a] * j.r[1];
            }
        }
        for (int a = 0; a < C; ++a) {
            std::copy(U + C * a, U + C * (a + 1), out.U + (C * k + a) * wide + C * k);
            for (int b = 0; b < kLens; ++b)
                out.U[(C * k + a) * wide + end + b] = out.U[(end + b) * wide + C * k + a] =
                    across[kLens * a + b];
            out.pull[C * k + a] = pull[a];
        }
    });
    for (int64_t k = 0; k < tracks.frames; ++k) {
        const double* own = alone.data() + k * (kLens * kLens + kLens);
        for (int a = 0; a < kLens; ++a) {
            for (int b = 0; b < kLens; ++b) out.U[(end + a) * wide + end + b] += own[kLens * a + b];
            out.pull[end + a] += own[kLens * kLens + a];
        }
    }
}

void bundle_system(In<int64_t, 1> first, In<int64_t, 1> frame, In<double, 2> xy, In<double, 1> root,
                   In<double, 3> pose, In<double, 2> X, In<double, 3> basis, double focal, double bend,
                   double half_px, int per_camera, Out<double, 2> U, Out<double, 1> pull, Out<double, 3> V,
                   Out<double, 2> point_pull, Out<double, 1> W, Out<double, 3> W_lens, int threads) {
    nb::gil_scoped_release release;
    const Tracks tracks(first, frame, static_cast<int64_t>(pose.shape(0)));
    const Lens lens{focal, bend, half_px};
    const System out{U.data(), pull.data(), V.data(), point_pull.data(), W.data(), W_lens.data()};
    const auto run = per_camera == 6 ? assemble<6> : assemble<3>;
    run(tracks, xy.data(), root.data(), pose.data(), X.data(), basis.data(), lens, out, threads);
}

// Rows of L^-1 W, in place.
FOURD_CLONES void substitute(const double* L, double* w, int64_t length) {
    double *a = w, *b = w + length, *c = w + 2 * length;
    for (int64_t e = 0; e < length; ++e) {
        a[e] = a[e] / L[0];
        b[e] = (b[e] - L[3] * a[e]) / L[4];
        c[e] = (c[e] - L[6] * a[e] - L[7] * b[e]) / L[8];
    }
}

// Takes z^T y from some rows of a matrix.
FOURD_CLONES void eliminate(double* rows, int64_t wide, int count, const double* z, int64_t z_stride,
                            const double* y, int64_t y_stride, int64_t length) {
    for (int a = 0; a < count; ++a) {
        const double z0 = z[a], z1 = z[z_stride + a], z2 = z[2 * z_stride + a];
        double* row = rows + a * wide;
        for (int64_t e = 0; e < length; ++e)
            row[e] -= z0 * y[e] + z1 * y[y_stride + e] + z2 * y[2 * y_stride + e];
    }
}

// The lower Cholesky factor of a damped 3 x 3 matrix; not numbers if there is none.
void factored(const double* V, double damping, double* L) {
    double A[9];
    std::copy(V, V + 9, A);
    for (int k = 0; k < 9; k += 4) A[k] += damping * std::max(A[k], 1e-6) + 1e-9;
    L[1] = L[2] = L[5] = 0;
    L[0] = std::sqrt(A[0]);
    L[3] = A[3] / L[0];
    L[6] = A[6] / L[0];
    L[4] = std::sqrt(A[4] - L[3] * L[3]);
    L[7] = (A[7] - L[6] * L[3]) / L[4];
    L[8] = std::sqrt(A[8] - L[6] * L[6] - L[7] * L[7]);
}

void bundle_reduced(In<int64_t, 1> first, In<int64_t, 1> frame, In<double, 2> U, In<double, 1> pull,
                    In<double, 3> V, In<double, 2> point_pull, double damping, int per_camera,
                    Out<double, 2> S, Out<double, 1> toward, Out<double, 3> L, Out<double, 1> half,
                    Out<double, 3> half_lens, Out<double, 2> half_pull, int threads) {
    nb::gil_scoped_release release;
    const int C = per_camera;
    const int64_t wide = static_cast<int64_t>(U.shape(0)), end = wide - kLens;
    const Tracks tracks(first, frame, end / C);
    fourd::parallel_for((tracks.points + kPoints - 1) / kPoints, threads, [&](int64_t chunk) {
        for (int64_t p = chunk * kPoints; p < std::min((chunk + 1) * kPoints, tracks.points); ++p) {
            double* factor = L.data() + 9 * p;
            factored(V.data() + 9 * p, damping, factor);
            std::copy(point_pull.data() + 3 * p, point_pull.data() + 3 * (p + 1), half_pull.data() + 3 * p);
            substitute(factor, half_pull.data() + 3 * p, 1);
            substitute(factor, half_lens.data() + 3 * kLens * p, kLens);
            substitute(factor, half.data() + tracks.first[p] * 3 * C,
                       (tracks.first[p + 1] - tracks.first[p]) * C);
        }
    });
    std::copy(U.data(), U.data() + wide * wide, S.data());
    for (int64_t a = 0; a < wide; ++a) {
        S.data()[a * wide + a] += damping * std::max(U.data()[a * wide + a], 1e-6) + 1e-9;
        toward.data()[a] = -pull.data()[a];
    }
    // Each camera's rows, from its own block to the right: shares never touch the same numbers.
    fourd::parallel_for(tracks.frames, threads, [&](int64_t k) {
        double* rows = S.data() + C * k * wide;
        for (int64_t i = tracks.start[k]; i < tracks.start[k + 1]; ++i) {
            const int64_t o = tracks.mine[i], p = tracks.point[o], begin = tracks.first[p];
            const int64_t count = tracks.first[p + 1] - begin, stride = C * count;
            const double* y = half.data() + begin * 3 * C;
            const double* z = y + C * (o - begin);
            for (int64_t l = o - begin; l < count;) {
                int64_t stop = l + 1;  // Frames that follow each other stand side by side.
                while (stop < count && tracks.frame[begin + stop] == tracks.frame[begin + l] + stop - l)
                    ++stop;
                eliminate(rows + C * tracks.frame[begin + l], wide, C, z, stride, y + C * l, stride,
                          C * (stop - l));
                l = stop;
            }
            eliminate(rows + end, wide, C, z, stride, half_lens.data() + 3 * kLens * p, kLens, kLens);
            const double* h = half_pull.data() + 3 * p;
            for (int a = 0; a < C; ++a)
                toward.data()[C * k + a] += z[a] * h[0] + z[stride + a] * h[1] + z[2 * stride + a] * h[2];
        }
    });
    for (int64_t p = 0; p < tracks.points; ++p) {
        const double *y = half_lens.data() + 3 * kLens * p, *h = half_pull.data() + 3 * p;
        eliminate(S.data() + end * wide + end, wide, kLens, y, kLens, y, kLens, kLens);
        for (int a = 0; a < kLens; ++a)
            toward.data()[end + a] += y[a] * h[0] + y[kLens + a] * h[1] + y[2 * kLens + a] * h[2];
    }
    for (int64_t a = 0; a < wide; ++a)
        for (int64_t b = a + 1; b < wide; ++b) S.data()[b * wide + a] = S.data()[a * wide + b];
}

void bundle_points(In<int64_t, 1> first, In<int64_t, 1> frame, In<double, 3> L, In<double, 1> half,
                   In<double, 3> half_lens, In<double, 2> half_pull, In<double, 1> change, int per_camera,
                   Out<double, 2> moved) {
    nb::gil_scoped_release release;
    const int C = per_camera;
    const int64_t end = static_cast<int64_t>(change.shape(0)) - kLens;
    const Tracks tracks(first, frame, end / C);
    for (int64_t p = 0; p < tracks.points; ++p) {
        const int64_t begin = tracks.first[p], count = tracks.first[p + 1] - begin;
        double v[3];
        for (int c = 0; c < 3; ++c) {
            double sum = half_pull.data()[3 * p + c];
            const double* row = half.data() + begin * 3 * C + c * C * count;
            for (int64_t l = 0; l < count; ++l)
                for (int a = 0; a < C; ++a)
                    sum += row[C * l + a] * change.data()[C * tracks.frame[begin + l] + a];
            for (int a = 0; a < kLens; ++a)
                sum += half_lens.data()[3 * kLens * p + kLens * c + a] * change.data()[end + a];
            v[c] = sum;
        }
        const double* l = L.data() + 9 * p;
        double* out = moved.data() + 3 * p;
        out[2] = -v[2] / l[8];
        out[1] = (-v[1] - l[7] * out[2]) / l[4];
        out[0] = (-v[0] - l[3] * out[1] - l[6] * out[2]) / l[0];
    }
}

void bundle_residual(In<int64_t, 1> point, In<int64_t, 1> frame, In<double, 2> xy, In<double, 3> pose,
                     In<double, 2> X, double focal, double bend, double half_px, Out<double, 2> out) {
    nb::gil_scoped_release release;
    const Lens lens{focal, bend, half_px};
    const int64_t n = static_cast<int64_t>(X.shape(0)), t = static_cast<int64_t>(pose.shape(0));
    for (int64_t o = 0; o < static_cast<int64_t>(point.shape(0)); ++o) {
        const int64_t p = point.data()[o], k = frame.data()[o];
        if (p < 0 || p >= n || k < 0 || k >= t)
            throw std::invalid_argument("an observation of no point or no frame");
        double Y[3], factor = 1, q;
        in_camera(pose.data() + 12 * k, X.data() + 4 * p, Y);
        const bool front = Y[2] > kNearest;
        const double x = focal * Y[0] / Y[2], y = focal * Y[1] / Y[2];
        if (bend != 0) lens.roots((x * x + y * y) / (half_px * half_px), factor, q);
        out.data()[2 * o] = front ? factor * x - xy.data()[2 * o] : kBehindPx;
        out.data()[2 * o + 1] = front ? factor * y - xy.data()[2 * o + 1] : kBehindPx;
    }
}

}  // namespace

namespace fourd {

void bind_bundle(nb::module_& m) {
    using namespace nb::literals;
    m.def("bundle_system", &bundle_system, "first"_a, "frame"_a, "xy"_a, "root"_a, "pose"_a, "X"_a, "basis"_a,
          "focal"_a, "bend"_a, "half_px"_a, "per_camera"_a, "U"_a, "pull"_a, "V"_a, "point_pull"_a, "W"_a,
          "W_lens"_a, "threads"_a);
    m.def("bundle_reduced", &bundle_reduced, "first"_a, "frame"_a, "U"_a, "pull"_a, "V"_a, "point_pull"_a,
          "damping"_a, "per_camera"_a, "S"_a, "toward"_a, "L"_a, "half"_a, "half_lens"_a, "half_pull"_a,
          "threads"_a);
    m.def("bundle_points", &bundle_points, "first"_a, "frame"_a, "L"_a, "half"_a, "half_lens"_a,
          "half_pull"_a, "change"_a, "per_camera"_a, "moved"_a);
    m.def("bundle_residual", &bundle_residual, "point"_a, "frame"_a, "xy"_a, "pose"_a, "X"_a, "focal"_a,
          "bend"_a, "half_px"_a, "out"_a);
}

}  // namespace fourd
