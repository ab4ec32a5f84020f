"""Attribution maps are the gradients that they are said to be, and are drawn where they belong."""

import keras
import numpy as np
import pytest
from harness import seed_weights
from PIL import Image

from mpm_keras.errors import InputError
from mpm_keras.models import MPMLifter
from mpm_keras.skeletons import H36M_16, H36M_17
from mpm_keras.viz.attribution import Attribution, attribute
from mpm_keras.viz.attribution_figure import attribution_figure

BACKEND = keras.backend.backend()
FRAMES, JOINT = 9, 16
RNG = np.random.default_rng(0)
WINDOW = (0.3 * RNG.normal(size=(FRAMES, 17, 2))).astype("float32")
HIDDEN = np.zeros((FRAMES, 17), bool)
HIDDEN[2:4, 5] = HIDDEN[4, JOINT] = True

on_tensorflow = pytest.mark.skipif(BACKEND != "tensorflow", reason="attribution maps run on TensorFlow alone")


@pytest.fixture(scope="module")
def network():
    lifter = MPMLifter(
        frames=FRAMES, joints=17, layers=1, width=32, encoder_width=32, heads=4, feed_forward=32, normalization="window"
    )
    seed_weights(lifter, scale=0.2)
    return lifter


def by_hand(network, window, hidden=HIDDEN):
    """(3, F, J, 2) with a gradient tape."""
    import tensorflow as tf

    pose = tf.Variable(window[None])
    with tf.GradientTape(persistent=True) as tape:
        center = network({"pose_2d": pose, "hidden": tf.constant(hidden[None])}, training=False)["center"][0, 0]
        coordinates = [center[JOINT, axis] - center[0, axis] for axis in range(3)]
    return np.stack([tape.gradient(coordinate, pose).numpy()[0] for coordinate in coordinates])


@on_tensorflow
def test_saliency_is_the_gradient(network):
    found = attribute(network, np.where(HIDDEN[..., None], np.nan, WINDOW), JOINT, hidden=HIDDEN)
    expected = by_hand(network, np.where(HIDDEN[..., None], np.float32(0), WINDOW))
    np.testing.assert_allclose(found.gradients, expected, atol=1e-6)
    assert abs(expected).max() > 1e-2
    assert not found.gradients[:, HIDDEN].any(), "hidden joints count for nothing"
    assert found.gradients[:, ~HIDDEN].all()


@on_tensorflow
def test_saliency_predicts_what_moving_a_joint_does(network):
    found = attribute(network, WINDOW, JOINT)
    step = 1e-3
    for f, j, d in ((0, 3, 0), (4, 16, 1), (8, 10, 0)):
        moved = np.stack([WINDOW, WINDOW])
        moved[0, f, j, d] -= step
        moved[1, f, j, d] += step
        center = np.asarray(network({"pose_2d": moved}, training=False)["center"])[:, 0]
        slope = np.diff(center[:, JOINT] - center[:, 0], axis=0)[0] / (2 * step)
        np.testing.assert_allclose(found.gradients[:, f, j, d], slope, atol=0.01 * abs(found.gradients).max())


@on_tensorflow
def test_smoothgrad_is_the_mean_gradient_of_noisy_copies(network):
    plain = attribute(network, WINDOW, JOINT)
    still = attribute(network, WINDOW, JOINT, samples=3, noise=0.0)
    np.testing.assert_allclose(still.gradients, plain.gradients, atol=1e-6)

    np.random.seed(5)
    before = np.random.get_state()[1].copy()
    found = attribute(network, WINDOW, JOINT, samples=4, noise=0.1, seed=7)
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    sigma = 0.1 * (WINDOW.max() - WINDOW.min())
    noise = np.random.RandomState(7).normal(0.0, np.full((4, 1, 1, 1, 1), sigma), (4, 1, *WINDOW.shape))
    copies = (WINDOW + noise[:, 0]).astype("float32")
    expected = np.mean([by_hand(network, copy, HIDDEN & False) for copy in copies], axis=0)
    np.testing.assert_allclose(found.gradients, expected, atol=1e-5)
    assert abs(found.gradients - plain.gradients).max() > 1e-3
    again = attribute(network, WINDOW, JOINT, samples=4, noise=0.1, seed=7)
    np.testing.assert_array_equal(again.gradients, found.gradients)


@on_tensorflow
@pytest.mark.parametrize(
    "change, message",
    [
        ({"pose_2d": WINDOW[:8]}, r"expected a window of shape \(9, 17, 2\), found \(8, 17, 2\)"),
        ({"pose_2d": np.where(HIDDEN[..., None], np.nan, WINDOW)}, "NaN or infinity"),
        ({"hidden": HIDDEN[:8]}, r"expected a mask of shape \(9, 17\), found \(8, 17\)"),
        ({"joint": 17}, r"joint must be in 0\.\.16, found 17"),
        ({"joint": 0}, "joint 0 is the root"),
        ({"samples": -1}, "must not be negative"),
    ],
)
def test_wrong_arguments_are_named(network, change, message):
    with pytest.raises(ValueError, match=message):
        attribute(**{"network": network, "pose_2d": WINDOW, "joint": JOINT, **change})


@pytest.mark.skipif(BACKEND == "tensorflow", reason="the message of the other backends")
def test_other_backends_say_what_is_needed():
    with pytest.raises(InputError, match=f"need the TensorFlow backend, this is {BACKEND}: set KERAS_BACKEND"):
        attribute(None, WINDOW, JOINT)


def test_the_map_is_a_length():
    gradients = np.zeros((3, FRAMES, 17, 2), np.float32)
    gradients[:, 4, 10] = [[3, 4], [0, 0], [0, 12]]
    found = Attribution(gradients, JOINT, 0, 0.0)
    assert found.map()[4, 10] == pytest.approx(13)
    assert found.map(("x",))[4, 10] == pytest.approx(5) and found.map().sum() == pytest.approx(13)
    with pytest.raises(ValueError, match="some of x, y and z, found"):
        found.map(("w",))


def darkness(path):
    """(height, width): how dark and coloured the pixels are."""
    return 255 - np.asarray(Image.open(path).convert("RGB")).astype(int).min(axis=-1)


def test_the_picture_shows_where_the_map_is_large(tmp_path):
    pictures = []
    for frame in (1, 7):
        values = np.full((FRAMES, 17), 0.01)
        values[frame] = 1.0
        path = tmp_path / f"{frame}.png"
        attribution_figure(path, values, WINDOW, H36M_17, JOINT, title="RWrist", unit="mm per pixel")
        pictures.append(darkness(path)[-280:-80, 140:1120])  # the heat map
    left, right = (p[:, : p.shape[1] // 2].mean() - p[:, p.shape[1] // 2 :].mean() for p in pictures)
    assert left > 20 and right < -20


def test_the_picture_takes_hidden_joints_times_and_another_skeleton(tmp_path):
    order = H36M_16.select_from(H36M_17)
    values, window, hidden = RNG.random((FRAMES, 16)), WINDOW[:, order], HIDDEN[:, order]
    attribution_figure(
        tmp_path / "a.png", values, window, H36M_16, 15, hidden=hidden, seconds=np.arange(-4, 5) / 25
    )  # fmt: skip
    attribution_figure(tmp_path / "b.png", values, window, H36M_16, 15)
    first, second = (Image.open(tmp_path / name).size for name in ("a.png", "b.png"))
    assert first == second and first[0] == 1290
    attribution_figure(tmp_path / "c.png", values[:1] * 0, window[:1], H36M_16, 15, hidden=~hidden[:1])


def test_the_picture_refuses_what_does_not_fit(tmp_path):
    values = RNG.random((FRAMES, 17))
    with pytest.raises(ValueError, match="expected a map, poses and a mask of shapes"):
        attribution_figure(tmp_path / "a.png", values[:8], WINDOW, H36M_17, JOINT)
    with pytest.raises(ValueError, match="no negative number"):
        attribution_figure(tmp_path / "a.png", -values, WINDOW, H36M_17, JOINT)
    assert not list(tmp_path.iterdir())
