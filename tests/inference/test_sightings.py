import numpy as np
import pytest

from mpm_keras.inference.sightings import BETWEEN, BEYOND, between_sightings, distances, interpolated

pytestmark = pytest.mark.numpy_only


def cubics():
    time = np.linspace(-1, 1, 30)
    return np.stack([time**3, 1 - time**2, time], axis=-1)[:, None].repeat(4, axis=1).astype(np.float32)


def test_a_spline_finds_a_cubic_again_and_holds_beyond_its_ends():
    poses, hidden = cubics(), np.zeros((30, 4), bool)
    hidden[10:18, 0], hidden[25:, 1], hidden[:, 2] = True, True, True
    hidden[:, 3], hidden[[4, 20], 3] = True, False  # two frames: too few for a spline
    filled = interpolated(np.where(hidden[..., None], np.float32(7), poses), hidden)
    np.testing.assert_allclose(filled[10:18, 0], poses[10:18, 0], atol=1e-5)
    np.testing.assert_array_equal(filled[25:, 1], poses[[24] * 5, 1])
    assert (filled[:, 2] == 7).all()
    np.testing.assert_array_equal(filled[:5, 3], poses[[4] * 5, 3])
    np.testing.assert_allclose(filled[12, 3], (poses[4, 3] + poses[20, 3]) / 2, atol=1e-6)
    np.testing.assert_array_equal(filled[20:, 3], poses[[20] * 10, 3])
    np.testing.assert_array_equal(filled[~hidden], poses[~hidden])


def test_distances():
    hidden = np.array([[1, 0, 1, 1, 1, 0, 1], [1] * 7, [0] * 7], bool).T
    frames, both = distances(hidden)
    np.testing.assert_array_equal(frames.T, [[1, 0, 1, 2, 1, 0, 1], [np.inf] * 7, [0] * 7])
    np.testing.assert_array_equal(both.T, [[0, 1, 1, 1, 1, 1, 0], [0] * 7, [1] * 7])


def test_a_line_goes_through_what_nothing_is_seen_of():
    frames, fps = 600, 100.0
    time = np.arange(frames, dtype=np.float32)
    observed = np.stack([time, -time, 0 * time], axis=-1)[:, None].repeat(3, axis=1)
    hidden = np.zeros((frames, 3), bool)
    hidden[100:400, 1:], hidden[550:, 1:] = True, True  # all but the root
    found = between_sightings(np.full_like(observed, 1e3), observed, hidden, fps)
    np.testing.assert_allclose(found[:550], observed[:550], rtol=1e-4, atol=1e-2)
    np.testing.assert_array_equal(found[550:, 1:], observed[[549] * 50, 1:])
    hidden[:, 2] = False  # one more is seen: the network is asked again
    found = between_sightings(np.full_like(observed, 1e3), observed, hidden, fps)
    assert found[250, 1].min() > 900
    hidden[:] = True
    assert (between_sightings(np.full_like(observed, 1e3), observed, hidden, fps) == 1e3).all()


def test_the_network_counts_where_nothing_is_near():
    fps, frames = 100.0, 401
    hidden = np.zeros((frames, 5), bool)
    hidden[100:301, 0], hidden[200:, 1], hidden[:, 2] = True, True, True
    observed, predicted = np.zeros((frames, 5, 3), np.float32), np.ones((frames, 5, 3), np.float32)
    found = between_sightings(predicted, np.where(hidden[..., None], np.nan, observed), hidden, fps)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[~hidden], 0)
    np.testing.assert_array_equal(found[:, 2], 1)
    between, beyond = 99 + round(BETWEEN * fps), 199 + round(BEYOND * fps)
    np.testing.assert_allclose(found[[between, beyond], [0, 1]], 0.5, atol=1e-6)
    assert found[100, 0].max() < 1e-6 and found[200, 1].max() < 1e-5, "goes on from the last frame"
    assert found[200, 0].min() > 0.9 and found[-1, 1].min() > 0.99
    np.testing.assert_allclose(found[100:301, 0], found[300:99:-1, 0], atol=1e-6)
