"""`estimate_root` and `on_rays`: where a pose must stand to be seen as it was."""

import numpy as np
import pytest

from mpm_keras.geometry import estimate_root, on_rays

pytestmark = pytest.mark.numpy_only
RNG = np.random.default_rng(0)
ROOTS = RNG.uniform((-1, -1, 3), (1, 1, 8), size=(50, 3))
POSES = RNG.normal(0, 0.4, size=(50, 17, 3))
POSES[:, 0] = 0
SEEN = POSES + ROOTS[:, None]
RAYS = SEEN[..., :2] / SEEN[..., 2:]


def test_root_is_found_exactly_where_the_pose_is_true():
    np.testing.assert_allclose(estimate_root(POSES, RAYS), ROOTS, atol=1e-9)


def test_root_under_noise():
    noisy = RAYS + RNG.normal(0, 1e-3, RAYS.shape)
    assert np.abs(estimate_root(POSES, noisy) - ROOTS)[:, 2].mean() < 0.05


def test_true_poses_lie_on_their_rays():
    np.testing.assert_allclose(on_rays(POSES, RAYS, ROOTS[:, 2]), POSES, atol=1e-9)


def test_wrong_x_and_y_are_put_right_and_z_kept():
    wrong = POSES + np.array([0.1, -0.2, 0.0]) * RNG.normal(size=(50, 17, 1))
    np.testing.assert_allclose(on_rays(wrong, RAYS, ROOTS[:, 2]), POSES, atol=1e-9)


def test_coinciding_rays_give_no_nan():
    assert np.isfinite(estimate_root(POSES, np.zeros_like(RAYS))).all()


def test_shapes_must_fit():
    with pytest.raises(ValueError, match="do not fit"):
        estimate_root(POSES, RAYS[:, :16])
