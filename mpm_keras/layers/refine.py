"""The refine module: mixes the network's x and y with those that the camera saw (paper, 4.2; [2])."""

import keras
from keras import ops

from mpm_keras.layers.dropout import seeded_dropout


@keras.saving.register_keras_serializable(package="mpm_keras")
class RefineMLP(keras.layers.Layer):
    """Weighs, joint by joint, the predicted x and y against the back-projected ones.

    Args:
        joints: J.
        units: hidden channels.
        dropout: rate between the two Dense layers.

    Call arguments:
        predicted: (B, J, 3) root-relative pose of the network, metres.
        back_projected: (B, J, 3) the same pose on the rays of its keypoints, see `on_rays`.

    Returns:
        (B, J, 3): z as predicted, x and y in between.
    """

    def __init__(self, joints, units=1024, dropout=0.5, **kwargs):
        super().__init__(**kwargs)
        self.joints, self.units, self.dropout = joints, units, dropout
        self.expand = keras.layers.Dense(units, activation="relu", dtype=self.dtype_policy, name="expand")
        self.drop = seeded_dropout(dropout, self.dtype_policy)
        self.weigh = keras.layers.Dense(2 * joints, activation="sigmoid", dtype=self.dtype_policy, name="weigh")

    def build(self, input_shape=None):
        self.expand.build((None, 6 * self.joints))
        self.weigh.build((None, self.units))

    def call(self, predicted, back_projected, training=None):
        both = ops.concatenate([predicted, back_projected], axis=-1)  # (B, J, 6)
        x = self.drop(self.expand(ops.reshape(both, (-1, 6 * self.joints))), training=training)
        share = ops.reshape(self.weigh(x), (-1, self.joints, 2))
        mixed = share * predicted[..., :2] + (1 - share) * back_projected[..., :2]
        return ops.concatenate([mixed, predicted[..., 2:]], axis=-1)

    def compute_output_shape(self, input_shape, back_projected_shape=None):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "joints": self.joints, "units": self.units, "dropout": self.dropout}
