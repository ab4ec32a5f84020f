"""Batch norm over the global batch."""

import keras
from keras import ops

from mpm_keras.replicas import mean_over_replicas, several


@keras.saving.register_keras_serializable(package="mpm_keras")
class BatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` whose statistics are those of all replicas' rows together.

    Keras's own `synchronized=True` knows TensorFlow alone, and takes the variance as a difference of large numbers.
    """

    def call(self, inputs, training=None, mask=None):
        if not (training and self.trainable and several()):
            return super().call(inputs, training=training, mask=mask)
        x = ops.cast(inputs, "float32")
        own_mean, own_variance = ops.moments(x, axes=tuple(range(len(x.shape) - 1)))
        mean = mean_over_replicas(own_mean)
        variance = mean_over_replicas(own_variance + ops.square(own_mean - mean))
        for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + value * (1.0 - self.momentum))
        y = ops.batch_normalization(x, mean, variance, -1, offset=self.beta, scale=self.gamma, epsilon=self.epsilon)
        return ops.cast(y, self.compute_dtype)
