import numpy as np
import pytest

from mpm_keras.inference.resampling import count_at, poses_at, resample_keypoints

pytestmark = pytest.mark.numpy_only


def line(frames, fps):
    """Joints that move at one unit a second."""
    return np.tile(np.arange(frames)[:, None, None] / fps, (1, 3, 2)).astype(np.float32)


@pytest.mark.parametrize("fps", [10.0, 23.976, 25.0, 30.0, 50.0, 60.0, 120.0, 240.0])
def test_steady_motion_keeps_its_times(fps):
    frames = 61
    found, seen = resample_keypoints(line(frames, fps), np.ones((frames, 3)), fps, 25.0)
    assert seen.all() and len(found) == count_at(frames, fps, 25.0)
    expected = np.minimum(np.arange(len(found)) / 25.0, (frames - 1) / fps)
    inner = slice(2, -2)  # averages of many frames are one-sided at the ends
    np.testing.assert_allclose(found[inner, 0, 0], expected[inner], atol=1e-5)
    back = poses_at(found, 25.0, fps, frames)
    assert back.shape == (frames, 3, 2)
    ends = max(3, int(fps / 10))
    np.testing.assert_allclose(back[ends:-ends], line(frames, fps)[ends:-ends], atol=0.01)


def test_the_same_rate_changes_nothing():
    points = np.random.default_rng(0).normal(size=(20, 3, 2)).astype(np.float32)
    found, seen = resample_keypoints(points, np.ones((20, 3)), 25.0, 25.0)
    np.testing.assert_allclose(found, points, atol=1e-6)
    assert seen.all()
    np.testing.assert_array_equal(poses_at(points, 25.0, 25.0, 20), points)


@pytest.mark.parametrize("fps", [12.5, 50.0])
def test_a_gap_stays_a_gap_and_its_values_are_not_looked_at(fps):
    points, scores = line(100, fps), np.ones((100, 3))
    scores[40:60, 1] = 0.2
    points[40:60, 1] = np.nan
    found, seen = resample_keypoints(points, scores, fps, 25.0, threshold=0.3)
    times = np.arange(len(found)) / 25.0
    inside = (times > 39.01 / fps + 0.021) & (times < 59.99 / fps - 0.021)
    assert inside.sum() > 8 and not seen[inside, 1].any()
    assert seen[~((times > 38.9 / fps) & (times < 60.1 / fps)), 1].all() and seen[:, [0, 2]].all()
    np.testing.assert_array_equal(found[~seen], 0)
    used = seen[2:-2, 1]
    np.testing.assert_allclose(found[2:-2, 1, 0][used], times[2:-2][used], atol=0.021)


def test_many_frames_are_averaged():
    noise = np.random.default_rng(0).normal(size=(2400, 3, 2))
    found, _ = resample_keypoints(noise, np.ones((2400, 3)), 240.0, 25.0)
    assert found.std() < 0.4


def test_one_and_two_frames():
    for frames in (1, 2):
        found, seen = resample_keypoints(line(frames, 60.0), np.ones((frames, 3)), 60.0, 25.0)
        assert seen.all()
        assert poses_at(found, 25.0, 60.0, frames).shape == (frames, 3, 2)


def test_bad_input():
    with pytest.raises(ValueError, match=r"found \(4, 3, 2\) and \(4, 2\)"):
        resample_keypoints(np.zeros((4, 3, 2)), np.ones((4, 2)), 30, 25)
    with pytest.raises(ValueError, match="must be positive, found 0 and 25"):
        resample_keypoints(np.zeros((4, 3, 2)), np.ones((4, 3)), 0, 25)
