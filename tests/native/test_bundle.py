"""The kernels of bundle adjustment against their twins: all unknowns in one dense system, derivatives by torch."""

from __future__ import annotations

import pytest
import torch

from fourd.native import bundle, bundle_reference
from fourd.native.bundle import Guess, Observations

pytestmark = pytest.mark.needs("native")

T, N = 5, 14


def scene(bend: float = 0.0, seed: int = 0) -> tuple[Observations, Guess, torch.Tensor, torch.Tensor]:
    """Points before cameras, each seen by some; roots of weights, and directions in which points may move."""
    g = torch.Generator().manual_seed(seed)

    def normal(*size: int) -> torch.Tensor:
        return torch.randn(*size, generator=g, dtype=torch.float64)

    turn = torch.linalg.qr(torch.eye(3, dtype=torch.float64) + 0.05 * normal(T, 3, 3)).Q
    turn = turn * torch.sign(turn.diagonal(dim1=1, dim2=2))[:, None]  # Near to no turn at all.
    pose = torch.cat([turn, 0.2 * normal(T, 3, 1)], 2)
    X = torch.nn.functional.normalize(torch.cat([normal(N, 2), 4 + normal(N, 1).abs(), torch.ones(N, 1)], 1), dim=1)
    # Some tracks have gaps, one has a single place, and one none.
    seen = torch.rand(N, T, generator=g) < 0.8
    seen[0], seen[1] = torch.eye(T, dtype=torch.bool)[2], False
    point, frame = seen.nonzero().T.contiguous()
    first = torch.cat([torch.zeros(1, dtype=torch.int64), seen.sum(1).cumsum(0)])
    guess = Guess(pose, X, 300.0, bend, 192.0)
    observed = Observations(first, point, frame, 0.0 * normal(len(point), 2))
    observed = observed._replace(xy=bundle_reference.residual(observed, guess) + normal(len(point), 2))
    basis = torch.linalg.qr(torch.cat([X[:, :, None], normal(N, 4, 3)], 2)).Q[:, :, 1:]
    return observed, guess, torch.rand(len(point), generator=g, dtype=torch.float64), basis.contiguous()


def dense(seen: Observations, W: torch.Tensor, W_lens: torch.Tensor, per_camera: int) -> torch.Tensor:
    """Points by cameras and lens, zeros and all: [3 n, u]."""
    out = torch.zeros(N, 3, per_camera * T + bundle.LENS, dtype=torch.float64)
    out[:, :, per_camera * T :] = W_lens
    for p in range(N):
        begin, end = int(seen.first[p]), int(seen.first[p + 1])
        rows = W[3 * per_camera * begin : 3 * per_camera * end].reshape(3, -1, per_camera)
        for place, k in enumerate(seen.frame[begin:end].tolist()):
            out[p, :, per_camera * k : per_camera * (k + 1)] = rows[:, place]
    return out.reshape(3 * N, -1)


def test_residuals_are_those_of_the_twin() -> None:
    for bend in (0.0, -0.2, 0.05):
        seen, guess, _, _ = scene(bend)
        behind = guess._replace(X=guess.X * torch.where(torch.arange(N) == 3, -1.0, 1.0)[:, None])
        for at in (guess, behind):
            torch.testing.assert_close(
                bundle.residual(seen, at), bundle_reference.residual(seen, at), rtol=0, atol=1e-9
            )
        assert (bundle.residual(seen, behind)[seen.point == 3] == 50).all()


@pytest.mark.parametrize("per_camera", [3, 6])
@pytest.mark.parametrize("bend", [0.0, -0.2])
def test_equations_are_those_of_the_jacobian(bend: float, per_camera: int) -> None:
    seen, guess, root, basis = scene(bend)
    guess = guess._replace(X=guess.X * torch.where(torch.arange(N) == 3, -1.0, 1.0)[:, None])  # One is behind.
    found = bundle.equations(seen, guess, root, basis, per_camera)
    by_camera, by_point = bundle_reference.jacobian(seen, guess, basis, per_camera)
    front = (seen.point != 3).double().repeat_interleave(2)
    twice = root.repeat_interleave(2)[:, None]
    r = (root[:, None] * bundle_reference.residual(seen, guess)).flatten() * front
    by_camera, by_point = twice * by_camera, twice * by_point

    def close(actual: torch.Tensor, expected: torch.Tensor) -> None:
        torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-9 * float(expected.abs().max()))

    close(found.U, by_camera.T @ by_camera)
    close(found.pull, by_camera.T @ r)
    V = by_point.T @ by_point
    close(torch.block_diag(*found.V), V)
    close(found.point_pull.flatten(), by_point.T @ r)
    close(dense(seen, found.W, found.W_lens, per_camera), by_point.T @ by_camera)


@pytest.mark.parametrize("per_camera", [3, 6])
def test_a_step_is_that_of_the_whole_system(per_camera: int) -> None:
    seen, guess, root, basis = scene(-0.1)
    found = bundle.equations(seen, guess, root, basis, per_camera)
    part = bundle.reduced(seen, found, 1e-2, per_camera)
    V, W = torch.block_diag(*found.V), dense(seen, found.W, found.W_lens, per_camera)
    torch.testing.assert_close(part.S, bundle_reference.reduced(found.U, V, W, 1e-2), rtol=1e-7, atol=1e-4)
    assert torch.equal(part.S, part.S.T)

    J = torch.cat(bundle_reference.jacobian(seen, guess, basis, per_camera), 1) * root.repeat_interleave(2)[:, None]
    r = (root[:, None] * bundle_reference.residual(seen, guess)).flatten()
    free = torch.ones(J.shape[1], dtype=torch.bool)
    free[:per_camera] = False
    expected = bundle_reference.step(J, r, 1e-2, free)
    unknowns = len(part.toward)
    change = torch.zeros(unknowns, dtype=torch.float64)
    cameras = free[:unknowns]
    change[cameras] = torch.linalg.solve(part.S[cameras][:, cameras], part.toward[cameras])
    torch.testing.assert_close(change, expected[:unknowns], rtol=1e-6, atol=1e-9)
    moved = bundle.points(seen, part, change, per_camera)
    torch.testing.assert_close(moved.flatten(), expected[unknowns:], rtol=1e-6, atol=1e-9)


def test_threads_change_nothing() -> None:
    seen, guess, root, basis = scene()

    def run() -> tuple[torch.Tensor, ...]:
        found = bundle.equations(seen, guess, root, basis, 6)
        return (*found, *bundle.reduced(seen, found, 1e-3, 6))

    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = run()
        torch.set_num_threads(3)
        assert all(torch.equal(a, b) for a, b in zip(one, run(), strict=True))
    finally:
        torch.set_num_threads(threads)


def test_operators_are_whole() -> None:
    seen, guess, root, basis = scene()
    found = bundle.equations(seen, guess, root, basis, 6)
    part = bundle.reduced(seen, found, 1e-3, 6)
    ops = torch.ops.fourd
    torch.library.opcheck(ops.bundle_residual, (seen.point, seen.frame, seen.xy, *guess))
    torch.library.opcheck(ops.bundle_system, (*seen, root, *guess, basis, 6))
    torch.library.opcheck(ops.bundle_reduced, (seen.first, seen.frame, *found, 1e-3, 6))
    torch.library.opcheck(ops.bundle_points, (seen.first, seen.frame, *part[2:], part.toward, 6))


def test_nothing_seen_is_nothing_to_solve() -> None:
    _, guess, _, basis = scene()
    nobody = torch.zeros(0, dtype=torch.int64)
    none = Observations(torch.zeros(N + 1, dtype=torch.int64), nobody, nobody, torch.zeros(0, 2).double())
    found = bundle.equations(none, guess, torch.zeros(0).double(), basis, 6)
    assert float(found.U.abs().max()) == 0 and bundle.residual(none, guess).shape == (0, 2)
    assert torch.isfinite(bundle.reduced(none, found, 1e-3, 6).S).all()


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"frame": -1}, "the frames of a point must rise, and be among the cameras"),
        ({"frame": T}, "the frames of a point must rise, and be among the cameras"),
        ({"first": 10**6}, "first must begin with 0 and end with the number of observations"),
    ],
)
def test_numbers_out_of_range_touch_no_memory(broken: dict[str, int], message: str) -> None:
    seen, guess, root, basis = scene()
    for name, value in broken.items():
        wrong = getattr(seen, name).clone()
        wrong[-1] = value
        seen = seen._replace(**{name: wrong})
    with pytest.raises(ValueError, match=message):
        bundle.equations(seen, guess, root, basis, 6)


def test_an_observation_of_nothing_is_refused() -> None:
    seen, guess, _, _ = scene()
    with pytest.raises(ValueError, match="an observation of no point or no frame"):
        bundle.residual(seen._replace(point=seen.point + N), guess)


def test_values_that_are_not_numbers_stay_such() -> None:
    seen, guess, root, basis = scene()
    broken = guess._replace(X=torch.full_like(guess.X, torch.nan))
    assert (bundle.residual(seen, broken) == 50).all(), "what is nowhere is not before a camera"
    found = bundle.equations(seen, guess, torch.full_like(root, torch.nan), basis, 6)
    assert torch.isnan(bundle.reduced(seen, found, 1e-3, 6).S).any()
