import numpy as np
from harness import check_layer, reads, seed_weights, to_numpy

from mpm_keras.layers import PoseEncoder, SpatialMLP
from mpm_keras.layers.encoder import DenseBlock

RNG = np.random.default_rng(0)
POSE = RNG.normal(size=(3, 5, 4, 2)).astype("float32")
FEATURES = RNG.normal(size=(3, 5, 8)).astype("float32")


def test_pose_encoder(tmp_path):
    check_layer(lambda **k: PoseEncoder(8, 0.0, **k), POSE, output_shape=(3, 5, 8), tmp_path=tmp_path)


def test_spatial_mlp(tmp_path):
    check_layer(lambda **k: SpatialMLP(6, 0.0, **k), FEATURES, output_shape=(3, 5, 6), tmp_path=tmp_path)


def dense_block(x, block):
    """The block in NumPy float64, at inference: slope 0.2 and epsilon 1e-5 are the released code's."""
    kernel, bias, gamma, beta, mean, variance = (to_numpy(v.value).astype("float64") for v in block.weights)
    y = ((x @ kernel + bias) - mean) / np.sqrt(variance + 1e-5) * gamma + beta
    return np.where(y > 0, y, 0.2 * y)


def seeded(layer, x):
    layer.build(x.shape)
    seed_weights(layer)
    return layer


def test_pose_encoder_equals_numpy_and_flattens_joint_major():
    encoder = seeded(PoseEncoder(8), POSE)
    assert [v.path.rsplit("/", 1)[-1] for v in encoder.weights if "seed" not in v.path] == [
        "kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance",
    ]  # fmt: skip
    expected = dense_block(POSE.astype("float64").reshape(3, 5, 8), encoder)
    np.testing.assert_allclose(to_numpy(encoder(POSE, training=False)), expected, atol=1e-5)
    assert (expected < 0).mean() > 0.2  # the slope counts


def test_spatial_mlp_equals_numpy():
    layer = seeded(SpatialMLP(6), FEATURES)
    x = FEATURES.astype("float64")
    y = x + dense_block(dense_block(x, layer.block_1), layer.block_2)  # added after the second activation
    kernel, bias = (to_numpy(v.value) for v in layer.project.weights)
    np.testing.assert_allclose(to_numpy(layer(FEATURES, training=False)), y @ kernel + bias, atol=1e-4)


def test_no_mixing_of_frames_in_inference():
    encoder, spatial = seeded(PoseEncoder(8), POSE), seeded(SpatialMLP(6), FEATURES)
    for layer, x in ((encoder, POSE), (spatial, FEATURES)):
        np.testing.assert_array_equal(reads(lambda v, f=layer: f(v, training=False), x, axis=1), np.eye(5, dtype=bool))


def test_batch_norm_moves_a_tenth_towards_the_batch():
    block = DenseBlock(8, 0.0)
    block.build(FEATURES.shape)
    y = to_numpy(block.dense(FEATURES)).reshape(-1, 8)
    block(FEATURES, training=True)
    np.testing.assert_allclose(to_numpy(block.norm.moving_mean.value), 0.1 * y.mean(0), atol=1e-6)
    np.testing.assert_allclose(to_numpy(block.norm.moving_variance.value), 0.9 + 0.1 * y.var(0), rtol=1e-5)


def test_dropout_only_in_training():
    block = seeded(DenseBlock(8, 0.5), FEATURES)
    one, two = (to_numpy(block(FEATURES, training=True)) for _ in range(2))
    assert 0.2 < (one == 0).mean() < 0.8
    assert not np.array_equal(one, two)
    assert (to_numpy(block(FEATURES, training=False)) != 0).all()
