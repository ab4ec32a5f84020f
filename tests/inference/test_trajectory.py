"""Trajectories of people who walk before a camera that is known here."""

import numpy as np
import pytest

from mpm_keras.data.synthetic import synthetic_motion
from mpm_keras.geometry import Camera, look_at, project, world_to_camera
from mpm_keras.inference.trajectory import FOCAL_PER_SIDE, FOCAL_SPREAD, estimate_trajectory

pytestmark = pytest.mark.numpy_only
SIZE = (1080, 1920)
FPS = 50


@pytest.fixture(scope="module")
def walker():
    return synthetic_motion(clips=1, seconds=5, fps=FPS, seed=3, activities=["walk"]).positions.astype(float)


def film(walker, focal=1500.0, distortion=(0, 0, 0, 0, 0)):
    """Root-relative poses, keypoints, confidences and root joints of a walker, the camera and its numbers."""
    position = np.array([1.0, -5.0, 1.5])
    camera = Camera(look_at(position, walker[:, 0].mean(0)), position, (focal, focal), (530, 960), SIZE, distortion)
    seen = world_to_camera(walker, camera)
    return seen - seen[:, :1], project(seen, camera), np.ones(seen.shape[:2]), seen[:, 0], camera


@pytest.mark.parametrize("distortion", [(0, 0, 0, 0, 0), (-0.2, 0.05, 0.001, -0.002, 0)])
def test_exact_without_noise(walker, distortion):
    pose, pixels, confidence, root, camera = film(walker, distortion=distortion)
    found, facts = estimate_trajectory(pose, pixels, confidence, SIZE, FPS, camera.intrinsics, smooth_seconds=0)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, root, atol=2e-6)
    assert facts["focal_length"] == "given" and facts["frames_interpolated"] == 0
    assert facts["reprojection_px"] < 1e-6
    np.testing.assert_array_equal(facts["intrinsics"], camera.intrinsics)


def test_smoothing_bends_a_walk_by_millimetres(walker):
    pose, pixels, confidence, root, camera = film(walker)
    found, _ = estimate_trajectory(pose, pixels, confidence, SIZE, FPS, camera.intrinsics[:4])
    assert np.linalg.norm(found - root, axis=-1).max() < 0.01


def test_two_pixels_of_noise(walker):
    pose, pixels, confidence, root, camera = film(walker)
    pixels = pixels + np.random.default_rng(0).normal(0, 2, pixels.shape)
    error = {}
    for seconds in (0, 0.6):
        found, facts = estimate_trajectory(pose, pixels, confidence, SIZE, FPS, camera.intrinsics, seconds)
        error[seconds] = np.abs(found - root).mean(axis=0)
        assert 1.5 < facts["reprojection_px"] < 3
    assert error[0][2] < 0.05 and error[0][:2].max() < 0.005  # metres, at 5 to 10 m from the camera
    assert error[0.6][2] < 0.02 and error[0.6][:2].max() < 0.005


def test_outliers_and_unsure_keypoints_count_for_little(walker):
    pose, pixels, confidence, root, camera = film(walker)
    rng = np.random.default_rng(1)
    wild = rng.random(confidence.shape) < 0.1
    pixels[wild] += rng.normal(0, 200, (wild.sum(), 2))
    found, _ = estimate_trajectory(pose, pixels, confidence, SIZE, FPS, camera.intrinsics, 0)
    assert np.median(np.abs(found - root)[:, 2]) < 0.02
    found, _ = estimate_trajectory(pose, pixels, np.where(wild, 0.0, confidence), SIZE, FPS, camera.intrinsics, 0)
    np.testing.assert_allclose(found, root, atol=1e-5)


def test_frames_that_were_not_seen_are_interpolated(walker):
    pose, pixels, confidence, root, camera = film(walker)
    confidence[100:110] = 0
    confidence[:5, 3:] = 0  # three joints are too few
    pixels[confidence == 0] = np.nan
    found, facts = estimate_trajectory(pose, pixels, confidence, SIZE, FPS, camera.intrinsics, 0)
    assert facts["frames_interpolated"] == 15
    np.testing.assert_allclose(found[104], root[99] + (root[110] - root[99]) * 5 / 11, atol=1e-5)
    np.testing.assert_allclose(found[:5], np.tile(root[5], (5, 1)), atol=1e-5)


def test_nobody_seen_gives_nan_and_says_so(walker):
    pose, pixels, confidence, _, _ = film(walker)
    found, facts = estimate_trajectory(pose, np.full_like(pixels, np.nan), 0 * confidence, SIZE, FPS)
    assert np.isnan(found).all()
    assert facts["reprojection_px"] is None and facts["focal_length"] == "assumed"


@pytest.mark.parametrize("focal", [1500.0, 2200.0, 3000.0])
def test_focal_length_from_the_clip(walker, focal):
    """It lies between the true one and that of ordinary cameras, nearer to the true one."""
    pose, pixels, confidence, root, _ = film(walker, focal)
    pixels = pixels + np.random.default_rng(0).normal(0, 2, pixels.shape)
    found, facts = estimate_trajectory(pose, pixels, confidence, SIZE, FPS)
    estimate = facts["intrinsics"][0]
    assert facts["focal_length"] == "estimated" and facts["focal_uncertainty"] < 0.2
    assert abs(np.log(estimate / focal)) < 0.4 * abs(np.log(FOCAL_PER_SIDE * max(SIZE) / focal)) + 0.03
    np.testing.assert_allclose(np.median(found[:, 2] / root[:, 2]), estimate / focal, rtol=0.05)


def test_one_frame_does_not_tell_the_focal_length(walker):
    pose, pixels, confidence, root, _ = film(walker, FOCAL_PER_SIDE * max(SIZE))
    pose[0, 1:] += np.random.default_rng(0).normal(0, 0.05, (16, 3))  # as exact as lifting is
    found, facts = estimate_trajectory(pose[:1], pixels[:1], confidence[:1], SIZE, FPS)
    assert facts["focal_length"] == "assumed" and facts["focal_uncertainty"] == FOCAL_SPREAD
    assert facts["intrinsics"][:4] == [FOCAL_PER_SIDE * 1920] * 2 + [540, 960]
    np.testing.assert_allclose(found[0, 2], root[0, 2], rtol=0.1)


def test_wrong_input_is_refused(walker):
    pose, pixels, confidence, _, camera = film(walker)
    with pytest.raises(ValueError, match="expected"):
        estimate_trajectory(pose, pixels[:, :5], confidence, SIZE, FPS)
    with pytest.raises(ValueError, match="frame rate"):
        estimate_trajectory(pose, pixels, confidence, SIZE, 0)
    with pytest.raises(ValueError, match="intrinsics"):
        estimate_trajectory(pose, pixels, confidence, SIZE, FPS, camera.intrinsics[:5])
