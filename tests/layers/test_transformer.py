import numpy as np
import pytest
from harness import check_layer, reads, seed_weights, to_numpy

from mpm_keras.layers import SelfAttention, StridedTransformerBlock, TransformerBlock

X = np.random.default_rng(0).normal(size=(2, 9, 8)).astype("float32")


def test_self_attention(tmp_path):
    check_layer(lambda **k: SelfAttention(8, 2, 0.0, **k), X, output_shape=(2, 9, 8), tmp_path=tmp_path)


def test_transformer_block(tmp_path):
    check_layer(lambda **k: TransformerBlock(8, 2, 12, 0.0, **k), X, output_shape=(2, 9, 8), tmp_path=tmp_path)


@pytest.mark.parametrize(("stride", "frames"), [(1, 9), (2, 5), (3, 3), (9, 1)])
def test_strided_transformer_block(stride, frames, tmp_path):
    check_layer(
        lambda **k: StridedTransformerBlock(8, 2, 12, stride, 0.0, **k),
        X, output_shape=(2, frames, 8), tmp_path=tmp_path,
    )  # fmt: skip


def built(layer):
    layer.build(X.shape)
    seed_weights(layer)
    return layer


def weights(layer):
    return [to_numpy(v.value).astype("float64") for v in layer.weights]


def attention(x, layer):
    """Multi-head attention in NumPy float64, written out head by head."""
    kernel, bias, out_kernel, out_bias = weights(layer.query_key_value) + weights(layer.output_dense)
    width, size = layer.width, layer.width // layer.heads
    q, k, v = (x @ kernel[:, i * width :][:, :width] + bias[i * width :][:width] for i in range(3))
    parts = []
    for h in range(layer.heads):
        part = slice(h * size, (h + 1) * size)
        scores = q[..., part] @ k[..., part].swapaxes(-1, -2) / np.sqrt(size)
        share = np.exp(scores - scores.max(-1, keepdims=True))
        parts.append(share / share.sum(-1, keepdims=True) @ v[..., part])
    return np.concatenate(parts, -1) @ out_kernel + out_bias


def norm(x, layer):
    gamma, beta = weights(layer)
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + layer.epsilon) * gamma + beta


def half_block(x, block):
    """A block in NumPy up to the feed-forward part's ReLU: (residual, activations)."""
    x = x + attention(norm(x, block.norm_1), block.attention)
    kernel, bias = weights(block.expand)
    return x, np.maximum(norm(x, block.norm_2) @ kernel + bias, 0)


def test_self_attention_equals_numpy():
    layer = built(SelfAttention(8, 2))
    np.testing.assert_allclose(to_numpy(layer(X, training=False)), attention(X.astype("float64"), layer), atol=1e-5)


def test_transformer_block_equals_numpy():
    block = built(TransformerBlock(8, 2, 12))
    x, y = half_block(X.astype("float64"), block)
    kernel, bias = weights(block.contract)
    np.testing.assert_allclose(to_numpy(block(X, training=False)), x + y @ kernel + bias, atol=1e-4)


@pytest.mark.parametrize("stride", [1, 2, 3, 9])
def test_strided_block_equals_numpy(stride):
    """Output t: the convolution reads frames s*t-1, s*t, s*t+1 with zeros outside; the residual is frame s*t."""
    block = built(StridedTransformerBlock(8, 2, 12, stride))
    x, y = half_block(X.astype("float64"), block)
    kernel, bias = weights(block.contract)
    expected = []
    for centre in range(0, 9, stride):
        taps = [y[:, t] @ kernel[t - centre + 1] for t in (centre - 1, centre, centre + 1) if 0 <= t < 9]
        expected.append(x[:, centre] + sum(taps) + bias)
    np.testing.assert_allclose(to_numpy(block(X, training=False)), np.stack(expected, 1), atol=1e-4)


def test_strided_block_reads_three_frames_around_each_centre():
    block = built(StridedTransformerBlock(8, 2, 12, 3))
    for weight in block.attention.output_dense.weights:  # without attention, what is left is local
        weight.assign(np.zeros(weight.shape))
    x = X[:, :, :]
    changed = reads(lambda v: block(v * np.arange(1, 9, dtype="float32"), training=False), x, axis=1)
    expected = np.zeros((3, 9), bool)
    for t in range(3):
        expected[t, max(3 * t - 1, 0) : 3 * t + 2] = True
    np.testing.assert_array_equal(changed, expected)


def test_dropout_acts_on_attention_too():
    layer = built(SelfAttention(8, 2, dropout=0.5))
    one, two, still = layer(X, training=True), layer(X, training=True), layer(X, training=False)
    assert not np.array_equal(to_numpy(one), to_numpy(two))
    np.testing.assert_array_equal(to_numpy(still), to_numpy(layer(X)))


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="3 heads do not divide a width of 8"):
        SelfAttention(8, 3)
