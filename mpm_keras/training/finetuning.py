"""Stage II training: lifting 2D to 3D, and completing partial 3D (paper, 3.3)."""

from keras import ops

from mpm_keras.training.losses import joint_distance, pose_loss, weighted_mean
from mpm_keras.training.trainer import Trainer, Update, count_weight

# lambda_ft and lambda_ft-seq of equation 11 (section 4.2.1).
LIFT_WEIGHTS = {"center": 1.0, "sequence": 1.0}


def root_relative_error_mm(predicted, target, root):
    """(B, F, J) distance in mm of each joint after both roots are put at the origin."""
    predicted = ops.cast(predicted, "float32")
    shifted = predicted - predicted[..., root : root + 1, :]
    return 1000.0 * joint_distance(shifted, target)


class LiftTrainer(Trainer):
    """Trains an `MPMLifter` on batches with paired `pose_2d` and `pose_3d` (equations 9 to 11).

    Args:
        network: `MPMLifter`.
        occlusion: `PartMasking` of the 2D input, or None for whole 2D.
        confidence_threshold: joints whose `confidence` in the batch lies below are hidden.
        loss_weights: of the centre pose and of the sequence.
        root: index of the root joint.
        frozen: layers of the network that stay as they are.
    """

    def __init__(self, network, occlusion=None, confidence_threshold=0.0, loss_weights=None, root=0, **kwargs):
        super().__init__(network, ("center_mpjpe_mm", "sequence_mpjpe_mm"), **kwargs)
        self.occlusion, self.confidence_threshold, self.root = occlusion, confidence_threshold, root
        self.loss_weights = {**LIFT_WEIGHTS, **(loss_weights or {})}

    def prepare(self, batch, training):
        batch = dict(batch)
        masks = [batch["hidden"]] if "hidden" in batch else []
        if self.occlusion is not None and not masks:
            masks.append(self.occlusion(batch["pose_2d"]))
        if self.confidence_threshold > 0 and "confidence" in batch:
            masks.append(batch["confidence"] < self.confidence_threshold)
        for i, mask in enumerate(masks):
            batch["hidden"] = mask if i == 0 else ops.logical_or(batch["hidden"], mask)
        return batch

    def updates(self, batch):
        token = [] if "hidden" in batch else self.network.joint_token.variables
        unused = {id(v) for v in token}  # without a mask v^S has no gradient, and must not decay
        return [Update(self.lift_loss, lambda: [v for v in self.network.trainable_variables if id(v) not in unused])]

    def lift_loss(self, batch, training):
        inputs = {key: batch[key] for key in ("pose_2d", "hidden") if key in batch}
        predicted = self.network(inputs, training=training)
        middle = self.network.frames // 2
        targets = {"center": batch["pose_3d"][:, middle : middle + 1], "sequence": batch["pose_3d"]}
        loss, values = 0.0, {}
        for name, target in targets.items():
            loss = loss + self.loss_weights[name] * pose_loss(predicted[name], target)
            error = ops.mean(root_relative_error_mm(predicted[name], target, self.root))
            values[f"{name}_mpjpe_mm"] = (error, ops.cast(ops.shape(target)[0], "float32"))
        return loss, values


class CompletionTrainer(Trainer):
    """Trains the 3D side of an `MPMPretrainer` to complete partial 3D sequences (3.3.2, Table 4).

    The loss is that of stage I (equation 6) with tube masks and no hidden frames.

    Args:
        network: `MPMPretrainer` with `hidden_frames=0`.
        occlusion: `PartMasking` of the 3D input.
        root: index of the root joint.
    """

    def __init__(self, network, occlusion, root=0, **kwargs):
        if network.hidden_frames:
            raise ValueError(f"completion hides no frames, but the network drops {network.hidden_frames}")
        super().__init__(network, ("hidden_mpjpe_mm", "all_mpjpe_mm"), **kwargs)
        self.occlusion, self.root = occlusion, root

    def prepare(self, batch, training):
        hidden = batch["hidden"] if "hidden" in batch else self.occlusion(batch["pose_3d"])
        masks = {"joints": hidden, "frames": ops.zeros_like(hidden[..., 0])}
        return {"pose_3d": batch["pose_3d"], "masks_3d": masks}

    def updates(self, batch):
        return [Update(self.completion_loss, lambda: self.network.task_variables("3d"))]

    def completion_loss(self, batch, training):
        pose, hidden = batch["pose_3d"], batch["masks_3d"]["joints"]
        predicted = self.network.reconstruct(batch, "3d", training=training)
        loss = pose_loss(predicted, pose)
        distance = 1000.0 * joint_distance(predicted, pose)
        completed = ops.where(hidden, distance, 0.0)  # observed joints are kept as observed
        values = {
            "hidden_mpjpe_mm": (weighted_mean(distance, hidden), count_weight(hidden)),
            "all_mpjpe_mm": (ops.mean(completed), ops.cast(ops.shape(pose)[0], "float32")),
        }
        return loss, values
