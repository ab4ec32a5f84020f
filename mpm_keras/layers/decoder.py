"""From features to poses: stage I decoders, pose heads and the strided 3D decoder of stage II."""

import math

import keras
from keras import ops

from mpm_keras.layers.encoder import BATCH_NORM
from mpm_keras.layers.normalization import BatchNormalization
from mpm_keras.layers.tokens import FramePositions
from mpm_keras.layers.transformer import StridedTransformerBlock, TransformerBlock

# Strides of the strided transformer for each window length (released code); others are factored.
STRIDES = {1: (1,), 9: (1, 3, 3), 27: (3, 3, 3), 81: (3,) * 4, 243: (3,) * 5, 351: (3, 9, 13)}

# Only the first strided blocks add positions (released code).
POSITIONED_BLOCKS = 3


def strides_for(frames: int) -> tuple[int, ...]:
    """Strides whose product is `frames`. Raises `ValueError` for a length with a prime factor over 13."""
    if frames in STRIDES:
        return STRIDES[frames]
    factors, rest = [], frames
    for prime in (3, 5, 7, 11, 13):
        while rest and rest % prime == 0:
            factors.append(prime)
            rest //= prime
    if rest != 1 or not factors:
        raise ValueError(f"no strides for {frames} frames; use 27, 81, 243, 351 or a product of 3, 5, 7, 11 and 13")
    return tuple(factors)


@keras.saving.register_keras_serializable(package="mpm_keras")
class PoseHead(keras.layers.Layer):
    """Batch norm and a linear layer to coordinates.

    Args:
        joints: J.
        dims: D, 2 or 3.

    Call arguments:
        x: (B, F, C).

    Returns:
        (B, F, J, D).
    """

    def __init__(self, joints, dims, **kwargs):
        super().__init__(**kwargs)
        self.joints, self.dims = joints, dims
        self.norm = BatchNormalization(**BATCH_NORM, dtype=self.dtype_policy, name="norm")
        self.dense = keras.layers.Dense(joints * dims, dtype=self.dtype_policy, name="dense")

    def build(self, input_shape):
        self.norm.build(input_shape)
        self.dense.build(input_shape)

    def call(self, x, training=None):
        x = self.dense(self.norm(x, training=training))
        return ops.reshape(x, (-1, x.shape[1], self.joints, self.dims))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], input_shape[1], self.joints, self.dims)

    def get_config(self):
        return {**super().get_config(), "joints": self.joints, "dims": self.dims}


@keras.saving.register_keras_serializable(package="mpm_keras")
class PoseDecoder(keras.layers.Layer):
    """D_2D or D_3D of stage I (equation 4): transformer blocks, then a pose head.

    Args:
        joints: J.
        dims: D, 2 or 3.
        blocks: transformer blocks; the paper's is one.
        heads, feed_forward, dropout, epsilon: as in `TransformerBlock`.

    Call arguments:
        x: (B, F, C).

    Returns:
        (B, F, J, D).
    """

    def __init__(self, joints, dims, blocks=1, heads=8, feed_forward=512, dropout=0.1, epsilon=1e-6, **kwargs):
        super().__init__(**kwargs)
        self.joints, self.dims, self.num_blocks = joints, dims, blocks
        self.heads, self.feed_forward, self.dropout, self.epsilon = heads, feed_forward, dropout, epsilon
        self.head = PoseHead(joints, dims, dtype=self.dtype_policy, name="head")

    def build(self, input_shape):
        self.blocks = [
            TransformerBlock(
                input_shape[-1], self.heads, self.feed_forward, self.dropout, self.epsilon,
                dtype=self.dtype_policy, name=f"block_{i}",
            )
            for i in range(self.num_blocks)
        ]  # fmt: skip
        for layer in (*self.blocks, self.head):
            layer.build(input_shape)

    def call(self, x, training=None):
        for block in self.blocks:
            x = block(x, training=training)
        return self.head(x, training=training)

    def compute_output_shape(self, input_shape):
        return self.head.compute_output_shape(input_shape)

    def get_config(self):
        names = ("joints", "dims", "heads", "feed_forward", "dropout", "epsilon")
        return {**super().get_config(), **{n: getattr(self, n) for n in names}, "blocks": self.num_blocks}


@keras.saving.register_keras_serializable(package="mpm_keras")
class StridedDecoder(keras.layers.Layer):
    """The 3D decoder of stage II: strided transformer blocks shrink the window to its centre frame.

    Args:
        joints: J.
        strides: one per block; their product is the window length.
        heads, feed_forward, dropout, epsilon: as in `TransformerBlock`.

    Call arguments:
        x: (B, F, C).

    Returns:
        (B, 1, J, 3).

    Raises:
        ValueError: when the strides do not shrink F frames to one.
    """

    def __init__(self, joints, strides, heads=8, feed_forward=512, dropout=0.1, epsilon=1e-6, **kwargs):
        super().__init__(**kwargs)
        self.joints, self.strides = joints, tuple(strides)
        self.heads, self.feed_forward, self.dropout, self.epsilon = heads, feed_forward, dropout, epsilon
        self.head = PoseHead(joints, 3, dtype=self.dtype_policy, name="head")

    def build(self, input_shape):
        if math.prod(self.strides) != input_shape[1]:
            raise ValueError(f"strides {self.strides} do not shrink {input_shape[1]} frames to one")
        self.positions, self.blocks, shape = [], [], tuple(input_shape)
        for i, stride in enumerate(self.strides):
            if i < POSITIONED_BLOCKS:
                self.positions.append(FramePositions(dtype=self.dtype_policy, name=f"positions_{i}"))
                self.positions[i].build(shape)
            block = StridedTransformerBlock(
                shape[-1], self.heads, self.feed_forward, stride, self.dropout, self.epsilon,
                dtype=self.dtype_policy, name=f"block_{i}",
            )  # fmt: skip
            block.build(shape)
            self.blocks.append(block)
            shape = block.compute_output_shape(shape)
        self.head.build(shape)

    def call(self, x, training=None):
        for i, block in enumerate(self.blocks):
            if i < len(self.positions):
                x = self.positions[i](x)
            x = block(x, training=training)
        return self.head(x, training=training)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 1, self.joints, 3)

    def get_config(self):
        names = ("joints", "strides", "heads", "feed_forward", "dropout", "epsilon")
        return {**super().get_config(), **{n: getattr(self, n) for n in names}}
