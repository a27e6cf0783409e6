"""The derivatives, the descent and the pieces that it stands on."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from fourd.camera.bundle import Task, adjust, focal_uncertainty
from fourd.camera.model import Model, orthonormal, rotation, tangent
from fourd.camera.pose import settle
from fourd.camera.triangulate import triangulate
from tests.camera.models import exact, slopes_agree

pytestmark = pytest.mark.needs("native")


def shaken(model: Model, size: float) -> Model:
    rng = np.random.default_rng(3)
    R = rotation(rng.normal(0, size, model.t.shape)) @ model.R
    t = model.t + rng.normal(0, size, model.t.shape)
    R[0], t[0] = model.R[0], model.t[0]
    X = model.X + rng.normal(0, size / 10, model.X.shape)
    return Model(R, t, X / np.linalg.norm(X, axis=1, keepdims=True), model.focal * (1 + 5 * size))


def test_rotation_is_rodrigues_and_smooth_at_zero():
    for w in np.random.default_rng(0).normal(0, 2, (20, 3)):
        np.testing.assert_allclose(rotation(w), cv2.Rodrigues(w)[0], atol=1e-12)
    tiny = np.array([1e-9, 0, 0])
    np.testing.assert_allclose(rotation(tiny), [[1, 0, 0], [0, 1, -1e-9], [0, 1e-9, 1]], atol=1e-17)


def test_tangents_are_orthonormal_and_at_right_angles():
    X = np.random.default_rng(0).normal(size=(50, 4))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    B = tangent(X)
    np.testing.assert_allclose(B.transpose(0, 2, 1) @ B, np.tile(np.eye(3), (50, 1, 1)), atol=1e-12)
    np.testing.assert_allclose(B.transpose(0, 2, 1) @ X[..., None], 0, atol=1e-12)


def test_the_nearest_rotation_of_a_rotation_is_itself():
    R = rotation(np.random.default_rng(0).normal(size=(9, 3)))
    np.testing.assert_allclose(orthonormal(R), R, atol=1e-12)
    assert np.linalg.det(orthonormal(-R)).min() > 0.999


def test_triangulation_of_exact_places_is_exact(world):
    seen, model = exact(world)
    X, error = triangulate(seen, model)
    assert error.max() < 1e-6
    assert replace(model, X=X).error(seen).max() < 1e-6
    nobody = replace(seen, points=seen.points + 1)
    wider = replace(model, X=np.vstack([model.X, [[0, 0, 1, 0]]]))
    X, error = triangulate(nobody, wider)
    assert error[-1] == np.inf and np.array_equal(X[-1], [0, 0, 1, 0])


def test_scaling_a_model_changes_no_picture(world):
    seen, model = exact(world)
    np.testing.assert_allclose(model.scaled(7).residual(seen), model.residual(seen), atol=1e-8)
    assert model.scaled(7).unit(seen) == pytest.approx(7 * model.unit(seen))


def test_slopes_agree_with_finite_differences(world):
    seen, model = exact(world, frames=4, points=60)
    model = shaken(model, 0.01)
    slopes_agree(seen, model)


def test_adjustment_comes_back_from_a_shaken_model(world):
    seen, model = exact(world)
    away = shaken(model, 0.01)
    assert np.median(away.error(seen)) > 2
    back = adjust(seen, away, Task(5.0, 40, tolerance=1e-12))
    assert back.error(seen).max() < 1e-3
    assert back.focal == pytest.approx(model.focal, rel=1e-4)
    assert np.array_equal(back.R[0], orthonormal(model.R[0])) and np.array_equal(back.t[0], model.t[0])


def test_what_is_not_observed_stays(world):
    seen, model = exact(world)
    away = shaken(model, 0.005)
    part = seen.pick((seen.frame < 10) & (seen.point > 20))
    back = adjust(part, away, Task(3.0, 5))
    assert np.array_equal(back.R[10:], away.R[10:]) and np.array_equal(back.X[:21], away.X[:21])
    assert not np.array_equal(back.R[5], away.R[5])
    nothing = adjust(seen.pick(seen.frame < 0), away, Task(3.0, 5))
    assert nothing is away


def test_a_camera_without_parallax_keeps_its_place(world):
    seen, model = exact(world)
    back = adjust(seen, shaken(model, 0.01), Task(3.0, 5, translation=False))
    assert np.array_equal(back.t, shaken(model, 0.01).t)


def test_uncertainty_of_the_focal_length_grows_as_the_path_shrinks(world):
    seen, model = exact(world, noise_px=0.3)
    few = seen.pick(seen.frame < 4)
    assert 0 < focal_uncertainty(seen, model, 1.0) < focal_uncertainty(few, model, 1.0)
    assert focal_uncertainty(seen.pick(seen.frame < 0), model, 1.0) == np.inf


def test_poses_settle_where_the_points_say(world):
    seen, model = exact(world)
    away = shaken(model, 0.02)
    settled = settle(seen, replace(away, X=model.X, focal=model.focal), (10.0, 1.0))
    assert settled.error(seen).max() < 1e-3
    np.testing.assert_allclose(settled.t, model.t, atol=1e-5)
