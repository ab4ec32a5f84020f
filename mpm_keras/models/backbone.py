"""The backbone: one network for 2D and 3D pose sequences (paper, figure 2)."""

import keras
from keras import ops

from mpm_keras.layers import FramePositions, PoseEncoder, SpatialMLP, TransformerBlock

MODALITIES = {"2d": 2, "3d": 3}  # coordinates of a joint
# Beyond these is a slip, or a stranger's joke: some forty times the paper's largest network, and the attention
# of 8 heads over 1024 frames, 32 MiB for every window of a batch.
MOST_PARAMETERS, MOST_SCORES = 1 << 28, 1 << 23


@keras.saving.register_keras_serializable(package="mpm_keras")
class MPMBackbone(keras.layers.Layer):
    """2D and 3D encoders, the shared spatial MLP and the shared temporal transformer.

    Only one modality goes through at a time; both end in the same feature space.

    Args:
        frames: F, length of a window.
        joints: J.
        modalities: the encoders to build; stage II needs "2d" alone.
        layers: shared temporal transformer blocks.
        width: channels C of the transformer.
        encoder_width: channels of the encoders and the spatial MLP.
        heads: attention heads.
        feed_forward: channels inside the transformer's feed-forward part.
        dropout: rate in the transformer.
        encoder_dropout: rate in encoders and spatial MLP; the released code uses 0.1 in stage I and
            0.2 in stage II.
        epsilon: of the layer norms.

    Call arguments:
        pose: (B, F, J, D).
        modality: "2d" or "3d".
        visible: (B, V) int frame numbers that stay, ascending; None keeps all.

    Returns:
        (B, V, C) features of the visible frames.
    """

    def __init__(
        self, frames=27, joints=17, modalities=("2d", "3d"), layers=4, width=256, encoder_width=512, heads=8,
        feed_forward=512, dropout=0.1, encoder_dropout=0.1, epsilon=1e-6, **kwargs,
    ):  # fmt: skip
        super().__init__(**kwargs)
        for modality in modalities:
            check_modality(modality)
        if min(frames, joints, layers) < 1:
            raise ValueError(f"frames, joints and layers must be positive, found {frames}, {joints} and {layers}")
        check_size(frames, layers, width, encoder_width, heads, feed_forward)
        self.frames, self.joints, self.modalities = frames, joints, tuple(modalities)
        self.num_layers, self.width, self.encoder_width, self.heads = layers, width, encoder_width, heads
        self.feed_forward, self.dropout = feed_forward, dropout
        self.encoder_dropout, self.epsilon = encoder_dropout, epsilon
        policy = self.dtype_policy
        self.encoders = {
            m: PoseEncoder(encoder_width, encoder_dropout, dtype=policy, name=f"encoder_{m}") for m in self.modalities
        }
        self.spatial = SpatialMLP(width, encoder_dropout, dtype=policy, name="spatial")
        self.positions = FramePositions(dtype=policy, name="positions")
        self.blocks = [
            TransformerBlock(width, heads, feed_forward, dropout, epsilon, dtype=policy, name=f"block_{i}")
            for i in range(layers)
        ]

    @property
    def shared(self) -> list:
        """The layers that both modalities go through."""
        return [self.spatial, self.positions, *self.blocks]

    def build(self, input_shape=None):
        for modality, encoder in self.encoders.items():
            encoder.build((None, self.frames, self.joints, MODALITIES[modality]))
        self.spatial.build((None, self.frames, self.encoder_width))
        for layer in (self.positions, *self.blocks):
            layer.build((None, self.frames, self.width))

    def call(self, pose, modality="2d", visible=None, training=None):
        check_pose_shape(pose, self.frames, self.joints, modality)
        x = self.encoders[modality](pose, training=training)  # (B, F, encoder_width)
        x = self.positions(self.spatial(x, training=training))  # (B, F, C)
        if visible is not None:  # after the positions: a visible frame keeps its own
            x = ops.take_along_axis(x, visible[..., None], axis=1)  # (B, V, C)
        for block in self.blocks:
            x = block(x, training=training)
        return x

    def compute_output_shape(self, pose_shape, visible_shape=None):
        frames = visible_shape[1] if visible_shape else self.frames
        return (pose_shape[0], frames, self.width)

    def get_config(self):
        names = ("frames", "joints", "modalities", "width", "encoder_width", "heads")
        names += ("feed_forward", "dropout", "encoder_dropout", "epsilon")
        return {**super().get_config(), **{n: getattr(self, n) for n in names}, "layers": self.num_layers}


def check_size(frames, layers, width, encoder_width, heads, feed_forward):
    """Raises `ValueError` for a backbone that is too large, before it takes the memory."""
    block = 4 * width**2 + 2 * width * feed_forward
    count = frames * width + 2 * encoder_width**2 + encoder_width * width + layers * block
    if count > MOST_PARAMETERS:
        raise ValueError(f"a network of {count:.3g} parameters is refused; at most {MOST_PARAMETERS:.3g} are made")
    if heads * frames**2 > MOST_SCORES:
        raise ValueError(f"{heads} heads over {frames} frames are refused; at most 8 over 1024, or as much")


def check_modality(modality):
    """Raises `ValueError` unless modality is "2d" or "3d"."""
    if modality not in MODALITIES:
        raise ValueError(f"modality must be one of {', '.join(MODALITIES)}, found {modality!r}")


def check_pose_shape(pose, frames, joints, modality):
    """Raises `ValueError` with the offending shape unless pose is (B, frames, joints, D)."""
    check_modality(modality)
    expected = (frames, joints, MODALITIES[modality])
    if tuple(pose.shape[1:]) != expected:
        raise ValueError(
            f"expected {modality} poses of shape (batch, {', '.join(map(str, expected))}), found {tuple(pose.shape)}"
        )
