"""Stage I training: masked 2D and masked 3D pose modelling (paper, 3.2)."""

from keras import ops

from mpm_keras.masking import hidden_joints
from mpm_keras.models.pretrainer import TASKS
from mpm_keras.training.losses import joint_distance, pose_loss, weighted_mean
from mpm_keras.training.trainer import Trainer, Update, count_weight

SCHEDULES = ("alternate", "joint")

# lambda_m2m and lambda_m3m of equation 7 (section 4.2.1); the third task, masked 2D lifting, is
# named in the paper's conclusion only.
LOSS_WEIGHTS = {"2d": 2.0, "3d": 3.0, "lift": 0.0}


class PretrainTrainer(Trainer):
    """Trains an `MPMPretrainer` on batches of 2D poses, 3D poses or both.

    The 2D and 3D poses of a batch need not belong together, but for the task "lift", which runs
    where a batch holds both and needs them paired.

    Args:
        network: `MPMPretrainer`.
        masking: `PoseMasking`; must hide as many frames as the network drops.
        loss_weights: weight of each pretext task; a task of weight 0 is not run.
        schedule: "alternate" takes one optimiser step per task and batch, 2D first, as the paper
            describes; "joint" one step on the weighted sum, as the released code does.
        masked_only: count only hidden joints in the loss. The released code counts all.
        root: index of the root joint. It is zero by definition in 3D, so the errors reported leave
            it out.

    Raises:
        ValueError: for an unknown schedule or task, or a mask that does not fit the network.
    """

    def __init__(
        self, network, masking, loss_weights=None, schedule="alternate", masked_only=False, root=0, **kwargs
    ):  # fmt: skip
        weights = {**LOSS_WEIGHTS, **(loss_weights or {})}
        unknown = [t for t in weights if t not in TASKS]
        if unknown:
            raise ValueError(f"unknown pretext task {unknown[0]!r}; known: {', '.join(TASKS)}")
        if schedule not in SCHEDULES:
            raise ValueError(f"unknown schedule {schedule!r}; known: {', '.join(SCHEDULES)}")
        _, hidden = masking.count_hidden(network.frames, network.joints)
        if hidden != network.hidden_frames:
            raise ValueError(f"masking hides {hidden} frames, but the network drops {network.hidden_frames}")
        self.tasks = tuple(t for t in TASKS if weights[t] > 0)
        super().__init__(network, self.metric_names(), **kwargs)
        self.masking, self.loss_weights, self.schedule = masking, weights, schedule
        self.masked_only, self.root = masked_only, root

    def metric_names(self):
        return tuple(f"masked_{t}" for t in self.tasks)

    def prepare(self, batch, training):
        return self.masking(batch)

    def updates(self, batch):
        tasks = [t for t in self.tasks if all(f"pose_{m}" in batch for m in TASKS[t])]
        if not tasks:
            raise ValueError(f"no task of {', '.join(self.tasks) or 'none'} can use a batch of {', '.join(batch)}")
        groups = [[t] for t in tasks] if self.schedule == "alternate" else [tasks]
        return [Update(self.group_loss(group), self.group_variables(group)) for group in groups]

    def group_loss(self, group):
        def loss(batch, training):
            total, values = 0.0, {}
            for task in group:
                task_loss, reports = self.task_loss(batch, task, training)
                total = total + self.loss_weights[task] * task_loss
                values |= reports
            return total, values

        return loss

    def group_variables(self, group):
        def variables():
            found = {id(v): v for task in group for v in self.network.task_variables(task)}
            return list(found.values())

        return variables

    def task_loss(self, batch, task, training):
        """The loss of one task (equation 6) and the error of its hidden joints.

        Returns:
            (scalar, {"masked_<task>": (mean error of hidden joints, their number)}), the error in
            mm for 3D and in normalised screen units for 2D.
        """
        source, target = TASKS[task]
        predicted = self.network.reconstruct(batch, task, training=training)
        true = batch[f"pose_{target}"]
        hidden = hidden_joints(batch[f"masks_{source}"])  # (B, F, J)
        loss = pose_loss(predicted, true, hidden if self.masked_only else None)
        if target == "3d":
            hidden = self.without_root(hidden)
        unit = 1000.0 if target == "3d" else 1.0
        error = unit * weighted_mean(joint_distance(predicted, true), hidden)
        return loss, {f"masked_{task}": (error, count_weight(hidden))}

    def without_root(self, hidden):
        joint = ops.arange(hidden.shape[-1], dtype="int32")
        return ops.logical_and(hidden, joint != self.root)
