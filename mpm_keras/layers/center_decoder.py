"""The 3D decoder of stage I in place of the strided one of stage II (paper, Table A)."""

import keras

from mpm_keras.layers.decoder import PoseDecoder
from mpm_keras.layers.tokens import FramePositions


@keras.saving.register_keras_serializable(package="mpm_keras")
class CenterDecoder(keras.layers.Layer):
    """D_3D of stage I with the norm and the positions before it; of its sequence the centre pose.

    Table A names this decoder without saying more. Taken for what stage I has, so that its pre-trained weights
    are of use: all frames are visible, and the pose of frame F // 2 comes out.

    Args:
        joints: J.
        heads, feed_forward, dropout, epsilon: as in `TransformerBlock`.

    Call arguments:
        x: (B, F, C).

    Returns:
        (B, 1, J, 3).
    """

    def __init__(self, joints, heads=8, feed_forward=512, dropout=0.1, epsilon=1e-6, **kwargs):
        super().__init__(**kwargs)
        self.joints, self.heads, self.feed_forward = joints, heads, feed_forward
        self.dropout, self.epsilon = dropout, epsilon
        policy = self.dtype_policy
        self.norm = keras.layers.LayerNormalization(epsilon=epsilon, dtype=policy, name="norm")
        self.positions = FramePositions(dtype=policy, name="positions")
        self.poses = PoseDecoder(joints, 3, 1, heads, feed_forward, dropout, epsilon, dtype=policy, name="poses")

    def build(self, input_shape):
        for layer in (self.norm, self.positions, self.poses):
            layer.build(input_shape)

    def call(self, x, training=None):
        middle = x.shape[1] // 2
        poses = self.poses(self.positions(self.norm(x)), training=training)
        return poses[:, middle : middle + 1]

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 1, self.joints, 3)

    def get_config(self):
        names = ("joints", "heads", "feed_forward", "dropout", "epsilon")
        return {**super().get_config(), **{n: getattr(self, n) for n in names}}
