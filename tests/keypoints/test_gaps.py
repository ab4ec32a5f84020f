"""Gaps in keypoints: filled where something is known of them, and only there."""

import numpy as np
import pytest

from mpm_keras.keypoints.gaps import fill_gaps

pytestmark = pytest.mark.numpy_only
FPS = 10.0


def moving(frames=40, joints=6):
    """(F, K, 2): a body that moves on by (3, 1) a frame, each joint at its place."""
    place = np.random.default_rng(0).uniform(0, 100, (joints, 2))
    return place + np.arange(frames)[:, None, None] * [3.0, 1.0]


def hide(points, scores, frames, joint):
    points, scores = points.copy(), scores.copy()
    points[frames, joint], scores[frames, joint] = np.nan, 0.0
    return points, scores


def test_what_moves_evenly_is_found_again():
    truth, sure = moving(), np.full((40, 6), 0.8)
    sure[9, 2] = 0.5
    points, scores = hide(truth, sure, slice(10, 20), 2)
    found, certain = fill_gaps(points, scores, FPS, 1.0)
    np.testing.assert_allclose(found, truth, atol=1e-9)
    np.testing.assert_allclose(certain[10:20, 2], 0.5)  # of the two sightings the lower one
    np.testing.assert_array_equal(np.delete(certain, 2, axis=1), np.delete(sure, 2, axis=1))


def test_longer_gaps_stay():
    points, scores = hide(moving(), np.ones((40, 6)), slice(10, 21), 2)
    found, certain = fill_gaps(points, scores, FPS, 1.0)
    np.testing.assert_array_equal(found, points)
    np.testing.assert_array_equal(certain, scores)
    np.testing.assert_array_equal(fill_gaps(points, scores, FPS, 0.0)[0], points)


def test_at_the_ends_a_joint_goes_with_the_body_for_so_long():
    truth = moving()
    points, scores = hide(*hide(truth, np.ones((40, 6)), slice(0, 15), 1), slice(30, 40), 3)
    found, certain = fill_gaps(points, scores, FPS, 1.0)
    np.testing.assert_allclose(found[5:], truth[5:], atol=1e-9)
    assert np.isnan(found[:5, 1]).all() and not certain[:5, 1].any() and certain[5:, 1].all()


def test_nobody_is_made_up_where_nobody_was_seen():
    points, scores = hide(moving(), np.ones((40, 6)), slice(30, 40), slice(None))
    found, certain = fill_gaps(points, scores, FPS, 1.0)
    assert np.isnan(found[30:]).all() and not certain[30:].any()
    nothing, none = np.full((5, 6, 2), np.nan), np.zeros((5, 6))
    np.testing.assert_array_equal(fill_gaps(nothing, none, FPS, 1.0)[1], none)


def test_scores_below_the_threshold_are_gaps_too():
    truth, scores = moving(), np.full((40, 6), 0.9)
    points = truth.copy()
    points[12, 4], scores[12, 4] = 500.0, 0.2
    found, certain = fill_gaps(points, scores, FPS, 1.0, threshold=0.3)
    np.testing.assert_allclose(found, truth, atol=1e-9)
    assert certain[12, 4] == 0.9
    np.testing.assert_array_equal(fill_gaps(points, scores, FPS, 1.0)[0], points)


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match=r"expected \(F, K, 2\)"):
        fill_gaps(np.zeros((4, 3, 3)), np.zeros((4, 3)), FPS, 1.0)
    with pytest.raises(ValueError, match="-1.0"):
        fill_gaps(np.zeros((4, 3, 2)), np.zeros((4, 3)), FPS, -1.0)
