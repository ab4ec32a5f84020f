"""The scene: which way is up, where the floor is."""

import numpy as np
import pytest
from lifted_person import person

from mpm_keras.formats.scene import LEVEL, Placement, gravity_of_pitch, scene_positions, scene_rotation
from mpm_keras.skeletons import H36M_17

pytestmark = pytest.mark.numpy_only
FEET = [H36M_17.index("LFoot"), H36M_17.index("RFoot")]


def test_level_camera():
    """Right of the picture stays right, down becomes -y, away from the camera becomes -z."""
    np.testing.assert_array_equal(scene_rotation(LEVEL), np.diag([1, -1, -1]))


@pytest.mark.parametrize("gravity", [(0, 9.81, 0), gravity_of_pitch(30), gravity_of_pitch(-60), (0.3, 0.8, -0.2)])
def test_gravity_points_down_and_the_camera_level_back(gravity):
    rotation = scene_rotation(gravity)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)
    np.testing.assert_allclose(rotation @ gravity / np.linalg.norm(gravity), [0, -1, 0], atol=1e-12)
    forward = rotation @ [0, 0, 1]
    assert forward[0] == pytest.approx(0) and forward[2] < 0


def test_a_camera_that_looks_down_sees_the_floor_tilted():
    """What is 1 m straight down from a camera pitched by 30 degrees."""
    below = np.array([0, np.cos(np.radians(30)), np.sin(np.radians(30))])
    np.testing.assert_allclose(scene_rotation(gravity_of_pitch(30)) @ below, [0, -1, 0], atol=1e-12)


def test_with_a_trajectory_the_person_walks_on_the_floor():
    motion = person()
    scene = scene_positions(motion)
    np.testing.assert_allclose(scene[:, 0, 0], motion.trajectory[:, 0], atol=1e-6)
    np.testing.assert_allclose(scene[:, 0, 2], -motion.trajectory[:, 2], atol=1e-6)
    assert np.abs(scene[:, FEET, 1].min(axis=1) - 0.08).max() < 0.05
    np.testing.assert_allclose(np.ptp(scene[:, 0, 1] + motion.trajectory[:, 1]), 0, atol=1e-6)  # shifted as a whole


def test_without_a_trajectory_the_hips_stay_or_the_feet_do():
    motion = person("squat", moves=False, seconds=6)
    still, grounded = (scene_positions(motion, Placement(floor=floor)) for floor in ("clip", "frame"))
    assert np.ptp(still[:, 0], axis=0).max() == 0
    lowest = grounded[:, FEET, 1].min(axis=1)
    np.testing.assert_allclose(lowest, 0.08, atol=1e-6)
    assert np.ptp(grounded[:, 0, 1]) > 0.2
    np.testing.assert_array_equal(grounded[:, 0, [0, 2]], 0)


def test_floor_none_leaves_heights():
    motion = person(moves=False)
    np.testing.assert_allclose(
        scene_positions(motion, Placement(floor="none")), motion.positions_3d * [1, -1, -1], atol=1e-7
    )


def test_unknown_joints_stay_unknown():
    motion = person()
    motion.positions_3d[2] = np.nan
    scene = scene_positions(motion)
    assert np.isnan(scene[2]).all() and np.isfinite(np.delete(scene, 2, axis=0)).all()


def test_impossible_placements_are_refused():
    with pytest.raises(ValueError, match="unknown floor"):
        Placement(floor="moon")
    with pytest.raises(ValueError, match="straight up or down"):
        Placement(gravity=(0, 0, 1))
    with pytest.raises(ValueError, match="direction"):
        Placement(gravity=(0, 0, 0))
