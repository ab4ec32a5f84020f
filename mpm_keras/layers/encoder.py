"""Frame-wise layers: the 2D and 3D pose encoders and the shared spatial MLP (paper, 3.1.1-3.1.2)."""

import keras
from keras import ops

from mpm_keras.layers.dropout import seeded_dropout
from mpm_keras.layers.normalization import BatchNormalization

# The constants of the released code, which differ from Keras's defaults.
LEAKY_SLOPE = 0.2
BATCH_NORM = {"epsilon": 1e-5, "momentum": 0.9}


class DenseBlock(keras.layers.Layer):
    """Dense -> batch norm -> LeakyReLU 0.2 -> dropout on the last axis; statistics over the others."""

    def __init__(self, units, dropout=0.1, **kwargs):
        super().__init__(**kwargs)
        self.units, self.dropout = units, dropout
        self.dense = keras.layers.Dense(units, dtype=self.dtype_policy, name="dense")
        self.norm = BatchNormalization(**BATCH_NORM, dtype=self.dtype_policy, name="norm")
        self.drop = seeded_dropout(dropout, self.dtype_policy)

    def build(self, input_shape):
        self.dense.build(input_shape)
        self.norm.build((*input_shape[:-1], self.units))

    def call(self, x, training=None):
        x = self.norm(self.dense(x), training=training)
        return self.drop(ops.leaky_relu(x, LEAKY_SLOPE), training=training)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        return {**super().get_config(), "units": self.units, "dropout": self.dropout}


@keras.saving.register_keras_serializable(package="mpm_keras")
class PoseEncoder(DenseBlock):
    """E_2D or E_3D of equation 1: embeds each frame's pose by itself.

    The paper's kernel-1 convolution over time is a Dense layer on the flattened pose.

    Args:
        units: channels of the embedding.
        dropout: rate after the activation.

    Call arguments:
        pose: (B, F, J, D).

    Returns:
        (B, F, units).
    """

    def build(self, input_shape):
        super().build(self._flat(input_shape))

    def call(self, pose, training=None):
        _, frames, joints, dims = pose.shape
        return super().call(ops.reshape(pose, (-1, frames, joints * dims)), training=training)

    def compute_output_shape(self, input_shape):
        return super().compute_output_shape(self._flat(input_shape))

    @staticmethod
    def _flat(shape):
        batch, frames, joints, dims = shape
        return (batch, frames, joints * dims)


@keras.saving.register_keras_serializable(package="mpm_keras")
class SpatialMLP(keras.layers.Layer):
    """S of equation 2: one residual block of two dense blocks, then a projection to the width.

    Args:
        width: channels of the output.
        dropout: rate after both activations.

    Call arguments:
        x: (B, F, C).

    Returns:
        (B, F, width).
    """

    def __init__(self, width, dropout=0.1, **kwargs):
        super().__init__(**kwargs)
        self.width, self.dropout = width, dropout
        self.project = keras.layers.Dense(width, dtype=self.dtype_policy, name="project")

    def build(self, input_shape):
        channels = input_shape[-1]
        options = {"dropout": self.dropout, "dtype": self.dtype_policy}
        self.block_1 = DenseBlock(channels, name="block_1", **options)
        self.block_2 = DenseBlock(channels, name="block_2", **options)
        for layer in (self.block_1, self.block_2, self.project):
            layer.build(input_shape)

    def call(self, x, training=None):
        y = self.block_2(self.block_1(x, training=training), training=training)
        return self.project(x + y)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.width)

    def get_config(self):
        return {**super().get_config(), "width": self.width, "dropout": self.dropout}
