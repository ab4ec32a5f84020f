"""The stage I network: reconstructs masked 2D and masked 3D pose sequences (paper, 3.2)."""

import keras
from keras import ops

from mpm_keras.layers import FramePositions, FrameToken, JointToken, PoseDecoder, framing_for
from mpm_keras.masking import hidden_joints, visible_frames
from mpm_keras.models.backbone import MODALITIES, MPMBackbone
from mpm_keras.models.pose_model import PoseModel

# Pretext task -> (modality that goes in, modality that comes out).
TASKS = {"2d": ("2d", "2d"), "3d": ("3d", "3d"), "lift": ("2d", "3d")}


@keras.saving.register_keras_serializable(package="mpm_keras")
class MPMPretrainer(PoseModel):
    """Backbone with mask tokens and one light decoder per modality.

    Args:
        hidden_frames: frames that every temporal mask hides (static, see `count_hidden_frames`).
        decoder_blocks: transformer blocks of each decoder; the paper's is 1.
        normalization: of 2D, as in `MPMLifter`; reconstructions are in the coordinates that went in.
        The others as in `MPMBackbone`.

    Call arguments:
        batch: dict with `pose_2d` (B, F, J, 2) and `masks_2d` (see `PoseMasking`), or the same for
            3D, or both.

    Returns:
        Dict of reconstructions, `pose_2d` and `pose_3d`, for the modalities of the batch.
    """

    def __init__(
        self, frames=27, joints=17, hidden_frames=0, layers=4, width=256, encoder_width=512, heads=8,
        feed_forward=512, decoder_blocks=1, dropout=0.1, epsilon=1e-6, normalization="screen", **kwargs,
    ):  # fmt: skip
        super().__init__(**{"autocast": False, **kwargs})  # framing needs precision; each layer casts for itself
        if not 0 <= hidden_frames < frames:
            raise ValueError(f"hidden_frames must be in 0..{frames - 1}, found {hidden_frames}")
        self.frames, self.joints, self.hidden_frames = frames, joints, hidden_frames
        self.decoder_blocks, self.epsilon, self.normalization = decoder_blocks, epsilon, normalization
        self.framing = framing_for(normalization)
        policy = self.dtype_policy
        self.backbone = MPMBackbone(
            frames, joints, tuple(MODALITIES), layers, width, encoder_width, heads, feed_forward, dropout,
            encoder_dropout=dropout, epsilon=epsilon, dtype=policy, name="backbone",
        )  # fmt: skip
        self.joint_tokens = {m: JointToken(dtype=policy, name=f"joint_token_{m}") for m in MODALITIES}
        self.norm = keras.layers.LayerNormalization(epsilon=epsilon, dtype=policy, name="norm")
        self.frame_token = FrameToken(frames, dtype=policy, name="frame_token")
        self.positions = FramePositions(dtype=policy, name="positions")
        self.decoders = {
            m: PoseDecoder(
                joints, dims, decoder_blocks, heads, feed_forward, dropout, epsilon, dtype=policy, name=f"decoder_{m}"
            )
            for m, dims in MODALITIES.items()
        }
        self.build()

    def build(self, input_shape=None):
        self.backbone.build()
        features = (None, self.frames, self.backbone.width)
        for modality, dims in MODALITIES.items():
            self.joint_tokens[modality].build((None, self.frames, self.joints, dims))
            self.decoders[modality].build(features)
        for layer in (self.norm, self.frame_token, self.positions):
            layer.build(features)
        self.built = True

    def encode(self, pose, masks, modality, training=None):
        """Masked poses (B, F, J, D) -> (B, F, C) features with v^T in the hidden frames."""
        visible = None
        if self.hidden_frames:
            visible = visible_frames(masks["frames"], self.frames - self.hidden_frames)
        x = self.joint_tokens[modality](pose, masks["joints"])
        x = self.norm(self.backbone(x, modality=modality, visible=visible, training=training))
        return self.positions(self.frame_token(x, visible))

    def decode(self, features, modality, training=None):
        """(B, F, C) features -> (B, F, J, D) poses."""
        return self.decoders[modality](features, training=training)

    def reconstruct(self, batch, task, training=None):
        """Runs one pretext task of `TASKS`. Returns (B, F, J, D)."""
        source, target = TASKS[task]
        pose, masks = batch[f"pose_{source}"], batch[f"masks_{source}"]
        framed = self.framing is not None and source == "2d"
        if framed:
            frame = self.framing(pose, hidden_joints(masks))
            pose = frame["pose"]
        poses = self.decode(self.encode(pose, masks, source, training=training), target, training=training)
        if framed and target == "2d":
            poses = ops.cast(poses, "float32") * frame["scale"] + frame["center"]
        return poses

    def call(self, batch, training=None):
        present = [m for m in MODALITIES if f"pose_{m}" in batch]
        if not present:
            raise ValueError(f"a batch needs pose_2d or pose_3d, found {', '.join(batch) or 'nothing'}")
        return {f"pose_{m}": self.reconstruct(batch, m, training=training) for m in present}

    def task_variables(self, task) -> list:
        """Trainable variables that a pretext task updates."""
        source, target = TASKS[task]
        layers = [self.joint_tokens[source], self.backbone.encoders[source], *self.backbone.shared]
        layers += [self.norm, self.positions, self.decoders[target]]
        if self.hidden_frames:  # otherwise v^T stands nowhere
            layers.append(self.frame_token)
        return [v for layer in layers for v in layer.trainable_variables]

    def module_parameters(self) -> dict:
        """Number of parameters per module, batch norm statistics included."""
        modules = {f"encoder_{m}": self.backbone.encoders[m] for m in MODALITIES}
        modules["spatial_mlp"] = self.backbone.spatial
        modules["temporal_transformer"] = [self.backbone.positions, *self.backbone.blocks]
        modules |= {f"decoder_{m}": self.decoders[m] for m in MODALITIES}
        modules["tokens_and_norm"] = [*self.joint_tokens.values(), self.norm, self.frame_token, self.positions]
        return count_parameters(modules)

    def get_config(self):
        b = self.backbone
        config = {n: getattr(self, n) for n in ("frames", "joints", "hidden_frames", "decoder_blocks", "epsilon")}
        config["normalization"] = self.normalization
        config |= {n: getattr(b, n) for n in ("width", "encoder_width", "heads", "feed_forward", "dropout")}
        return {**super().get_config(), **config, "layers": b.num_layers}


def count_parameters(modules: dict) -> dict:
    """{name: layer or list of layers} -> {name: number of weights}, with their `total`."""
    counts = {}
    for name, layers in modules.items():
        layers = layers if isinstance(layers, list) else [layers]
        counts[name] = sum(layer.count_params() for layer in layers)
    counts["total"] = sum(counts.values())
    return counts
