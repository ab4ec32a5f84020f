"""The second phase of stage II: centre poses pulled towards the rays of their keypoints (4.2, [2])."""

import keras

from mpm_keras.layers import RefineMLP


@keras.saving.register_keras_serializable(package="mpm_keras")
class MPMRefiner(keras.Model):
    """The refine module as a network of its own; the lifter that it follows stays as it is.

    Args:
        joints: J.
        units, dropout: as in `RefineMLP`.

    Call arguments:
        batch: dict with `center` (B, 1, J, 3), what a lifter predicts, and `back_projected`
            (B, 1, J, 3), the same poses on the rays of their keypoints (`geometry.on_rays`).

    Returns:
        Dict of the refined `center` (B, 1, J, 3), root-relative metres.
    """

    def __init__(self, joints=17, units=1024, dropout=0.5, **kwargs):
        super().__init__(**kwargs)
        self.joints, self.units, self.dropout = joints, units, dropout
        self.mlp = RefineMLP(joints, units, dropout, dtype=self.dtype_policy, name="mlp")
        self.build()

    def build(self, input_shape=None):
        self.mlp.build()
        self.built = True

    def call(self, batch, training=None):
        refined = self.mlp(batch["center"][:, 0], batch["back_projected"][:, 0], training=training)
        return {"center": refined[:, None]}

    def module_parameters(self) -> dict:
        """Number of parameters, under the names that all networks share."""
        return {"mlp": self.mlp.count_params(), "total": self.count_params()}

    def get_config(self):
        return {**super().get_config(), "joints": self.joints, "units": self.units, "dropout": self.dropout}
