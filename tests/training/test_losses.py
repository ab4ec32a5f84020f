import keras
import numpy as np
import pytest
from harness import to_numpy
from keras import ops

from mpm_keras.training.losses import joint_distance, pose_loss, weighted_mean

RNG = np.random.default_rng(0)
TRUE = RNG.normal(size=(2, 3, 4, 3)).astype("float32")


def gradient(function, x):
    """d function / d x on the active backend."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        x = tf.Variable(x)
        with tf.GradientTape() as tape:
            y = function(x)
        return to_numpy(tape.gradient(y, x))
    if backend == "jax":
        import jax

        return to_numpy(jax.grad(function)(x))
    import torch

    x = torch.tensor(x, requires_grad=True)
    function(x).backward()
    return x.grad.numpy()


def test_distance_is_the_euclidean_norm_of_each_joint():
    offset = np.array([0.3, -0.4, 1.2], "float32")  # of length 1.3
    np.testing.assert_allclose(to_numpy(joint_distance(TRUE + offset, TRUE)), np.full((2, 3, 4), 1.3), rtol=1e-5)
    assert float(pose_loss(TRUE + offset, TRUE)) == pytest.approx(1.3, rel=1e-5)


def test_loss_is_the_mean_distance_not_the_root_of_the_mean_square():
    predicted = TRUE.copy()
    predicted[0, 0, 0, 2] += 2.4
    assert float(pose_loss(predicted, TRUE)) == pytest.approx(2.4 / 24, rel=1e-4)


def test_gradient_is_a_unit_vector_over_the_count():
    offset = np.array([0.3, -0.4, 1.2], "float32")
    found = gradient(lambda x: pose_loss(x, ops.convert_to_tensor(TRUE)), TRUE + offset)
    np.testing.assert_allclose(found, np.broadcast_to(offset / 1.3 / 24, TRUE.shape), rtol=1e-4)


def test_gradient_is_zero_and_finite_at_zero_distance():
    found = gradient(lambda x: pose_loss(x, ops.convert_to_tensor(TRUE)), TRUE.copy())
    np.testing.assert_array_equal(found, np.zeros_like(TRUE))
    assert float(pose_loss(TRUE, TRUE)) <= 1.01e-6


@pytest.mark.parametrize("kind", ["bool", "float32"])
def test_weights_choose_joints(kind):
    hidden = np.zeros((2, 3, 4), bool)
    hidden[0, 1, 2] = hidden[1, 2, 3] = True
    predicted = TRUE + RNG.normal(size=TRUE.shape).astype("float32")
    expected = np.linalg.norm(predicted - TRUE, axis=-1)[hidden].mean()
    assert float(pose_loss(predicted, TRUE, hidden.astype(kind))) == pytest.approx(expected, rel=1e-5)
    weights = RNG.random((2, 3, 4)).astype("float32")
    expected = np.average(np.linalg.norm(predicted - TRUE, axis=-1), weights=weights)
    assert float(pose_loss(predicted, TRUE, weights)) == pytest.approx(expected, rel=1e-5)


def test_no_weight_at_all_is_no_loss():
    assert float(weighted_mean(ops.ones((2, 3)), np.zeros((2, 3), bool))) == 0


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_low_precision_predictions_are_judged_in_float32(dtype):
    loss = pose_loss(ops.cast(TRUE, dtype), TRUE)
    assert keras.backend.standardize_dtype(loss.dtype) == "float32"
    assert 0 < float(loss) < {"bfloat16": 1e-2, "float16": 2e-3}[dtype]
