"""The stage II network: lifts a 2D sequence to 3D (paper, 3.3.1)."""

import keras

from mpm_keras.layers import CenterDecoder, JointToken, PoseHead, StridedDecoder, framing_for, strides_for
from mpm_keras.models.backbone import MPMBackbone
from mpm_keras.models.pose_model import PoseModel
from mpm_keras.models.pretrainer import count_parameters

# Whose 3D decoder gives the centre pose (Table A): the strided one of stage II, or that of stage I.
DECODERS = ("stage2", "stage1")


@keras.saving.register_keras_serializable(package="mpm_keras")
class MPMLifter(PoseModel):
    """2D encoder and shared layers of stage I, a strided 3D decoder and a sequence head.

    Hidden joints are replaced by v^S of stage I, so that one network lifts whole and partial 2D.

    Args:
        frames: F; the strides of the decoder follow from it.
        joints: J.
        layers, width, encoder_width, heads, feed_forward, dropout, epsilon: as in `MPMBackbone`.
        encoder_dropout: rate in encoder and spatial MLP; 0.2 in the released code.
        normalization: "screen" takes the picture's coordinates as they are (the paper's), "window"
            first removes where and how large the person is, see `WindowFraming`.
        decoder: one of `DECODERS`.

    Call arguments:
        batch: dict with `pose_2d` (B, F, J, 2), normalised screen, and optionally `hidden`
            (B, F, J) bool: the joints that were not seen.

    Returns:
        Dict of `center` (B, 1, J, 3), the pose of frame F // 2, and `sequence` (B, F, J, 3): root-
        relative metres in the camera frame.
    """

    def __init__(
        self, frames=27, joints=17, layers=4, width=256, encoder_width=512, heads=8, feed_forward=512,
        dropout=0.1, encoder_dropout=0.2, epsilon=1e-6, normalization="screen", decoder="stage2", **kwargs,
    ):  # fmt: skip
        super().__init__(**{"autocast": False, **kwargs})  # framing needs precision; each layer casts for itself
        if decoder not in DECODERS:
            raise ValueError(f"decoder must be one of {', '.join(DECODERS)}, found {decoder!r}")
        self.frames, self.joints, self.normalization = frames, joints, normalization
        self.decoder_of = decoder
        self.framing = framing_for(normalization)
        policy = self.dtype_policy
        self.backbone = MPMBackbone(
            frames, joints, ("2d",), layers, width, encoder_width, heads, feed_forward, dropout, encoder_dropout,
            epsilon, dtype=policy, name="backbone",
        )  # fmt: skip
        self.joint_token = JointToken(dtype=policy, name="joint_token_2d")
        sizes = (heads, feed_forward, dropout, epsilon)
        if decoder == "stage1":
            self.decoder = CenterDecoder(joints, *sizes, dtype=policy, name="decoder")
        else:
            self.decoder = StridedDecoder(joints, strides_for(frames), *sizes, dtype=policy, name="decoder")
        self.sequence_head = PoseHead(joints, 3, dtype=policy, name="sequence_head")
        self.build()

    def build(self, input_shape=None):
        self.backbone.build()
        self.joint_token.build((None, self.frames, self.joints, 2))
        for layer in (self.decoder, self.sequence_head):
            layer.build((None, self.frames, self.backbone.width))
        self.built = True

    def features(self, batch, training=None):
        """(B, F, C) features of the shared layers."""
        pose, hidden = batch["pose_2d"], batch.get("hidden")
        if self.framing is not None:
            pose = self.framing(pose, hidden)["pose"]
        if hidden is not None:
            pose = self.joint_token(pose, hidden)
        return self.backbone(pose, modality="2d", training=training)

    def call(self, batch, training=None):
        features = self.features(batch, training=training)
        return {
            "center": self.decoder(features, training=training),
            "sequence": self.sequence_head(features, training=training),
        }

    def module_parameters(self) -> dict:
        """Number of parameters per module, batch norm statistics included."""
        return count_parameters(
            {
                "encoder_2d": self.backbone.encoders["2d"],
                "spatial_mlp": self.backbone.spatial,
                "temporal_transformer": [self.backbone.positions, *self.backbone.blocks],
                "strided_decoder" if self.decoder_of == "stage2" else "decoder_3d": self.decoder,
                "sequence_head": self.sequence_head,
                "joint_token": self.joint_token,
            }
        )

    def get_config(self):
        b = self.backbone
        names = ("frames", "joints", "width", "encoder_width", "heads", "feed_forward", "dropout", "encoder_dropout")
        config = {n: getattr(b, n) for n in (*names, "epsilon")}
        config |= {"layers": b.num_layers, "normalization": self.normalization, "decoder": self.decoder_of}
        return {**super().get_config(), **config}
