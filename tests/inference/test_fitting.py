"""Poses fitted to rays: what is right stays, what is wrong comes nearer to the truth."""

import numpy as np
import pytest

from mpm_keras.data.synthetic import synthetic_motion
from mpm_keras.geometry import root_relative
from mpm_keras.inference.bones import steady_bones
from mpm_keras.inference.fitting import ADULT, fit_to_rays, root_path
from mpm_keras.metrics import mpjpe_mm
from mpm_keras.skeletons import H36M_16, H36M_17

pytestmark = pytest.mark.numpy_only
ROOT = np.array([0.4, -0.2, 4.0])


@pytest.fixture(scope="module")
def truth():
    """(N, 17, 3) root-relative, camera frame, of a body with adult bones; (N, 17, 2) its rays."""
    world = synthetic_motion(1, 2.0, 25.0, 3, ["dance"]).clip(0)
    camera = np.stack([world[..., 0], -world[..., 2], world[..., 1]], axis=-1)
    lengths = np.zeros(17)
    for a, b in H36M_17.bones:
        lengths[b] = ADULT[H36M_17.joints[a], H36M_17.joints[b]]
    poses = steady_bones(root_relative(camera), H36M_17, lengths)
    placed = poses + ROOT
    return poses, placed[..., :2] / placed[..., 2:]


def test_the_root_is_where_poses_project_onto_their_rays(truth):
    poses, rays = truth
    seen = np.ones(poses.shape[:2], bool)
    seen[3], seen[0, :12] = False, False  # too little: between the neighbours, and as the nearest one
    np.testing.assert_allclose(root_path(poses, rays, seen), np.tile(ROOT, (len(poses), 1)), atol=1e-5)
    assert root_path(poses, rays, np.zeros_like(seen)) is None


def test_right_poses_stay(truth):
    poses, rays = truth
    found = fit_to_rays(poses, rays, np.ones(poses.shape[:2], bool), H36M_17)
    assert found.dtype == np.float32 and not found[:, 0].any()
    assert mpjpe_mm(found, poses).mean() < 8  # hips and shoulders are not as wide as an adult's median


def test_errors_of_a_network_grow_smaller(truth):
    poses, rays = truth
    rng = np.random.default_rng(1)
    wrong = 0.9 * poses + rng.normal(size=(1, 17, 3)) * [0.04, 0.04, 0.08]  # too small, joints off
    wrong -= wrong[:, :1]
    seen = rng.random(poses.shape[:2]) < 0.9
    found = fit_to_rays(wrong, np.where(seen[..., None], rays, np.nan), seen, H36M_17)
    before, after = mpjpe_mm(wrong, poses).mean(), mpjpe_mm(found, poses).mean()
    assert after < 0.75 * before

    def variation(motion):
        return np.linalg.norm(motion[:, 13] - motion[:, 12], axis=-1).std()

    assert variation(found) < variation(wrong)


def test_the_mirrored_motion_gives_the_mirrored_result(truth):
    poses, rays = truth
    rng = np.random.default_rng(2)
    wrong = poses + rng.normal(scale=0.05, size=poses.shape)
    seen, order = rng.random(poses.shape[:2]) < 0.8, H36M_17.flip_order
    found = fit_to_rays(wrong, rays, seen, H36M_17)
    mirrored = fit_to_rays(wrong[:, order] * [-1, 1, 1], rays[:, order] * [-1, 1], seen[:, order], H36M_17)
    np.testing.assert_allclose(mirrored, found[:, order] * [-1, 1, 1], atol=1e-5)


def test_without_keypoints_nothing_changes_and_shapes_are_checked(truth):
    poses, rays = truth
    nothing = np.zeros(poses.shape[:2], bool)
    np.testing.assert_array_equal(fit_to_rays(poses, rays, nothing, H36M_17), poses.astype(np.float32))
    with pytest.raises(ValueError, match="expected"):
        fit_to_rays(poses, rays[:3], nothing, H36M_17)
    order = H36M_16.select_from(H36M_17)
    found = fit_to_rays(poses[:, order], rays[:, order], ~nothing[:, order], H36M_16)
    assert mpjpe_mm(found, poses[:, order]).mean() < 8
