import numpy as np
import pytest

from mpm_keras.data.baselines import NearestPoses, interpolate_hidden

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


def known_poses(count=40, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 17, 2)), rng.normal(size=(count, 17, 3))


def test_the_nearest_pose_is_found_wherever_and_however_large_it_stands():
    flat, deep = known_poses()
    rng = np.random.default_rng(1)
    seen_as = flat * rng.uniform(0.01, 50, (40, 1, 1)) + rng.normal(scale=30, size=(40, 1, 2))
    np.testing.assert_array_equal(NearestPoses(flat, deep).find(seen_as), deep.astype(np.float32))


def test_hidden_joints_have_no_say_in_what_is_nearest():
    flat, deep = known_poses()
    hidden = np.random.default_rng(2).random((40, 17)) < 0.5
    asked = np.where(hidden[..., None], 1e3, 3 * flat + 7)
    np.testing.assert_array_equal(NearestPoses(flat, deep).find(asked, hidden), deep.astype(np.float32))


def test_the_distance_is_that_of_the_best_fit_in_place_and_size():
    flat, deep = known_poses()
    rng = np.random.default_rng(3)
    asked, seen = rng.normal(size=(17, 2)), rng.random(17) < 0.6
    left = []
    for pose in flat[:, seen]:  # by least squares: size, and place along both axes
        columns = np.stack([pose.ravel(), np.tile([1, 0], len(pose)), np.tile([0, 1], len(pose))], axis=1)
        fit, *_ = np.linalg.lstsq(columns, asked[seen].ravel(), rcond=None)
        distance = np.square(columns @ fit - asked[seen].ravel()).sum()
        left.append(distance if fit[0] > 0 else np.inf)  # no pose is seen upside down and mirrored at once
    found = NearestPoses(flat, deep).find(asked[None], ~seen[None])
    np.testing.assert_array_equal(found[0], deep[np.argmin(left)].astype(np.float32))


def test_frames_that_show_too_little_take_their_neighbours_answer():
    flat, deep = known_poses()
    bank, hidden = NearestPoses(flat, deep), np.zeros((6, 17), bool)
    hidden[:2], hidden[3, 2:] = True, True
    np.testing.assert_array_equal(bank.find(flat[:6], hidden), deep[[2, 2, 2, 2, 4, 5]].astype(np.float32))
    np.testing.assert_allclose(bank.find(flat[:2], hidden[:2]), np.tile(deep.mean(axis=0), (2, 1, 1)), atol=1e-6)
    with pytest.raises(ValueError, match="expected"):
        NearestPoses(flat, deep[:3])
