"""Models that explain what they see exactly, and whether their derivatives are right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from fourd.camera.lens import bent
from fourd.camera.model import HALF_PX, Model, Seen, rotation, tangent
from fourd.camera.triangulate import triangulate
from fourd.native import bundle


def exact(world, bend: float = 0.0, path: str = "orbit", **options) -> tuple[Seen, Model]:
    """What a lens that bends shows along a path, and the model of a pinhole camera there."""
    truth = world(path, **options)
    tracks = truth.tracks
    h, w = tracks.hw
    seen = Seen(tracks.point, tracks.frame, tracks.xy_px - (w / 2, h / 2), tracks.points, tracks.length)
    t = -(truth.R @ truth.centre[..., None])[..., 0]
    model = Model(truth.R, t, np.tile([0.0, 0, 0, 1], (tracks.points, 1)), truth.focal)
    model = replace(model, X=triangulate(seen, model)[0])
    return (replace(seen, xy=bent(seen.xy, bend, HALF_PX)) if bend else seen), model


def slopes_agree(seen: Seen, model: Model) -> None:
    """Equations must be those of finite differences of the residuals."""
    step, basis = 1e-6, tangent(model.X)

    def slope(ahead: Model, back: Model) -> np.ndarray:
        return (ahead.residual(seen) - back.residual(seen)) / (2 * step)

    def slopes(moved: Callable[[np.ndarray], Model], count: int) -> np.ndarray:
        return np.stack([slope(moved(step * e), moved(-step * e)) for e in np.eye(count)], -1)

    by_point = slopes(lambda d: replace(model, X=model.X + basis @ d), 3)
    by_camera = slopes(lambda d: replace(model, R=rotation(d[:3]) @ model.R, t=model.t + d[3:]), 6)
    by_lens = slopes(lambda d: replace(model, focal=model.focal * np.exp(d[0]), bend=model.bend + d[1]), 2)
    found = bundle.equations(
        seen.noted(), model.guess(), torch.ones(len(seen.point)).double(), torch.from_numpy(basis), 6
    )

    def agree(actual: torch.Tensor, expected: np.ndarray) -> None:
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-6 * np.abs(expected).max())

    r = model.residual(seen)
    for k in range(seen.frames):
        here, block = seen.frame == k, slice(6 * k, 6 * k + 6)
        J = by_camera[here]
        agree(found.U[block, block], np.einsum("mia,mib->ab", J, J))
        agree(found.U[block, -2:], np.einsum("mia,mib->ab", J, by_lens[here]))
        agree(found.pull[block], np.einsum("mia,mi->a", J, r[here]))
    agree(found.U[-2:, -2:], np.einsum("mia,mib->ab", by_lens, by_lens))
    agree(found.pull[-2:], np.einsum("mia,mi->a", by_lens, r))
    for p in range(seen.points):
        here = seen.point == p
        J = by_point[here]
        agree(found.V[p], np.einsum("mia,mib->ab", J, J))
        agree(found.point_pull[p], np.einsum("mia,mi->a", J, r[here]))
