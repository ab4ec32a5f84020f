import numpy as np
import pytest

from mpm_keras.data.baselines import interpolate_hidden

pytestmark = pytest.mark.numpy_only

FALLBACK = np.array([[9.0, 9.0], [8.0, 7.0]], np.float32)


def test_lines_between_visible_frames_held_at_the_ends():
    time = np.arange(6, dtype=np.float32)
    poses = np.stack([np.stack([2 * time, time**2], -1)] * 2, 1)[None]  # (1, 6, 2, 2)
    hidden = np.zeros((1, 6, 2), bool)
    hidden[0, [0, 2, 3, 5], 0] = True
    hidden[0, :, 1] = True  # never seen
    found = interpolate_hidden(poses, hidden, FALLBACK)
    np.testing.assert_allclose(found[0, :, 0, 0], [2, 2, 4, 6, 8, 8])
    np.testing.assert_allclose(found[0, :, 0, 1], [1, 1, 6, 11, 16, 16])
    np.testing.assert_array_equal(found[0, :, 1], np.tile(FALLBACK[1], (6, 1)))


def test_visible_joints_stay_and_the_input_too():
    rng = np.random.default_rng(0)
    poses, hidden = rng.normal(size=(3, 9, 2, 2)).astype(np.float32), rng.random((3, 9, 2)) < 0.6
    before = poses.copy()
    found = interpolate_hidden(poses, hidden, FALLBACK)
    np.testing.assert_array_equal(found[~hidden], poses[~hidden])
    np.testing.assert_array_equal(poses, before)
    np.testing.assert_array_equal(interpolate_hidden(poses, np.zeros_like(hidden), FALLBACK), poses)


def test_what_is_hidden_has_no_say():
    rng = np.random.default_rng(0)
    poses, hidden = rng.normal(size=(3, 9, 2, 2)), rng.random((3, 9, 2)) < 0.6
    other = np.where(hidden[..., None], 1e6, poses)
    np.testing.assert_array_equal(
        interpolate_hidden(poses, hidden, FALLBACK), interpolate_hidden(other, hidden, FALLBACK)
    )
