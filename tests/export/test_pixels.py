"""Pixels into an exported graph do what the package does with them, on the active backend."""

import keras
import numpy as np
import pytest
from harness import seed_weights, to_numpy

from mpm_keras.export.pixels import FollowedPixels, ScreenPixels, pixels_for
from mpm_keras.export.signatures import signatures_of
from mpm_keras.following import follow, rays_of, turn_back
from mpm_keras.geometry import normalize_screen
from mpm_keras.inference.facts import network_facts
from mpm_keras.inference.pose_lifter import PoseLifter
from mpm_keras.models import MPMLifter, save_preset

FRAMES, RATE = 9, 25.0
RNG = np.random.default_rng(0)
IMAGES = np.array([[1920, 1080], [720, 1280]], "float32")


def walking(size):
    """(9, 17, 2) pixels of somebody who crosses the picture."""
    path = np.linspace([0.15, 0.6], [0.9, 0.4], FRAMES)[:, None] * size
    return (path + RNG.normal(0, 0.05 * min(size), (FRAMES, 17, 2))).astype("float32")


PIXELS = np.stack([walking(size) for size in IMAGES])
HIDDEN = RNG.random(PIXELS.shape[:3]) < 0.3


def test_screen_is_normalised_as_everywhere():
    found, _ = ScreenPixels().enter(PIXELS, IMAGES)
    expected = [normalize_screen(pose, *size) for pose, size in zip(PIXELS, IMAGES, strict=True)]
    np.testing.assert_allclose(to_numpy(found), expected, atol=2e-6)


@pytest.mark.parametrize("hidden", [None, HIDDEN], ids=["seen", "hidden"])
def test_a_camera_follows_as_in_a_clip_of_that_length(hidden):
    pixels = FollowedPixels(FRAMES, RATE)
    found, view = pixels.enter(PIXELS, IMAGES, hidden)
    poses = RNG.normal(size=(2, FRAMES, 17, 3)).astype("float32")
    tensor = keras.ops.convert_to_tensor(poses)
    for i, (points, size) in enumerate(zip(PIXELS, IMAGES, strict=True)):
        seen = np.ones(points.shape[:2], bool) if hidden is None else ~hidden[i]
        turned, turns = follow(rays_of(points, max(size), size / 2), seen, RATE)
        assert abs(turns - np.eye(3)).max() > 0.05
        np.testing.assert_allclose(to_numpy(found)[i], turned, atol=2e-5)
        back = turn_back(poses[i], turns)
        np.testing.assert_allclose(to_numpy(pixels.leave(tensor, view))[i], back, atol=2e-5)
        middle = to_numpy(pixels.leave(tensor[:, FRAMES // 2 : FRAMES // 2 + 1], view))[i]
        np.testing.assert_allclose(middle, back[FRAMES // 2 : FRAMES // 2 + 1], atol=2e-5)


def test_frames_that_show_nothing_look_where_their_neighbours_look():
    hidden = np.zeros((2, FRAMES, 17), bool)
    hidden[0, 3:6] = hidden[1] = True
    _, (x, y, z, _) = FollowedPixels(FRAMES, RATE).enter(PIXELS, IMAGES, hidden)
    x, y, z = (to_numpy(v) for v in (x, y, z))
    assert np.isfinite([x, y, z]).all()
    assert (np.diff(x[0] / z[0]) > 0).all(), "the path goes on to the right"
    np.testing.assert_allclose([x[1], y[1], z[1]], [[0.0] * 9, [0.0] * 9, [1.0] * 9], atol=1e-6)


@pytest.mark.parametrize("detector", ["none", "noisy"])
def test_the_centre_pose_is_that_of_the_pose_lifter(detector, tmp_path):
    network = MPMLifter(
        frames=FRAMES, joints=17, layers=1, width=8, encoder_width=12, heads=2, feed_forward=8, normalization="window"
    )
    seed_weights(network)
    facts = {"skeleton": "h36m17", "stride": 2, "fps": 2 * RATE, "detector": detector}
    save_preset(network, tmp_path, **facts)
    lifter = PoseLifter(network, network_facts(tmp_path, network))
    call = signatures_of(network, "lifter", facts)["lift_pixels_with_hidden"].function
    found = to_numpy(call(np.where(HIDDEN[..., None], np.float32(np.nan), PIXELS), IMAGES, HIDDEN)["center"])[:, 0]
    for i, size in enumerate(IMAGES):
        scores = np.where(HIDDEN[i], 0.0, 1.0)
        lifted = lifter.lift(
            PIXELS[i], scores, skeleton="h36m17", image_size=size, fps=RATE, mode="center", flip=False, fit=False,
            fill_seconds=0.0,
        )  # fmt: skip
        np.testing.assert_allclose(found[i] - found[i, :1], lifted.positions_3d[FRAMES // 2], atol=1e-4)


def test_the_facts_of_the_preset_decide():
    network = MPMLifter(frames=FRAMES, joints=17, layers=1, width=8, encoder_width=12, heads=2, feed_forward=8)
    assert isinstance(pixels_for(network, {}), ScreenPixels)
    assert isinstance(pixels_for(network, {"detector": "none"}), ScreenPixels)
    followed = pixels_for(network, {"detector": "exact", "fps": 50.0, "stride": 2})
    assert isinstance(followed, FollowedPixels) and followed.weights.shape == (FRAMES, FRAMES)
