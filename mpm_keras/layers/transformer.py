"""Pre-norm transformer layers over time, plain and strided (paper, 3.1.2-3.1.3)."""

import keras
from keras import ops

from mpm_keras.layers.dropout import seeded_dropout


@keras.saving.register_keras_serializable(package="mpm_keras")
class SelfAttention(keras.layers.Layer):
    """Multi-head self-attention over frames. Query, key and value are one product.

    Args:
        width: channels C.
        heads: number of heads; divides the width. Channel c belongs to head c // (C / heads).
        dropout: rate on the attention weights.

    Call arguments:
        x: (B, F, C).

    Returns:
        (B, F, C).
    """

    def __init__(self, width, heads, dropout=0.1, **kwargs):
        super().__init__(**kwargs)
        if width % heads:
            raise ValueError(f"{heads} heads do not divide a width of {width}")
        self.width, self.heads, self.dropout = width, heads, dropout
        self.query_key_value = keras.layers.Dense(3 * width, dtype=self.dtype_policy, name="query_key_value")
        self.output_dense = keras.layers.Dense(width, dtype=self.dtype_policy, name="output")
        self.drop = seeded_dropout(dropout, self.dtype_policy)

    def build(self, input_shape):
        self.query_key_value.build(input_shape)
        self.output_dense.build(input_shape)

    def call(self, x, training=None):
        frames, size = x.shape[1], self.width // self.heads
        qkv = ops.reshape(self.query_key_value(x), (-1, frames, 3, self.heads, size))
        q, k, v = ops.unstack(ops.transpose(qkv, (2, 0, 3, 1, 4)), num=3)  # each (B, heads, F, size)
        scores = ops.matmul(q * size**-0.5, ops.transpose(k, (0, 1, 3, 2)))  # (B, heads, F, F)
        weights = ops.cast(ops.softmax(ops.cast(scores, "float32")), v.dtype)  # float32 also in mixed precision
        weights = self.drop(weights, training=training)
        y = ops.transpose(ops.matmul(weights, v), (0, 2, 1, 3))
        return self.output_dense(ops.reshape(y, (-1, frames, self.width)))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "width": self.width, "heads": self.heads, "dropout": self.dropout}


@keras.saving.register_keras_serializable(package="mpm_keras")
class TransformerBlock(keras.layers.Layer):
    """x + attention(norm(x)), then x + feed_forward(norm(x)); ReLU in the feed-forward part.

    Args:
        width: channels C.
        heads: attention heads.
        feed_forward: channels inside the feed-forward part.
        dropout: rate on the attention weights, inside and after the feed-forward part, and after
            the attention.
        epsilon: of both layer norms.

    Call arguments:
        x: (B, F, C).

    Returns:
        (B, F, C).
    """

    def __init__(self, width, heads, feed_forward, dropout=0.1, epsilon=1e-6, **kwargs):
        super().__init__(**kwargs)
        self.width, self.heads, self.feed_forward = width, heads, feed_forward
        self.dropout, self.epsilon = dropout, epsilon
        policy = self.dtype_policy
        self.norm_1 = keras.layers.LayerNormalization(epsilon=epsilon, dtype=policy, name="norm_1")
        self.norm_2 = keras.layers.LayerNormalization(epsilon=epsilon, dtype=policy, name="norm_2")
        self.attention = SelfAttention(width, heads, dropout, dtype=policy, name="attention")
        self.expand = keras.layers.Dense(feed_forward, activation="relu", dtype=policy, name="expand")
        self.contract = self._contract_layer()
        self.drop = seeded_dropout(dropout, policy)

    def _contract_layer(self):
        return keras.layers.Dense(self.width, dtype=self.dtype_policy, name="contract")

    def build(self, input_shape):
        for layer in (self.norm_1, self.norm_2, self.attention, self.expand):
            layer.build(input_shape)
        self.contract.build((*input_shape[:-1], self.feed_forward))

    def call(self, x, training=None):
        x = x + self.drop(self.attention(self.norm_1(x), training=training), training=training)
        y = self.drop(self.expand(self.norm_2(x)), training=training)
        return self._residual(x) + self.drop(self.contract(y), training=training)

    def _residual(self, x):
        return x

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        names = ("width", "heads", "feed_forward", "dropout", "epsilon")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


class StridedConv(keras.layers.Conv1D):
    """A convolution over time with one zero frame on each side; where windows do not overlap, one matrix product.

    A product is several times faster than a strided convolution on a CPU, and its gradients even more.
    """

    def call(self, x):
        (size,), (stride,) = self.kernel_size, self.strides
        if stride < size:
            return super().call(ops.pad(x, ((0, 0), (1, 1), (0, 0))))
        frames, channels = x.shape[1:]
        count = -(-frames // stride)
        x = x[:, : count * stride - 1]  # what the last window reads
        x = ops.pad(x, ((0, 0), (1, max(count * stride - 1 - frames, 0)), (0, 0)))
        x = ops.reshape(x, (-1, count, stride * channels))[..., : size * channels]
        return ops.matmul(x, ops.reshape(self.kernel, (-1, self.filters))) + self.bias


@keras.saving.register_keras_serializable(package="mpm_keras")
class StridedTransformerBlock(TransformerBlock):
    """A transformer block whose feed-forward part ends in a strided convolution over time [21].

    Output t of the kernel-3 convolution reads frames s*t-1, s*t and s*t+1, zeros outside; the
    residual is frame s*t. (`padding="same"` would pad nothing for stride 3 and read 3t..3t+2.)

    Args:
        stride: s; the rest as in `TransformerBlock`.

    Call arguments:
        x: (B, F, C).

    Returns:
        (B, ceil(F / stride), C).
    """

    def __init__(self, width, heads, feed_forward, stride, dropout=0.1, epsilon=1e-6, **kwargs):
        self.stride = stride
        super().__init__(width, heads, feed_forward, dropout=dropout, epsilon=epsilon, **kwargs)

    def _contract_layer(self):
        return StridedConv(self.width, 3, strides=self.stride, dtype=self.dtype_policy, name="contract")

    def _residual(self, x):
        return x[:, :: self.stride]

    def compute_output_shape(self, input_shape):
        batch, frames, channels = input_shape
        return (batch, -(-frames // self.stride), channels)

    def get_config(self):
        return {**super().get_config(), "stride": self.stride}
