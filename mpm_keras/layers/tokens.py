"""The learnable vectors that stand for what a mask hides (paper, 3.2.1)."""

import keras
from keras import ops

# Mask tokens are drawn like this in the released code. v^S lives in coordinate space: a token near
# the origin would look like a joint that was seen at the root.
TOKEN_STDDEV = 1.0
POSITION_STDDEV = 0.02


@keras.saving.register_keras_serializable(package="mpm_keras")
class JointToken(keras.layers.Layer):
    """Replaces hidden joints by v^S, a learnable point of the modality's coordinate space.

    Call arguments:
        pose: (B, F, J, D).
        hidden: (B, F, J) bool.

    Returns:
        (B, F, J, D).
    """

    def build(self, input_shape):
        self.token = self.add_weight(
            shape=(input_shape[-1],), initializer=keras.initializers.RandomNormal(stddev=TOKEN_STDDEV), name="token"
        )

    def call(self, pose, hidden):
        return ops.where(hidden[..., None], ops.cast(self.token, pose.dtype), pose)

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable(package="mpm_keras")
class FramePositions(keras.layers.Layer):
    """Adds a learned position to each frame.

    Call arguments:
        x: (B, F', C) with F' <= the F that the layer was built with; the first F' positions are used.

    Returns:
        (B, F', C).
    """

    def build(self, input_shape):
        self.positions = self.add_weight(
            shape=tuple(input_shape[-2:]),
            initializer=keras.initializers.RandomNormal(stddev=POSITION_STDDEV),
            name="positions",
        )

    def call(self, x):
        return x + ops.cast(self.positions[: x.shape[1]], x.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable(package="mpm_keras")
class FrameToken(keras.layers.Layer):
    """Puts v^T back where frames were removed, in natural order.

    Args:
        frames: F, length of the full sequence.

    Call arguments:
        x: (B, V, C) features of the visible frames.
        visible: (B, V) int, their frame numbers, ascending; None when V = F.

    Returns:
        (B, F, C).
    """

    def __init__(self, frames, **kwargs):
        super().__init__(**kwargs)
        self.frames = frames

    def build(self, input_shape):
        self.token = self.add_weight(
            shape=(input_shape[-1],), initializer=keras.initializers.RandomNormal(stddev=TOKEN_STDDEV), name="token"
        )

    def call(self, x, visible=None):
        if visible is None:
            return x
        # (B, F, V) one-hot: a product instead of a scatter, which XLA and autograd like on every backend.
        place = ops.cast(ops.arange(self.frames, dtype="int32")[None, :, None] == visible[:, None, :], x.dtype)
        hidden = 1 - ops.sum(place, axis=-1, keepdims=True)
        return ops.matmul(place, x) + hidden * ops.cast(self.token, x.dtype)

    def compute_output_shape(self, x_shape, visible_shape=None):
        return (x_shape[0], self.frames if visible_shape else x_shape[1], x_shape[-1])

    def get_config(self):
        return {**super().get_config(), "frames": self.frames}
