import dataclasses

import numpy as np
import pytest

from mpm_keras.data.cameras import film
from mpm_keras.data.detector import EXACT, WIDE_RANGES, DetectorNoise, at_rate, coco_joints, detect, exchange
from mpm_keras.data.synthetic import synthetic_motion
from mpm_keras.skeletons import COCO_17, H36M_17

pytestmark = pytest.mark.numpy_only
VIEWS = film(synthetic_motion(clips=4, seconds=3.0, fps=50.0, seed=1), 2, WIDE_RANGES, seed=2)


def lengths(pose, a, b):
    return np.linalg.norm(pose[:, H36M_17.index(a)] - pose[:, H36M_17.index(b)], axis=-1)


def test_exact_2d_is_the_projection_of_the_3d_that_goes_with_it():
    found = detect(VIEWS, EXACT)
    body = found.pose_3d + found.root_3d[:, None]
    projected = body[..., :2] / body[..., 2:]
    assert (found.confidence > 0.3).all()
    copied = [j for j, name in enumerate(H36M_17.joints) if name[0] in "LR" or name == "Neck/Nose"]
    np.testing.assert_allclose(found.pose_2d[:, copied], projected[:, copied], atol=1e-5)
    # Derived joints are derived in 2D: equal but for the perspective within a body.
    size = np.ptp(projected, axis=1).max(axis=-1)
    assert (np.abs(found.pose_2d - projected).max(axis=(1, 2)) < 0.05 * size).all()


def test_the_camera_follows_the_person():
    found = detect(VIEWS, EXACT)
    centre = found.pose_2d.mean(axis=1)
    assert np.abs(np.median(centre, axis=0)).max() < 0.02
    assert np.abs(VIEWS.pose_2d.mean(axis=1)).max() > 0.2  # without it the person walks through the picture


def test_poses_are_those_of_one_person_turned():
    found = detect(VIEWS, EXACT)
    for a, b in [("LHip", "LKnee"), ("LKnee", "LFoot"), ("RShoulder", "RElbow"), ("RElbow", "RWrist")]:
        expected = lengths(VIEWS.pose_3d, a, b)
        np.testing.assert_allclose(lengths(found.pose_3d, a, b), expected, rtol=0.12)
    np.testing.assert_array_equal(found.pose_3d[:, H36M_17.root], 0)
    middle = (found.pose_3d[:, H36M_17.index("LShoulder")] + found.pose_3d[:, H36M_17.index("RShoulder")]) / 2
    np.testing.assert_allclose(found.pose_3d[:, H36M_17.index("Thorax")], middle, atol=1e-5)
    assert 0.2 < lengths(found.pose_3d, "Thorax", "Head").mean() < 0.4


def test_a_face_looks_ahead():
    body = np.zeros((60, 17, 3))  # camera frame, facing the camera: ahead is -z, up is -y, the person's right is -x
    place = {"Thorax": (0, -1.4, 3), "Neck/Nose": (0, -1.5, 3), "Head": (0, -1.7, 3), "Hip": (0, -0.9, 3)}
    place |= {
        "LShoulder": (0.2, -1.4, 3),
        "RShoulder": (-0.2, -1.4, 3),
        "LHip": (0.1, -0.9, 3),
        "RHip": (-0.1, -0.9, 3),
    }
    for joint, value in place.items():
        body[:, H36M_17.index(joint)] = value
    found = coco_joints(body, 50.0, np.random.default_rng(0))
    nose, left, right = (found[:, COCO_17.index(j)] for j in ("nose", "left_ear", "right_ear"))
    assert np.median(nose[:, 2]) < 2.95
    assert np.median(left[:, 0]) > 0.03 > -0.03 > np.median(right[:, 0])


def test_errors_are_of_a_plausible_size_and_gaps_happen():
    exact = detect(VIEWS, EXACT)
    noisy = detect(VIEWS, dataclasses.replace(DetectorNoise(), focal=0.0, exchanged=0.0, slow=0.0, lost=0.3), seed=3)
    assert 0.5 < (noisy.confidence > 0.3).mean() < 0.99
    size = np.median(np.ptp(exact.pose_2d, axis=1).max(axis=-1))
    seen = noisy.confidence > 0.3
    error = np.linalg.norm(noisy.pose_2d - exact.pose_2d, axis=-1)[seen] / size
    assert 0.003 < np.median(error) < 0.05
    np.testing.assert_array_equal(noisy.pose_2d[noisy.confidence == 0], 0)


def test_what_a_film_never_shows_is_never_found():
    noise = dataclasses.replace(EXACT, unseen=1.0)
    for i in range(4):
        confidence = detect(VIEWS.view(i), noise, seed=1).confidence
        never = (confidence == 0).all(axis=0)
        assert never.any() and not never.all()
        assert (confidence[:, ~never] > 0.3).all()
    assert (detect(VIEWS, EXACT, seed=1).confidence > 0.3).all()


def test_the_same_seed_gives_the_same_and_a_view_does_not_depend_on_others():
    everything, alone = detect(VIEWS, seed=5), detect(VIEWS.view(3), seed=5)
    np.testing.assert_array_equal(everything.view(3).pose_2d, alone.pose_2d)
    np.testing.assert_array_equal(everything.view(3).pose_3d, alone.pose_3d)
    assert not np.array_equal(detect(VIEWS.view(3), seed=6).pose_2d, alone.pose_2d)


def test_exchanging_swaps_pairs_and_nothing_else():
    rng = np.random.default_rng(0)
    points, scores = rng.normal(size=(300, 17, 2)), rng.random((300, 17))
    swapped, swapped_scores = points.copy(), scores.copy()
    exchange(swapped, swapped_scores, 50.0, rng)
    changed = (swapped != points).any(axis=-1)
    assert 0 < changed.mean() < 0.6 and not changed[:, 0].any()
    left, right = np.array(COCO_17.pairs).T
    moved = changed[:, left]
    np.testing.assert_array_equal(swapped[:, left][moved], points[:, right][moved])
    np.testing.assert_array_equal(swapped_scores[:, right][moved], scores[:, left][moved])


def test_a_slower_camera_is_interpolated():
    line = np.linspace(0, 1, 101)[:, None, None] * np.ones((1, 2, 2))
    scores = np.ones((101, 2))
    scores[50] = 0.5
    found, sure = at_rate(line, scores, 50.0, 10.0)
    np.testing.assert_allclose(found, line, atol=1e-12)
    assert (sure[46:55] == 0.5).all() and sure[44, 0] == 1.0


def test_a_detector_needs_to_know_the_camera():
    with pytest.raises(ValueError, match="needs h36m17 views with 3D, root paths and intrinsics"):
        detect(dataclasses.replace(VIEWS, root_3d=None))
