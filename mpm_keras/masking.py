"""Masks of masked pose modelling (paper, section 3.2.1 and Appendix B).

A mask hides joints of a frame (they are replaced by v^S before the encoder) and whole frames (they
are dropped before the temporal transformer; v^T stands for them in the decoder). True is hidden.

All shapes are static, so the draw runs inside a compiled step on any accelerator: a fixed count of
joints or frames is chosen by ranking noise, never by a random count.
"""

import math

import keras
from keras import ops

from mpm_keras.noise import uniform

STRATEGIES = ("spatiotemporal", "tube", "temporal")


def count_hidden_frames(frames: int, ratio: float) -> int:
    """Frames that a ratio r_t hides: floor(r_t * frames), e.g. 145 of 243 at 0.6.

    The released code truncates the same way. Raises `ValueError` unless 0 <= ratio and at least one
    frame stays visible.
    """
    hidden = math.floor(ratio * frames + 1e-9)  # 0.29 * 100 is 28.999999999999996
    if not 0 <= hidden < frames:
        raise ValueError(f"temporal mask ratio {ratio} hides {hidden} of {frames} frames; one frame at least must stay")
    return hidden


def lowest(noise, count: int):
    """(..., N) noise -> (..., N) bool that marks exactly `count` lowest values along the last axis.

    A threshold would mark more than `count` where float32 noise ties, so ranks are used.
    """
    return ops.argsort(ops.argsort(noise, axis=-1), axis=-1) < count


def visible_frames(hidden, count: int):
    """(B, F) bool -> (B, count) int32: the visible frames of each sample, ascending.

    `count` must be the number of visible frames of every sample; it fixes the static shape.
    """
    frames = hidden.shape[-1]
    position = ops.arange(frames, dtype="int32")
    # Distinct keys make the order independent of whether the backend's sort is stable.
    key = ops.cast(hidden, "int32") * frames + position
    return ops.cast(ops.argsort(key, axis=-1)[:, :count], "int32")


def hidden_joints(masks):
    """{"joints": (B, F, J), "frames": (B, F)} -> (B, F, J) bool: every joint that is not seen."""
    return ops.logical_or(masks["joints"], masks["frames"][..., None])


def is_symbolic_tensorflow(x) -> bool:
    """Whether x is a tensor of a TensorFlow graph that is being traced; needs no TensorFlow."""
    return type(x).__module__.startswith("tensorflow.") and not hasattr(x, "numpy")


@keras.saving.register_keras_serializable(package="mpm_keras")
class PoseMasking(keras.layers.Layer):
    """Draws masks for a batch of pose sequences, per sample and per modality.

    Runs inside the training step on every backend. With the TensorFlow backend it is also a tf.data
    stage: `dataset.map(PoseMasking(...))`.

    Args:
        spatial: r_s, joints hidden in each frame.
        temporal: r_t, share of the frames hidden; `count_hidden_frames` of them.
        strategy: "spatiotemporal" (the paper's: joints drawn frame by frame, and frames), "tube"
            (spatial only, the same joints in all frames; r_t is not used) or "temporal" (frames
            only; r_s is not used).
        seed: of the Keras seed generator that the layer holds.

    Call arguments:
        batch: dict with `pose_2d` (B, F, J, 2), `pose_3d` (B, F, J, 3) or both.

    Returns:
        The batch with `masks_2d` and `masks_3d` beside the poses: dicts of `joints` (B, F, J) and
        `frames` (B, F), bool. Masks that the batch already carries are kept.

    Raises:
        ValueError: for an unknown strategy, r_s outside 0..J-1 or a ratio that hides every frame.
    """

    def __init__(self, spatial=5, temporal=0.6, strategy="spatiotemporal", seed=None, **kwargs):
        super().__init__(**{"autocast": False, **kwargs})  # the poses are targets too: keep their precision
        if strategy not in STRATEGIES:
            raise ValueError(f"unknown mask strategy {strategy!r}; known: {', '.join(STRATEGIES)}")
        if spatial < 0 or not 0 <= temporal < 1:
            raise ValueError(f"need spatial >= 0 joints and 0 <= temporal < 1, found {spatial} and {temporal}")
        self.spatial = spatial if strategy != "temporal" else 0
        self.temporal = temporal if strategy != "tube" else 0.0
        self.strategy = strategy
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def count_hidden(self, frames: int, joints: int) -> tuple[int, int]:
        """(hidden joints per visible frame, hidden frames)."""
        if self.spatial >= joints:
            raise ValueError(f"spatial mask of {self.spatial} joints leaves none of {joints} visible")
        return self.spatial, count_hidden_frames(frames, self.temporal)

    def ratio(self, frames: int, joints: int) -> float:
        """Share of all joints of a window that is hidden, exactly; 0.715 for 5 of 17 and 145 of 243."""
        spatial, temporal = self.count_hidden(frames, joints)
        return 1 - (1 - spatial / joints) * (1 - temporal / frames)

    def from_noise(self, joint_noise, frame_noise):
        """The masks as a pure function of noise (B, F, J) and (B, F), which need only be distinct."""
        _, frames, joints = joint_noise.shape
        spatial, temporal = self.count_hidden(frames, joints)
        if self.strategy == "tube":
            joint_noise = ops.broadcast_to(joint_noise[:, :1], ops.shape(joint_noise))
        return {"joints": lowest(joint_noise, spatial), "frames": lowest(frame_noise, temporal)}

    def draw(self, batch_size, frames: int, joints: int):
        """Masks of one modality for a batch, from the layer's seed generator."""
        joint_noise = uniform((batch_size, frames, joints), self.seed_generator.next())
        return self.from_noise(joint_noise, uniform((batch_size, frames), self.seed_generator.next()))

    def __call__(self, batch, **kwargs):
        backend = keras.backend.backend()
        if backend != "tensorflow" and any(is_symbolic_tensorflow(x) for x in keras.tree.flatten(batch)):
            raise ValueError(
                f"masks are drawn in the training step with the {backend} backend; only with the TensorFlow backend "
                "is PoseMasking a tf.data stage"
            )
        return super().__call__(batch, **kwargs)

    def call(self, batch):
        batch = dict(batch)
        for modality in ("2d", "3d"):
            pose = batch.get(f"pose_{modality}")
            if pose is not None and f"masks_{modality}" not in batch:
                _, frames, joints, _ = pose.shape
                batch[f"masks_{modality}"] = self.draw(ops.shape(pose)[0], frames, joints)
        return batch

    def compute_output_spec(self, batch):
        batch = dict(batch)
        for modality in ("2d", "3d"):
            pose = batch.get(f"pose_{modality}")
            if pose is not None:
                batch[f"masks_{modality}"] = {
                    "joints": keras.KerasTensor(pose.shape[:3], dtype="bool"),
                    "frames": keras.KerasTensor(pose.shape[:2], dtype="bool"),
                }
        return batch

    def get_config(self):
        config = super().get_config()
        config.update(spatial=self.spatial, temporal=self.temporal, strategy=self.strategy, seed=self.seed)
        return config


# Rows of the paper's tables: a number of random joints, or the names of limbs.
PARTIAL_2D = {
    "1 joint": 1,
    "2 joints": 2,
    "two legs": ("left_leg", "right_leg"),
    "two arms": ("left_arm", "right_arm"),
    "left leg + left arm": ("left_leg", "left_arm"),
    "right leg + right arm": ("right_leg", "right_arm"),
}  # Table 3
PARTIAL_3D = {
    "right leg": ("right_leg",),
    "left leg": ("left_leg",),
    "left arm": ("left_arm",),
    "right arm": ("right_arm",),
}  # Table 4
BROKEN_3D = {
    **PARTIAL_3D,
    **{name: choice for name, choice in PARTIAL_2D.items() if isinstance(choice, tuple)},
    "1 joint": 1,
    "3 joints": 3,
    "6 joints": 6,
    "whole frames": 17,
}  # what motion capture lacks, more than Table 4 asks for


@keras.saving.register_keras_serializable(package="mpm_keras")
class PartMasking(keras.layers.Layer):
    """Hides body parts: per sample one choice of a list, the same joints in all frames of a window or a stretch of it.

    Args:
        limbs: (C, J) booleans as nested lists: the joints that choice c hides.
        counts: C numbers of further joints that choice c hides, drawn at random.
        seed: of the Keras seed generator that the layer holds.
        stretches: share of samples whose joints are hidden for a stretch of 1 frame to 2/3 of the window only,
            drawn uniformly. If it is not zero, a choice of all joints is always one.

    Call arguments:
        pose: (B, F, J, D).

    Returns:
        (B, F, J) bool, True where hidden.

    Raises:
        ValueError: when limbs and counts do not fit together.
    """

    def __init__(self, limbs, counts, seed=None, stretches=0.0, **kwargs):
        super().__init__(**kwargs)
        if not 0 <= stretches <= 1:
            raise ValueError(f"stretches must be in [0, 1], found {stretches}")
        if not limbs or len(limbs) != len(counts) or len({len(row) for row in limbs}) != 1:
            raise ValueError(f"need one row of joints and one count per choice, found {len(limbs)} and {len(counts)}")
        self.limbs, self.counts, self.seed = [[bool(j) for j in row] for row in limbs], list(counts), seed
        self.stretches = stretches
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    @classmethod
    def of(cls, choices, skeleton, seed=None, stretches=0.0) -> "PartMasking":
        """From choices as in `PARTIAL_2D`: a number of joints, or limb names of the skeleton."""
        limbs = [[] if isinstance(choice, int) else skeleton.limb(*choice) for choice in choices]
        counts = [choice if isinstance(choice, int) else 0 for choice in choices]
        return cls([[j in limb for j in range(skeleton.num_joints)] for limb in limbs], counts, seed, stretches)

    def from_noise(self, choice, joint_noise, frames: int, stretch_noise=None):
        """The mask as a pure function of choices (B,) int and uniform noise (B, J), of stretches (B, 3)."""
        rank = ops.argsort(ops.argsort(joint_noise, axis=-1), axis=-1)
        drawn = rank < ops.take(ops.convert_to_tensor(self.counts, dtype=rank.dtype), choice)[:, None]
        hidden = ops.logical_or(ops.take(ops.convert_to_tensor(self.limbs, dtype="bool"), choice, axis=0), drawn)
        hidden = ops.repeat(hidden[:, None], frames, axis=1)  # (B, F, J)
        if not self.stretches:
            return hidden
        short, length, start = ops.split(ops.convert_to_tensor(stretch_noise, dtype="float32"), 3, axis=1)  # (B, 1)
        length = ops.floor(1 + length * max(1, 2 * frames // 3))
        start = ops.floor(start * (frames - length + 1))
        frame = ops.arange(frames, dtype="float32")[None]
        within = ops.logical_and(frame >= start, frame < start + length)  # (B, F)
        whole = ops.logical_and(short >= self.stretches, ops.logical_not(ops.all(hidden[:, 0], axis=-1))[:, None])
        return ops.logical_and(hidden, ops.logical_or(within, whole)[..., None])

    def call(self, pose):
        batch, (_, frames, joints, _) = ops.shape(pose)[0], pose.shape
        choice = uniform((batch, 1), self.seed_generator.next())[:, 0] * len(self.counts)
        choice, joint_noise = ops.cast(choice, "int32"), uniform((batch, joints), self.seed_generator.next())
        stretch = uniform((batch, 3), self.seed_generator.next()) if self.stretches else None
        return self.from_noise(choice, joint_noise, frames, stretch)

    def compute_output_spec(self, pose):
        return keras.KerasTensor(pose.shape[:3], dtype="bool")

    def get_config(self):
        own = {"limbs": self.limbs, "counts": self.counts, "seed": self.seed, "stretches": self.stretches}
        return {**super().get_config(), **own}
