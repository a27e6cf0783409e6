"""Models that explain what they see exactly, and whether their derivatives are right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fourd.camera.bundle import slopes
from fourd.camera.lens import bent
from fourd.camera.model import HALF_PX, Model, Seen, rotation, tangent
from fourd.camera.triangulate import triangulate


def exact(world, bend: float = 0.0, **options) -> tuple[Seen, Model]:
    """What a lens that bends shows of an orbit, and the model of a pinhole camera there."""
    truth = world("orbit", **options)
    tracks = truth.tracks
    h, w = tracks.hw
    seen = Seen(tracks.point, tracks.frame, tracks.xy_px - (w / 2, h / 2), tracks.points, tracks.length)
    t = -(truth.R @ truth.centre[..., None])[..., 0]
    model = Model(truth.R, t, np.tile([0.0, 0, 0, 1], (tracks.points, 1)), truth.focal)
    model = replace(model, X=triangulate(seen, model)[0])
    return (replace(seen, xy=bent(seen.xy, bend, HALF_PX)) if bend else seen), model


def slopes_agree(seen: Seen, model: Model, atol: float) -> None:
    """Residuals and slopes must be those of finite differences; ``atol`` is for the residuals."""
    basis = tangent(model.X)
    to_point, to_camera, to_lens, r = slopes(seen, model, basis, np.ones(len(seen.point)))
    np.testing.assert_allclose(r[:, 0].T, model.residual(seen), atol=atol)
    step = 1e-6

    def agree(column: np.ndarray, ahead: Model, back: Model) -> None:
        slope = (ahead.residual(seen) - back.residual(seen)).T / (2 * step)
        np.testing.assert_allclose(column, slope, rtol=1e-4, atol=1e-3)

    for k in range(3):
        axis = step * np.eye(3)[k]
        agree(to_point[:, k], *(replace(model, X=model.X + sign * basis @ axis) for sign in (1, -1)))
        agree(to_camera[:, k], *(replace(model, R=rotation(sign * axis) @ model.R) for sign in (1, -1)))
        agree(to_camera[:, 3 + k], *(replace(model, t=model.t + sign * axis) for sign in (1, -1)))
    agree(to_lens[:, 0], *(replace(model, focal=model.focal * np.exp(sign * step)) for sign in (1, -1)))
    agree(to_lens[:, 1], *(replace(model, bend=model.bend + sign * step) for sign in (1, -1)))
